import pytest
import torch

from nnunet_tricks.tricks.loss.active_contour import ActiveContour, Length
from tests.tricks.loss.cases import MODES, make


@pytest.mark.parametrize("spatial", [(7, 6), (5, 6, 4)])
@pytest.mark.parametrize("ignore", ["", "+ignore"])
def test_is_the_formula_in_two_and_three_dimensions(spatial: tuple[int, ...], ignore: str) -> None:
    case = make(f"labels{ignore}", spatial=spatial, dtype=torch.float64)
    mine = case.criterion(ActiveContour(length=0.3, region=2))(case.logits, case.target)
    p = case.logits.softmax(1)[:, 1:]
    g = torch.stack([case.target[:, 0] == label for label in (1, 2)], 1).double()
    annotated = case.annotated
    counts = annotated[(slice(None), *[slice(-1)] * len(spatial))]
    squared = torch.zeros_like(p[(..., *[slice(-1)] * len(spatial))])
    for axis in range(len(spatial)):
        ahead = [slice(1, None) if a == axis else slice(-1) for a in range(len(spatial))]
        squared = squared + (p[(..., *ahead)] - p[(..., *[slice(-1)] * len(spatial))]) ** 2
        counts = counts & annotated[(slice(None), *ahead)]
    length = ((squared + 1e-8).sqrt() * counts[:, None]).sum()
    region = ((p * (1 - g) ** 2 + (1 - p) * g**2) * annotated[:, None]).sum()
    expected = (0.3 * length + 2 * region) / (annotated.sum() * 2)
    torch.testing.assert_close(mine, expected)
    gradients = [torch.autograd.grad(loss, case.logits)[0] for loss in (mine, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("mode", MODES)
def test_without_length_it_is_the_share_of_wrong_voxels(mode: str, loss_of) -> None:
    case = make(mode)
    mine = case.criterion(loss_of("nnUNetTrainerActiveContour_length0", mode))(case.logits, case.target)
    classes = case.logits.shape[1] - (0 if case.regions else 1)
    p = (case.logits.sigmoid() if case.regions else case.logits.softmax(1))[:, -classes:]
    if case.regions:
        g = case.target[:, :classes]
    else:
        g = torch.stack([case.target[:, 0] == label for label in range(1, classes + 1)], 1)
    wrong = (p - g.float()).abs() * case.annotated[:, None]
    torch.testing.assert_close(mine, wrong.sum() / (case.annotated.sum() * classes))


def test_the_length_of_a_box_is_its_border() -> None:
    image = torch.zeros(1, 1, 12, 12)
    image[..., 3:7, 4:9] = 1
    # Four rows and five columns, entered and left; the last corner has both differences in one voxel.
    entered_and_left = 2 * (4 + 5)
    corner = 2 - 2**0.5
    assert Length.apply(image, None).item() == pytest.approx(entered_and_left - corner, abs=0.02)


def test_a_ragged_border_costs_more_than_a_smooth_one(loss_of) -> None:
    target = torch.zeros(1, 1, 16, 16, dtype=torch.int16)
    target[..., 4:12, 4:12] = 1
    smooth, ragged = (torch.zeros(1, 16, 16, dtype=torch.bool) for _ in range(2))
    smooth[:, 4:13, 4:12] = True
    ragged[:, 4:12, 4:12] = True
    ragged[:, 12, 4:12:2] = True
    ragged[:, 13, 4:12:2] = True  # as many false alarms

    def cost(predicted: torch.Tensor) -> float:
        logits = torch.stack([~predicted, predicted, torch.zeros_like(predicted)], 1).float() * 40
        logits[:, 2] -= 40
        return make("labels").criterion(loss_of("nnUNetTrainerActiveContour"))(logits, target).item()

    assert smooth.sum() == ragged.sum()
    assert cost(smooth) < cost(ragged)
