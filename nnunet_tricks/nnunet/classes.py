"""The classes and regions of a data set, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LABEL = r"[1-9]\d{0,4}"
"""How a label value is written."""


@dataclass(frozen=True)
class Classes:
    """The classes that a data set has for segmentation.

    Attributes:
        values: The label values of each class; several where it is one of nnU-Net's regions.
        ignore: Label of voxels that nobody annotated.
        known: Every label value that the data set has; empty if they are unknown.
        listed: Classes that ``dataset.json`` writes as a list, though of one label.
    """

    values: Mapping[str, tuple[int, ...]]
    ignore: int | None = None
    known: frozenset[int] = frozenset()
    listed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, dataset_json: Mapping[str, Any]) -> Classes:
        """Read the classes from ``dataset.json``.

        Raises:
            ValueError: If it names no labels, or none that could be segmented.

        Examples:
            >>> Classes.of({"labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}}).values
            {'whole': (1, 2), 'core': (2,)}
        """
        if not isinstance(dataset_json.get("labels"), Mapping):
            raise ValueError("dataset.json names no labels")
        labels = {name: _label_values(name, value) for name, value in dataset_json["labels"].items()}
        known = frozenset(value for values in labels.values() for value in values) | {0}
        ignore = labels.pop("ignore", None)
        values = {name: tuple(value for value in values if value) for name, values in labels.items()}
        listed = frozenset(name for name in values if isinstance(dataset_json["labels"][name], list | tuple))
        named = {name: some for name, some in values.items() if some}
        if not named:
            raise ValueError("dataset.json names no label but the background")
        return cls(named, ignore[0] if ignore else None, known, listed)

    @classmethod
    def named(cls, words: Sequence[str]) -> Classes:
        """Classes from named labels; the files may have other labels too.

        Args:
            words: Label values, such as ``1``, or with a name ``kidney=1``; ``ignore`` is that of nnU-Net.

        Raises:
            ValueError: If one is written otherwise, or named twice.

        Examples:
            >>> Classes.named(["1", "tumor=2"]).values
            {'1': (1,), 'tumor': (2,)}
        """
        values: dict[str, int] = {}
        for word in words:
            name, equals, label = word.rpartition("=")
            if not re.fullmatch(LABEL, label) or (equals and not name):
                advice = "; unions of labels, such as kidney=1+2, go with --regions" if "+" in word else ""
                raise ValueError(
                    f"--labels takes label values from 1 on, with names if you like, such as 1 2 or kidney=1, got "
                    f"'{word}'{advice}"
                )
            name = name or label
            if name in values or int(label) in values.values():
                raise ValueError(f"--labels names {name if name in values else label} twice: '{word}'")
            values[name] = int(label)
        ignore = values.pop("ignore", None)
        if not values:
            raise ValueError("--labels names only what to ignore, and no label to measure")
        return cls({name: (value,) for name, value in values.items()}, ignore)

    def with_regions(self, words: Sequence[str]) -> Classes:
        """Unions of labels in place of the classes.

        Args:
            words: Regions such as ``kidney=1+2``; names of classes may stand for their labels.

        Raises:
            ValueError: If one is written otherwise, or has a label that the data set does not have.

        Examples:
            >>> kits = Classes.of({"labels": {"background": 0, "kidney": 1, "tumor": 2}})
            >>> kits.with_regions(["kidney=kidney+tumor", "tumor=2"]).values
            {'kidney': (1, 2), 'tumor': (2,)}
        """
        regions = {}
        for word in words:
            name, equals, labels = word.partition("=")
            if not (name and equals and labels) or name in regions:
                raise ValueError(f"--regions takes different names with labels, such as kidney=1+2, got '{word}'")
            regions[name] = tuple(sorted({value for label in labels.split("+") for value in self._values(label, word)}))
        return Classes(regions, self.ignore, self.known)

    def _values(self, label: str, word: str) -> tuple[int, ...]:
        if label in self.values:
            return self.values[label]
        allowed = self.known - {0, self.ignore}
        if not re.fullmatch(LABEL, label) or (self.known and int(label) not in allowed):
            choices = ", ".join(map(str, sorted(allowed))) if self.known else "positive numbers"
            raise ValueError(f"--regions {word}: '{label}' is no label of the data set; there are {choices}")
        return (int(label),)

    def key(self, name: str) -> str:
        """Name of a class in nnU-Net's ``summary.json``.

        Examples:
            >>> classes = Classes.of({"labels": {"background": 0, "whole": [1, 2], "core": 2, "edge": [3]}})
            >>> [classes.key(name) for name in classes.values]
            ['(1, 2)', '2', '(3,)']
        """
        values = self.values[name]
        return str(tuple(values)) if len(values) > 1 or name in self.listed else str(values[0])


def _label_values(name: str, value: Any) -> tuple[int, ...]:
    try:
        return tuple(map(int, value)) if isinstance(value, list | tuple) else (int(value),)
    except (TypeError, ValueError):
        raise ValueError(
            f"dataset.json says '{value}' of label '{name}': it must be a number, or several for a region, as in "
            "{'background': 0, 'kidney': 1} (nnU-Net v1 has them the other way round)"
        ) from None
