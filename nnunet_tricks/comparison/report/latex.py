r"""The report's tables for papers: LaTeX with booktabs, differences as the papers print them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from nnunet_tricks.comparison import across_tables, dimension_tables
from nnunet_tricks.comparison.report import words
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.view import SectionView
from nnunet_tricks.comparison.scores import Score
from nnunet_tricks.comparison.statistics.model import HELPS, HURTS
from nnunet_tricks.comparison.text_table import PrintedTable

SPECIAL = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\n": " ",
    "\r": " ",
}
MARKS = {HELPS: r"$^{\uparrow}$", HURTS: r"$^{\downarrow}$"}


def document(views: Sequence[SectionView], facts: Facts) -> str:
    """All tables, the methods and the BibTeX entries, each to be copied into a paper."""
    parts = [r"% \usepackage{booktabs}"]
    for view in views:
        parts.append("\n".join(_table(view)))
        parts.append("% methods\n" + _cited(words.methods(view, facts, cite=True)))
    comparisons = dimension_tables.dimension_comparisons(view.compared for view in views)
    for table in dimension_tables.dimension_tables(comparisons):
        parts.append("\n".join(_printed(table, f"{table.title}. {table.note}")))
    for table in across_tables.sign_tables(view.table for view in views):
        parts.append("\n".join(_printed(table, f"Across data sets: {table.title}. {table.note}")))
    parts.append("% BibTeX\n" + "\n".join(_comments(views)))
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Text none of whose characters LaTeX takes for commands.

    Examples:
        >>> escaped("nnUNetTrainer_5epochs")
        'nnUNetTrainer\\_5epochs'
    """
    return "".join(SPECIAL.get(letter, letter) for letter in text)


def _table(view: SectionView) -> Iterator[str]:
    table, statistics = view.table, view.statistics
    metrics = list(table.rows[0].scores[statistics.label])
    words_of = {trick.name: trick.verdict.word for trick in statistics.tricks}
    yield r"\begin{table}"
    yield r"\centering"
    yield r"\begin{tabular}{l" + "r" * len(metrics) + "}"
    yield r"\toprule"
    for place, (label, scores) in enumerate(table.rows[0].scores.items()):
        if place:
            yield r"\midrule"
        names = [
            escaped(name) + (f" [{escaped(score.unit)}]" if score.unit != "1" else "") for name, score in scores.items()
        ]
        yield f"{escaped(label)} & " + " & ".join(names) + r" \\"
        yield r"\midrule"
        for row in table.rows:
            name = view.names[table.group.short(row.method)]
            mark = MARKS.get(words_of.get(name, ""), "")
            cells = [
                _cell(
                    score,
                    _star(view, name, label, metric),
                    mark if (label, metric) == (statistics.label, statistics.metric) else "",
                )
                for metric, score in row.scores[label].items()
            ]
            yield f"{escaped(name)} & " + " & ".join(cells) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\caption{" + _caption(view) + "}"
    yield r"\end{table}"


def _printed(table: PrintedTable, caption: str) -> Iterator[str]:
    yield r"\begin{table}"
    yield r"\centering"
    yield r"\begin{tabular}{l" + "r" * (len(table.header) - 1) + "}"
    yield r"\toprule"
    yield " & ".join(map(escaped, table.header)) + r" \\"
    yield r"\midrule"
    for row in table.rows:
        yield " & ".join(map(escaped, row)) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield rf"\caption{{{escaped(caption)}}}"
    yield r"\end{table}"


def _cell(score: Score, star: str, mark: str) -> str:
    r"""A score, such as ``0.874{\scriptsize\,($+0.003$)}``."""
    if math.isnan(score.mean):
        return "--"
    digits = 3 if score.unit == "1" else 2
    text = f"{score.mean:.{digits}f}"
    if score.difference is not None and not math.isnan(score.difference):
        text += rf"{{\scriptsize\,(${score.difference:+.{digits}f}{star}$)}}"
    return text + mark


def _star(view: SectionView, name: str, label: str, metric: str) -> str:
    """The star of the paired t-test, as the IFE paper's tables have it."""
    effect = next((trick.effects[label][metric] for trick in view.statistics.tricks if trick.name == name), None)
    return r"^{*}" if effect and effect.stars else ""


def _caption(view: SectionView) -> str:
    statistics = view.statistics
    floor = statistics.noise_floor
    noise = (
        f"Two trainings of the baseline differ by less than {floor.limit:.2g} in 19 of 20 pairs "
        f"({floor.metric}, {floor.label})."
        if floor.is_known
        else "Without reruns of the baseline the noise floor is unknown."
    )
    outcome = f"{statistics.metric}, {statistics.label}"
    verdicts = "; ".join(f"{trick.name}: {trick.verdict.word}" for trick in statistics.tricks)
    return (
        f"{escaped(view.title)}. In brackets: difference to the baseline; "
        r"$^{*}$: $p < 0.05$ in a paired t-test over cases, not corrected, ignoring reruns. "
        + escaped(f"Verdicts with reruns and Holm's correction on {outcome}: {verdicts}. {noise}")
    )


def _cited(text: str) -> str:
    """The methods, escaped but for their citations."""
    pieces = text.split("~\\cite{")
    first, rest = pieces[0], pieces[1:]
    latex = escaped(first)
    for piece in rest:
        keys, _, after = piece.partition("}")
        latex += f"~\\cite{{{keys}}}{escaped(after)}"
    return latex


def _comments(views: Sequence[SectionView]) -> Iterator[str]:
    for paper in words.papers(views):
        yield from (f"% {line}" for line in paper.bibtex.splitlines())
