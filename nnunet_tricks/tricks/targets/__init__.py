"""What losses need beside the truth: maps that the data-loading workers make from each augmented patch."""
