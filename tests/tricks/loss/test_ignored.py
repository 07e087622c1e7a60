"""What nobody annotated: SparseSlices' own check lets all our losses through, and none that makes a border of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from numpy.typing import NDArray
from torch import Tensor

from nnunet_tricks.training.criterion import Criterion, Prediction
from nnunet_tricks.tricks.loss.active_contour import ActiveContour
from nnunet_tricks.tricks.loss.blob import blob_term
from nnunet_tricks.tricks.loss.boundary import BoundaryLoss
from nnunet_tricks.tricks.loss.cldice import ClDice, soft_skeleton
from nnunet_tricks.tricks.loss.distance_cross_entropy import DistanceCrossEntropy
from nnunet_tricks.tricks.loss.distance_penalty import distance_penalty
from nnunet_tricks.tricks.loss.hausdorff import HausdorffLoss
from nnunet_tricks.tricks.loss.skeleton_recall import SkeletonRecall
from nnunet_tricks.tricks.sparse.ignoring import refuse_if_it_counts_ignored
from nnunet_tricks.tricks.targets.border import border_weights
from nnunet_tricks.tricks.targets.closeness import closeness
from nnunet_tricks.tricks.targets.distance import distance_to_the_other_side, signed_distance_in_voxels
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout
from nnunet_tricks.tricks.targets.objects import objects
from nnunet_tricks.tricks.targets.skeleton import tubed_skeleton
from tests.tricks.loss.test_every_loss import NAMES

LABELS = LabelManager({"background": 0, "a": 1, "b": 2, "ignore": 3}, None)
REGIONS = LabelManager({"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, [1, 2])
CPU = torch.device("cpu")


def _criterion(loss: Callable[[Prediction], Tensor], manager: LabelManager) -> Criterion:
    return Criterion(loss, regions=manager.has_regions, ignore_label=manager.ignore_label)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("mode", "dimension"), [("labels+ignore", "3d"), ("regions+ignore", "2d")])
def test_all_losses_leave_out_what_nobody_annotated(name: str, mode: str, dimension: str, made_of: Any) -> None:
    made = made_of(name, mode, dimension)
    manager = LABELS if mode == "labels+ignore" else REGIONS
    refuse_if_it_counts_ignored(_criterion(made.loss, manager), manager, int(dimension[0]), CPU, made.maps)


def _blind(make: Callable[..., NDArray[np.float32]]) -> Callable[..., NDArray[np.float32]]:
    """A map as one would write it without a thought of what is not annotated."""

    def blind(kinds: NDArray[Any], spacing: Sequence[float]) -> NDArray[np.float32]:
        return make(kinds, spacing)

    return blind


def _weighs(kinds: NDArray[Any], spacing: Sequence[float]) -> NDArray[np.float32]:
    return border_weights(kinds, spacing, border=10, sigma=3)


class _WithoutPieces(AppendMaps):
    """Makes maps of the patch, with nothing where nobody annotated."""

    def maps(self, kinds: Sequence[NDArray[Any]], annotated: NDArray[np.bool_] | None) -> NDArray[np.float32]:
        hidden = kinds if annotated is None else [np.where(annotated, kind, 0) for kind in kinds]
        return super().maps(hidden, None)


BLIND: dict[str, tuple[Any, Any, bool]] = {
    "BoundaryLoss": (BoundaryLoss(weight=1, batch=False), signed_distance_in_voxels, False),
    "HausdorffLoss": (HausdorffLoss(weight=1, alpha=2, both=None, batch=False), distance_to_the_other_side, False),
    "DistanceCrossEntropy": (DistanceCrossEntropy(weights=((1.0, 1.0, 1.0),)), _weighs, True),
    "function": (distance_penalty, closeness, True),
    "SkeletonRecall": (SkeletonRecall(weight=1, batch=False), tubed_skeleton, False),
}


@pytest.mark.parametrize("name", BLIND)
def test_a_map_of_the_whole_patch_is_refused(name: str) -> None:
    loss, make, per_decision = BLIND[name]
    maps = _WithoutPieces(_blind(make), Layout(2, False, True, per_decision), (3, 1, 1))
    with pytest.raises(ValueError, match=f"{name} (counts voxels|takes voxels) that nobody annotated"):
        refuse_if_it_counts_ignored(_criterion(loss, LABELS), LABELS, 3, CPU, maps)


def test_a_length_that_stops_beside_ignored_voxels_is_refused() -> None:
    def old(prediction: Prediction) -> Tensor:
        inside = prediction.annotated
        assert inside is not None
        p, total = prediction.probabilities[:, 1:], prediction.logits.new_zeros(())
        for axis in range(1, inside.ndim):
            both = inside.narrow(axis, 1, inside.shape[axis] - 1) & inside.narrow(axis, 0, inside.shape[axis] - 1)
            step = p.diff(dim=axis + 1).abs() * both[:, None]
            total = total + step.sum() * (axis == 1)
        return total / prediction.voxels

    with pytest.raises(ValueError, match="takes voxels that nobody annotated for a border"):
        refuse_if_it_counts_ignored(_criterion(old, LABELS), LABELS, 3, CPU)


def test_a_loss_that_reads_regions_under_the_ignore_channel_is_refused() -> None:
    def reads(prediction: Prediction) -> Tensor:
        return (prediction.probabilities - prediction.target[:, :2].float()).square().mean()

    with pytest.raises(ValueError, match="counts voxels that nobody annotated"):
        refuse_if_it_counts_ignored(_criterion(reads, REGIONS), REGIONS, 3, CPU)


def _volume(step: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels of which every third slice is annotated, and their numbers."""
    logits = torch.randn(1, 3, 9, 14, 14, dtype=torch.float64)
    labels = torch.zeros(1, 1, 9, 14, 14, dtype=torch.int16)
    labels[..., 1:8, 2:7, 2:7], labels[..., 2:9, 9:12, 8:13] = 1, 1
    labels[..., 4:9, 8:12, 1:4] = 2
    kept = torch.arange(1, 9, step)
    sparse = torch.full_like(labels, 3)
    sparse[:, :, kept] = labels[:, :, kept]
    return logits, sparse, kept


