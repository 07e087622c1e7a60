"""Where patches are cut out: a table says what is at their centre, and an annotated slice is near it.

nnU-Net centres patches of sparse data on annotated voxels. So an annotated slice always crosses the middle of what the
network sees, and predictions off the middle are hardly ever corrected. Here a voxel is drawn by a table, and the patch
is shifted at random around it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nnunet_tricks.tricks.sampling.loader import LoaderDraws, cases_of
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
"""Rows of kinds of voxels, each with its share of the patches; the share of what a case lacks goes to the others."""

SHIFT = 0.4
"""Largest shift of a patch, each way, as a share of its size."""
NEAR = 0.4
"""Distance within which an annotated slice is near the centre, as a share of the patch's depth: its middle 80 %."""
TRIES = 10
"""Shifts that are drawn at most to get an annotated slice near the centre."""


@dataclass(frozen=True)
class CentreShare:
    """A row of a table, for one case.

    Attributes:
        kinds: Kinds of voxels in the row. Each is drawn in proportion to its voxels, but labels of one row alike.
        share: Share of the patches that the row gets.
    """

    kinds: tuple[Kind, ...]
    share: float


def rows_of(table: str, present: Collection[Kind], labels: Sequence[int]) -> list[CentreShare]:
    """A table for one case.

    Args:
        table: One of ``TABLES``.
        present: Kinds of voxels that the case has.
        labels: All labels of the data set but background, ascending.

    Returns:
        Rows whose shares add up to 1; none if the case has nothing that the table names.

    Examples:
        >>> for row in rows_of("lits", [1, "background"], [1, 2]):
        ...     print(row)
        CentreShare(kinds=(1,), share=0.7142857142857143)
        CentreShare(kinds=('background',), share=0.28571428571428575)
    """
    meant: dict[str, Sequence[Kind]] = {FOREGROUND: labels, FIRST: labels[:1], OTHERS: labels[1:]}
    rows = []
    for names, share in TABLES[table]:
        named = [kind for name in names for kind in meant.get(name, (name,))]
        kinds = tuple(kind for kind in named if kind in present or kind == UNIFORM)
        if kinds:
            rows.append(CentreShare(kinds, share))
    total = sum(row.share for row in rows)
    return [CentreShare(row.kinds, row.share / total) for row in rows]


