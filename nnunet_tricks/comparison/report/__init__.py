"""A comparison as a page with figures, and its verification."""
