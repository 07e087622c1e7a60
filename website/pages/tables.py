"""Tables and headings in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown.

    Examples:
        >>> print(table(["a", "b"], [["1", "x | y"]]))
        | a | b |
        | --- | --- |
        | 1 | x &#124; y |
    """
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


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
