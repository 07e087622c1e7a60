"""What file names of Cosmos55k say: role, part, group, modality. Standard library only.

The file names of the original are not public. The rules here take the layouts that its authors' code reads, and names
as the 30 source data sets have them; a csv (``--metadata``) overrules them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dataset_conversion.find import PARTS, Found, Pair, stem_of
from dataset_conversion.model import Unused

_IMAGE_FOLDERS = {"images", "image", "imgs", "img"}
_MASK_FOLDERS = {"masks", "mask", "labels", "label", "gt", "gts", "groundtruth", "ground_truth"}
_SUFFIX = re.compile(r"_(mask|seg|segmentation|label|gt)$", re.IGNORECASE)
_AUGMENTED = re.compile(r"(?:(?<=_)|^)(?:flipped|mirrored|rotated_\d+)_", re.IGNORECASE)
_SLICE = re.compile(r"[_-]?(?:slice|slc|frame|z)[_-]?\d+$", re.IGNORECASE)
_NUMBER_AFTER_NUMBER = re.compile(r"(?<=\d)_\d+$")
_EYE = re.compile(r"(?<=\d)[LR]$")
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
    """The volume, patient or picture that a slice or copy comes from.

    Copies lose their prefix (``flipped_``, ``mirrored_``, ``rotated_90_``), slices their number. A number counts as
    that of a slice if the word says so or if another number, the volume's, stands before it; otherwise it is the
    picture's own.

    Examples:
        >>> group_of("CT_liver_MSD_flipped_10108_113"), group_of("ISIC_0013948")
        ('CT_liver_MSD_10108', 'ISIC_0013948')
        >>> group_of("patient001_frame01_slice_3"), group_of("CHASEDB1_Image_12L")
        ('patient001', 'CHASEDB1_Image_12')
    """
    name = _AUGMENTED.sub("", stem)
    while shorter := _SLICE.sub("", name):
        if shorter == name:
            break
        name = shorter
    return _EYE.sub("", _NUMBER_AFTER_NUMBER.sub("", name))


def modality_and_structure(stem: str) -> tuple[str, str]:
    """From names such as ``CT_kidney_...``; empty where the first word is no modality.

    Examples:
        >>> modality_and_structure("CT_kidney_KiTS19_10036_135"), modality_and_structure("picture_1")
        (('CT', 'kidney'), ('', ''))
    """
    first, _, rest = stem.partition("_")
    modality = _MODALITIES.get(first.lower(), "")
    return modality, rest.partition("_")[0] if modality else ""


def part_of(found: Found) -> str:
    """Train, val or test from the folders below the source folder; empty if none of them says so."""
    return next((PARTS[folder] for folder in reversed(found.folders[1:]) if folder in PARTS), "")


def pair_pictures(files: Iterable[Found]) -> tuple[list[Pair], list[Unused]]:
    """Pair pictures and masks: ``X.png`` with ``X_mask.png`` beside it, or ``images/X.png`` with ``masks/X.png``.

    Only the end of a file's name or the folder it lies in makes it a mask, never the word somewhere in the path.

    Returns:
        Pairs, some with one side missing, and refusals of doubtful ones.
    """
    images: dict[tuple[str, str], list[Found]] = defaultdict(list)
    masks: list[tuple[str, str, Found]] = []
    beside: dict[str, dict[str, Found]] = defaultdict(dict)
    unused: list[Unused] = []
    for found in files:
        folder, role = _place(found)
        stem = stem_of(found.path.name)
        if role == "image":
            images[folder, stem].append(found)
        elif role == "label":
            masks.append((folder, stem, found))
        elif stem in beside[folder]:
            reason = f"{beside[folder][stem].path.name!r} has the same name; keep one"
            unused.append(Unused(id=stem, path=found.relative, status="refused", reason=reason))
        else:
            beside[folder][stem] = found
    for folder, stems in beside.items():
        masked = {_SUFFIX.sub("", stem) for stem in stems if _SUFFIX.search(stem)}
        for stem, found in stems.items():
            base = _SUFFIX.sub("", stem)
            # X_mask is the mask of X, unless there is an X_mask_mask, which makes it a picture with an odd name.
            if base == stem or (stem in masked and base not in stems):
                images[folder, stem].append(found)
            else:
                masks.append((folder, base, found))
    return _joined(images, masks, unused)


def _joined(
    images: Mapping[tuple[str, str], Sequence[Found]],
    masks: Sequence[tuple[str, str, Found]],
    unused: list[Unused],
) -> tuple[list[Pair], list[Unused]]:
    partners: dict[tuple[str, str], list[Found]] = defaultdict(list)
    for folder, stem, found in masks:
        key = (folder, stem) if (folder, stem) in images else (folder, _SUFFIX.sub("", stem))
        partners[key].append(found)
    pairs = []
    for key in sorted({*images, *partners}):
        own, labels = images.get(key, ()), partners.get(key, ())
        name = f"{key[0]}/{key[1]}" if key[0] else key[1]
        if len(own) > 1 or len(labels) > 1:
            doubtful = own if len(own) > 1 else labels
            names = " and ".join(repr(found.relative) for found in doubtful[:3])
            reason = f"{names} claim to be the same {'picture' if len(own) > 1 else 'mask'}; keep one"
            unused.append(Unused(id=key[1], path=doubtful[0].relative, status="refused", reason=reason))
        else:
            pairs.append(Pair(key=name, image=own[0] if own else None, label=labels[0] if labels else None))
    return pairs, unused


def _place(found: Found) -> tuple[str, str]:
    """Folder without the part that names the role, and the role; empty where no folder names it."""
    parts = list(found.path.relative_to(found.root).parts[:-1])
    for number in range(len(parts) - 1, -1, -1):
        name = parts[number].lower()
        if name in _IMAGE_FOLDERS | _MASK_FOLDERS:
            rest = "/".join(parts[:number] + parts[number + 1 :])
            return f"{found.root.name}:{rest}", "image" if name in _IMAGE_FOLDERS else "label"
    return f"{found.root.name}:{'/'.join(parts)}", ""


def read_list(lines: Iterable[str], files: Sequence[Found]) -> tuple[list[Found], list[str]]:
    """Find the pictures of a list; its paths may begin with folders of another machine.

    Returns:
        The files, and the lines for which there is none or more than one.
    """
    by_name: dict[str, list[Found]] = defaultdict(list)
    for found in files:
        by_name[found.path.name].append(found)
    answer: list[Found] = []
    missing: list[str] = []
    for line in map(str.strip, lines):
        if not line or line.startswith("#"):
            continue
        # Some lists have the mask in a second column.
        picture = _best(line, by_name) or _best(re.split(r"[\s,;]", line)[0], by_name)
        if picture is None:
            missing.append(line)
        else:
            answer.append(picture)
    return answer, missing


def _best(path: str, by_name: Mapping[str, Sequence[Found]]) -> Found | None:
    """The file that shares the most folders at the end of the path, if there is one such file."""
    wanted = path.replace("\\", "/").split("/")[::-1]
    scored = []
    for found in by_name.get(wanted[0], ()):
        own = found.path.parts[::-1]
        shared = 0
        while shared < min(len(own), len(wanted)) and own[shared] == wanted[shared]:
            shared += 1
        scored.append((shared, found))
    best = max((score for score, _ in scored), default=0)
    winners = [found for score, found in scored if score == best]
    return winners[0] if len(winners) == 1 else None
