"""Tricks that change the network."""
