"""Whether an image file is whole. Readers fill what is cut off with zeros, or with what the memory held before."""

from nnunet_tricks.utilities.whole_images.check import check_whole

__all__ = ["check_whole"]