@pytest.mark.parametrize("length", [0.0, 1.0])
def test_the_border_of_single_slices_has_the_length_of_their_planes(length: float) -> None:
    logits, sparse, kept = _volume()
    loss = _criterion(ActiveContour(length=length, region=0.5), LABELS)(logits, sparse)
    planes = Criterion(ActiveContour(length=length, region=0.5))
    of_planes = [planes(logits[:, :, at], sparse[:, :, at]) for at in kept]
    torch.testing.assert_close(loss, torch.stack(of_planes).mean())


def test_the_gradient_of_a_length_beside_ignored_voxels_is_that_of_its_value() -> None:
    logits = torch.randn(1, 3, 3, 4, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randint(3, (1, 1, 3, 4, 3), dtype=torch.int16)
    target[:, :, [0, 2]] = 3
    criterion = _criterion(ActiveContour(length=1.0, region=0.5), LABELS)
    assert torch.autograd.gradcheck(lambda x: criterion(x, target), (logits,))


def test_where_all_is_annotated_the_length_is_that_without_an_ignore_label() -> None:
    logits, target = torch.randn(2, 3, 5, 6, 7), torch.randint(3, (2, 1, 5, 6, 7), dtype=torch.int16)
    loss = ActiveContour(length=1.0, region=0.5)
    torch.testing.assert_close(_criterion(loss, LABELS)(logits, target), Criterion(loss)(logits, target))


def test_soft_skeletons_of_single_slices_are_those_of_their_planes() -> None:
    image = torch.rand(9, 14, 14, requires_grad=True)
    known = torch.zeros(9, 14, 14, dtype=torch.bool)
    known[[1, 4, 8]] = True
    skeleton = soft_skeleton(image[None, None], 3, known)[0, 0]
    for at in range(9):
        plane = soft_skeleton(image[None, None, at], 3)[0, 0] if known[at].any() else torch.zeros(14, 14)
        assert torch.equal(skeleton[at], plane)
    (gradient,) = torch.autograd.grad(skeleton.sum(), image)
    assert not gradient[~known].any()
    everything = soft_skeleton(image[None, None], 3, torch.ones_like(known))
    assert torch.equal(everything, soft_skeleton(image[None, None], 3))


def test_cl_dice_does_not_see_what_is_predicted_where_nobody_annotated() -> None:
    logits, sparse, _ = _volume()
    criterion = _criterion(ClDice(alpha=1.0, iterations=2, batch=False), LABELS)
    values = set()
    for scale in (0, 1, 50):
        changed = torch.where(sparse == 3, scale * torch.randn_like(logits), logits).requires_grad_()
        value = criterion(changed, sparse)
        (gradient,) = torch.autograd.grad(value, changed)
        assert not gradient[(sparse == 3).expand_as(gradient)].any()
        values.add(value.item())
    assert len(values) == 1


def test_objects_of_single_slices_count_as_in_their_planes() -> None:
    logits, sparse, kept = _volume()
    layout = Layout(2, False, True)
    volumes = AppendMaps(objects, layout, (3, 1, 1), numbers=True)
    planes = AppendMaps(objects, layout, (1, 1), numbers=True)

    def term(logits: Tensor, target: Tensor, append: AppendMaps) -> Tensor:
        _, maps = layout.split(append(segmentation=target[0])["segmentation"][None])
        return blob_term(Prediction(logits, target, ignore_label=3), maps.double())

    of_planes = [term(logits[:, :, at], sparse[:, :, at], planes) for at in kept]
    # The slices are at 1, 4 and 7; two classes have objects in the last two, the first slice has one class.
    expected = (of_planes[0] + 2 * of_planes[1] + 2 * of_planes[2]) / 5
    torch.testing.assert_close(term(logits, sparse, volumes), expected)


def test_the_predictions_distances_are_in_the_plane_too() -> None:
    logits, sparse, kept = _volume()
    loss = HausdorffLoss(weight=1, alpha=2, both=(3, 1, 1), batch=False)
    distances = torch.zeros(1, 2, 9, 14, 14, dtype=torch.float64)
    _, term = loss.terms(Prediction(logits, sparse, ignore_label=3), distances)
    in_plane = HausdorffLoss(weight=1, alpha=2, both=(1, 1), batch=False)
    planes = [
        in_plane.terms(Prediction(logits[:, :, at], sparse[:, :, at], ignore_label=3), distances[:, :, at])[1]
        for at in kept
    ]
    torch.testing.assert_close(term, torch.stack(planes).mean())
