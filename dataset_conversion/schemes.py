"""The split schemes by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dataset_conversion import splits
from dataset_conversion.model import CaseRecord, ConversionSettings
from dataset_conversion.splits import Fold

FOLDS = "cross-validation, with groups kept together"
MEDISEG = "the tricks paper: each fold has its own 20 % test part, 10 % of the rest validates; groups kept together"

SOURCE = "leave one source (hospital, collection) out: one fold for each"
GIVEN = "one fold with the data set's own parts train and val; cross-validation if it has none"
THIRDS = "the data set's own three splits: each validates once"


@dataclass(kw_only=True)
class Splits:
    """Folds in nnU-Net's form, test ids of each fold if folds have their own, and warnings."""

    folds: list[Fold]
    tests: list[list[str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def make_splits(training: Sequence[CaseRecord], groups: Mapping[str, str], settings: ConversionSettings) -> Splits:
    """Split the training cases by the scheme of the settings."""
    group_of = {record.id: groups[record.id] for record in training}
    parts = {record.id: record.fold_part for record in training}
    answer = Splits(folds=[])
    if settings.split == "folds":
        answer.folds = splits.cross_validation(group_of, settings.folds, settings.seed)
    elif settings.split == "mediseg":
        answer.folds, answer.tests = splits.nested(group_of, settings.folds, settings.seed)
        answer.warnings.append(
            "the test cases of each fold are in imagesTr and are listed in splits_test.json: score each fold separately"
        )
    elif settings.split in ("official", "given"):
        answer.folds = splits.by_part(parts, [("val",)])
        if settings.split == "given" and "val" not in parts.values():
            answer.folds = splits.cross_validation(group_of, settings.folds, settings.seed)
            answer.warnings.append("the data set has no part val: it was split into folds by group")
            parts = group_of
    elif settings.split == "thirds":
        # Cases in none of the three splits always train.
        answer.folds = splits.by_part(parts, [(name,) for name in sorted(set(parts.values()) - {""})])
    elif settings.split == "source":
        parts = {record.id: record.site for record in training}
        answer.folds = splits.by_part(parts, [(name,) for name in sorted(set(parts.values()))])
    if any(not fold["train"] or not fold["val"] for fold in answer.folds):
        answer.folds, answer.tests = [], []
    if not answer.folds:
        answer.warnings.append(
            f"cannot be split as asked ({settings.split}); cases: {len(training)}, "
            f"groups: {len(set(group_of.values()))}; no splits_final.json was written, and "
            f"nnU-Net's own random split ignores groups"
        )
    elif settings.split in ("folds", "mediseg") and len(answer.folds) < settings.folds:
        answer.warnings.append(
            f"only {len(answer.folds)} groups, so {len(answer.folds)} folds instead of {settings.folds}"
        )
    if settings.split not in ("folds", "mediseg"):
        for group, ids in splits.spanning(group_of, parts).items():
            shown = ", ".join(ids[:4]) + (", ..." if len(ids) > 4 else "")
            answer.warnings.append(f"group {group} is on both sides of the split {settings.split!r}: {shown}")
    return answer
