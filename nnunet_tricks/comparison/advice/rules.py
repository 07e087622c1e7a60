"""The rules of the advice: each is a pure function of the figures, with the tricks that it speaks for.

A rule says nothing, or gives a reason with the figure that it is based on, and a strength. Thresholds are judgement,
and are named, so that they can be wrong in public: ``nnunet-tricks ledger --score`` compares advice with what came out.
The trick paper's own guidance (section 4.1) is: for small data sets patching, oversampling and pretraining; for class
imbalance patching, oversampling and class-balanced losses; for other scanners pretrained weights; and augmentation that
keeps an object's usual place where places are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from nnunet_tricks.comparison.advice.figures import PARTLY, ClassFigures, DataFigures

RARE, VERY_RARE = 0.01, 0.001
"""Share of the annotated voxels below which a class is rare, and very rare."""

UNEVEN = 5.0
"""Times by which one class is larger than another before classes count as uneven."""

SPREAD = 10.0
"""90th percentile of objects' volumes divided by the 10th from which on sizes differ much."""

SEVERAL = 3.0
"""Objects of a case from which on each of them matters."""

CLOSE = 0.3
"""Share of objects that are near others, or fall apart at necks, from which on objects touch."""

THIN = 0.75
"""Share of a class at its border from which on it is thin: a disc of radius 5 has 0.36."""

THIN_WIDTH = 6.0
"""Width in voxels that a thin class has at most."""

ONE_SIDED, ANYWHERE = 0.3, 0.9
"""Asymmetry from which on mirroring shows unusual places, and position entropy of objects that are anywhere."""

FEWEST = 10
"""Cases from which on what they have in common says something of others."""

SMALL = 0.15
"""Share of an image that an object to paste has at most."""

FEW_CASES, VERY_FEW_CASES = 100, 30
"""Numbers of cases below which a data set is small, and very small."""

FAINT = 0.8
"""Contrast in standard deviations below which objects hide in their surroundings."""

OTHER_LOOKS = 0.1
"""Share of cases with reversed contrast from which on images look different."""

EMPTY = 0.1
"""Share of cases without foreground from which on false alarms count."""

ALWAYS_SINGLE, NEVER_HOLES = 0.95, 0.02
"""Shares of cases from which on, and up to which, something is a rule of anatomy."""

LARGE_OBJECT = 1000
"""Voxels of an object that could have a hole worth filling."""

COARSEST = 4
"""Factor by which the third output of deep supervision is shrunk."""

LARGE = 96**3
"""Voxels of a volume from which on small first patches save time."""

FEW_SLICES, VERY_FEW_SLICES = 0.5, 0.1
"""Shares of a volume's slices with annotations, up to which few are annotated, and very few."""


@dataclass(frozen=True)
class AdvisedReason:
    """Why a trick is worth trying.

    Attributes:
        text: Sentence with the measured figure.
        strength: Strength in [0, 1], for the order only.
        classes: Classes that a step of post-processing is for; empty for each class, and for what is trained.
        parameters: Parameters of the trick that follow from the data, as in ``voxels40``; empty for its defaults.
    """

    text: str
    strength: float
    classes: tuple[str, ...] = ()
    parameters: str = ""


@dataclass(frozen=True)
class AdviceRule:
    """One rule.

    Attributes:
        name: Short name of what it looks at.
        tricks: Tricks that it speaks for, as they stand in trainers' names, best first.
        find: Function that gives the reason, or None where the rule says nothing.
    """

    name: str
    tricks: tuple[str, ...]
    find: Callable[[DataFigures], AdvisedReason | None]


def rare(data: DataFigures) -> AdvisedReason | None:
    """Foreground that is a small part of the image."""
    worst = _least(data, lambda known: known.share)
    if worst is None or worst.share >= RARE:
        return None
    voxels = "annotated voxels" if data.ignored > 0 else "voxels"
    return AdvisedReason(
        f"'{worst.name}' is {percent(worst.share)} of {data.whole} (median): cross-entropy, a mean over all {voxels}, "
        "hardly sees it",
        _how_far(RARE, worst.share, VERY_RARE),
    )


def uneven(data: DataFigures) -> AdvisedReason | None:
    """Classes of very different volume."""
    if not data.imbalance >= UNEVEN:
        return None
    known = [found for found in data.classes if found.share > 0]
    small, large = (pick(known, key=lambda found: found.share) for pick in (min, max))
    return AdvisedReason(
        f"'{large.name}' has {data.imbalance:.0f} times the volume of '{small.name}' (medians)",
        _how_far(UNEVEN, data.imbalance, 10 * UNEVEN),
    )


