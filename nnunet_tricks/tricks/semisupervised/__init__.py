"""Training on voxels that nobody annotated."""
