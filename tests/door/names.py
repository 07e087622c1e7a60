"""A name of ours, a name that we refuse and why, and a user who has trainers of both names."""

OURS = "nnUNetTrainerTversky"
ILLEGAL = "nnUNetTrainerTversky_alpha1p7"
REASON = "alpha of Tversky must be a number from 0 to 1, got 1p7"
NEAREST = "nnUNetTrainerTversky_alpha1"

OWN = f"""
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
class {OURS}(nnUNetTrainer): pass
class {ILLEGAL}(nnUNetTrainer): pass
"""