def seldom(data: DataFigures) -> AdvisedReason | None:
    """A class that few cases have."""
    known = [found for found in data.classes if found.cases]
    if len(data.classes) < 2 or not known or data.labelled < FEWEST:
        return None
    rarest = min(known, key=lambda found: found.cases)
    share = rarest.cases / data.labelled
    if share >= 0.5:
        return None
    return AdvisedReason(
        f"only {rarest.cases} of {data.labelled} {'annotated ' if data.blank else ''}cases have '{rarest.name}'",
        _how_far(0.5, share, 0.05),
    )


def sizes(data: DataFigures) -> AdvisedReason | None:
    """Several objects of very different size in a case."""
    several = [found for found in data.classes if found.count >= SEVERAL and found.spread >= SPREAD]
    if not several:
        return None
    widest = max(several, key=lambda found: found.spread)
    return AdvisedReason(
        f"a case has {widest.count:.0f} objects of '{widest.name}' (median), and large ones have {widest.spread:.0f} "
        f"times the volume of small ones (90th by 10th percentile): Dice hardly notices a small one that is missed",
        _how_far(SPREAD, widest.spread, 20 * SPREAD),
    )


def touching(data: DataFigures) -> AdvisedReason | None:
    """Objects that lie close together or are joined at necks."""
    found = [known for known in data.classes if known.count >= SEVERAL and _closeness(known) >= CLOSE]
    if not found:
        return None
    closest = max(found, key=_closeness)
    necks = f", and {percent(closest.necks)} of the larger ones fall apart at necks" if closest.necks > 0 else ""
    return AdvisedReason(
        f"{percent(closest.near)} of the objects of '{closest.name}' have another within 4 voxels{necks}: they are "
        "easily joined",
        _how_far(CLOSE, _closeness(closest), 1.0),
    )


def thin(data: DataFigures) -> AdvisedReason | None:
    """Lines and tubes."""
    found = [known for known in data.classes if known.thin >= THIN and known.width <= THIN_WIDTH]
    if not found:
        return None
    thinnest = max(found, key=lambda known: known.thin)
    return AdvisedReason(
        f"{percent(thinnest.thin)} of '{thinnest.name}' lies at its border, and it is {thinnest.width:.0f} voxels "
        "wide: a gap costs little Dice, but breaks it in two",
        _how_far(THIN, thinnest.thin, 1.0),
    )


def fixed_place(data: DataFigures) -> AdvisedReason | None:
    """Objects that lie elsewhere once images are mirrored."""
    if data.labelled < FEWEST:
        return None
    most = _most(data, lambda known: known.asymmetry)
    if most is None or most.asymmetry < ONE_SIDED:
        return None
    return AdvisedReason(
        f"mirrored along {'xyz'[most.axis - 1]}, '{most.name}' overlaps the places where it usually lies by only "
        f"{percent(1 - most.asymmetry)} (chance allowed for): augmentation shows it where it seldom or never is",
        _how_far(ONE_SIDED, most.asymmetry, 1.0),
    )


def sides(data: DataFigures) -> AdvisedReason | None:
    """Classes that differ by their side of the body only."""
    names = {known.name.lower().replace("-", "_") for known in data.classes}
    pairs = [name for name in sorted(names) if "left" in name and name.replace("left", "right") in names]
    if not pairs:
        return None
    return AdvisedReason(f"'{pairs[0]}' has a class for the other side: mirroring shows each as the other", 1.0)


def anywhere(data: DataFigures) -> AdvisedReason | None:
    """Small objects that can be anywhere, and look alike in all cases."""
    found = [
        known
        for known in data.classes
        if known.entropy >= ANYWHERE and known.share < SMALL and not known.reversed >= OTHER_LOOKS
    ]
    if not found:
        return None
    widest = max(found, key=lambda known: known.entropy)
    return AdvisedReason(
        f"'{widest.name}' can be anywhere (position entropy {widest.entropy:.2f} of 1) and is {percent(widest.share)} "
        f"of {data.whole}: pasted objects lie as real ones do",
        0.5 * _how_far(ANYWHERE, widest.entropy, 1.0) + 0.5 * _how_far(FEW_CASES, data.cases, 10),
    )


def few(data: DataFigures) -> AdvisedReason | None:
    """A small data set."""
    if data.cases >= FEW_CASES:
        return None
    return AdvisedReason(f"there are {data.cases} training cases", _how_far(FEW_CASES, data.cases, VERY_FEW_CASES))


