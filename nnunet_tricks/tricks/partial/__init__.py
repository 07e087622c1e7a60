"""Training on cases of which some are annotated for some classes only."""
