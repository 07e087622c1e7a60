"""What stages of nnU-Net's planned U-Net are made of: one block or attention per file."""
