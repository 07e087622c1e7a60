"""Deep supervision: one trick per file."""
