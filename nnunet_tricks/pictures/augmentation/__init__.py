"""A picture of what a trainer's augmentation does to one patch."""
