import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from tests.tricks.loss import published
from tests.tricks.loss.cases import make


def test_is_torchs_mean_over_annotated_voxels(loss_of) -> None:
    case = make("labels+ignore")
    expected = F.cross_entropy(case.logits, case.target[:, 0].long(), ignore_index=case.ignore_label)
    mine = case.criterion(loss_of("nnUNetTrainerCE"))(case.logits, case.target)
    assert abs(mine - expected) < 1e-6


def test_published_code_is_reproduced(oracles, loss_of) -> None:
    published.assert_reproduced(oracles, "ce", loss_of("nnUNetTrainerCE_mediseg"))
    published.assert_reproduced(oracles, "ce", loss_of("nnUNetTrainerCE"))


@pytest.mark.parametrize("mode", ["labels", "labels+ignore"])
def test_label_smoothing_is_torchs(mode: str, loss_of) -> None:
    case = make(mode)
    ignored = -1 if case.ignore_label is None else case.ignore_label
    labels = case.target[:, 0].long()
    expected = F.cross_entropy(case.logits, labels, ignore_index=ignored, label_smoothing=0.1)
    torch.testing.assert_close(
        case.criterion(loss_of("nnUNetTrainerCE_smooth0p1", mode))(case.logits, case.target), expected
    )


def test_label_smoothing_of_regions_moves_the_truth_towards_one_half(loss_of) -> None:
    case = make("regions")
    softened = case.target.float() * 0.8 + 0.1
    expected = F.binary_cross_entropy_with_logits(case.logits, softened)
    torch.testing.assert_close(
        case.criterion(loss_of("nnUNetTrainerCE_smooth0p2", "regions"))(case.logits, case.target), expected
    )
