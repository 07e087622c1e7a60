"""Words of others in Markdown: names of classes, cases and experiments are text, not tables, tags or links."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

MEANING = re.compile(
    r"[\\`*|$]"
    r"|(?<!\w)_|_(?!\w)"  # within a word it is one
    r"|~(?=~)|(?<=~)~"
    r"|<(?=[A-Za-z/!?])"
    r"|&(?=#?\w+;)"
    r"|(?<=\])(?=[(:\[])"
)
"""What Markdown would take for something else."""

BLOCK = re.compile(r"^(\s*)(?:([#>+=-])|(\d+)([.)]))", re.MULTILINE)


def inline(text: str) -> str:
    r"""Text on one line that a reader sees as it is.

    Examples:
        >>> inline("tumor|cyst"), inline("<b>kidney</b>"), inline("p < 0.05"), inline("nnUNetTrainer_5epochs")
        ('tumor\\|cyst', '\\<b>kidney\\</b>', 'p < 0.05', 'nnUNetTrainer_5epochs')
    """
    return MEANING.sub(lambda found: f"\\{found[0]}" if found[0] else "\\", " ".join(text.split()))


def paragraphs(text: str) -> str:
    r"""Text of several lines, in which no line begins a heading, a list or a quotation.

    Examples:
        >>> paragraphs("# not a heading")
        '\\# not a heading'
    """
    lines = "\n".join(inline(line) for line in text.strip().splitlines())
    return BLOCK.sub(lambda found: f"\\{found[2]}" if found[2] else f"{found[3]}\\{found[4]}", lines)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column holds names, and all others numbers."""
    lines = [[inline(cell) for cell in header], ["---", *["---:"] * (len(header) - 1)]]
    lines += [[inline(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
