"""Advice before any training: which tricks are worth trying on a data set, by what its images and labels are like."""
