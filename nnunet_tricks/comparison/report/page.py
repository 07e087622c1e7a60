"""The report as one HTML page that loads nothing: style, figures and pictures are all in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from html import escape
from importlib import resources

from nnunet_tricks.comparison import across_tables, dimension_tables, tables, worth
from nnunet_tricks.comparison.report import grids, words
from nnunet_tricks.comparison.report.facts import Facts
from nnunet_tricks.comparison.report.figures import forest, learning, patterns, price, ranks, scatter
from nnunet_tricks.comparison.report.gallery import gallery
from nnunet_tricks.comparison.report.view import SectionView
from nnunet_tricks.comparison.text_table import PrintedTable

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may load for this page: nothing that is not in it."""


def document(views: Sequence[SectionView], facts: Facts, sums: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        views: View of each section.
        facts: Facts of the report.
        sums: SHA-256 of the files that the page was made of.
    """
    title = f"{facts.question.name}: is it real?"
    parts = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{_style()}</style>\n</head>\n<body>",
        _header(views, facts),
        _navigation(views),
        "<main>",
        *(part for number, view in enumerate(views) for part in _section(view, number, several=len(views) > 1)),
        *_across(views),
        *_by_dimension(views),
        *_closing(views, facts, sums),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


@cache
def _style() -> str:
    return resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")


def _header(views: Sequence[SectionView], facts: Facts) -> str:
    question = facts.question
    lines = [f"<header>\n<h1>{escape(question.name)}</h1>"]
    if question.description:
        lines.append(f'<p class="lead">{escape(question.description)}</p>')
    lines += [f'<p class="soft">{escape(view.title)}</p>' for view in views]
    holds = " holds" if question.locked else ""
    lines.append(f'<p class="lock{holds}">{escape(words.lock(question))}</p>\n</header>')
    return "\n".join(lines)


def _navigation(views: Sequence[SectionView]) -> str:
    links: list[tuple[str, str]] = []
    for number, view in enumerate(views):
        links.append((f"s{number}-verdicts", view.title if len(views) > 1 else "Verdicts"))
        if len(views) == 1:
            links += [(f"s{number}-{name.lower()}", name) for name in _parts(view)]
    if any(across_tables.sign_tables(view.table for view in views)):
        links.append(("across", "Across data sets"))
    links += [("paper", "For the paper"), ("verify", "Verify")]
    items = "".join(f'<li><a href="#{target}">{escape(name)}</a></li>' for target, name in links)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>'


def _parts(view: SectionView) -> list[str]:
    """What a section has beside its verdicts."""
    parts = {
        "Scores": True,
        "Cases": True,
        "Ranks": True,
        "Cost": True,
        "Training": bool(view.curves),
        "Patterns": bool(view.patterns),
        "Subgroups": bool(view.subgroups),
        "Gallery": bool(view.section.shown),
        "Tests": True,
    }
    return [name for name, has_part in parts.items() if has_part]


def _section(view: SectionView, number: int, *, several: bool) -> Iterator[str]:
    statistics, name = view.statistics, f"s{number}"
    notes = tables.notes(view.table)
    metric = (
        f"{statistics.metric} of {statistics.label}"
        if statistics.label in view.section.classes
        else f"{statistics.metric}, {statistics.label}"
    )
    title = view.title if several else "Is it real?"
    yield f'<h2 id="{name}-verdicts">{escape(title)}</h2>'
    yield _table(grids.verdicts(view))
    yield _list(worth.reasons(statistics))
    floor = (
        "The grey band is the noise floor: two trainings of the baseline differ by less in 19 of 20 pairs."
        if statistics.noise_floor.is_known
        else "There is no grey band: without reruns of the baseline the noise floor is unknown."
    )
    yield _figure(
        forest.forest(statistics, f"{name}f"),
        f"Difference between each trick and the baseline in {statistics.metric}, with its 95 % interval. {floor}",
    )
    yield _heading(name, "Scores", "Means and differences")
    yield f'<p class="note">{escape(notes.signed)}</p>'
    for label in view.table.rows[0].scores:
        yield f"<h4>{escape(label)}</h4>{_table(grids.scores(view, label))}"
    # The reasons of the verdicts are above already.
    yield _notes(notes.remarks)
    yield _heading(name, "Cases", "Case by case")
    yield _figure(
        scatter.scatter(statistics, f"{name}s"),
        f"{metric}: each case with the trick (up) against the same case with the baseline (across), means over runs. "
        f"Blue: better by more than {statistics.primary(statistics.tricks[0]).tie:g}. Orange: worse by more than that.",
    )
    yield _extremes(view)
    yield _heading(name, "Ranks", "How stable is the ranking?")
    yield _figure(
        ranks.ranks(statistics, f"{name}r"),
        f"Places in {metric} when cases and trainings are drawn anew. A disc's area is the share of draws. "
        f"{worth.stability(statistics)}",
    )
    yield _heading(name, "Cost", "What it costs")
    priced = price.price(statistics, f"{name}p")
    if priced:
        whole = any(math.isfinite(trick.cost.training) for trick in statistics.tricks)
        of_what = "a training" if whole else "an epoch"
        yield _figure(priced, f"Difference in {metric} against the time of {of_what}, both relative to the baseline.")
    yield _table(grids.costs(view))
    calibration = grids.calibration(statistics)
    if calibration:
        yield f"<h3>Calibration</h3>{_table(calibration)}"
    yield from _training(view, name)
    yield from _patterns(view, name)
    subgroups = grids.subgroups(view)
    if subgroups:
        yield _heading(name, "Subgroups", f"By {view.section.column}")
        yield f'<p class="note">Difference in {escape(subgroups.title)}, with its 95 % interval.</p>{_table(subgroups)}'
    if view.section.shown:
        yield _heading(name, "Gallery", "Where it helped and hurt most")
        yield from gallery(view)
    yield _heading(name, "Tests", "All tests")
    yield _table(worth.significance(statistics))
    yield f'<p class="note">{escape(worth.TESTS)}</p>'


def _across(views: Sequence[SectionView]) -> Iterator[str]:
    sign_tables = list(across_tables.sign_tables(view.table for view in views))
    if sign_tables:
        yield '<h2 id="across">Across data sets</h2>'
        for table in sign_tables:
            yield f"<h4>{escape(table.title)}</h4>{_table(table)}"
        yield f'<p class="note">{escape(across_tables.NOTE)}</p>'


def _by_dimension(views: Sequence[SectionView]) -> Iterator[str]:
    comparisons = dimension_tables.dimension_comparisons(view.compared for view in views)
    for number, table in enumerate(dimension_tables.dimension_tables(comparisons)):
        if not number:
            yield '<h2 id="dimension">Trick by dimension</h2>'
        yield f"<h4>{escape(table.title)}</h4>{_table(table)}"
        yield f'<p class="note">{escape(table.note)}</p>'


def _training(view: SectionView, name: str) -> Iterator[str]:
    if not view.curves:
        return
    yield _heading(name, "Training", "How the trainings went")
    yield _figure(
        learning.dice(view.curves, f"{name}d"),
        "nnU-Net's pseudo Dice on validation patches: a thin line for each training, a thick one for their mean.",
    )
    yield _figure(
        learning.losses(view.curves, f"{name}l"),
        "Losses. Each way to train has its own loss, so heights cannot be compared between panels.",
    )


def _patterns(view: SectionView, name: str) -> Iterator[str]:
    if not view.patterns:
        return
    yield _heading(name, "Patterns", "When does it help?")
    yield (
        '<p class="note">Gain of each case, explained by size, number and contrast of its objects and by its spacing. '
        "Ridge regression predicts each case from a fit to other cases. Of two p values, one from permutations within "
        "folds and one from random signs, the larger counts, after Holm's correction over all lines.</p>"
    )
    tested = [answer for answer in view.patterns if answer.p is not None]
    sentences = _list([answer.sentence for answer in view.patterns])
    if tested and not any(answer.has_pattern for answer in tested):
        lowest = min(answer.p for answer in tested if answer.p is not None)
        yield f"<p><strong>No pattern found</strong> for any trick and class (smallest p = {lowest:.2g}).</p>"
        yield f"<details><summary>Each trick and class</summary>{sentences}</details>"
    else:
        yield sentences
    if tested:
        likeliest = min(tested, key=lambda answer: (answer.p, -answer.fit.explained if answer.fit else 0.0))
        yield _figure(
            patterns.pattern(likeliest, f"{name}w"),
            f"{likeliest.question.trick}, {likeliest.question.label}: gain of each case, less the mean of its fold, "
            "against its traits; each line is a fit to one trait."
            + ("" if likeliest.has_pattern else " No other trick and class is closer to a pattern."),
        )
    if not any(view.statistics.primary(trick).has_runs for trick in view.statistics.tricks):
        yield (
            '<p class="note">Each method was trained once, so a pattern may belong to these trainings and not to the '
            "trick.</p>"
        )


def _extremes(view: SectionView) -> str:
    """The cases that gained and lost most, as a table."""
    return f"<details><summary>Best and worst cases</summary>{_table(worth.extremes(view.statistics))}</details>"


def _closing(views: Sequence[SectionView], facts: Facts, sums: Mapping[str, str]) -> Iterator[str]:
    yield '<h2 id="paper">For the paper</h2>\n<h3>Methods</h3>'
    for view in views:
        yield f"<pre>{escape(words.methods(view, facts))}</pre>"
    yield "<h3>BibTeX</h3>"
    yield f"<pre>{escape(chr(10).join(paper.bibtex + chr(10) for paper in words.papers(views)).rstrip())}</pre>"
    yield "<p>LaTeX tables and the methods with citations are in <code>report.tex</code>.</p>"
    if facts.question.spec:
        yield f"<h3>Experiment file</h3>\n<pre>{escape(facts.question.spec.rstrip())}</pre>"
    yield '<h2 id="verify">Verify</h2>'
    yield (
        "<p>Every number and figure here is made from the table of all cases, <code>cases.csv</code>, and from "
        "<code>facts.json</code>. This command makes them again and compares every byte:</p>\n"
        "<pre>nnunet-tricks verify FOLDER_OF_THIS_PAGE</pre>"
    )
    sources = "; ".join(f"{name} {digest}" for name, digest in sums.items())
    packages = ", ".join(f"{name} {version}" for name, version in facts.versions.items() if version)
    yield f"<footer><p>SHA-256: {escape(sources)}</p><p>Made with {escape(packages)}; seed {facts.seed}.</p></footer>"


def _heading(name: str, part: str, title: str) -> str:
    return f'<h3 id="{name}-{part.lower()}">{escape(title)}</h3>'


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def _table(table: PrintedTable) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    rows = "".join(
        f"<tr>{''.join(_cell(cell, is_verdict=place == table.verdict_column) for place, cell in enumerate(row))}</tr>"
        for row in table.rows
    )
    return f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _cell(text: str, *, is_verdict: bool) -> str:
    shade = f' class="word {text.replace(" ", "-")}"' if is_verdict else ""
    return f"<td{shade}>{escape(text)}</td>"


def _list(lines: Sequence[str]) -> str:
    return f'<ul class="why">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>' if lines else ""


def _notes(lines: Sequence[str]) -> str:
    return f'<div class="note">{_list(lines)}</div>' if lines else ""
