"""What losses, networks, augmentation and DDP take on a GPU."""
