"""Transforms of training patches, in place of nnU-Net's own augmentation or after it."""
