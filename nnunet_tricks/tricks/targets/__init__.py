"""Maps that losses read beside the truth; the data-loading workers make them from each augmented patch."""
