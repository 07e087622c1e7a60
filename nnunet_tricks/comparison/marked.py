"""Names of classes, cases and experiments in Markdown: they stay text and never become tables, tags or links."""

from __future__ import annotations

import re

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
    return MEANING.sub(lambda match: f"\\{match[0]}" if match[0] else "\\", " ".join(text.split()))


def paragraphs(text: str) -> str:
    r"""Text of several lines, in which no line begins a heading, a list or a quotation.

    Examples:
        >>> paragraphs("# not a heading")
        '\\# not a heading'
    """
    lines = "\n".join(inline(line) for line in text.strip().splitlines())
    return BLOCK.sub(lambda match: f"\\{match[2]}" if match[2] else f"{match[3]}\\{match[4]}", lines)
