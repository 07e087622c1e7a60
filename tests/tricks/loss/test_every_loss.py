"""What every loss of the catalogue promises; a new one is in here without a line of code."""

from collections.abc import Iterator

import pytest
import torch

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.training.criterion import Criterion
from tests.tricks.loss.cases import MODES, Case, all_ignored, make


def _variants(info: TrickInfo) -> Iterator[str]:
    """The trick, with each of its flags, and with class balance."""
    yield info.trainer
    for parameter in info.parameters:
        if isinstance(parameter.default, bool):
            yield f"{info.trainer}_{parameter.name}"
        elif parameter.name == "cb":
            yield f"{info.trainer}_cb0p999"


NAMES = [name for info in CATALOGUE if "loss" in info.hooks for name in _variants(info)]
OF_FILES = ("WeightMap",)
"""Losses whose maps are the data set's own, see ``test_weight_map.py``."""
OF_DISTANCES = [
    name
    for info in CATALOGUE
    if {"loss", "targets"} <= set(info.hooks) and info.name not in OF_FILES
    for name in _variants(info)
]
"""Losses that get maps of the truth. Other losses do not know how far apart voxels are."""
SPACINGS = {"isotropic": (1.0, 1.0, 1.0), "anisotropic": (5.0, 0.5, 0.5)}
every_loss = pytest.mark.parametrize("name", NAMES)
every_mode = pytest.mark.parametrize("mode", MODES)


@every_loss
@every_mode
def test_gradient_is_that_of_the_value(name: str, mode: str, loss_of) -> None:
    case = make(mode, spatial=(3, 4), dtype=torch.float64)
    assert torch.autograd.gradcheck(case.criterion(loss_of(name, mode)), (case.logits, case.target))


@every_loss
@pytest.mark.parametrize("mode", ["labels+ignore", "regions+ignore"])
def test_what_is_ignored_changes_nothing(name: str, mode: str, criterion_of) -> None:
    case = make(mode)
    criterion = criterion_of(name, mode, case)
    value = criterion(case.logits, case.target)
    (gradient,) = torch.autograd.grad(value, case.logits)
    ignored = ~case.annotated[:, None].expand_as(case.logits)
    assert ignored.any()
    assert not gradient[ignored].any()
    other = torch.where(ignored, torch.randn_like(case.logits) * 10, case.logits)
    torch.testing.assert_close(criterion(other, case.target), value)


@every_loss
@pytest.mark.parametrize("mode", ["labels+ignore", "regions+ignore"])
def test_a_patch_without_annotation_is_finite_and_teaches_nothing(name: str, mode: str, criterion_of) -> None:
    case = all_ignored(make(mode))
    value = criterion_of(name, mode, case)(case.logits, case.target)
    (gradient,) = torch.autograd.grad(value, case.logits)
    assert value.isfinite()
    assert not gradient.any()


@every_loss
@every_mode
def test_perfect_is_better_than_wrong_and_extremes_stay_finite(name: str, mode: str, criterion_of) -> None:
    case = make(mode)
    criterion = criterion_of(name, mode, case)
    if case.regions:
        truth = case.target[:, : case.logits.shape[1]].float()
    else:
        truth = torch.stack([case.target[:, 0] == c for c in range(case.logits.shape[1])], 1).float()
    right = ((2 * truth - 1) * 1e4).requires_grad_()
    wrong = (-(2 * truth - 1) * 1e4).requires_grad_()
    values = []
    for logits in (right, wrong):
        value = criterion(logits, case.target)
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.isfinite()
        assert gradient.isfinite().all()
        values.append(value)
    assert values[0] < values[1]


@every_loss
def test_half_precision_agrees_with_float32(name: str, criterion_of) -> None:
    case = make("labels")
    criterion = criterion_of(name, "labels", case)
    half = case.logits.detach().to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = criterion(half, case.target)
    torch.testing.assert_close(under_autocast, criterion(half.float(), case.target))


@every_loss
def test_it_learns_two_objects(name: str, criterion_of) -> None:
    truth = torch.zeros(1, 1, 24, 24, dtype=torch.int16)
    truth[..., 3:11, 4:12] = 1
    truth[..., 14:20, 13:21] = 2
    logits = torch.zeros(1, 3, 24, 24, requires_grad=True)
    criterion = criterion_of(name, "labels", Case(logits, truth, False, None))
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        criterion(logits, truth).backward()
        optimizer.step()
    predicted = logits.argmax(1, keepdim=True)
    for label in (1, 2):
        mine, true = predicted == label, truth == label
        assert 2 * (mine & true).sum() / (mine.sum() + true.sum()) > 0.9


def _labels_of(shape: tuple[int, ...], objects: list[tuple[slice, ...]]) -> torch.Tensor:
    labels = torch.zeros(1, 1, *shape, dtype=torch.int16)
    for label, box in enumerate(objects, 1):
        labels[(0, 0, *box)] = label
    return labels


def _box(*edges: tuple[int, int]) -> tuple[slice, ...]:
    return tuple(slice(*edge) for edge in edges)


HARD = {
    "a class that is not there": _labels_of((6, 8, 8), [_box((1, 4), (2, 6), (2, 6))]),
    "nothing but background": _labels_of((6, 8, 8), []),
    "single voxels": _labels_of((6, 8, 8), [_box((2, 3), (3, 4), (3, 4)), _box((4, 5), (6, 7), (6, 7))]),
    "an object that fills the patch": _labels_of((6, 8, 8), [_box((0, 6), (0, 8), (0, 8))]),
    "an object at the edge": _labels_of((6, 8, 8), [_box((0, 6), (0, 3), (0, 8)), _box((0, 2), (3, 8), (0, 8))]),
    "a plane without a skeleton": _labels_of((6, 8, 8), [_box((0, 1), (0, 8), (0, 8))]),
}


@pytest.mark.parametrize(
    ("name", "spacing"),
    [
        pytest.param(name, spacing, id=f"{name}-{kind}")
        for name in NAMES
        for kind, spacing in SPACINGS.items()
        if kind == "isotropic" or name in OF_DISTANCES
    ],
)
@pytest.mark.parametrize("what", HARD)
def test_hard_images_have_a_finite_loss_and_gradient(
    name: str, what: str, spacing: tuple[float, ...], criterion_of
) -> None:
    target = HARD[what]
    criterion = criterion_of(
        name, "labels", Case(torch.zeros(1, 3, *target.shape[2:]), target, False, None), spacing=spacing
    )
    assert (criterion.maps is not None) == (name in OF_DISTANCES)
    for scale in (1, 100):
        _finite(criterion, scale * torch.randn(1, 3, *target.shape[2:]), target)


@every_loss
def test_thirty_classes_of_which_most_are_not_there(name: str, criterion_of) -> None:
    logits, target = torch.randn(1, 30, 8, 9), torch.zeros(1, 1, 8, 9, dtype=torch.int16)
    target[..., 2:5, 2:5], target[..., 6, 6] = 1, 29
    _finite(criterion_of(name, "labels", Case(logits, target, False, None)), logits, target)


def _finite(criterion: Criterion, logits: torch.Tensor, target: torch.Tensor) -> None:
    logits.requires_grad_()
    value = criterion(logits, target)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite()
    assert gradient.isfinite().all()
