"""Find files and pair them by key, never by the order of two lists. Standard library only."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dataset_conversion.errors import ConversionError
from dataset_conversion.model import Unused

PARTS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
PARTS |= {"test": "test", "testing": "test"}
"""Names of folders and files for the parts of a data set."""

# Left behind by operating systems, or written by nnU-Net and by earlier conversions, whose folders may be here, too.
_IGNORED = re.compile(r"\.|__MACOSX$|Dataset\d{3}_")


@dataclass(frozen=True, kw_only=True)
class FoundFile:
    """A file below a source folder."""

    path: Path
    root: Path

    @property
    def folders(self) -> tuple[str, ...]:
        """Folder names in lower case, from the source folder's own name down. Folders above it do not count."""
        return (self.root.name.lower(), *(part.lower() for part in self.path.relative_to(self.root).parts[:-1]))

    @property
    def relative(self) -> str:
        """Path below the source folder, with forward slashes."""
        return self.path.relative_to(self.root).as_posix()


def is_junk(folder: str) -> bool:
    """Whether a folder's name says that it is not part of a download."""
    return bool(_IGNORED.match(folder))


def told_apart(files: Sequence[FoundFile]) -> list[str]:
    """Give each file a name of its own, as short as possible.

    It is the path below the source folder, with the source folder's name where two sources hold the same path.
    """
    names = [file.relative for file in files]
    if len(set(names)) < len(names):
        names = [f"{file.root.name}/{file.relative}" for file in files]
    return names if len(set(names)) == len(names) else [str(file.path) for file in files]


def walk(sources: Sequence[Path], endings: Iterable[str]) -> Iterator[FoundFile]:
    """Yield all files with one of the endings (lower case), in sorted order.

    Files that operating systems leave behind are skipped, and so are nnU-Net's own folders below a source folder.
    """
    wanted = tuple(endings)
    # Links to folders are followed, each folder once: links may form a ring, and sources may contain each other.
    seen: set[str] = set()
    for source in sources:
        if not source.is_dir():
            what = (
                "is a file; give the folder that holds the unpacked data set" if source.exists() else "does not exist"
            )
            raise ConversionError(f"source folder {str(source)!r} {what}")
        # Some tools unpack volume-0.nii as a folder volume-0.nii/ that holds the file: only files count.
        for folder, folders, files in os.walk(source, followlinks=True):
            real = os.path.realpath(folder)
            if real in seen:
                folders.clear()
                continue
            seen.add(real)
            folders[:] = sorted(name for name in folders if not is_junk(name))
            for name in sorted(files):
                if not name.startswith(".") and name.lower().endswith(wanted):
                    yield FoundFile(path=Path(folder, name), root=source)


def stem_of(name: str) -> str:
    """File name without its ending; ``.nii.gz`` is one ending.

    Examples:
        >>> stem_of("case_00000.nii.gz"), stem_of("a.b.png")
        ('case_00000', 'a.b')
    """
    for ending in (".nii.gz", ".nii"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name.rpartition(".")[0] or name


@dataclass(frozen=True, kw_only=True)
class FilePair:
    """Image and label of one key; one of them may be missing."""

    key: str
    image: FoundFile | None
    label: FoundFile | None


def pair(
    files: Iterable[FoundFile], key: Callable[[FoundFile], tuple[str, str] | None]
) -> tuple[list[FilePair], list[Unused]]:
    """Pair files whose key agrees.

    Args:
        files: The files.
        key: Function that gives (key, ``image`` or ``label``) for a file, None for one that is neither.

    Returns:
        The pairs in the order of their keys, and a refusal for each key that two files of one role share.
    """
    roles: dict[str, dict[str, list[FoundFile]]] = {}
    for file in files:
        key_and_role = key(file)
        if key_and_role is not None:
            name, role = key_and_role
            roles.setdefault(name, {"image": [], "label": []})[role].append(file)
    pairs: list[FilePair] = []
    refused: list[Unused] = []
    for name in sorted(roles):
        images, labels = roles[name]["image"], roles[name]["label"]
        double = images if len(images) > 1 else labels if len(labels) > 1 else []
        if double:
            role = "image" if double is images else "label"
            names = " and ".join(repr(file_name) for file_name in told_apart(double)[:3])
            reason = (
                f"{len(double)} files claim to be the {role}: {names}; keep one, or, if one of them is the other "
                f"half of the pair, name its folder accordingly (images, labels)"
            )
            refused.append(Unused(id=name, path=double[0].relative, status="refused", reason=reason))
            refused += [of_refused(name, file) for file in (*images, *labels) if file is not double[0]]
            continue
        pairs.append(FilePair(key=name, image=images[0] if images else None, label=labels[0] if labels else None))
    return pairs, refused


def of_refused(key: str, file: FoundFile) -> Unused:
    """Note on another file of a case that is refused."""
    return Unused(id=key, path=file.relative, status="ignored", reason=f"belongs to {key}, which is refused")


def orphan(key: str, file: FoundFile, missing: str) -> Unused:
    """Note on a file whose partner is missing."""
    return Unused(id=key, path=file.relative, status="orphan", reason=f"no {missing} with the key {key!r} was found")
