"""Trainings that do not begin with random weights."""
