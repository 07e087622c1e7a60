"""What the log says of a simulated annotation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nnunet_tricks.annotation.grid import SliceGrid
from nnunet_tricks.tricks.sparse.simulate import Annotation, annotate
from tests.tricks.sparse.volumes import IGNORE, Volumes

PLAIN = Annotation(
    density=0.2, policy="fixed", seed=1, interpolation="", ignore=IGNORE, axis=None, spacing=(1.0, 1.0, 1.0)
)
WHOLE = SliceGrid(axis=0, upwards=True, raw=20, first=0, cropped=20, slices=20, cosine=1.0)


def said(grid: SliceGrid, annotation: Annotation = PLAIN, volumes: Any = None) -> tuple[dict[str, Any], str]:
    lines: list[str] = []
    volumes = volumes or Volumes([(grid.slices, 12, 12)])
    return annotate(volumes, {"case_0": grid}, annotation, log=lines.append), "\n".join(lines)


@pytest.mark.parametrize("policy", ["fixed", "random", "ual"])
def test_where_all_slices_are_annotated_no_policy_chooses(policy: str) -> None:
    sparse, _ = said(WHOLE, replace(PLAIN, density=1, policy=policy))
    assert sparse["case_0"].kept.all()


def test_slices_that_plans_merge_are_counted() -> None:
    assert "WARNING" not in said(WHOLE)[1]
    _, log = said(replace(WHOLE, slices=3))
    assert "1 of 4 annotated slices share one with another" in log


def test_slices_that_were_cropped_away_are_counted() -> None:
    sparse, log = said(replace(WHOLE, first=5, cropped=15, slices=15))
    assert "1 of the annotated slices are empty" in log
    assert len(sparse["case_0"].survey.slices) == 3


def test_slices_far_from_axial_are_named() -> None:
    assert "1 volumes are more than 30 degrees from axial, such as case_0" in said(replace(WHOLE, cosine=0.8))[1]


def test_a_case_whose_chosen_slices_were_all_cropped_away_is_left_out_and_no_case_at_all_is_an_error() -> None:
    bare = replace(WHOLE, first=0, cropped=5, slices=5)
    with pytest.raises(ValueError, match="no training case has an annotated voxel"):
        said(bare, replace(PLAIN, density=0.05))


def test_sparse_labels_that_plans_coarsened_deserve_a_warning() -> None:
    volumes = Volumes([(10, 12, 12)], density=0.3)
    _, log = said(replace(WHOLE, slices=10), replace(PLAIN, density=1), volumes)
    assert "annotated: 30.0% of the voxels of 1 volumes" in log
    assert "single annotated slices may have been lost" in log


def test_chosen_slices_that_nobody_annotated_are_counted() -> None:
    """Every second slice has labels, of which 7 and 17 are chosen, and 2 and 12 of the others."""
    _, log = said(WHOLE, PLAIN, Volumes([(20, 12, 12)], density=0.5))
    assert "WARNING: 2 of the chosen slices have no annotated voxel" in log


@pytest.mark.parametrize("upwards", [True, False])
def test_ual_takes_slices_by_what_they_show_whatever_the_order_of_storage(upwards: bool) -> None:
    """Three looks of very unequal length: three slices show all of them, which fixed intervals do not."""

    class Looks(Volumes):
        def load_case(self, case: str) -> tuple[Any, ...]:
            image, *rest = super().load_case(case)
            image[0, :16], image[0, 16:18], image[0, 18:] = 0.1, 0.5, 0.9
            image[0, 16:18, :6], image[0, 18:, :, :6] = 0, 0
            return (image if upwards else image[:, ::-1].copy(), *rest)

    grid = replace(WHOLE, upwards=upwards)
    sparse, _ = said(grid, replace(PLAIN, policy="ual", density=0.15), Looks([(20, 12, 12)]))
    kept = np.flatnonzero(sparse["case_0"].kept if upwards else sparse["case_0"].kept[::-1])
    assert [sum(kept < 16), sum((kept >= 16) & (kept < 18)), sum(kept >= 18)] == [1, 1, 1]
