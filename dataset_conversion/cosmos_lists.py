"""Lists of pictures that say which part of Cosmos55k they are: ``train.lst``, ``val_list.txt`` and their like.

Standard library only.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dataset_conversion.cosmos_names import part_of
from dataset_conversion.errors import ConversionError
from dataset_conversion.files_on_disk import size_of, why_unreadable
from dataset_conversion.find import PARTS, FilePair, FoundFile, stem_of, walk
from dataset_conversion.model import Unused
from dataset_conversion.text_table import read_text

_ENDINGS = (".lst", ".txt", ".csv")
_LIST_WORD = re.compile(
    r"lists?|lst|split|set|ids?|files?|filenames?|paths?|names?|images?|imgs?|pictures?|data|pairs?|cosmos|k"
)
_QUOTES = "\"'"
# Forms that are not read. Where they assign parts, that must not go unnoticed.
_OTHER_ENDINGS = (".csv", ".tsv", ".json", ".yaml", ".yml", "")
_LONGEST_OTHER = 20_000_000


@dataclass(kw_only=True)
class PictureLists:
    """What the lists of a source say."""

    parts: dict[Path, str] = field(default_factory=dict)
    """Part of each picture; empty without lists."""
    files: list[Path] = field(default_factory=list)
    """The lists themselves."""
    unused: list[Unused] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class _PictureNames:
    """Finds the picture that a line means.

    A line has the name of the picture or of its mask, with or without ending and folders.
    """

    def __init__(self, pairs: Sequence[FilePair]) -> None:
        self.by_name: dict[str, list[tuple[FoundFile, FoundFile]]] = defaultdict(list)
        self.by_stem: dict[str, list[tuple[FoundFile, FoundFile]]] = defaultdict(list)
        for pair in pairs:
            picture = pair.image or pair.label
            if picture is None:
                continue
            for file in (pair.image, pair.label):
                if file is not None:
                    self.by_name[file.path.name.lower()].append((file, picture))
                    self.by_stem[stem_of(file.path.name).lower()].append((file, picture))

    def picture(self, line: str) -> FoundFile | None:
        """Find the picture of a line; None if there is none, or more than one."""
        for words in _readings(line):
            # A whole file name counts for more than a number that may be an index or a class.
            for names, with_ending in ((self.by_name, True), (self.by_stem, False)):
                candidates = [_best(word.lower(), names, with_ending=with_ending) for word in words]
                pictures = {picture.path: picture for picture in candidates if picture is not None}
                if pictures:
                    return next(iter(pictures.values())) if len(pictures) == 1 else None
        return None


def read_lists(sources: Sequence[Path], pairs: Sequence[FilePair]) -> PictureLists:
    """Read all lists below the source folders.

    Args:
        sources: Source folders.
        pairs: Pictures and masks in them.

    Raises:
        ConversionError: If most pictures that a list names do not exist, or the name of a list does not say which part
            its pictures are.
    """
    answer = PictureLists()
    names = _PictureNames(pairs)
    lists = [(_part_of_list(file), file) for file in walk(sources, _ENDINGS)]
    twice: list[str] = []
    # A picture in several lists must not be used for training and then for testing.
    for part, file in sorted(lists, key=lambda entry: ("test", "val", "train", "").index(entry[0])):
        if part:
            twice += _read_list(part, file, names, answer)
    for part, file in lists:
        if not part and file.path.suffix.lower() != ".csv":
            _look_at_other(file, names, answer)
    in_parts = any(part_of(pair.image) for pair in pairs if pair.image is not None)
    for file in walk(sources, _OTHER_ENDINGS):
        if file.path.suffix.lower() in _OTHER_ENDINGS and file.path not in answer.files:
            _look_at_other_form(file, names, answer, in_parts=in_parts)
    if twice:
        answer.warnings.append(
            f"pictures in several lists: {len(twice)}, such as {twice[0]}; test takes precedence over val, and val "
            f"over train"
        )
    _compare_with_folders(pairs, answer)
    return answer


def _part_of_list(file: FoundFile) -> str:
    """Train, val or test from the list's name, or from its folder where the name is just ``list``."""
    words = [word for word in re.split(r"[^a-z]+", stem_of(file.path.name).lower()) if word]
    words = [
        re.sub(r"(?<=.)(list|set|files|ids)$", "", word) if not _LIST_WORD.fullmatch(word) else word for word in words
    ]
    parts = {PARTS[word] for word in words if word in PARTS}
    if any(word not in PARTS and not _LIST_WORD.fullmatch(word) for word in words) or len(parts) > 1:
        return ""
    return next(iter(parts), "") or (part_of(file) if words else "")


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.strip().startswith("#"):
            yield number, line.strip()


