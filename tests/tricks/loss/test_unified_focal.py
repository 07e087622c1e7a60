import pytest
import torch
from monai.losses.unified_focal_loss import AsymmetricFocalLoss, AsymmetricFocalTverskyLoss

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.unified_focal import UnifiedFocal
from tests.tricks.loss.cases import make

ROWS = ((1.0, 1.0),)


@pytest.mark.parametrize(("delta", "gamma"), [(0.6, 0.5), (0.7, 0.2)])
def test_agrees_with_monai(delta: float, gamma: float) -> None:
    torch.manual_seed(0)
    logits, truth = torch.randn(2, 2, 9, 8), torch.randint(2, (2, 1, 9, 8))
    p = logits.softmax(1)

    def mine(share: float) -> torch.Tensor:
        loss = UnifiedFocal(share=share, delta=delta, gamma=gamma, rows=ROWS, batch=False)
        return Criterion(loss)(logits, truth.to(torch.int16))

    focal = AsymmetricFocalLoss(to_onehot_y=True, delta=delta, gamma=gamma)(p, truth)
    tversky = AsymmetricFocalTverskyLoss(to_onehot_y=True, delta=delta, gamma=gamma)(p, truth)
    torch.testing.assert_close(mine(1), 2 * focal)  # theirs averages over the two channels too
    torch.testing.assert_close(mine(0), tversky, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mine(0.3), 0.3 * mine(1) + 0.7 * mine(0))


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("ignore", ["", "+ignore"])
def test_a_region_is_a_problem_of_two_classes(batch_dice: bool, ignore: str, loss_of) -> None:
    case = make(f"regions{ignore}")
    mine = case.criterion(loss_of("nnUNetTrainerUnifiedFocal", f"regions{ignore}", batch_dice=batch_dice))
    loss = UnifiedFocal(share=0, delta=0.6, gamma=0.5, rows=ROWS, batch=batch_dice)
    focal = UnifiedFocal(share=1, delta=0.6, gamma=0.5, rows=ROWS, batch=batch_dice)
    binary = []
    for region in range(case.logits.shape[1]):
        z = case.logits[:, region]
        # Two classes whose softmax is the region's sigmoid.
        logits = torch.stack([torch.zeros_like(z), z], 1)
        labels = case.target[:, region : region + 1].long()
        if ignore:
            labels = labels.masked_fill(case.target[:, -1:], 2)
        ignored = 2 if ignore else None
        binary.append([Criterion(part, ignore_label=ignored)(logits, labels) for part in (loss, focal)])
    tversky, focals = (torch.stack(parts) for parts in zip(*binary, strict=True))
    # nnU-Net averages voxel losses over regions without an ignore label, and sums with one.
    expected = 0.5 * tversky.mean() + 0.5 * (focals.sum() if ignore else focals.mean())
    torch.testing.assert_close(mine(case.logits, case.target), expected)
