"""Synthetic images: a network that draws images for masks, and trainings that learn from them."""
