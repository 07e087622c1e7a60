"""Where patches are cut out: what is at their centre, by a table, and an annotated slice near it.

nnU-Net centres patches of sparse data on annotated voxels, so an annotated slice always crosses the middle of what the
network sees, and predictions off the middle are hardly ever corrected. Here a voxel is drawn by a table, and the patch
is shifted at random around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.tricks.sparse.cases import OUTSIDE, OUTSIDE_UNKNOWN, Site
from nnunet_tricks.tricks.sparse.survey import ANNOTATED, BACKGROUND, UNANNOTATED, Kind, Survey
from nnunet_tricks.tricks.targets.instances import STRIDE

UNIFORM = "uniform"
FOREGROUND = "foreground"
FIRST, OTHERS = "first label", "other labels"

TABLES: dict[str, tuple[tuple[tuple[str, ...], float], ...]] = {
    "nnunet": (((FOREGROUND,), 0.33), ((ANNOTATED,), 0.67)),
    "uniform": (((UNIFORM,), 1.0),),
    "lits": (((FIRST,), 0.5), ((OTHERS,), 0.3), ((BACKGROUND, UNANNOTATED), 0.2)),
    "atlas": (((BACKGROUND,), 0.3), ((FOREGROUND,), 0.55), ((UNANNOTATED,), 0.15)),
}
"""Rows of kinds of voxels, each with its share of the patches; what a case does not have goes to the others."""

SHIFT = 0.4
"""Patches are shifted by up to this share of their size, each way."""
NEAR = 0.4
"""An annotated slice is near the centre within this share of the patch's depth: in its middle 80 %."""
TRIES = 10


@dataclass(frozen=True)
class Row:
    """A row of a table, for one case.

    Attributes:
        kinds: What it unites; each as often as it has voxels, but labels of a row all alike.
        share: Of the patches.
    """

    kinds: tuple[Kind, ...]
    share: float


def rows_of(table: str, there: Sequence[Kind], labels: Sequence[int]) -> list[Row]:
    """A table for one case.

    Args:
        table: One of ``TABLES``.
        there: Kinds of voxels that the case has.
        labels: All of the data set but background, ascending.

    Returns:
        Rows whose shares add up to 1; none if the case has nothing of what the table asks for.

    Examples:
        >>> rows_of("lits", [1, "background"], [1, 2])
        [Row(kinds=(1,), share=0.7142857142857143), Row(kinds=('background',), share=0.28571428571428575)]
    """
    meant: dict[str, Sequence[Kind]] = {FOREGROUND: labels, FIRST: labels[:1], OTHERS: labels[1:]}
    rows = []
    for kinds, share in TABLES[table]:
        all_kinds = [kind for name in kinds for kind in meant.get(name, (name,))]
        present = tuple(kind for kind in all_kinds if kind in there or kind == UNIFORM)
        if present:
            rows.append(Row(present, share))
    total = sum(row.share for row in rows)
    return [Row(row.kinds, row.share / total) for row in rows]


