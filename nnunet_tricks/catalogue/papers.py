"""The papers that the tricks come from, ready to cite: ``papers.bib``. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FIELD = re.compile(r"^\s*(\w+) = \{(.*)\},$", re.MULTILINE)


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        key: BibTeX key.
        bibtex: The BibTeX entry.
    """

    key: str
    bibtex: str

    @property
    def fields(self) -> dict[str, str]:
        """The entry's fields, as BibTeX writes them."""
        return dict(_FIELD.findall(self.bibtex))

    @property
    def short(self) -> str:
        """Authors and year, for tables.

        Examples:
            >>> cited("salehi2017tversky").short
            'Salehi et al. 2017'
        """
        names = [name.partition(",")[0] for name in self.fields["author"].split(" and ")]
        who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return f"{who} {self.fields['year']}"


def cited(key: str) -> Paper:
    """The paper with this BibTeX key.

    Raises:
        KeyError: If ``papers.bib`` has none.
    """
    return _papers()[key]


@cache
def _papers() -> dict[str, Paper]:
    text = Path(__file__).with_suffix(".bib").read_text(encoding="utf-8")
    entries = [entry.strip() for entry in re.split(r"^(?=@)", text, flags=re.MULTILINE) if entry.strip()]
    return {key: Paper(key, entry) for entry in entries for key in re.findall(r"^@\w+\{(.*),$", entry, re.MULTILINE)}