def _read_list(part: str, file: FoundFile, names: _PictureNames, answer: PictureLists) -> list[str]:
    """Note the pictures of a list, and return those that are also in another list."""
    answer.files.append(file.path)
    lines = list(_lines(read_text(file.path)))
    pictures = [(number, line, names.picture(line)) for number, line in lines]
    if file.path.suffix.lower() == ".csv" and pictures and pictures[0][2] is None:
        # The first line has the names of its columns.
        pictures = pictures[1:]
    listed = [picture for _, _, picture in pictures if picture is not None]
    missing = [(number, line) for number, line, picture in pictures if picture is None]
    if len(listed) < len(missing):
        raise ConversionError(
            f"{file.path} lists {len(pictures)} pictures; {len(missing)} of them are not in the source folders, are "
            f"there more than once, or are in lines that may mean two pictures, such as {missing[0][1]!r} in "
            f"line {missing[0][0]}; correct the list, or remove it to convert without it"
        )
    if not pictures:
        answer.warnings.append(f"{file.relative} is empty: no picture is in the part {part}")
    for number, line in missing:
        reason = f"line {number} of {file.path.name} lists {line!r}, and there is no such picture, or more than one"
        path = f"{file.relative}, line {number}: {line}"
        answer.unused.append(Unused(id=line, path=path, status="orphan", reason=reason))
    return [picture.relative for picture in listed if answer.parts.setdefault(picture.path, part) != part]


def _look_at_other(file: FoundFile, names: _PictureNames, answer: PictureLists) -> None:
    """Look at a text file whose name is not that of a list: usually a readme, but it may still be a list."""
    try:
        lines = list(_lines(read_text(file.path)))
    except ConversionError:
        lines = []
    count = sum(names.picture(line) is not None for _, line in lines)
    if count >= 2 and 2 * count >= len(lines):
        if not answer.files:
            raise ConversionError(
                f"{file.path} lists {count} pictures, and its name does not say whether they are for training, "
                f"validation or test; call it train.txt, val.txt or test.txt, or remove it to convert without it"
            )
        answer.warnings.append(f"{file.relative} lists {count} pictures and was not used: its name has no part")
    reason = "a text file whose name is not that of a list (train, val, test)"
    answer.unused.append(Unused(id=stem_of(file.path.name), path=file.relative, status="ignored", reason=reason))


def _look_at_other_form(file: FoundFile, names: _PictureNames, answer: PictureLists, *, in_parts: bool) -> None:
    """Look at a table, JSON or file without ending: it may assign parts in a form that is not read.

    Raises:
        ConversionError: If it does, and nothing else assigns parts.
    """
    if size_of(file.path) > _LONGEST_OTHER or why_unreadable(file.path):
        return
    try:
        text = read_text(file.path)
    except ConversionError:
        return
    quoted = file.path.suffix.lower() == ".json"
    entries = re.findall(r'"([^"\n]*)"', text) if quoted else [line for _, line in _lines(text)]
    words = entries if quoted else [cell for line in entries for cell in re.split(r"[\s,;:]+", line)]
    parts = {PARTS[word.strip(_QUOTES).lower()] for word in words if word.strip(_QUOTES).lower() in PARTS}
    by_name = bool(_part_of_list(file)) and part_of(file) == ""
    count = sum(names.picture(entry) is not None for entry in entries) if by_name or len(parts) > 1 else 0
    if count < 2:
        return
    says = f"lists {count} pictures and seems to say which part each is, in a form that is not read"
    if not answer.files and not in_parts:
        raise ConversionError(
            f"{file.path} {says}; make the lists train.txt, val.txt and test.txt of it, or remove it to convert "
            f"without it"
        )
    answer.warnings.append(f"{file.relative} {says}, so it was not used")


def _compare_with_folders(pairs: Sequence[FilePair], answer: PictureLists) -> None:
    """Warn where a list overrules the folder of a picture."""
    moved = Counter(
        (part_of(pair.image), answer.parts[pair.image.path])
        for pair in pairs
        if pair.image is not None
        and answer.parts.get(pair.image.path, "") != part_of(pair.image) != ""
        and pair.image.path in answer.parts
    )
    answer.warnings += [
        f"pictures that lie in a folder of {folder} and are listed for {part}: {number}; the list counts"
        for (folder, part), number in sorted(moved.items())
    ]


def _readings(line: str) -> Iterator[Sequence[str]]:
    """Yield what may be the picture's name in a line: the whole line, a column, or words between blanks.

    The words that are yielded together must not name two pictures.
    """
    yield [line.strip(_QUOTES + " ")]
    cells = [cell.strip(_QUOTES + " ") for cell in re.split(r"[\t,;]", line)]
    if len(cells) > 1:
        yield cells
    words = line.split()
    # A name may contain blanks, and a column may follow it.
    for length in range(len(words) - 1, 1, -1):
        yield [" ".join(words[:length]).strip(_QUOTES + ",; ")]
    yield [word.strip(_QUOTES + ",;") for word in words]


def _best(
    path: str, names: Mapping[str, Sequence[tuple[FoundFile, FoundFile]]], *, with_ending: bool
) -> FoundFile | None:
    """The picture whose file shares the most folders at the end of the path, if there is one such picture."""
    wanted = path.replace("\\", "/").split("/")[::-1]
    scored = []
    for file, picture in names.get(wanted[0], ()):
        parts = [part.lower() for part in file.path.parts[::-1]]
        parts[0] = parts[0] if with_ending else stem_of(parts[0])
        shared = 0
        while shared < min(len(parts), len(wanted)) and parts[shared] == wanted[shared]:
            shared += 1
        scored.append((shared, picture))
    best = max((score for score, _ in scored), default=0)
    winners = {picture.path: picture for score, picture in scored if score == best}
    return next(iter(winners.values())) if len(winners) == 1 else None
