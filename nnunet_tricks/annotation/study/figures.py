"""Figures of a study: quality for the labels, as in figures 1 to 5 of Zhang et al. 2025."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from nnunet_tricks.annotation.study.outcome import TrainingRow
from nnunet_tricks.comparison.report.figures.style import GREY, PALETTE, styled

Draw = Callable[[Any, Sequence[TrainingRow]], None]
MARKS = {"fixed": "o", "random": "s", "ual": "^"}
PANEL = (4.2, 3.4)
"""Width and height of a figure, in inches."""
TICKS = 8


def picture(rows: Sequence[TrainingRow], label: str = "mean") -> bytes:
    """Draw all figures for which there are values, side by side.

    Args:
        rows: Rows of the trainings.
        label: Label whose values are shown.

    Returns:
        A PNG file.

    Raises:
        ValueError: If the table has no sparse training of that label.
    """
    chosen = [row for row in rows if row.label == label]
    if not any(_sparse(row) for row in chosen):
        raise ValueError(f"there is no finished training on some slices with label '{label}'")
    draws: list[Draw] = [over_budget, over_density]
    if _dense(chosen) is not None:
        draws.append(drop)
    if len({row.policy for row in chosen if _sparse(row)}) > 1:
        draws.append(policies)
    if any(row.interpolated for row in chosen):
        draws.append(interpolation)
    with styled():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        drawn = Figure(figsize=(PANEL[0] * len(draws), PANEL[1]), layout="compressed", facecolor="white")
        FigureCanvasAgg(drawn)
        for axes, draw in zip(drawn.subplots(1, len(draws), squeeze=False)[0], draws, strict=True):
            draw(axes, chosen)
        content = io.BytesIO()
        drawn.savefig(content, format="png", dpi=110, metadata={"Software": None})
    return content.getvalue()


def over_budget(axes: Any, rows: Sequence[TrainingRow]) -> None:
    """Draw IoU over annotated slices, coloured by the share of annotated volumes."""
    plain = [row for row in rows if not row.interpolated]
    shares = sorted({row.volumes for row in plain})
    for colour, share in zip(PALETTE, shares, strict=False):
        for policy, mark in MARKS.items():
            matching = [row for row in plain if row.volumes == share and row.policy == policy and _sparse(row)]
            if matching:
                x, y = [row.slices for row in matching], [row.iou for row in matching]
                axes.scatter(x, y, color=colour, marker=mark, s=26, label=f"{_share(share)}, {policy}")
    _dense_line(axes, rows)
    axes.set(xlabel="annotated slices", ylabel="IoU", title="IoU over budget")
    _logarithmic(axes, [row.slices for row in plain if _sparse(row)])
    axes.legend()


def over_density(axes: Any, rows: Sequence[TrainingRow]) -> None:
    """Draw IoU over density; dashed lines connect settings that need equally many slices."""
    plain = [row for row in rows if not row.interpolated]
    means = _means(plain, lambda row: (row.policy, row.volumes, row.density))
    for colour, (policy, share) in zip(PALETTE, sorted({key[:2] for key in means}), strict=False):
        line = sorted((key[2], value) for key, value in means.items() if key[:2] == (policy, share) and key[2] < 1)
        if line:
            axes.plot(*zip(*line, strict=True), marker=MARKS[policy], color=colour, label=f"{policy}, {_share(share)}")
    budgets: dict[tuple[str, float], list[tuple[float, float]]] = defaultdict(list)
    for (policy, share, density), value in means.items():
        budgets[policy, round(share * density, 6)].append((density, value))
    for line in budgets.values():
        if len(line) > 1:
            axes.plot(*zip(*sorted(line), strict=True), linestyle="--", linewidth=0.7, color=GREY)
    _dense_line(axes, rows)
    axes.set(xlabel="density", ylabel="IoU", title="IoU over density")
    _logarithmic(axes, [row.density for row in rows if _sparse(row)])
    axes.legend()


def drop(axes: Any, rows: Sequence[TrainingRow]) -> None:
    """Draw the loss against all labels, for settings with all volumes."""
    dense = _dense(rows)
    means = _means([row for row in rows if row.volumes == 1 and _sparse(row)], _kind)
    for colour, (policy, interpolated) in zip(PALETTE, sorted({key[:2] for key in means}), strict=False):
        line = sorted(
            (key[2], value - (dense or 0)) for key, value in means.items() if key[:2] == (policy, interpolated)
        )
        style = {"linestyle": ":" if interpolated else "-", "marker": MARKS[policy]}
        axes.plot(
            *zip(*line, strict=True), color=colour, label=policy + (", interpolated" if interpolated else ""), **style
        )
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(xlabel="density", ylabel="IoU less that of all labels", title="Drop against dense")
    _logarithmic(axes, [row.density for row in rows if _sparse(row)])
    axes.legend()


def policies(axes: Any, rows: Sequence[TrainingRow]) -> None:
    """Draw each policy against the mean of all policies of the same setting."""
    means = _means(
        [row for row in rows if _sparse(row)], lambda row: (row.density, row.volumes, row.interpolated, row.policy)
    )
    settings: dict[tuple[Any, ...], dict[str, float]] = defaultdict(dict)
    for key, value in means.items():
        settings[key[:3]][key[3]] = value
    present = [policy for policy in MARKS if any(policy in by_policy for by_policy in settings.values())]
    complete = [by_policy for by_policy in settings.values() if len(by_policy) == len(present)]
    for place, policy in enumerate(present):
        differences = [by_policy[policy] - sum(by_policy.values()) / len(by_policy) for by_policy in complete]
        axes.scatter([place] * len(differences), differences, color=PALETTE[place], marker=MARKS[policy], s=26)
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set(
        ylabel="IoU less the mean of policies", title="Policies of the same setting", xlim=(-0.5, len(present) - 0.5)
    )
    axes.set_xticks(range(len(present)), present)


def interpolation(axes: Any, rows: Sequence[TrainingRow]) -> None:
    """Draw settings with and without interpolated masks, with all volumes."""
    means = _means([row for row in rows if row.volumes == 1 and _sparse(row)], _kind)
    for colour, policy in zip(PALETTE, sorted({key[0] for key in means}), strict=False):
        for interpolated, line in ((False, "-"), (True, ":")):
            points = sorted((key[2], value) for key, value in means.items() if key[:2] == (policy, interpolated))
            if points:
                label = f"{policy}, {'interpolated' if interpolated else 'the rest ignored'}"
                axes.plot(*zip(*points, strict=True), line, marker=MARKS[policy], color=colour, label=label)
    _dense_line(axes, rows)
    axes.set(xlabel="density", ylabel="IoU", title="Interpolated or ignored")
    _logarithmic(axes, [row.density for row in rows if _sparse(row)])
    axes.legend()


def _logarithmic(axes: Any, values: Sequence[float]) -> None:
    """Make the axis logarithmic, with the values themselves as ticks, as many as there is room for."""
    axes.set_xscale("log")
    axes.minorticks_off()
    ticks = sorted(set(values))
    ticks = ticks[:: -(-len(ticks) // TICKS)]
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])


def _share(volumes: float) -> str:
    return "all volumes" if volumes == 1 else f"{volumes:.4g} of volumes"


def _kind(row: TrainingRow) -> tuple[str, bool, float]:
    return row.policy, row.interpolated, row.density


def _sparse(row: TrainingRow) -> bool:
    return row.density < 1 or row.volumes < 1


def _dense(rows: Sequence[TrainingRow]) -> float | None:
    values = [row.iou for row in rows if not _sparse(row)]
    return sum(values) / len(values) if values else None


def _dense_line(axes: Any, rows: Sequence[TrainingRow]) -> None:
    dense = _dense(rows)
    if dense is not None:
        axes.axhline(dense, color=GREY, linewidth=0.8, label="all labels")


def _means(rows: Sequence[TrainingRow], key: Callable[[TrainingRow], tuple[Any, ...]]) -> dict[tuple[Any, ...], float]:
    """Mean IoU of the repetitions."""
    groups: dict[tuple[Any, ...], list[float]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row.iou)
    return {group: sum(values) / len(values) for group, values in groups.items()}