class PatchCentres:
    """Draws for a loader of nnU-Net, in place of its own methods of the same names.

    Attributes:
        loader: nnU-Net's, with ``SparseCases``.
        table: One of ``TABLES``.
        labels: All of the data set but background, ascending.
        ends: For images slice by slice the number of annotated slices of each case and those before it, else empty.
        drawn: For images slice by slice the slice of each patch of the batch that is being made.
        slice: That of the patch that is being made.
        kind: What it is centred on, before it is shifted.
        voxel: The voxel of that kind.
    """

    def __init__(self, loader: Any, table: str, labels: Sequence[int]) -> None:
        """Take them."""
        self.loader, self.table, self.labels = loader, table, list(labels)
        numbers = [len(loader._data.sparse[case].survey.slices) for case in loader.indices]
        self.ends = np.cumsum(numbers if loader.patch_size_was_2d else [], dtype=np.intp)
        self.drawn: list[int] = []
        self.slice: int | None = None
        self.kind: Kind = ""
        self.voxel = np.zeros(3, np.intp)

    def install(self) -> None:
        """Let the loader draw so."""
        for name in ("get_indices", "get_do_oversample", "get_bbox"):
            setattr(self.loader, name, getattr(self, name))

    def notes(self, batches: int) -> list[str]:
        """What the log should say.

        Args:
            batches: Of an epoch.
        """
        share = {" or ".join(kinds): share for kinds, share in TABLES[self.table]}
        lines = ["patches are centred on: " + ", ".join(f"{kind} {part:.0%}" for kind, part in share.items())]
        if len(self.ends):
            times = batches * self.loader.batch_size / self.ends[-1]
            lines.append(f"each of {self.ends[-1]} annotated slices is drawn {times:.3g} times in an epoch")
        return lines

    def get_indices(self) -> list[str]:
        """The cases of a batch: all alike, or slice by slice so that all annotated slices are alike."""
        if not len(self.ends):
            return list(type(self.loader).get_indices(self.loader))
        slices = np.random.randint(self.ends[-1], size=self.loader.batch_size)
        numbers = np.searchsorted(self.ends, slices, side="right")
        cases = [self.loader.indices[number] for number in numbers]
        first = np.concatenate([[0], self.ends])[numbers]
        surveys = [self.loader._data.sparse[case].survey for case in cases]
        self.drawn = [int(one.slices[at]) for one, at in zip(surveys, slices - first, strict=True)]
        return cases

    def get_do_oversample(self, number: int) -> bool:
        """No patch has to be on foreground; the table says what each is on."""
        self.slice = self.drawn[number] if len(self.ends) else None
        return False

    def get_bbox(
        self,
        data_shape: Any,
        force_fg: bool,
        class_locations: Site,
        overwrite_class: Any = None,
        verbose: bool = False,
    ) -> tuple[list[int], list[int]]:
        """A box of the loader's patch size.

        Args:
            data_shape: Of the image, (z, y, x).
            force_fg: Not looked at.
            class_locations: What ``SparseCases`` has put there.
            overwrite_class: Not looked at.
            verbose: Not looked at.

        Returns:
            Where it begins and ends along each axis.
        """
        shape = np.asarray(data_shape)
        self.kind, self.voxel = self._voxel(shape, class_locations)
        low = self._begin(shape, class_locations.survey)
        return low.tolist(), (low + self.loader.patch_size).tolist()

    def _voxel(self, shape: NDArray[Any], site: Site) -> tuple[Kind, NDArray[np.intp]]:
        survey = site.survey
        if self.slice is None:
            rows = rows_of(self.table, list(survey.places), self.labels)
            kind = self._kind(rows, survey.voxels)
            if kind == UNIFORM:
                return kind, np.random.randint(0, shape)
            places = survey.places[kind]
            return kind, places[np.random.randint(len(places))].astype(np.intp)
        # Within a slice, its own voxels: the few that are remembered of a case may all be in others.
        everything = slice(None)
        plane = site.labels[everything, self.slice : self.slice + 1, everything, everything][0, 0]
        np.remainder(plane, STRIDE, out=plane, where=plane > 0)  # other tricks may have put more into a label
        there = _counts(plane, self.labels, site.labels.ignore)
        kind = self._kind(rows_of(self.table, list(there), self.labels), there)
        if kind == UNIFORM:
            return kind, np.array([self.slice, *np.random.randint(0, shape[1:])])
        if kind == ANNOTATED:
            wanted = (plane != site.labels.ignore) & (plane > OUTSIDE_UNKNOWN)
        else:
            wanted = (plane <= 0) & (plane > OUTSIDE_UNKNOWN) if kind == BACKGROUND else plane == kind
        flat = np.flatnonzero(wanted)
        return kind, np.array([self.slice, *np.unravel_index(flat[np.random.randint(len(flat))], plane.shape)])

    @staticmethod
    def _kind(rows: Sequence[Row], voxels: Mapping[Kind, int]) -> Kind:
        if not rows:
            return UNIFORM
        row = rows[np.random.choice(len(rows), p=[row.share for row in rows])]
        if len(row.kinds) == 1:
            return row.kinds[0]
        weights = np.array([1.0 if isinstance(kind, int) else voxels[kind] for kind in row.kinds])
        return row.kinds[np.random.choice(len(row.kinds), p=weights / weights.sum())]

    def _begin(self, shape: NDArray[Any], survey: Survey) -> NDArray[np.intp]:
        patch, final = np.asarray(self.loader.patch_size), np.asarray(self.loader.final_patch_size)
        # As far as nnU-Net lets patches stick out, so that what is left after augmentation covers borders, too.
        pad = np.maximum(np.asarray(self.loader.need_to_pad), patch - shape)
        least, most = -pad // 2, shape + pad // 2 + pad % 2 - patch
        axis = survey.axis
        reach = NEAR * final[axis]
        for _ in range(TRIES):
            shift = np.rint(np.random.uniform(-SHIFT, SHIFT, 3) * final).astype(int)
            if self.slice is not None:
                shift[0] = 0
            low = np.clip(self.voxel + shift - patch // 2, least, most)
            middle = low[axis] + patch[axis] / 2
            if (np.abs(survey.slices + 0.5 - middle) <= max(reach, 0.5)).any():
                return low
        # The nearest annotated slice comes into the middle part, even if the patch then sticks out of the image.
        nearest = survey.slices[np.abs(survey.slices - self.voxel[axis]).argmin()]
        low[axis] = np.clip(nearest - patch[axis] // 2, least[axis], most[axis])
        spare = int(max(reach - 0.5, 0))
        low[axis] = np.clip(low[axis], nearest - patch[axis] // 2 - spare, nearest - patch[axis] // 2 + spare)
        return low


def _counts(plane: NDArray[np.int16], labels: Sequence[int], ignore: int) -> dict[Kind, int]:
    """Annotated voxels of each kind in a slice."""
    counts = np.bincount(plane.reshape(-1) - OUTSIDE_UNKNOWN, minlength=ignore - OUTSIDE_UNKNOWN + 1)
    found: dict[Kind, int] = {label: int(counts[label - OUTSIDE_UNKNOWN]) for label in labels}
    found[BACKGROUND] = int(counts[OUTSIDE - OUTSIDE_UNKNOWN] + counts[-OUTSIDE_UNKNOWN])
    found[ANNOTATED] = sum(found.values())
    return {kind: number for kind, number in found.items() if number}
