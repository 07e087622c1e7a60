"""Training tricks for nnU-Net v2: trainers that stock nnU-Net finds by name, and a fair comparison of what they change."""

__version__ = "0.1.0"
