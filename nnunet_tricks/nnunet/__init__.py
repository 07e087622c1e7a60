"""What stock nnU-Net leaves on disk, and how it is called."""
