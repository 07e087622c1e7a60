"""Blocks of the survey inside nnU-Net's planned U-Net: one block per file."""
