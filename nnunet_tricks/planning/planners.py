"""Planners that ``nnUNetv2_plan_experiment -pl`` finds by name: nnU-Net's own, and then one change of its plans.

``nnUNetPlannerNoResampling`` writes ``nnUNetPlansNoResampling.json``; ``nnUNetPlannerPatch96``, with edges of 96,
``nnUNetPlansPatch96.json``; a spacing is written ``Spacing3p22x1p62x1p62``, a size ``Resize200x200``. Their data have
identifiers of their own, since ``nnUNetv2_plan_and_preprocess`` deletes what it finds under an identifier. A patch size
that shares the data of other plans: ``nnunet-tricks plan --patch``.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS, Plans, resolve
from nnunet_tricks.planning.patch import SWEEP, fitted
from nnunet_tricks.planning.variants import EXAMPLES, VARIANTS, plans_name
from nnunet_tricks.planning.variants import find as variant_of

PREFIX = "nnUNetPlanner"
_PATCH = re.compile(r"Patch([1-9]\d*)")


def names() -> list[str]:
    """What there is; ``Patch`` takes other edges as well, and spacings and sizes are any."""
    return [PREFIX + token for token in (*(variant.name for variant in VARIANTS), *(f"Patch{edge}" for edge in SWEEP))]


def find(name: str) -> type | None:
    """The planner class of a name.

    Args:
        name: Name as it follows nnU-Net's ``-pl``.

    Returns:
        The class, the same one each time, or ``None`` where the name does not begin as planners' names do.

    Raises:
        IllegalName: If it begins so, but is none of ours.

    Examples:
        >>> find("nnUNetPlannerMinMax").__name__
        'nnUNetPlannerMinMax'
    """
    return _build(name) if name.startswith(PREFIX) else None


def is_known(name: str) -> bool:
    """Whether a planner of ours has this name; nothing of nnU-Net's is imported."""
    token = name.removeprefix(PREFIX)
    try:
        return bool(_PATCH.fullmatch(token) or variant_of(token))
    except ValueError:
        return False


def _nearest(token: str, reason: str) -> list[str]:
    """The name that the reason tells how to write, with plain numbers, else one of its kind or most like it."""
    plain = re.sub(r"(?<![\dp])0+(?=\d)", "", token)
    for word in (*re.findall(r"'(\w+)'", reason), plain):
        if is_known(word):
            return [PREFIX + word]
    known = [*names(), *(PREFIX + example for example in EXAMPLES)]
    if kind := re.match(r"[A-Za-z]+(?=\d)", token):
        alike = [name for name in known if name.startswith(PREFIX + kind[0])]
        if alike:
            return alike[:1]
    return get_close_matches(PREFIX + token, known, n=1) or known


@cache
def _build(name: str) -> type:
    token = name.removeprefix(PREFIX)
    patch = _PATCH.fullmatch(token)
    try:
        variant = None if patch else variant_of(token)
    except ValueError as error:
        also = f"; planners are Patch{SWEEP[0]} and so on, too" if "is not known" in str(error) else ""
        raise IllegalName(name, f"{error}{also}", _nearest(token, str(error)), "planner") from None
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.utilities.json_export import recursive_fix_for_json_export

    class VariantPlanner(ExperimentPlanner):
        """nnU-Net's, and then one change."""

        def __init__(self, *arguments: Any, **keywords: Any) -> None:
            super().__init__(*arguments, **{"plans_name": plans_name(DEFAULT_PLANS, [token]), **keywords})

        def save_plans(self, plans: Plans) -> None:
            """Change them, then write them; where the change is refused nothing is written."""
            recursive_fix_for_json_export(plans)
            if variant:
                variant.apply(plans, self.dataset_fingerprint)
            elif patch:
                _give_patch(plans, int(patch[1]))
            super().save_plans(plans)

    return type(name, (VariantPlanner,), {"__module__": __name__, "__doc__": f"nnU-Net's planner, then {token}."})


def _give_patch(plans: Plans, edge: int) -> None:
    """The same edge along all axes, in all configurations."""
    for name, configuration in plans["configurations"].items():
        if "inherits_from" not in configuration:
            axes = len(configuration["patch_size"])
            configuration |= fitted(resolve(plans, name), name, [edge] * axes)


def __getattr__(name: str) -> type:
    """Every legal name is an attribute, so that classes are importable and can be pickled."""
    try:
        planner = find(name)
    except IllegalName as error:
        raise AttributeError(str(error)) from error
    if planner is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return planner
