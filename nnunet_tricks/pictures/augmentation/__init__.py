"""What a trainer's augmentation does to one patch, to look at."""
