from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion, Prediction
from nnunet_tricks.tricks.loss.cc_dice import CCDiceLoss, cell_term
from nnunet_tricks.tricks.loss.cell_sums import Partition
from nnunet_tricks.tricks.loss.no_smooth import plain_dice
from nnunet_tricks.tricks.targets.cells import cells
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout
from tests.tricks.loss.cases import MODES, Case, make, nnunet_loss


def _layout(case: Case) -> Layout:
    return Layout(case.logits.shape[1] - (0 if case.regions else 1), case.regions, case.ignore_label is not None)


def cells_of(case: Case) -> Tensor:
    """As the loader makes them."""
    layout = _layout(case)
    append = AppendMaps(cells, layout, (1.0,) * (case.logits.ndim - 2), numbers=True)
    joined = [append(segmentation=target)["segmentation"] for target in case.target]
    return layout.split(torch.stack(joined))[1].to(case.logits.dtype)


def criterion(case: Case, *, alpha: float = 1, beta: float = 1, batch: bool = False) -> Criterion:
    made = case.criterion(CCDiceLoss(alpha=alpha, beta=beta, batch=batch))
    made.maps = cells_of(case)
    return made


def prediction(case: Case) -> Prediction:
    return Prediction(case.logits, case.target, regions=case.regions, ignore_label=case.ignore_label)


def sparse(mode: str, *, share: float = 0.93, **settings: object) -> Case:
    """A case with few voxels of objects, and few that are ignored, so that objects are several."""
    case = make(mode, dtype=torch.float64, **{"spatial": (17, 16), **settings})
    random = torch.rand(2, *case.target[:, :1].shape, generator=torch.Generator().manual_seed(1)) < share
    empty, annotated = random
    if case.regions:
        case.target[:, :2] &= ~empty
        case.target[:, 2:] &= ~annotated
    else:
        case.target[torch.where(case.target < 3, empty, annotated)] = 0
    return case


def _explicitly(case: Case) -> Tensor:
    """Cell by cell, with a mask for each."""
    classes = _layout(case).classes
    p = (case.logits.sigmoid() if case.regions else case.logits.softmax(1))[:, -classes:]
    numbers, images = cells_of(case), []
    for image in range(len(p)):
        annotated = case.annotated[image]
        of_classes, losses = [], []
        for c in range(classes):
            if case.regions:
                truth = case.target[image, c].to(p.dtype)
                ce = F.binary_cross_entropy_with_logits(case.logits[image, c], truth, reduction="none")
            else:
                labels = case.target[image, 0].long()
                truth = (labels == c + 1).to(p.dtype)
                ce = F.cross_entropy(case.logits[image][None], labels.clamp_max(2)[None], reduction="none")[0]
            losses.append(ce[annotated].mean())
            costs = []
            for number in range(1, int(numbers[image, c].max()) + 1):
                mine = annotated & (numbers[image, c] == number)
                probability, inside = p[image, c][mine], truth[mine]
                dice = 2 * (probability * inside).sum() / (probability.sum() + inside.sum())
                costs.append(ce[mine].mean() - dice)
            if costs:
                of_classes.append(torch.stack(costs).mean())
        images.append(torch.stack(of_classes or losses).mean())
    return torch.stack(images).mean()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spatial", [(17, 16), (6, 7, 8)])
def test_it_is_the_mean_over_masks_of_cells(mode: str, spatial: tuple[int, ...]) -> None:
    case = sparse(mode, spatial=spatial)
    assert cells_of(case).max() > 2
    torch.testing.assert_close(criterion(case, alpha=0)(case.logits, case.target), _explicitly(case))
    case.target[0] = case.target[0].new_zeros(()) if not case.regions else False
    torch.testing.assert_close(criterion(case, alpha=0)(case.logits, case.target), _explicitly(case))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("batch", [False, True])
