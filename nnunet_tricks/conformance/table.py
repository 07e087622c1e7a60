"""Reports for people: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from nnunet_tricks.conformance.grid import Cell
from nnunet_tricks.conformance.outcome import Report, Status

_SIGNS = {Status.PASS: "[green]ok[/]", Status.FAIL: "[bold red]FAIL[/]", Status.NOT_APPLICABLE: "[dim]-[/]"}


def line(report: Report) -> str:
    """One situation in one line.

    Examples:
        >>> line(Report("nnUNetTrainer", "contract"))
        'nnUNetTrainer, contract: ok (0.0 s)'
    """
    broken = ", ".join(outcome.step for outcome in report.failures)
    verdict = f"FAIL in {broken}" if broken else f"n/a, {report.outcomes[-1].reason}" if report.skipped else "ok"
    return f"{report.trainer}, {report.situation}: {verdict} ({report.seconds:.1f} s)"


def show_tables(console: Console, reports: Sequence[Report]) -> None:
    """Print one table per trainer, a row per cell and a column per step, and below it the checks that are no cells.

    Where a table does not fit, there is a line per cell.
    """
    for trainer in dict.fromkeys(report.trainer for report in reports):
        mine = [report for report in reports if report.trainer == trainer]
        cells = [report for report in mine if isinstance(report.situation, Cell)]
        table = _table(trainer, cells)
        fits = Measurement.get(console, console.options.update(width=1000), table).maximum <= console.width
        if fits and cells:
            console.print(table)
        for report in mine:
            if not fits or report not in cells:
                console.print(line(report), highlight=False, soft_wrap=True)


def explanations(reports: Iterable[Report]) -> list[str]:
    """One line for each reason why something failed."""
    return [reason for report in reports for reason in report.explain()]


def overview(reports: Sequence[Report]) -> list[str]:
    r"""One line per trainer: in how many situations of each label mode it holds, and the checks that are no cells.

    Examples:
        >>> cells = [Report("nnUNetTrainer", Cell("regions", dimension, True)) for dimension in ("2d", "3d")]
        >>> print(*overview([*cells, Report("nnUNetTrainer", "contract")]), sep="\n")
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


def _column(report: Report) -> str:
    return report.situation.labels if isinstance(report.situation, Cell) else report.situation


def _held(reports: Sequence[Report]) -> str:
    asked = [report for report in reports if not report.skipped]
    held = sum(report.passed for report in asked)
    if not asked:
        return "-"
    if isinstance(asked[0].situation, Cell):
        return f"{held}/{len(asked)}"
    return "ok" if held else "FAIL"


def _table(trainer: str, cells: Sequence[Report]) -> Table:
    table = Table(title=trainer, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    table.add_column("cell", no_wrap=True)
    for outcome in cells[0].outcomes if cells else ():
        table.add_column(outcome.step.replace(" ", "\n"), no_wrap=True)
    for report in cells:
        table.add_row(str(report.situation), *(_SIGNS[outcome.status] for outcome in report.outcomes))
    return table
