"""Tables and headings in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; pipes in cells stay, those in code as they are.

    Examples:
        >>> print(table(["a", "b"], [["`x|y`", "x | y"]]))
        | a | b |
        | --- | --- |
        | `x|y` | x &#124; y |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_without_pipes, line))} |" for line in lines)


def _without_pipes(cell: str) -> str:
    # Every second part stands between backticks.
    parts = cell.split("`")
    return "`".join(part if number % 2 else part.replace("|", "&#124;") for number, part in enumerate(parts))


def capitalized(sentence: str) -> str:
    """The sentence with a capital at its beginning, and a full stop.

    Examples:
        >>> capitalized("nnU-Net's loss"), capitalized("overlap of all classes")
        ("nnU-Net's loss.", 'Overlap of all classes.')
    """
    first = sentence.partition(" ")[0]
    if first.islower():
        sentence = sentence[0].upper() + sentence[1:]
    return sentence if sentence.endswith((".", ":", "?")) else f"{sentence}."
