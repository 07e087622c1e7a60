"""Losses: one trick per file."""
