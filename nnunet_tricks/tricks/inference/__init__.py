"""What is done at prediction: test-time augmentation, thresholds, uncertainty, ensembles."""
