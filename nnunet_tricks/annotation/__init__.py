"""Sparse annotation: which slices of which volumes an annotator paints, and masks for the slices in between.

Zhang et al., "How to select slices for annotation to train best-performing deep learning segmentation models for
cross-sectional medical images?", 2024, asks how to spend a budget of slices: on more volumes or on more slices of
each, at fixed intervals, at random or by their content, with the rest ignored or interpolated. A slice is axial: its
number counts along the patient's axis from the feet to the head, however a file stores it (``axes.py``).

Nothing here needs torch but the modules that learn: ``autoencoder`` and ``interpolation/learned``.
"""
