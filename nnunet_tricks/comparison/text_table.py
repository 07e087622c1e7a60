"""A table of words, before it becomes Markdown, HTML, LaTeX or a drawing of the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_tricks.comparison.marked import inline

NOTHING = "-"
"""What a cell without a number holds."""


@dataclass(frozen=True)
class PrintedTable:
    """Words in rows and columns.

    Attributes:
        title: Title of the table.
        header: Names of the columns; the first column holds names, all others numbers.
        rows: Cells, as many in each row as in the header.
        note: Sentence that a reader has to know; empty if there is none.
        verdict_column: Place of the column with verdicts; None if there is none.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    verdict_column: int | None = None

    @property
    def markdown(self) -> str:
        r"""Header and rows as Markdown.

        Examples:
            >>> print(PrintedTable("", ("method", "Dice"), (("a|b", "0.5"),)).markdown)
            | method | Dice |
            | --- | ---: |
            | a\|b | 0.5 |
        """
        rule = ["---", *["---:"] * (len(self.header) - 1)]
        lines = [[inline(cell) for cell in line] for line in (self.header, *self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))

    @property
    def markdown_section(self) -> str:
        """The table as Markdown below its title and above its note."""
        return f"### {inline(self.title)}\n\n{self.markdown}\n\n- {inline(self.note)}\n"
