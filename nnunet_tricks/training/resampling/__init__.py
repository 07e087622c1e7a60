"""The spatial transform of nnU-Net's augmentation, with the same result in a fraction of the time."""
