"""Instructive feature enhancement: the feature maps that say most are shown twice."""
