"""How training patches are transformed, in place of nnU-Net's own augmentation or after it."""
