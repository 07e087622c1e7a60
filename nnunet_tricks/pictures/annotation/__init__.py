"""Pictures of selected slices and of the paint on them."""