def pictures(data: DataFigures) -> AdvisedReason | None:
    """Pictures with red, green and blue, as those that public weights come from."""
    if not data.coloured or data.dimension != 2:
        return None
    grey = f" ({percent(data.grey)} of them hold grey only)" if data.grey > 0 else ""
    return AdvisedReason(
        f"images are pictures with red, green and blue, as ImageNet's are{grey}, and there are {data.cases} of them",
        _how_far(2000, data.cases, 50),
    )


def looks(data: DataFigures) -> AdvisedReason | None:
    """Objects that are bright in some cases and dark in others."""
    most = _most(data, lambda known: known.reversed)
    if data.labelled < FEWEST or most is None or most.reversed < OTHER_LOOKS:
        return None
    return AdvisedReason(
        f"'{most.name}' is brighter than its surroundings in some cases and darker in others "
        f"({percent(most.reversed)} have the rarer kind): several scanners, stains or phases",
        _how_far(OTHER_LOOKS, most.reversed, 0.5),
    )


def faint(data: DataFigures) -> AdvisedReason | None:
    """Objects that hide in their surroundings."""
    worst = _least(data, lambda known: known.contrast)
    if worst is None or worst.contrast >= FAINT:
        return None
    return AdvisedReason(
        f"'{worst.name}' differs from its surroundings by {worst.contrast:.2f} standard deviations (median)",
        _how_far(FAINT, worst.contrast, 0.2),
    )


def without_foreground(data: DataFigures) -> AdvisedReason | None:
    """Cases in which nothing is."""
    smallest = _least(data, lambda known: known.small)
    if data.empty < EMPTY or data.labelled < FEWEST or smallest is None:
        return None
    voxels = max(2, int(smallest.small / 2))
    return AdvisedReason(
        f"{percent(data.empty)} of the cases have no foreground, so a false alarm costs a whole case; one in ten "
        f"objects of '{smallest.name}' has at most {smallest.small:.0f} voxels, so {voxels} are half of a small one",
        _how_far(EMPTY, data.empty, 0.5),
        parameters=f"voxels{voxels}",
    )


def single(data: DataFigures) -> AdvisedReason | None:
    """Classes of which each case has one object."""
    found = [known for known in data.classes if known.cases >= FEWEST and known.single >= ALWAYS_SINGLE]
    if not found:
        return None
    names = ", ".join(f"'{known.name}'" for known in found)
    return AdvisedReason(
        f"{names}: in {percent(min(known.single for known in found))} of the cases with it, the largest object is at "
        "least 99 % of the class, so further ones are mistakes",
        0.5,
        _unless_all(data, found),
    )


def solid(data: DataFigures) -> AdvisedReason | None:
    """Classes without holes."""
    found = [
        known
        for known in data.classes
        if known.cases >= FEWEST and known.holes <= NEVER_HOLES and known.size >= LARGE_OBJECT
    ]
    if not found:
        return None
    names = ", ".join(f"'{known.name}'" for known in found)
    most = max(known.holes for known in found)
    cases = f"only {percent(most)} of the cases have" if most > 0 else f"none of {data.labelled} cases has"
    return AdvisedReason(
        f"{names}: {cases} a hole in it, so a hole in a prediction is most likely a mistake",
        0.2,
        _unless_all(data, found),
    )


def vanishing(data: DataFigures) -> AdvisedReason | None:
    """Objects smaller than a voxel of the shrunk outputs."""
    found = [known for known in data.classes if known.small < float(COARSEST**data.dimension)]
    if not found:
        return None
    smallest = min(found, key=lambda known: known.small)
    return AdvisedReason(
        f"one in ten objects of '{smallest.name}' has at most {smallest.small:.0f} voxels: less than one voxel of the "
        f"third output of deep supervision, which is shrunk {COARSEST} times",
        _how_far(float(COARSEST**data.dimension), smallest.small, 1.0),
    )


def large(data: DataFigures) -> AdvisedReason | None:
    """Large volumes, whose trainings take long."""
    if data.dimension != 3 or not data.voxels >= LARGE:
        return None
    return AdvisedReason(
        f"a volume has {data.voxels / 1e6:.0f} million voxels (median), so trainings are long: patches that begin "
        "small save time",
        0.1,
    )


def few_slices(data: DataFigures) -> AdvisedReason | None:
    """Volumes with annotations in some slices only."""
    if data.dimension != 3 or not data.slices <= FEW_SLICES:
        return None
    return AdvisedReason(
        f"{percent(data.slices)} of a volume's slices have annotations (median): without this trick voxels beyond the "
        "image count as annotated background, and annotated slices are always in the middle of a patch",
        _how_far(FEW_SLICES, data.slices, VERY_FEW_SLICES),
    )


