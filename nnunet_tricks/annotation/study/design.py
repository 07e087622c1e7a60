"""The grid of a study: densities, shares of volumes, and policies, with and without interpolated masks.

The defaults are those of Zhang et al. 2025. As there, masks are interpolated only if all volumes are annotated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from nnunet_tricks.catalogue.naming import combine, parse

TRICK = "SparseSlices"
DENSITIES = (0.05, 0.1, 0.2, 0.4, 0.8)
VOLUMES = (0.125, 0.25, 0.5, 1.0)
POLICIES = ("fixed", "random", "ual")
REPEATS = 3


@dataclass(frozen=True, kw_only=True)
class Point:
    """A setting of the study.

    Attributes:
        density: Share of the slices of each annotated volume.
        volumes: Share of the volumes that are annotated.
        policy: Policy by which slices are chosen.
        interpolated: Whether the other slices get interpolated masks.
    """

    density: float = 1.0
    volumes: float = 1.0
    policy: str = "fixed"
    interpolated: bool = False

    @property
    def budget(self) -> Fraction:
        """Share of all slices that is annotated.

        Examples:
            >>> Point(density=0.1, volumes=0.25).budget
            Fraction(1, 40)
        """
        return _exact(self.density) * _exact(self.volumes)

    def trainer(self, centres: str = "nnunet") -> str:
        """The name of its trainer.

        Args:
            centres: The table by which patches are centred.

        Examples:
            >>> Point(density=0.1, volumes=0.25, policy="random").trainer()
            'nnUNetTrainerSparseSlices_density0p1_random_volumes0p25'
        """
        words = [TRICK]
        words += [f"density{_spelled(self.density)}"] if self.density < 1 else []
        words += [self.policy] if self.policy != "fixed" and self.density < 1 else []
        words += [f"volumes{_spelled(self.volumes)}"] if self.volumes < 1 else []
        words += ["mi"] if self.interpolated else []
        words += [centres] if centres != "nnunet" else []
        return str(combine("_".join(words)))


DENSE = Point()
"""The reference of all settings: the same trainer with all labels."""


def grid(
    densities: Sequence[float] = DENSITIES,
    volumes: Sequence[float] = VOLUMES,
    policies: Sequence[str] = POLICIES,
    *,
    interpolated: bool = True,
) -> list[Point]:
    """Make all settings but the dense one.

    Args:
        densities: Shares of slices.
        volumes: Shares of volumes.
        policies: Policies by which slices are chosen.
        interpolated: Whether there are also settings with interpolated masks, if all volumes are annotated.

    Raises:
        ValueError: If a share is not above 0 and at most 1.

    Examples:
        >>> len(grid())
        75
    """
    for name, shares in (("density", densities), ("volumes", volumes)):
        wrong = [share for share in shares if not 0 < share <= 1]
        if wrong:
            raise ValueError(f"{name} must be above 0 and at most 1, got {wrong[0]:g}")
    points = [
        Point(density=density, volumes=share, policy=policy)
        for share, density, policy in product(volumes, densities, policies)
    ]
    if interpolated and 1.0 in volumes:
        points += [
            Point(density=density, policy=policy, interpolated=True) for density, policy in product(densities, policies)
        ]
    # At density 1 all policies choose the same slices, and nothing remains to interpolate.
    unique = {point.trainer(): point for point in points if point.density < 1 or not point.interpolated}
    return [point for name, point in unique.items() if name != DENSE.trainer()]


def equal_budgets(points: Iterable[Point]) -> dict[Fraction, list[tuple[float, float]]]:
    """Group densities and shares of volumes that need equally many slices, by budget; at least two of each.

    Examples:
        >>> {str(budget): line for budget, line in equal_budgets(grid([0.1, 0.2], [0.5, 1])).items()}
        {'1/10': [(0.1, 1), (0.2, 0.5)]}
    """
    lines: dict[Fraction, set[tuple[float, float]]] = {}
    for point in points:
        lines.setdefault(point.budget, set()).add((point.density, point.volumes))
    return {budget: sorted(line) for budget, line in sorted(lines.items()) if len(line) > 1}


def point_of(trainer: str) -> Point | None:
    """The setting of a trainer, or ``None`` if it is not part of such a study.

    Examples:
        >>> point_of("nnUNetTrainerSparseSlices_density0p1_mi_5epochs_run2")
        Point(density=0.1, volumes=1.0, policy='fixed', interpolated=True)
        >>> point_of("nnUNetTrainer")
    """
    matching = [trick.settings for trick in parse(trainer).tricks if trick.info.name == TRICK]
    if not matching:
        return None
    settings = matching[0]
    return Point(
        density=float(str(settings["density"])),
        volumes=float(str(settings["volumes"])),
        policy=str(settings["policy"]),
        interpolated=bool(settings["mi"]),
    )


def _exact(share: float) -> Fraction:
    return Fraction(share).limit_denominator(10_000)


def _spelled(share: float) -> str:
    return f"{share:g}".replace(".", "p")
