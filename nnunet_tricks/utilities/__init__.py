"""Whole files, durations, wording, signals, terminals."""
