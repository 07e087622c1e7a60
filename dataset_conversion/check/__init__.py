"""Check a raw data set that somebody else made: the converters' checks, and what nnU-Net would not notice."""
