"""Which slices of preprocessed cases are annotated, and what is known of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from nnunet_tricks.annotation import features, policies
from nnunet_tricks.annotation.grid import OBLIQUE, SliceGrid
from nnunet_tricks.annotation.interpolation import interpolate
from nnunet_tricks.training.voxel_sizes import edges_of_case
from nnunet_tricks.tricks.sparse.cases import PADDING, Packed, SparseCase
from nnunet_tricks.tricks.sparse.survey import UNANNOTATED, survey

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What the annotator is thought to have done.

    Attributes:
        density: Share of the slices of each volume; 1 for all that have labels.
        policy: ``fixed``, ``random`` or ``ual``.
        seed: Of ``random``.
        interpolation: How slices between annotated ones get labels; empty if they get none.
        ignore: Label of voxels that nobody annotated.
        axis: Along which the network takes slices one by one; ``None`` where it sees volumes.
        spacing: Of preprocessed voxels in mm, (z, y, x); ``None`` where each case has its own.
        transposed: ``transpose_forward`` of the plans.
    """

    density: float
    policy: str
    seed: int
    interpolation: str
    ignore: int
    axis: int | None
    spacing: tuple[float, float, float] | None
    transposed: tuple[int, ...] = (0, 1, 2)


def chosen_slices(cases: Any, grids: Mapping[str, SliceGrid], annotation: Annotation) -> dict[str, list[int]]:
    """Raw slices of each case that are annotated, from inferior to superior.

    They are chosen as they are for an annotator, on the raw volume; but ``ual`` looks at preprocessed images, and
    chooses nothing that was cropped away, where images are zero.

    Args:
        cases: nnU-Net's data set.
        grids: The slices of each case.
        annotation: How many, and by what policy.
    """
    if annotation.density == 1:
        return {case: list(range(grid.raw)) for case, grid in grids.items()}
    if annotation.policy != "ual":
        return {
            case: list(
                policies.chosen(annotation.policy, grid.raw, annotation.density, seed=annotation.seed, case=case)
            )
            for case, grid in grids.items()
        }
    found = features.pixels(_upright(cases, grids))
    chosen = {}
    for (case, grid), one in zip(grids.items(), found, strict=True):
        raw = np.arange(grid.raw)
        raw = raw[[len(grid.place([int(one)])) > 0 for one in raw]]
        stored = grid.place(raw)
        rows = one[stored if grid.upwards else grid.slices - 1 - stored]
        count = min(policies.number(grid.raw, annotation.density), len(raw))
        chosen[case] = sorted(int(raw[at]) for at in policies.order(rows, "cover", count))
    return chosen


def annotate(
    cases: Any, grids: Mapping[str, SliceGrid], annotation: Annotation, *, log: Callable[[str], None]
) -> dict[str, SparseCase]:
    """Look through all cases as they are annotated; what there is to say goes into the log.

    Args:
        cases: nnU-Net's data set.
        grids: The slices of each case.
        annotation: What is done.
        log: Takes a line.

    Returns:
        Those that have an annotated voxel.

    Raises:
        ValueError: If none has, or masks are to be interpolated and a case has no wholly annotated slice.
    """
    chosen = chosen_slices(cases, grids, annotation)
    sparse: dict[str, SparseCase] = {}
    dense = 0
    for case, grid in track(grids.items(), description="annotated slices", transient=True):
        one = _annotate(cases, case, grid, chosen[case], annotation)
        dense += not one.survey.voxels[UNANNOTATED]
        if len(one.survey.slices):
            sparse[case] = one
    without = sorted(set(grids) - set(sparse))
    if not sparse:
        raise ValueError("no training case has an annotated voxel: check the labels and splits_final.json")
    if without:
        log(f"{len(without)} training cases have no annotated voxel and are left out: {', '.join(without)}")
    _report(sparse, grids, chosen, annotation, log)
    return sparse