class PatchCentres(LoaderDraws[int]):
    """Draws the centres of patches by a table.

    What is drawn for a patch is its slice, where the network sees slices; else ``None``.

    Attributes:
        table: One of ``TABLES``.
        labels: All labels of the data set but background, ascending.
        ends: Annotated slices up to and with each case, where the network sees slices; else empty.
        kind: Kind of the voxel that the patch is centred on, before the shift.
        voxel: Place of that voxel.
    """

    def __init__(self, loader: Any, table: str, labels: Sequence[int]) -> None:
        """Prepare draws for a loader.

        Args:
            loader: nnU-Net's, which reads ``SparseCases``.
            table: One of ``TABLES``.
            labels: All labels of the data set but background, ascending.
        """
        super().__init__(loader)
        self.table, self.labels = table, list(labels)
        numbers = [len(self._survey(case).slices) for case in loader.indices]
        self.ends = np.cumsum(numbers if loader.patch_size_was_2d else [], dtype=np.intp)
        self.kind: Kind = ""
        self.voxel = np.zeros(3, np.intp)

    def notes(self, batches: int) -> list[str]:
        """Lines for the log.

        Args:
            batches: Number of batches in an epoch.
        """
        shares = {" or ".join(kinds): share for kinds, share in TABLES[self.table]}
        lines = ["patches are centred on: " + ", ".join(f"{kind} {share:.0%}" for kind, share in shares.items())]
        if len(self.ends):
            times = batches * self.loader.batch_size / self.ends[-1]
            lines.append(f"each of {self.ends[-1]} annotated slices is drawn {times:.3g} times in an epoch")
        return lines

    def draw_batch(self) -> list[tuple[str, int | None]]:
        """nnU-Net's cases; where the network sees slices, slices so that all annotated ones are drawn alike."""
        if not len(self.ends):
            return [(case, None) for case in self.nnunets_cases()]
        slices = np.random.randint(self.ends[-1], size=self.loader.batch_size)
        numbers = np.searchsorted(self.ends, slices, side="right")
        cases = [self.loader.indices[number] for number in numbers]
        first = np.concatenate([[0], self.ends])[numbers]
        return [(case, int(self._survey(case).slices[at])) for case, at in zip(cases, slices - first, strict=True)]

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
            data_shape: Shape of the image, (z, y, x).
            force_fg: Not used.
            class_locations: Site of the case, which ``SparseCases`` puts there.
            overwrite_class: Not used.
            verbose: Not used.

        Returns:
            Where it begins and ends along each axis.
        """
        shape = np.asarray(data_shape)
        self.kind, self.voxel = self._centre(shape, class_locations)
        low = self._begin(shape, class_locations.survey)
        return low.tolist(), (low + self.loader.patch_size).tolist()

    def _survey(self, case: str) -> Survey:
        survey: Survey = cases_of(self.loader).sparse[case].survey
        return survey

    def _centre(self, shape: NDArray[Any], site: Site) -> tuple[Kind, NDArray[np.intp]]:
        survey = site.survey
        if self.current is not None:
            return self._centre_in_slice(self.current, shape, site)
        kind = self._kind(rows_of(self.table, survey.places, self.labels), survey.voxels)
        if kind == UNIFORM:
            return kind, np.random.randint(0, shape)
        places = survey.places[kind]
        return kind, places[np.random.randint(len(places))].astype(np.intp)

    def _centre_in_slice(self, at: int, shape: NDArray[Any], site: Site) -> tuple[Kind, NDArray[np.intp]]:
        """A voxel of the slice itself: the few that are remembered of a case may all lie in other slices."""
        whole = slice(None)
        plane = site.labels[whole, at : at + 1, whole, whole][0, 0]
        np.remainder(plane, STRIDE, out=plane, where=plane > 0)  # other tricks may have put more into a label
        voxels = _counts(plane, self.labels, site.labels.ignore)
        kind = self._kind(rows_of(self.table, voxels, self.labels), voxels)
        if kind == UNIFORM:
            return kind, np.array([at, *np.random.randint(0, shape[1:])])
        if kind == ANNOTATED:
            wanted = (plane != site.labels.ignore) & (plane > OUTSIDE_UNKNOWN)
        else:
            wanted = (plane <= 0) & (plane > OUTSIDE_UNKNOWN) if kind == BACKGROUND else plane == kind
        flat = np.flatnonzero(wanted)
        return kind, np.array([at, *np.unravel_index(flat[np.random.randint(len(flat))], plane.shape)])

    @staticmethod
    def _kind(rows: Sequence[CentreShare], voxels: Mapping[Kind, int]) -> Kind:
        if not rows:
            return UNIFORM
        row = rows[np.random.choice(len(rows), p=[row.share for row in rows])]
        if len(row.kinds) == 1:
            return row.kinds[0]
        weights = np.array([1.0 if isinstance(kind, int) else voxels[kind] for kind in row.kinds])
        return row.kinds[np.random.choice(len(row.kinds), p=weights / weights.sum())]

    def _begin(self, shape: NDArray[Any], survey: Survey) -> NDArray[np.intp]:
        patch, final = np.asarray(self.loader.patch_size), np.asarray(self.loader.final_patch_size)
        # As far as nnU-Net lets patches stick out, so that the patches after augmentation cover borders, too.
        pad = np.maximum(np.asarray(self.loader.need_to_pad), patch - shape)
        least, most = -pad // 2, shape + pad // 2 + pad % 2 - patch
        axis = survey.axis
        reach = NEAR * final[axis]
        for _ in range(TRIES):
            shift = np.rint(np.random.uniform(-SHIFT, SHIFT, 3) * final).astype(int)
            if self.current is not None:
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
    voxels: dict[Kind, int] = {label: int(counts[label - OUTSIDE_UNKNOWN]) for label in labels}
    voxels[BACKGROUND] = int(counts[OUTSIDE - OUTSIDE_UNKNOWN] + counts[-OUTSIDE_UNKNOWN])
    voxels[ANNOTATED] = sum(voxels.values())
    return {kind: number for kind, number in voxels.items() if number}
