"""What came out of trainings, measured and compared. Imports neither torch nor nnU-Net."""