def _annotate(cases: Any, case: str, grid: SliceGrid, chosen: list[int], annotation: Annotation) -> SparseCase:
    _, stored, _, properties = cases.load_case(case)
    labels = np.asarray(stored[:])[0]
    axis = grid.axis if annotation.axis is None else annotation.axis
    kept = grid.kept(chosen) if annotation.density < 1 else np.ones(labels.shape[axis], bool)
    packed = None
    if annotation.interpolation:
        spacing = annotation.spacing or edges_of_case(properties, labels.shape, annotation.transposed)
        labels = _interpolated(labels, kept, axis, annotation, case, spacing)
        packed, kept = Packed.of(labels[None], stored), np.ones_like(kept)
    found = survey(
        labels,
        np.flatnonzero(kept),
        axis=axis,
        ignore=annotation.ignore,
        generator=policies.generator(0, case),
    )
    return SparseCase(survey=found, kept=kept, interpolated=packed)


def _interpolated(
    labels: NDArray[np.integer], kept: Flags, axis: int, annotation: Annotation, case: str, spacing: Sequence[float]
) -> NDArray[np.int16]:
    slices = np.moveaxis(labels, axis, 0)
    known = np.flatnonzero(kept & ~(slices == annotation.ignore).any(axis=(1, 2)))
    if not len(known):
        raise ValueError(f"masks are interpolated between wholly annotated slices, and case '{case}' has none")
    edges = [edge for number, edge in enumerate(spacing) if number != axis]
    plain = np.maximum(slices, 0).astype(np.int16)
    made = interpolate(plain, known.tolist(), method=annotation.interpolation, spacing=(edges[0], edges[1]))
    # Where the image is zero is known without annotation; nnU-Net masks images there.
    made[(slices == PADDING) & (made == 0)] = PADDING
    return np.ascontiguousarray(np.moveaxis(made, 0, axis))


def _upright(cases: Any, grids: Mapping[str, SliceGrid]) -> Iterator[NDArray[np.float32]]:
    """First channels, slices first, from inferior to superior."""
    for case, grid in grids.items():
        image = np.moveaxis(np.asarray(cases.load_case(case)[0][:])[0], grid.axis, 0)
        yield image if grid.upwards else image[::-1]


def _report(
    sparse: Mapping[str, SparseCase],
    grids: Mapping[str, SliceGrid],
    chosen: Mapping[str, list[int]],
    annotation: Annotation,
    log: Callable[[str], None],
) -> None:
    surveys = {case: one.survey for case, one in sparse.items()}
    if annotation.density < 1:
        picked = sum(len(chosen[case]) for case in sparse)
        raw = sum(grids[case].raw for case in sparse)
        log(f"annotated: {picked} of {raw} slices ({picked / raw:.1%}) in {len(sparse)} volumes, {annotation.policy}")
        places = {case: grids[case].place(chosen[case]) for case in sparse}
        merged = sum(len(one) - len(set(one.tolist())) for one in places.values())
        cropped = picked - sum(map(len, places.values()))
        blank = sum(int(one.kept.sum()) - len(one.survey.slices) for one in sparse.values())
        if blank and not annotation.interpolation:
            log(
                f"WARNING: {blank} of the chosen slices have no annotated voxel, since labels of the data set are not "
                "dense: nothing is learned from them"
            )
        if merged:
            log(
                f"WARNING: these plans make slices thicker, so that {merged} of {picked} annotated slices share one "
                "with another: a configuration that keeps the slices would learn from all of them"
            )
        if cropped:
            log(f"{cropped} of the annotated slices are empty (the image is zero) and were cropped away")
    else:
        voxels = sum(one.voxels[UNANNOTATED] for one in surveys.values())
        everything = sum(one.voxels[UNANNOTATED] + one.voxels["annotated"] for one in surveys.values())
        log(f"annotated: {1 - voxels / everything:.1%} of the voxels of {len(sparse)} volumes")
        coarser = [case for case in sparse if grids[case].slices < grids[case].cropped]
        if voxels and coarser:
            log(
                f"WARNING: these plans make slices thicker in {len(coarser)} of {len(sparse)} volumes, in which single "
                "annotated slices may have been lost: prepare the data with plans that keep the slices"
            )
    if annotation.interpolation:
        log(f"masks of the other slices: {annotation.interpolation}; what they leave out is background")
    oblique = [case for case in sparse if 0 < grids[case].cosine < OBLIQUE]
    if oblique:
        log(f"WARNING: slices of {len(oblique)} volumes are more than 30 degrees from axial, such as {oblique[0]}")
