"""Trainings on images without labels, and trainings that start from them."""
