"""What a file holds when its content is not what its name says. Standard library only."""

from __future__ import annotations

_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml")
_KINDS = (
    (0, b"PK\x03\x04", "a zip archive: unpack it first"),
    (0, b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (0, b"Rar!", "a rar archive: unpack it first"),
    (0, b"BZh", "bzip2 data: unpack it first, and compress it with gzip if at all"),
    (0, b"\xfd7zXZ", "xz data: unpack it first, and compress it with gzip if at all"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data: unpack it first, and compress it with gzip if at all"),
    (0, b"\x1f\x8b", "a gzip file inside a gzip file: unpack it once"),
    (257, b"ustar", "a tar archive: unpack it first"),
    (128, b"DICM", "a DICOM file: convert the series to NIfTI first (dcm2niix does that)"),
    (0, b"NRRD", "an NRRD file: convert it to NIfTI first"),
    (0, b"ObjectType =", "a MetaImage file: convert it to NIfTI first"),
    (0, b"\x89HDF", "an HDF5 file, not a NIfTI file"),
    (0, b"\x93NUMPY", "a NumPy array, which has no geometry: convert it to NIfTI first"),
    (0, b"\x89PNG", "a PNG picture, not a volume"),
    (0, b"%PDF", "a PDF document: download the file itself"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself: run 'git lfs pull' in its repository"),
)


def kind_of(beginning: bytes) -> str:
    r"""Describe a file by its first bytes, and say what to do; empty if it may be a NIfTI file.

    Examples:
        >>> kind_of(b"PK\x03\x04rest"), kind_of(b"")
        ('a zip archive: unpack it first', '')
    """
    text = beginning[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PAGES):
        return "a web page: the server answered with an error or a login; download the file itself again"
    if text.startswith((b'{"', b"{'", b"{\n")):
        return "a JSON text: the server answered with an error; download the file itself again"
    return next((what for place, magic, what in _KINDS if beginning[place:].startswith(magic)), "")


def annex_pointer(beginning: bytes) -> bool:
    """Whether a file is a placeholder for content that git-annex or DataLad has not fetched."""
    return beginning.startswith(b"/annex/objects/")
