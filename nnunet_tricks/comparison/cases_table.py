"""What ``cases.csv`` says of each case: its patient, its scanner."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable
from decimal import Context, Decimal
from pathlib import Path

from nnunet_tricks.utilities.wording import some

ID = "id"
SEPARATORS = (",", ";", "\t")
NUMBER = re.compile(r"[-+]?[0-9]{1,20}(\.[0-9]{0,20})?(e[-+]?[0-9]{1,3})?")

DIGITS = Context(prec=60)


def column(file: Path, name: str, cases: Collection[str], *, option: str) -> dict[str, str]:
    """What a column says of some cases.

    Empty lines and spaces around words do not count. Fields may be separated by semicolons or tabs, as spreadsheets do
    in some languages.

    Args:
        file: Csv file with a column ``id``.
        name: Name of the column.
        cases: Identifiers of the cases.
        option: Option that asks for the column, for messages.

    Raises:
        ValueError: If the file lacks the column or a case, or says two things of one case, or spells one thing in two
            ways.
    """
    request = f"{option} {name}"
    if not file.is_file():
        raise ValueError(f"{request} needs {file}, with a column '{ID}' and the column '{name}'")
    lines = _lines(file, request)
    if not lines:
        raise ValueError(f"{request}: {file} has no lines, and needs one for each case")
    _, header = lines[0]
    if not {ID, name} <= set(header):
        raise ValueError(f"{request}: {file} has the columns {', '.join(header)}, and needs '{ID}' and '{name}'")
    twice = [needed for needed in (ID, name) if header.count(needed) > 1]
    if twice:
        raise ValueError(f"{request}: {file} has {header.count(twice[0])} columns named '{twice[0]}': keep one of them")
    if len(lines) == 1:
        raise ValueError(f"{request}: {file} has no lines below its header, and needs one for each case")
    column_words: dict[str, str] = {}
    for number, fields in lines[1:]:
        if len(fields) > len(header):
            raise ValueError(f"{request}: line {number} of {file} has {len(fields)} fields, its header {len(header)}")
        words = dict(zip(header, fields, strict=False))
        case, word = words.get(ID, ""), words.get(name, "")
        if case in cases and column_words.setdefault(case, word) != word:
            raise ValueError(
                f"{request}: {file} says both '{column_words[case]}' and '{word}' of {case}: keep one line of it"
            )
    absent = sorted(set(cases) - column_words.keys())
    if absent:
        raise ValueError(f"{request}: {file} says nothing of {some(absent)}")
    _check_spelling(column_words.values(), f"{request}: {file}")
    return {case: column_words[case] for case in sorted(column_words)}


def _lines(file: Path, request: str) -> list[tuple[int, list[str]]]:
    """Fields of every line that is not empty, with the line's number, from 1."""
    try:
        # Spreadsheets begin such files with a mark that is no part of the first column's name.
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{request}: {file} is no csv in UTF-8: save it as that") from None
    first = next((line for line in text.splitlines() if line.strip(" ,;\t")), "")
    separator = max(SEPARATORS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    lines = []
    try:
        for fields in reader:
            stripped = [field.strip() for field in fields]
            while stripped and not stripped[-1]:
                stripped.pop()
            if stripped:
                lines.append((reader.line_num, stripped))
    except csv.Error as error:
        raise ValueError(f"{request}: line {reader.line_num} of {file} is no csv: {error}") from None
    return lines


def _check_spelling(words: Iterable[str], where: str) -> None:
    """Refuse words that are probably one, such as 1 and 1.0, which would count as two patients."""
    known: dict[str, str] = {}
    for word in sorted(set(words)):
        other = known.setdefault(_meant(word), word)
        if other != word:
            raise ValueError(
                f"{where} has both '{other}' and '{word}': one name needs one spelling, two need two words"
            )


def _meant(word: str) -> str:
    """What a word means: the same text for all its spellings.

    Examples:
        >>> _meant("Site  A") == _meant("site a"), _meant("1.0") == _meant("01"), _meant("1") == _meant("2")
        (True, True, False)
    """
    # Copied words bring invisible marks along, such as spaces without any width.
    seen = "".join(letter for letter in unicodedata.normalize("NFKC", word) if unicodedata.category(letter) != "Cf")
    plain = " ".join(seen.split()).casefold()
    return str(Decimal(plain).normalize(DIGITS)) if NUMBER.fullmatch(plain) else plain
