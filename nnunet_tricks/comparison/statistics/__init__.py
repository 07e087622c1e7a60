"""What differences are worth: intervals, tests, noise and one word for each trick. Neither torch nor nnU-Net."""
