import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segmentation_models_pytorch.losses import LovaszLoss

from nnunet_tricks.tricks.loss.lovasz import Lovasz, log_odds, lovasz_slopes
from tests.tricks.loss.cases import CLASSES, REGIONS, make


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_of_right_and_wrong_it_is_one_minus_jaccard(voxels: list[tuple[bool, bool]]) -> None:
    predicted, truth = (torch.tensor(column) for column in zip(*voxels, strict=True))
    errors = (predicted ^ truth).float()
    union = (predicted | truth).sum()
    jaccard = (predicted & truth).sum() / union if union else torch.tensor(1.0)
    assert (errors * lovasz_slopes(errors, truth)).sum() == pytest.approx(1 - jaccard.item(), abs=1e-6)


def test_softmax_agrees_with_segmentation_models_pytorch(loss_of) -> None:
    case = make("labels", batch=3)
    truth = torch.stack([case.target[:, 0] == label for label in range(CLASSES)], 1)
    # Theirs takes background in: all classes as if they were regions.
    of_classes = Lovasz.apply(case.logits.softmax(1), truth, None, True, False)
    theirs = LovaszLoss("multiclass", per_image=True)(case.logits, case.target[:, 0].long())
    torch.testing.assert_close(of_classes.mean(), theirs)
    gradients = [torch.autograd.grad(loss, case.logits)[0] for loss in (of_classes.mean(), theirs)]
    torch.testing.assert_close(*gradients)
    mine = case.criterion(loss_of("nnUNetTrainerLovasz"))(case.logits, case.target)
    torch.testing.assert_close(mine, of_classes[:, 1:].mean())


def test_hinge_agrees_with_segmentation_models_pytorch(loss_of) -> None:
    case = make("regions", batch=3)
    mine = case.criterion(loss_of("nnUNetTrainerLovasz_hinge", "regions"))(case.logits, case.target)
    theirs = [
        LovaszLoss("binary", per_image=True)(case.logits[:, region], case.target[:, region].long())
        for region in range(REGIONS)
    ]
    torch.testing.assert_close(mine, torch.stack(theirs).mean())


def test_margins_of_a_label_map_are_log_odds() -> None:
    probabilities = torch.rand(4, 5, 6, 6, dtype=torch.float64).softmax(1)
    torch.testing.assert_close(log_odds(probabilities.log()), torch.logit(probabilities))


@pytest.mark.parametrize("gap", [0.0, 5.0, 20.0, 1e4])
def test_margins_of_two_classes_are_the_difference_of_their_logits(gap: float) -> None:
    logits = torch.tensor([[0.0, gap]], requires_grad=True)
    margins = log_odds(logits.log_softmax(1))
    torch.testing.assert_close(margins, torch.tensor([[-gap, gap]]))
    (gradient,) = torch.autograd.grad(margins[0, 1], logits)
    torch.testing.assert_close(gradient, torch.tensor([[-1.0, 1.0]]))


def test_slopes_keep_their_digits_in_a_large_image() -> None:
    errors = torch.randperm(2**20) / 2**20  # no two alike
    truth = torch.zeros(2**20, dtype=torch.bool)
    truth[:1000] = True
    torch.testing.assert_close(lovasz_slopes(errors, truth).double(), lovasz_slopes(errors.double(), truth))


@given(st.lists(st.floats(0, 5, width=32), min_size=2, max_size=50), st.randoms(use_true_random=False))
def test_the_order_of_bits_is_the_order_of_errors(values: list[float], random) -> None:
    errors = torch.tensor(values)
    truth = torch.tensor([random.random() < 0.5 for _ in values])
    descending = errors.sort(descending=True, stable=True).indices
    slopes = lovasz_slopes(errors, truth)
    steps = slopes[descending].cumsum(0)  # one minus Jaccard of the worst voxels so far: it never falls
    assert (steps.diff() >= -1e-6).all()
    lost = [
        1 - (truth.sum() - truth[descending[: n + 1]].sum()) / (truth.sum() + (~truth[descending[: n + 1]]).sum())
        for n in range(len(values))
    ]
    distinct = errors[descending].diff() < 0  # equal errors may join in any order
    ends = [n for n in range(len(values)) if n == len(values) - 1 or distinct[n]]
    torch.testing.assert_close(steps[ends], torch.stack(lost)[ends])


def test_a_class_that_is_not_there_costs_its_highest_probability() -> None:
    errors = torch.tensor([0.2, 0.7, 0.0, 0.4])
    assert (errors * lovasz_slopes(errors, torch.zeros(4, dtype=torch.bool))).sum() == pytest.approx(0.7)
