"""The README's table of tricks, written from the catalogue: ``python -m nnunet_tricks.catalogue.table``.

Standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, PHASES, TrickInfo

BEGIN = "<!-- tricks: begin, written by 'python -m nnunet_tricks.catalogue.table' -->"
END = "<!-- tricks: end -->"

_HEAD = ("| `-tr` | switches | what it is | for | Dice in papers |", "|---|---|---|---|---|")


def as_markdown(catalogue: Sequence[TrickInfo] = CATALOGUE) -> str:
    """One table per phase, its rows by hook, and what the papers' figures are differences to."""
    parts = []
    for phase in PHASES:
        tricks = sorted((info for info in catalogue if info.phase == phase), key=_by_hook)
        if tricks:
            parts.append("\n".join([f"**{phase.capitalize()}**", "", *_HEAD, *map(_row, tricks)]))
    return "\n\n".join([*parts, *_sources(catalogue)])


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


def _by_hook(info: TrickInfo) -> int:
    return min(HOOKS.index(hook.partition(".")[0]) for hook in info.hooks)


def _row(info: TrickInfo) -> str:
    cells = (f"`{info.trainer}`", ", ".join(info.hooks), info.summary, ", ".join(info.challenges), _deltas(info))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _deltas(info: TrickInfo) -> str:
    rows: dict[str, list[str]] = {}
    for measured in info.measured:
        rows.setdefault(measured.row, []).append(f"{measured.dataset} {measured.delta:+.2f}")
    return "; ".join(f"{row}: {', '.join(deltas)}" for row, deltas in rows.items())


def _sources(catalogue: Iterable[TrickInfo]) -> Iterator[str]:
    baselines: dict[str, dict[str, float]] = {}
    for measured in (measured for info in catalogue for measured in info.measured):
        baselines.setdefault(measured.source, {})[measured.dataset] = measured.baseline
    figures = [
        f"{source}: {', '.join(f'{dataset} {baseline:.2f}' for dataset, baseline in datasets.items())}"
        for source, datasets in baselines.items()
    ]
    if figures:
        yield f"Dice in papers: points that one trick adds to the paper's own bare baseline. {'; '.join(figures)}."


def main(arguments: Sequence[str]) -> int:
    """Write the table into a README, ``README.md`` here if not given."""
    file = Path(arguments[0] if arguments else "README.md")
    text = inserted(file.read_text(encoding="utf-8"), as_markdown())
    file.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
