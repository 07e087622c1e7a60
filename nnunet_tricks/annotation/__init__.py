"""Sparse annotation: which slices of which volumes an annotator paints, and masks for the slices in between.

Zhang et al., "How to select slices for annotation to train best-performing deep learning segmentation models for
cross-sectional medical images?", 2024, ask how to spend a budget of slices: on more volumes or on more slices of each;
at fixed intervals, at random or by content; with the rest ignored or interpolated. Slices are axial and are counted
along the patient's axis, from the feet to the head, whatever the order in a file (``axes.py``).

Only the modules that learn need torch: ``autoencoder`` and ``interpolation/learned``.
"""
