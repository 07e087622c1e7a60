"""Cases that the user leaves out, one by one or by a preset. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import DataSet, Plan, Unused


def without_excluded(plan: Plan, data_set: DataSet, exclude: Sequence[str]) -> Plan:
    """The plan without some cases; what was left out, and what was not there anyway, stands in it.

    Args:
        plan: What was found.
        data_set: Knows the presets.
        exclude: Case ids as they are written, presets, or ``none``.

    Raises:
        ConversionError: If a word is neither a preset nor looks like one of the ids.
    """
    known = {case.id for case in plan.cases} | {unused.id for unused in plan.unused}
    shapes = {_shape(name) for name in known}
    reasons: dict[str, str] = {}
    absent: list[str] = []
    for word in exclude:
        if word == "none":
            continue
        if word in data_set.exclusions:
            reasons.update(data_set.exclusions[word])
        elif word in known or _shape(word) in shapes:
            reasons[word] = "excluded by the user"
        else:
            presets = ", ".join(("none", *data_set.exclusions))
            example = f", such as {min(known)}" if known else ""
            raise ConversionError(f"--exclude takes a case id{example}, or one of {presets}; got {word!r}")
        absent += [word] if word not in known and word not in data_set.exclusions else []
    cases = [case for case in plan.cases if case.id not in reasons]
    excluded = [
        Unused(id=case.id, path=case.image.name, status="excluded", reason=reasons[case.id])
        for case in plan.cases
        if case.id in reasons
    ]
    warnings = list(plan.warnings)
    if absent:
        warnings.append(f"--exclude {', '.join(absent)}: not in the source folders, so there was nothing to leave out")
    extra = dict(plan.extra)
    if excluded:
        extra["excluded"] = {one.id: one.reason for one in sorted(excluded, key=lambda one: one.id)}
    return replace(plan, cases=cases, unused=[*plan.unused, *excluded], warnings=warnings, extra=extra)


def _shape(name: str) -> str:
    """An id with its numbers made alike: ``case_00068`` and ``case_00001`` have one shape."""
    return re.sub(r"\d", "0", name)
