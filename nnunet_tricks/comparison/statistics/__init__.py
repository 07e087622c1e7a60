"""What differences are worth: intervals, tests, noise and one word for each trick. Neither torch nor nnU-Net."""

from nnunet_tricks.comparison.statistics.multiple import holm

__all__ = ["holm"]
