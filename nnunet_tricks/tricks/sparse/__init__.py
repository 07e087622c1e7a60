"""Trainings on labels of which few slices are annotated, in earnest or simulated on dense ones."""
