"""Weights that others have trained: reading, matching, the store, and the tricks that start from them."""
