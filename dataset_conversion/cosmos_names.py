"""What file names of Cosmos55k tell: role, part, group, modality. Standard library only.

The file names of the original are not public. The rules here follow the layouts that its authors' code reads, and the
names in the 30 source data sets. A csv (``--metadata``) overrules them.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dataset_conversion.find import PARTS, FilePair, FoundFile, of_refused, stem_of, told_apart
from dataset_conversion.model import Unused

_IMAGE_FOLDERS = {"images", "image", "imgs", "img"}
_MASK_FOLDERS = {"masks", "mask", "labels", "label", "gt", "gts", "groundtruth", "ground_truth"}
# A number after it: one of several masks of a picture.
_SUFFIX = re.compile(r"_(mask|seg|segmentation|label|gt)(_?\d{1,2})?$", re.IGNORECASE)
_AUGMENTED = re.compile(r"(?:(?<=_)|^)(?:flipped|mirrored|rotated_\d+)_", re.IGNORECASE)
_SLICE = re.compile(r"[_-]?(?:slice|slc|frame|z)[_-]?\d+$", re.IGNORECASE)
_NUMBER_AFTER_NUMBER = re.compile(r"(?<=\d)[_ ]+\d+$")
# Not in chains such as 2019-03-12 or 1.3.6.1.4, whose last number has no meaning.
_ONE_PAIR = re.compile(r"((?:^|[_ ])(?:[A-Za-z]+[.-]?)?\d+)[.-]\d+$")
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d$")
_GLUED = re.compile(r"([A-Za-z]+)-?(\d+)$")
_WORD_AND_YEAR = re.compile(r"(.*?([A-Za-z]*)[_. -]*)((?:19|20)\d\d)[_. -]+\d+$")
_WORD_AND_NUMBER = re.compile(r"(.*?[_. -]*)(\d+)[_. -]+\d+$")
_LAST_NUMBER = re.compile(r"(.*\d[^0-9]+)\d+$")
_VOLUME_WORD = re.compile(
    r"volume|vol|v|patient|pat|p|case|c|subject|subj|sub|s|scan|study|series|image|img|video|seq|sequence|p?id|slide|"
    r"person|stack",
    re.IGNORECASE,
)
_EYE = re.compile(r"(?<=\d)[LR]$")
_SET = re.compile(r"(?<=.)(set|data|images|imgs)$")
_MODALITIES = {
    "ct": "CT",
    "mri": "MRI",
    "mr": "MRI",
    "xray": "X-ray",
    "x-ray": "X-ray",
    "fundus": "fundus",
    "hist": "histopathology",
    "histopathology": "histopathology",
    "colo": "colonoscopy",
    "colonoscopy": "colonoscopy",
    "derm": "dermoscopy",
    "dermoscopy": "dermoscopy",
}


def group_of(stem: str) -> str:
    """Name the volume, patient or picture that a slice or copy comes from.

    Copies lose their prefix (``flipped_``, ``mirrored_``, ``rotated_90_``), and slices lose their number. A number is a
    slice's if the word before it says so, or if another number, the volume's, comes before it. Otherwise it is the
    picture's own. A year is not a volume's number: ``DSB2018_12`` is a picture.

    Examples:
        >>> group_of("CT_liver_MSD_flipped_10108_113"), group_of("ISIC_0013948")
        ('CT_liver_MSD_10108', 'ISIC_0013948')
        >>> group_of("patient001_frame01_slice_3"), group_of("CHASEDB1_Image_12L"), group_of("vol-12-034")
        ('patient001', 'CHASEDB1_Image_12', 'vol-12')
    """
    name = _AUGMENTED.sub("", stem)
    while shorter := _SLICE.sub("", name):
        if shorter == name:
            break
        name = shorter
    volume = _NUMBER_AFTER_NUMBER.sub("", name)
    if volume == name:
        volume = _ONE_PAIR.sub(r"\1", name)
    return _EYE.sub("", name if _YEAR.search(volume) else volume)


def groups_of(stems: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Find the group of each name, by `group_of` and by all names together.

    A number directly after a word (``KiTS19_12``) may be part of a data set's name. It is if the word does not mean a
    volume or patient and the number is the same in all names that begin alike.

    Returns:
        The group of each name, and notes on numbers that can be read in two ways.
    """
    names = list(stems)
    groups = {name: group_of(name) for name in names}
    groups.update(_volumes_like_years(names))
    numbers: dict[str, set[str]] = defaultdict(set)
    glued = {}
    for group in set(groups.values()):
        match = _GLUED.search(group)
        if match and group not in names:
            glued[group] = match
            numbers[group[: match.start(2)]].add(match[2])
    notes = []
    for group, match in sorted(glued.items()):
        members = [name for name in names if groups[name] == group]
        if _VOLUME_WORD.fullmatch(match[1]) or len(numbers[group[: match.start(2)]]) > 1 or len(members) < 2:
            continue
        notes.append(
            f"names such as {members[0]}: {match[2]} was read as part of the data set's name {match[0]}, so its "
            f"{len(members)} pictures are not one group; --metadata can say otherwise"
        )
        groups.update((name, _EYE.sub("", _AUGMENTED.sub("", name))) for name in members)
    return groups, [*notes, *_doubtful(names, groups)]


