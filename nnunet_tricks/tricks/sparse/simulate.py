"""Simulated annotation of preprocessed cases: some slices are annotated, the others ignored or interpolated."""

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
from nnunet_tricks.tricks.sparse.cases import PADDING, PackedLabels, SparseCase
from nnunet_tricks.tricks.sparse.survey import ANNOTATED, UNANNOTATED, survey

Flags = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The work that an annotator is supposed to have done.

    Attributes:
        density: Share of annotated slices in each volume; 1 for all that have labels.
        policy: Policy of the choice: ``fixed``, ``random`` or ``ual``.
        seed: Seed of the policy ``random``.
        interpolation: Method that gives labels to the slices in between; empty if they get none.
        ignore: Label of voxels that nobody annotated.
        axis: Axis along which the network takes slices one by one; ``None`` where it sees volumes.
        spacing: Edges of preprocessed voxels in mm, (z, y, x); ``None`` where each case has its own.
        transposed: Order of the axes, ``transpose_forward`` of the plans.
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

    They are chosen on the raw volume, as for an annotator. Only ``ual`` looks at preprocessed images; it chooses no
    slice that was cropped away, where images are zero.

    Args:
        cases: nnU-Net's data set.
        grids: Slices of each case.
        annotation: Density and policy of the choice.
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
    pixels = features.pixels(_upright(cases, grids))
    chosen = {}
    for (case, grid), pixels_of_slices in zip(grids.items(), pixels, strict=True):
        raw = np.arange(grid.raw)
        raw = raw[[len(grid.place([int(index)])) > 0 for index in raw]]
        stored = grid.place(raw)
        rows = pixels_of_slices[stored if grid.upwards else grid.slices - 1 - stored]
        count = min(policies.number(grid.raw, annotation.density), len(raw))
        chosen[case] = sorted(int(raw[at]) for at in policies.order(rows, "cover", count))
    return chosen


def annotate(
    cases: Any, grids: Mapping[str, SliceGrid], annotation: Annotation, *, log: Callable[[str], None]
) -> dict[str, SparseCase]:
    """Annotate all cases, and write into the log how much of them is annotated.

    Args:
        cases: nnU-Net's data set.
        grids: Slices of each case.
        annotation: Work of the annotator.
        log: Function that takes a line of the log.

    Returns:
        The cases that have an annotated voxel.

    Raises:
        ValueError: If no case has one, or masks are to be interpolated and a case has no wholly annotated slice.
    """
    chosen = chosen_slices(cases, grids, annotation)
    sparse: dict[str, SparseCase] = {}
    for case, grid in track(grids.items(), description="annotated slices", transient=True):
        annotated = _annotate(cases, case, grid, chosen[case], annotation)
        if len(annotated.survey.slices):
            sparse[case] = annotated
    left_out = sorted(set(grids) - set(sparse))
    if not sparse:
        raise ValueError("no training case has an annotated voxel: check the labels and splits_final.json")
    if left_out:
        log(f"{len(left_out)} training cases have no annotated voxel and are left out: {', '.join(left_out)}")
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
        packed, kept = PackedLabels.of(labels[None], stored), np.ones_like(kept)
    surveyed = survey(
        labels,
        np.flatnonzero(kept),
        axis=axis,
        ignore=annotation.ignore,
        generator=policies.generator(0, case),
    )
    return SparseCase(survey=surveyed, kept=kept, interpolated=packed)


def _interpolated(
    labels: NDArray[np.integer], kept: Flags, axis: int, annotation: Annotation, case: str, spacing: Sequence[float]
) -> NDArray[np.int16]:
    slices = np.moveaxis(labels, axis, 0)
    known = np.flatnonzero(kept & ~(slices == annotation.ignore).any(axis=(1, 2)))
    if not len(known):
        raise ValueError(f"masks are interpolated between wholly annotated slices, and case '{case}' has none")
    edges = [edge for number, edge in enumerate(spacing) if number != axis]
    plain = np.maximum(slices, 0).astype(np.int16)
    interpolated = interpolate(plain, known.tolist(), method=annotation.interpolation, spacing=(edges[0], edges[1]))
    # Zeros of the image are known without annotation; nnU-Net masks images there.
    interpolated[(slices == PADDING) & (interpolated == 0)] = PADDING
    return np.ascontiguousarray(np.moveaxis(interpolated, 0, axis))


def _upright(cases: Any, grids: Mapping[str, SliceGrid]) -> Iterator[NDArray[np.float32]]:
    """The first channel of each case, slices first, from inferior to superior."""
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
    surveys = [case.survey for case in sparse.values()]
    if annotation.density < 1:
        picked = sum(len(chosen[case]) for case in sparse)
        raw = sum(grids[case].raw for case in sparse)
        log(f"annotated: {picked} of {raw} slices ({picked / raw:.1%}) in {len(sparse)} volumes, {annotation.policy}")
        places = {case: grids[case].place(chosen[case]) for case in sparse}
        merged = sum(len(stored) - len(set(stored.tolist())) for stored in places.values())
        cropped = picked - sum(map(len, places.values()))
        blank = sum(int(case.kept.sum()) - len(case.survey.slices) for case in sparse.values())
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
        unknown = sum(case.voxels[UNANNOTATED] for case in surveys)
        voxels = unknown + sum(case.voxels[ANNOTATED] for case in surveys)
        log(f"annotated: {1 - unknown / voxels:.1%} of the voxels of {len(sparse)} volumes")
        coarser = [case for case in sparse if grids[case].slices < grids[case].cropped]
        if unknown and coarser:
            log(
                f"WARNING: these plans make slices thicker in {len(coarser)} of {len(sparse)} volumes, in which single "
                "annotated slices may have been lost: prepare the data with plans that keep the slices"
            )
    if annotation.interpolation:
        log(f"masks of the other slices: {annotation.interpolation}; what they leave out is background")
    oblique = [case for case in sparse if 0 < grids[case].cosine < OBLIQUE]
    if oblique:
        log(f"WARNING: slices of {len(oblique)} volumes are more than 30 degrees from axial, such as {oblique[0]}")
