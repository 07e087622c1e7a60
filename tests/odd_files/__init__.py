"""Deliberately odd source files, each with the right outcome."""
