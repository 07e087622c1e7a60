"""Checks of a raw data set that somebody else made: the converters' checks, and faults that nnU-Net overlooks."""
