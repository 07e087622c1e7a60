"""Trainings on labels with few annotated slices, sparse themselves or simulated on dense labels."""