def test_the_whole_is_nnunets_loss_without_smoothing(mode: str, batch: bool) -> None:
    case = make(mode, dtype=torch.float64)
    whole = nnunet_loss(case, batch_dice=batch)
    whole.dc.smooth = 0
    loss = criterion(case, alpha=0.7, beta=0, batch=batch)(case.logits, case.target)
    torch.testing.assert_close(loss, 0.7 * whole(case.logits, case.target).double(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("regions", [False, True])
def test_with_one_object_it_is_dice_and_cross_entropy(regions: bool) -> None:
    truth = torch.zeros(2, 1, 9, 10, dtype=torch.bool)
    truth[:, :, 2:5, 3:7] = True
    logits = torch.randn(2, 1 if regions else 2, 9, 10, dtype=torch.float64)
    case = Case(logits, truth if regions else truth.to(torch.int16), regions, None)
    whole = nnunet_loss(case, batch_dice=False)
    whole.dc.smooth = 0
    expected = whole(logits, case.target).double()
    for weights in ({"alpha": 0}, {"alpha": 0.5, "beta": 0.5}):
        loss = criterion(case, **weights)(logits, case.target)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_its_gradient_is_that_of_its_value(mode: str) -> None:
    case = sparse(mode, spatial=(5, 4), share=0.7)
    assert torch.autograd.gradcheck(criterion(case), (case.logits, case.target))


@pytest.mark.parametrize("mode", MODES)
def test_cells_partition_what_is_annotated(mode: str) -> None:
    case = sparse(mode)
    numbers = cells_of(case)
    partition = Partition.of(prediction(case), numbers)
    counts = prediction(case).counts()
    for mine, whole in zip(partition.whole, counts, strict=True):
        torch.testing.assert_close(mine, whole)
    has_objects = numbers.flatten(2).amax(2) > 0
    assert has_objects.any()
    voxels = case.annotated.flatten(1).sum(1, keepdim=True).expand_as(has_objects)
    # Where pieces without objects stand alone they are in no cell: not in these cases, where ignored voxels are strewn.
    assert torch.equal(partition.sizes.sum(-1)[has_objects], voxels[has_objects].to(partition.sizes.dtype))


def test_numbers_of_objects_may_change_places() -> None:
    case = sparse("labels")
    expected = criterion(case)(case.logits, case.target)
    changed = criterion(case)
    assert changed.maps is not None
    most = int(changed.maps.max())
    order = torch.cat([torch.zeros(1), 1 + torch.randperm(most)]).to(changed.maps)
    changed.maps = order[changed.maps.long()]
    torch.testing.assert_close(changed(case.logits, case.target), expected)


def test_a_false_positive_far_away_counts_once_for_the_nearest_object() -> None:
    truth = torch.zeros(1, 1, 12, 60, dtype=torch.int16)
    for start in (2, 22, 42):
        truth[..., 4:8, start : start + 4] = 1
    case = Case(torch.zeros(1, 2, 12, 60), truth, False, None)
    numbers = cells_of(case)
    logits = torch.where(truth > 0, 8.0, -8.0)
    logits = torch.cat([-logits, logits], 1) / 2
    wrong = logits.clone()
    wrong[0, :, 9:11, 56:58] = torch.tensor([-4.0, 4.0])[:, None, None]
    before, after = (Partition.of(Prediction(z, truth), numbers).cells.predicted[0, 0] for z in (logits, wrong))
    changed = (after - before) > 1e-3
    assert changed.sum() == 1
    assert int(numbers[0, 0, 10, 57]) - 1 == int(changed.nonzero())


def test_without_objects_only_cross_entropy_has_a_gradient() -> None:
    logits = torch.randn(2, 3, 7, 8, dtype=torch.float64, requires_grad=True)
    truth = torch.zeros(2, 1, 7, 8, dtype=torch.int16)
    case = Case(logits, truth, False, None)
    (gradient,) = torch.autograd.grad(criterion(case)(logits, truth), logits)
    (of_ce,) = torch.autograd.grad(F.cross_entropy(logits, truth[:, 0].long()), logits)
    torch.testing.assert_close(gradient, 2 * of_ce)


def test_a_class_with_few_objects_weighs_as_much_as_one_with_many() -> None:
    truth = torch.zeros(1, 1, 20, 40, dtype=torch.int16)
    for start in range(1, 33, 6):
        truth[..., 2:4, start : start + 2] = 1
    truth[..., 12:14, 10:12] = 2
    costs = {}
    for missed in (1, 2):
        predicted = torch.where(truth == missed, 0, truth)[:, 0].long()
        logits = F.one_hot(predicted, 3).movedim(-1, 1) * 30.0
        partition = Partition.of(Prediction(logits, truth), cells_of(Case(logits, truth, False, None)))
        costs[missed] = partition.mean(1 - plain_dice(partition.cells), 0 * logits[:, :1]).item()
    assert costs[1] == pytest.approx(costs[2], abs=1e-6)
    assert costs[1] == pytest.approx(0.5, abs=1e-6)


def test_a_large_cell_keeps_its_digits() -> None:
    truth = torch.zeros(1, 1, 1024, 1024, dtype=torch.int16)
    truth[..., :3, :3] = 1
    logits = torch.tensor([0.0, -6.0]).view(1, 2, 1, 1).repeat(1, 1, 1024, 1024)
    values = []
    for z in (logits, logits.double()):
        made = prediction(Case(z, truth, False, None))
        values.append(cell_term(made, Partition.of(made, torch.ones_like(z[:, 1:]))).double())
    torch.testing.assert_close(values[0], values[1], rtol=1e-4, atol=0)


def test_weights_that_leave_nothing_to_train_are_refused(loss_of) -> None:
    with pytest.raises(ValueError, match="must not both be 0"):
        loss_of("nnUNetTrainerCCDice_alpha0_beta0")
