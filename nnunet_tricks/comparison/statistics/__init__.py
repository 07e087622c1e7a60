"""What differences are worth: intervals, tests, noise and a verdict for each trick. Needs neither torch nor nnU-Net."""