def _volumes_like_years(names: Sequence[str]) -> dict[str, str]:
    """Groups of names with a volume's number that looks like a year, as ``case_2001_12`` beside ``case_2150_12``.

    It is a volume's number if the word before it says so, or if names that begin alike have other numbers in its place.
    """
    others = {match[1] for name in names if (match := _WORD_AND_NUMBER.match(name)) and not _YEAR.search(match[2])}
    groups = {}
    for name in names:
        match = _WORD_AND_YEAR.match(_AUGMENTED.sub("", name))
        if match and (_VOLUME_WORD.fullmatch(match[2]) or match[1] in others):
            groups[name] = match[1] + match[3]
    return groups


def _doubtful(names: Sequence[str], groups: Mapping[str, str]) -> list[str]:
    """Notes on names that differ only in their last number, and still are groups of their own."""
    alike: dict[str, list[str]] = defaultdict(list)
    often = Counter(groups.values())
    for name in names:
        match = _LAST_NUMBER.match(name)
        if match and often[groups[name]] == 1:
            alike[match[1]].append(name)
    alone = [members for members in alike.values() if len(members) > 1]
    if len(alone) < 2:
        return []
    return [
        f"{len(alone)} times, names differ only in their last number, such as {' and '.join(alone[0][:2])}, and each "
        f"picture is its own group; if they are slices of one volume or pictures of one patient, give --metadata"
    ]


def modality_and_structure(stem: str) -> tuple[str, str]:
    """Read names such as ``CT_kidney_...``; empty if the first word is not a modality.

    Examples:
        >>> modality_and_structure("CT_kidney_KiTS19_10036_135"), modality_and_structure("picture_1")
        (('CT', 'kidney'), ('', ''))
    """
    first, _, rest = stem.partition("_")
    modality = _MODALITIES.get(first.lower(), "")
    return modality, rest.partition("_")[0] if modality else ""


def part_of(file: FoundFile) -> str:
    """Train, val or test, from the folders below the source folder; empty if none of them names a part."""
    folder = _folder_of_part(file)
    return _part_of_folder(folder) if folder else ""


def _folder_of_part(file: FoundFile) -> str:
    """The folder that names the part: the nearest with just that name, else the nearest that contains the word."""
    folders = file.folders[:0:-1]
    exact = next((folder for folder in folders if folder in PARTS), "")
    return exact or next((folder for folder in folders if _part_of_folder(folder)), "")


def _part_of_folder(folder: str) -> str:
    """Part by a folder's name: ``test``, ``test_data`` and ``testset`` mean test; two parts in one name mean none."""
    words = [_SET.sub("", word) for word in re.split(r"[^a-z]+", folder)]
    parts = {PARTS[word] for word in words if word in PARTS}
    return parts.pop() if len(parts) == 1 else ""


def part_notes(images: Iterable[FoundFile]) -> list[str]:
    """Notes on folders that decided the part of pictures by a longer name than that of the part."""
    folders = Counter(folder for file in images if (folder := _folder_of_part(file)) and folder not in PARTS)
    return [
        f"pictures in folders called {folder!r} count as the part {_part_of_folder(folder)}: {number}"
        for folder, number in sorted(folders.items())
    ]


