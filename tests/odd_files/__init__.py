"""Deliberately odd source files, each with what should come of it."""
