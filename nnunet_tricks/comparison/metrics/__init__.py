"""Metrics of two masks, each with a written definition and a rule for empty masks. Needs neither torch nor nnU-Net."""

from nnunet_tricks.comparison.metrics.definition import Metric
from nnunet_tricks.comparison.metrics.pair import LabelMapPair, MaskPair
from nnunet_tricks.comparison.metrics.registry import DEFAULT, TOLERANCES, VERSION, all_metrics, chosen, shown

__all__ = ["DEFAULT", "TOLERANCES", "VERSION", "LabelMapPair", "MaskPair", "Metric", "all_metrics", "chosen", "shown"]
