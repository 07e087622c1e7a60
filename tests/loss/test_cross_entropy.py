import torch.nn.functional as F  # noqa: N812

from tests.loss import published
from tests.loss.cases import make


def test_is_torchs_mean_over_annotated_voxels(loss_of) -> None:
    case = make("labels+ignore")
    expected = F.cross_entropy(case.logits, case.target[:, 0].long(), ignore_index=case.ignore_label)
    mine = case.criterion(loss_of("nnUNetTrainerCE"))(case.logits, case.target)
    assert abs(mine - expected) < 1e-6


def test_published_code_is_reproduced(oracles, loss_of) -> None:
    published.assert_reproduced(oracles, "ce", loss_of("nnUNetTrainerCE_mediseg"))
    published.assert_reproduced(oracles, "ce", loss_of("nnUNetTrainerCE"))