def pair_pictures(files: Iterable[FoundFile]) -> tuple[list[FilePair], list[Unused]]:
    """Pair pictures and masks: ``X.png`` with ``X_mask.png`` beside it, or ``images/X.png`` with ``masks/X.png``.

    Only the end of a file's name or its folder makes it a mask, never the word somewhere in the path. ``X.png`` and
    ``X_mask.png`` in one folder count for more than the folder's name.

    Returns:
        Pairs, some with one side missing, and refusals of ambiguous ones.
    """
    places = [(file, *place) for file, place in _places(list(files))]
    together: dict[Path, set[str]] = defaultdict(set)
    by_role: dict[str, set[tuple[str, str]]] = {"image": set(), "label": set(), "": set()}
    for file, folder, role in places:
        together[file.path.parent].add(stem_of(file.path.name))
        by_role[role].add((folder, stem_of(file.path.name)))
    images: dict[tuple[str, str], list[FoundFile]] = defaultdict(list)
    masks: list[tuple[str, str, FoundFile]] = []
    for file, folder, role in places:
        stem = stem_of(file.path.name)
        neighbours = together[file.path.parent]
        base = _mask_of(stem, neighbours)
        is_mask = base != stem and (base in neighbours or not role)
        if role == "image":
            # X_mask is a picture if masks/ has its mask.
            is_mask &= (folder, stem) not in by_role["label"]
        elif role == "label" and (not is_mask or (folder, stem) in by_role["image"]):
            # X is a picture if its mask lies beside it and images/ has none.
            is_mask, base = (folder, stem) in by_role["image"] or not _has_mask(stem, neighbours), stem
        if is_mask:
            masks.append((folder, base, file))
        else:
            images[folder, stem].append(file)
    return _joined(images, masks)


def _mask_of(stem: str, neighbours: Collection[str]) -> str:
    """The picture whose mask has this name; the name itself if it is a picture's."""
    base = _SUFFIX.sub("", stem)
    # X_mask is the mask of X, unless there is an X_mask_mask, which makes it a picture with an odd name.
    return stem if base not in neighbours and _has_mask(stem, neighbours) else base


def _has_mask(stem: str, neighbours: Collection[str]) -> bool:
    return any(other != stem and _SUFFIX.sub("", other) == stem for other in neighbours if other.startswith(stem))


def _joined(
    images: Mapping[tuple[str, str], Sequence[FoundFile]], masks: Sequence[tuple[str, str, FoundFile]]
) -> tuple[list[FilePair], list[Unused]]:
    unused: list[Unused] = []
    partners: dict[tuple[str, str], list[FoundFile]] = defaultdict(list)
    for folder, stem, file in masks:
        key = (folder, stem) if (folder, stem) in images else (folder, _SUFFIX.sub("", stem))
        partners[key].append(file)
    pairs = []
    for key in sorted({*images, *partners}):
        pictures, labels = images.get(key, ()), partners.get(key, ())
        if len(pictures) > 1 or len(labels) > 1:
            doubtful = pictures if len(pictures) > 1 else labels
            names = " and ".join(repr(name) for name in told_apart(doubtful)[:3])
            reason = (
                f"{names} claim to be the same picture; keep one"
                if len(pictures) > 1
                else f"{names} are masks of the same picture; join them into one"
            )
            unused.append(Unused(id=key[1], path=doubtful[0].relative, status="refused", reason=reason))
            unused += [of_refused(key[1], file) for file in (*pictures, *labels) if file is not doubtful[0]]
        else:
            pairs.append(
                FilePair(key=key[1], image=pictures[0] if pictures else None, label=labels[0] if labels else None)
            )
    return pairs, unused


def _places(files: Sequence[FoundFile]) -> Iterator[tuple[FoundFile, tuple[str, str]]]:
    """Yield each file with its folder and its role; the folder lacks the part that names the role.

    The role is empty where no folder names it. A source folder's own name counts if it is just such a word, as when
    images and masks are given as two sources.
    """
    anchors: dict[Path, int] = {}
    for file in files:
        parts = [file.root.name, *file.path.relative_to(file.root).parts[:-1]]
        roles = [number for number, part in enumerate(parts) if part.lower() in _IMAGE_FOLDERS | _MASK_FOLDERS]
        anchor = file.root.absolute()
        if not roles:
            yield file, (f"{anchors.setdefault(anchor, len(anchors))}:{'/'.join(parts[1:])}", "")
            continue
        number = roles[-1]
        anchor = anchor.parent if number == 0 else anchor
        rest = "/".join(parts[1:number] + parts[max(number, 0) + 1 :])
        role = "image" if parts[number].lower() in _IMAGE_FOLDERS else "label"
        yield file, (f"{anchors.setdefault(anchor, len(anchors))}:{rest}", role)
