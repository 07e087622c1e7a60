"""Names of volume files: endings, and what stands before them."""

from __future__ import annotations

from pathlib import Path

DETACHED = {".mhd": ".mha", ".nhdr": ".nrrd"}
"""Headers whose voxels lie in a second file, and the ending of the same format in one file."""

ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", ".gipl", *DETACHED)
"""What can be read. Of these nnU-Net reads all but the detached headers."""

_READERS = {".mha": "MetaImageIO", ".gipl": "GiplImageIO"}
"""ITK knows these formats by their ending alone, in small letters only."""


def is_volume(file: Path) -> bool:
    """Whether the name is that of a volume; capitals are as good as small letters."""
    return file.name.lower().endswith(ENDINGS) and not file.name.startswith(".")


def ending_of(file: Path) -> str:
    """The ending in small letters.

    Examples:
        >>> ending_of(Path("Scan.v2.NII.GZ"))
        '.nii.gz'
    """
    return next(ending for ending in ENDINGS if file.name.lower().endswith(ending))


def stem_of(file: Path) -> str:
    """The name without its ending.

    Examples:
        >>> stem_of(Path("Scan.v2.NII.GZ"))
        'Scan.v2'
    """
    return file.name[: -len(ending_of(file))]


def whole_ending(file: Path) -> str:
    """The ending that the file has in a data set: one file holds header and voxels there.

    Examples:
        >>> whole_ending(Path("scan.mhd")), whole_ending(Path("scan.nii"))
        ('.mha', '.nii')
    """
    return DETACHED.get(ending_of(file), ending_of(file))


def reader_of(file: Path) -> str:
    """The name of ITK's reader where ITK would not find it by itself, else nothing.

    Examples:
        >>> reader_of(Path("SCAN.MHA")), reader_of(Path("scan.mha"))
        ('MetaImageIO', '')
    """
    return "" if file.name.endswith(ENDINGS) else _READERS.get(whole_ending(file), "")
