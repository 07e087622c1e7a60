"""Neighbouring slices as channels of a 2D network."""
