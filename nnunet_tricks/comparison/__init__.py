"""What came out of trainings, measured and compared. Neither torch nor nnU-Net."""
