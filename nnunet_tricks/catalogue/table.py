"""The tables of ``docs/tricks.md``, written from the catalogue: ``python -m nnunet_tricks.catalogue.table``.

Standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.catalogue.info import HOOKS, PHASES, Measurement, TrickInfo

BEGIN = "<!-- tricks: begin, written by 'python -m nnunet_tricks.catalogue.table' -->"
END = "<!-- tricks: end -->"

WIDTH = 160
"""Characters of a line of Markdown, at most."""

_BASES = (
    "A base is no trick. It sets several hooks at once, as the training of a paper does, and a trick after it replaces"
    " what it set: [bases](bases.md)."
)


def as_markdown(catalogue: Sequence[TrickInfo] = EVERYTHING) -> str:
    """All tricks: a table for each hook and one of the bases, indices by problem and phase, and the papers' figures."""
    tricks = [info for info in catalogue if not info.base]
    parts = []
    for hook in HOOKS:
        parts += _section(hook.capitalize(), [info for info in tricks if _first_hook(info) == hook], hook)
    bases = _section("Bases", [info for info in catalogue if info.base], "")
    parts += [bases[0], "\n".join(_wrapped(_BASES)), *bases[1:]] if bases else []
    problems = sorted({problem for info in catalogue for problem in info.challenges})
    for_problem = {problem: [info.name for info in catalogue if problem in info.challenges] for problem in problems}
    of_phase = {phase: [info.name for info in catalogue if info.phase == phase] for phase in PHASES}
    parts += _index("By problem", "These are the problems that `nnunet-tricks list --for` knows.", for_problem)
    parts += _index("By phase", "The trick paper's phases of a segmentation pipeline.", of_phase)
    return "\n\n".join([*parts, *_measured(catalogue)])


def inserted(text: str, table: str) -> str:
    r"""``text`` with ``table`` between the markers, and nothing else changed.

    Raises:
        ValueError: If the markers are not there, once each and in order.

    Examples:
        >>> print(inserted(f"before\n{BEGIN}\nold\n{END}\nafter", "rows"))
        before
        <!-- tricks: begin, written by 'python -m nnunet_tricks.catalogue.table' -->
        <BLANKLINE>
        rows
        <BLANKLINE>
        <!-- tricks: end -->
        after
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in before + after:
        raise ValueError(f"the text must hold the lines '{BEGIN}' and '{END}', once each and in this order")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _first_hook(info: TrickInfo) -> str:
    """The hook that a trick stands under. Targets only serve another hook, wherever there is one."""
    hooks = {hook.partition(".")[0] for hook in info.hooks}
    return min(hooks - {"targets"}, key=HOOKS.index) if info.place == "targets" and len(hooks) > 1 else info.place


def _section(title: str, tricks: Sequence[TrickInfo], hook: str) -> list[str]:
    """Heading, table, and what those tricks switch whose hooks are not just ``hook``."""
    if not tricks:
        return []
    switches: dict[tuple[str, ...], list[str]] = {}
    for info in tricks:
        if info.hooks != (hook,):
            switches.setdefault(info.hooks, []).append(info.name)
    lines = [
        line
        for hooks, names in switches.items()
        for line in _wrapped(f"- {_listed(names)}: {', '.join(hooks)}", indent="  ")
    ]
    if tricks[0].command:
        rows = [(f"`{info.name}`", f"`nnunet-tricks {info.command}`", info.summary) for info in tricks]
        table = _table(("trick", "with a trained model", "what it is"), rows)
    else:
        table = _table(("`-tr`", "what it is"), [(f"`{info.trainer}`", info.summary) for info in tricks])
    return [f"## {title}", table, *(["\n".join(["Hooks:", "", *lines])] if lines else [])]


def _index(title: str, intro: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    lines = [
        line
        for word, listed in names.items()
        if listed
        for line in _wrapped(f"- {word}: {_listed(listed)}", indent="  ")
    ]
    return [f"## {title}", intro, "\n".join(lines)] if lines else []


def _measured(catalogue: Iterable[TrickInfo]) -> Iterator[str]:
    figures = [(info, measured) for info in catalogue for measured in info.measured]
    if not figures:
        return
    datasets = list(dict.fromkeys(measured.dataset for _, measured in figures))
    rows: dict[tuple[str, str], list[Measurement]] = {}
    for info, measured in figures:
        # Tables of one paper spell a row with other capitals.
        rows.setdefault((info.name, measured.row.casefold()), []).append(measured)
    yield "## Dice in papers"
    yield "\n".join(
        _wrapped("Points of Dice that a trick adds to the bare baseline of its paper, and the name of the trick there.")
    )
    yield _table(
        ("trick", "name there", *datasets),
        [
            (f"`{name}`", " / ".join(dict.fromkeys(measured.row for measured in row)), *_deltas(row, datasets))
            for (name, _), row in rows.items()
        ],
    )
    baselines: dict[str, dict[str, float]] = {}
    for _, measured in figures:
        baselines.setdefault(measured.source, {})[measured.dataset] = measured.baseline
    lines = [
        f"- {source}: {', '.join(f'{dataset} {baseline:.2f}' for dataset, baseline in dice.items())}"
        for source, dice in sorted(baselines.items())
    ]
    yield "\n".join(["Baselines:", "", *lines])


def _deltas(row: Iterable[Measurement], datasets: Iterable[str]) -> Iterator[str]:
    for dataset in datasets:
        yield ", ".join(f"{measured.delta:+.2f}" for measured in row if measured.dataset == dataset)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _wrapped(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def main(arguments: Sequence[str]) -> int:
    """Write the tables into a file, ``docs/tricks.md`` here if not given."""
    file = Path(arguments[0] if arguments else "docs/tricks.md")
    text = inserted(file.read_text(encoding="utf-8"), as_markdown())
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
