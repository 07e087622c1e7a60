"""Training tricks for nnU-Net v2, as trainers that stock nnU-Net finds by name, and their fair comparison."""

__version__ = "0.2.0"
