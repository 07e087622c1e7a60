"""Names of volume files: endings and stems."""

from __future__ import annotations

from pathlib import Path

DETACHED = {".mhd": ".mha", ".nhdr": ".nrrd"}
"""Headers whose voxels are in a second file, with the ending of the same format in one file."""

ENDINGS = (".nii.gz", ".nii", ".mha", ".nrrd", ".gipl", *DETACHED)
"""Endings that can be read. nnU-Net reads all of them but the detached headers."""

_READERS = {".mha": "MetaImageIO", ".gipl": "GiplImageIO"}
"""ITK's readers for formats that it recognises only by an ending in small letters."""


def is_volume(file: Path) -> bool:
    """Whether the name is that of a volume, in capitals or small letters."""
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
    """The ending that the file gets in a data set, where one file holds header and voxels.

    Examples:
        >>> whole_ending(Path("scan.mhd")), whole_ending(Path("scan.nii"))
        ('.mha', '.nii')
    """
    return DETACHED.get(ending_of(file), ending_of(file))


def reader_of(file: Path) -> str:
    """The name of ITK's reader if ITK would not find it by itself, otherwise empty.

    Examples:
        >>> reader_of(Path("SCAN.MHA")), reader_of(Path("scan.mha"))
        ('MetaImageIO', '')
    """
    return "" if file.name.endswith(ENDINGS) else _READERS.get(whole_ending(file), "")
