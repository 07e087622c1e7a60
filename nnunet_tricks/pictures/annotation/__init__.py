"""Pictures of selected slices, with outlines of what was painted on them."""
