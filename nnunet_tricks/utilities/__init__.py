"""Whole files, durations, wording, signals."""
