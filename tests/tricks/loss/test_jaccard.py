import pytest
import torch
from segmentation_models_pytorch.losses import JaccardLoss

from nnunet_tricks.training.criterion import Counts
from nnunet_tricks.tricks.loss.dice import dice_score
from nnunet_tricks.tricks.loss.jaccard import jaccard_index
from tests.tricks.loss.cases import MODES, make


def test_agrees_with_segmentation_models_pytorch(loss_of) -> None:
    case = make("labels")
    theirs = JaccardLoss("multiclass", classes=[1, 2], smooth=5e-6)  # over the batch as one image
    mine = case.criterion(loss_of("nnUNetTrainerJaccard", batch_dice=True))(case.logits, case.target)
    torch.testing.assert_close(mine, theirs(case.logits, case.target[:, 0].long()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch_dice", [True, False])
def test_is_tversky_that_weighs_both_faults_by_one(mode: str, batch_dice: bool, loss_of) -> None:
    case = make(mode)
    jaccard, tversky = (
        case.criterion(loss_of(name, mode, batch_dice=batch_dice))(case.logits, case.target)
        for name in ("nnUNetTrainerJaccard", "nnUNetTrainerTversky_alpha1_beta1")
    )
    torch.testing.assert_close(jaccard, tversky)


def test_of_one_class_it_follows_from_dice() -> None:
    counts = Counts(*(torch.rand(3, 50).cumsum(0)[[0, 1, 2]]))
    dice = dice_score(counts, smooth=0)
    torch.testing.assert_close(jaccard_index(counts, smooth=0), dice / (2 - dice))
