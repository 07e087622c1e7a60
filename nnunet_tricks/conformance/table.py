"""Reports for people: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.outcome import ConformanceReport, Status

_SIGNS = {Status.PASS: "[green]ok[/]", Status.FAIL: "[bold red]FAIL[/]", Status.NOT_APPLICABLE: "[dim]-[/]"}


def line(report: ConformanceReport) -> str:
    """One situation in one line.

    Examples:
        >>> line(ConformanceReport("nnUNetTrainer", "contract"))
        'nnUNetTrainer, contract: ok (0.0 s)'
    """
    broken = ", ".join(outcome.step for outcome in report.failures)
    verdict = f"FAIL in {broken}" if broken else f"n/a, {report.outcomes[-1].reason}" if report.skipped else "ok"
    return f"{report.trainer}, {report.situation}: {verdict} ({report.seconds:.1f} s)"


def show_tables(console: Console, reports: Sequence[ConformanceReport]) -> None:
    """Print one table per trainer: a row per situation, a column per step. Below it stand all other checks.

    Where a table is wider than the terminal, each situation gets a line.
    """
    for trainer in dict.fromkeys(report.trainer for report in reports):
        mine = [report for report in reports if report.trainer == trainer]
        situations = [report for report in mine if isinstance(report.situation, Situation)]
        table = _table(trainer, situations)
        fits = Measurement.get(console, console.options.update(width=1000), table).maximum <= console.width
        if fits and situations:
            console.print(table)
        for report in mine:
            if not fits or report not in situations:
                console.print(line(report), highlight=False, soft_wrap=True)


def explanations(reports: Iterable[ConformanceReport]) -> list[str]:
    """One line for each reason why something failed."""
    return [reason for report in reports for reason in report.explain()]


def overview(reports: Sequence[ConformanceReport]) -> list[str]:
    r"""One line per trainer: how many situations of each label mode it passes, and its other checks.

    Examples:
        >>> situations = [Situation("regions", dimension, True) for dimension in ("2d", "3d")]
        >>> print(*overview([ConformanceReport("nnUNetTrainer", of) for of in (*situations, "contract")]), sep="\n")
                       regions  contract
        nnUNetTrainer  2/2      ok
    """
    columns = list(dict.fromkeys(map(_column, reports)))
    rows = [("", *columns)]
    for trainer in dict.fromkeys(report.trainer for report in reports):
        mine = [report for report in reports if report.trainer == trainer]
        rows.append((trainer, *(_held([r for r in mine if _column(r) == column]) for column in columns)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _column(report: ConformanceReport) -> str:
    return report.situation.labels if isinstance(report.situation, Situation) else report.situation


def _held(reports: Sequence[ConformanceReport]) -> str:
    applicable = [report for report in reports if not report.skipped]
    held = sum(report.passed for report in applicable)
    if not applicable:
        return "-"
    if isinstance(applicable[0].situation, Situation):
        return f"{held}/{len(applicable)}"
    return "ok" if held else "FAIL"


def _table(trainer: str, situations: Sequence[ConformanceReport]) -> Table:
    table = Table(title=trainer, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    table.add_column("situation", no_wrap=True)
    for outcome in situations[0].outcomes if situations else ():
        table.add_column(outcome.step.replace(" ", "\n"), no_wrap=True)
    for report in situations:
        table.add_row(str(report.situation), *(_SIGNS[outcome.status] for outcome in report.outcomes))
    return table