def not_annotated(data: DataFigures) -> AdvisedReason | None:
    """Voxels that no loss sees."""
    if not data.unlabelled >= PARTLY:
        return None
    return AdvisedReason(
        f"{percent(data.unlabelled)} of the voxels have the ignore label (mean): nnU-Net's losses skip them, and this "
        "trick learns from them too",
        0.5 * _how_far(PARTLY, data.unlabelled, 1.0),
    )


WITH_WEIGHTS = "EfficientNetLite0UNet_PretrainedImageNet1k_Adam_lr0p001"
"""Network with ImageNet's weights. With nnU-Net's own SGD, whose rate is 0.01, they changed nothing in trials."""

CONTROLS = {WITH_WEIGHTS: "EfficientNetLite0UNet_Adam_lr0p001"}
"""Trainings that show what of a gain is the trick's own: here network and optimiser are others too."""

RULES = (
    AdviceRule("rare foreground", ("DiceFocal", "TverskyCE", "Oversample_fraction0p66"), rare),
    AdviceRule("uneven classes", ("ClassBalancedSampling", "DiceWCE"), uneven),
    AdviceRule("seldom classes", ("ClassBalancedSampling",), seldom),
    AdviceRule("sizes of objects", ("SizeBalancedSampling", "CCDice", "Blob"), sizes),
    AdviceRule("touching objects", ("DistanceCE", "CCDice"), touching),
    AdviceRule("thin objects", ("SkeletonRecall", "ClDiceCE"), thin),
    AdviceRule("fixed places", ("NoMirroring",), fixed_place),
    AdviceRule("left and right", ("NoMirroring",), sides),
    AdviceRule("places anywhere", ("CopyPaste",), anywhere),
    AdviceRule("few cases", ("DA5", "Oversample_fraction0p66"), few),
    AdviceRule("colour pictures", (WITH_WEIGHTS,), pictures),
    AdviceRule("different looks", ("DA5", WITH_WEIGHTS), looks),
    AdviceRule("faint objects", ("IFEEntropy", "DiceOHEM"), faint),
    AdviceRule("empty cases", ("RemoveSmall",), without_foreground),
    AdviceRule("single objects", ("KeepLargest",), single),
    AdviceRule("solid objects", ("FillHoles",), solid),
    AdviceRule("vanishing objects", ("FullSizeDeepSupervision", "NoDeepSupervision"), vanishing),
    AdviceRule("large volumes", ("GrowingPatch",), large),
    AdviceRule("few slices", ("SparseSlices",), few_slices),
    AdviceRule("ignored voxels", ("MeanTeacher",), not_annotated),
)
"""All rules."""

ONLY_2D = frozenset({WITH_WEIGHTS})
"""Tricks that are refused on volumes."""


def spoken_for() -> Iterator[str]:
    """Every trick that some rule can speak for, once."""
    yield from dict.fromkeys(trick for rule in RULES for trick in rule.tricks)


def _unless_all(data: DataFigures, found: Sequence[ClassFigures]) -> tuple[str, ...]:
    """Names of classes; none if they are all that the data set has, since a step without a class is for each."""
    return () if len(found) == len(data.classes) else tuple(known.name for known in found)


def _closeness(known: ClassFigures) -> float:
    return max(value for value in (known.near, known.necks, 0.0) if math.isfinite(value))


def _least(data: DataFigures, figure: Callable[[ClassFigures], float]) -> ClassFigures | None:
    return min((known for known in data.classes if math.isfinite(figure(known))), key=figure, default=None)


def _most(data: DataFigures, figure: Callable[[ClassFigures], float]) -> ClassFigures | None:
    return max((known for known in data.classes if math.isfinite(figure(known))), key=figure, default=None)


def _how_far(threshold: float, value: float, end: float) -> float:
    """Strength: 0.25 at the threshold, 1 at the end.

    Examples:
        >>> _how_far(100, 100, 30), _how_far(100, 30, 30), _how_far(1, 9, 5)
        (0.25, 1.0, 1.0)
    """
    share = (value - threshold) / (end - threshold)
    return 0.25 + 0.75 * min(max(share, 0.0), 1.0)


def percent(share: float) -> str:
    """A share in words.

    Examples:
        >>> percent(0.5), percent(0.034), percent(0.00012)
        ('50 %', '3.4 %', '0.012 %')
    """
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.2g} %"
