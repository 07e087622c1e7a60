"""How many bytes a volume needs, from its header alone."""

from __future__ import annotations

import math
import struct
from pathlib import Path

from nnunet_tricks.utilities.whole_images.stream import AGAIN, Packed, Stored

LONGEST = 1 << 16
"""So much is read of a header of text; no usual one is longer."""

NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(
        ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4
    ),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), 8),
    **dict.fromkeys(("int64", "int64_t", "ulonglong", "unsigned long long", "unsigned long long int"), 8),
    **dict.fromkeys(("uint64", "uint64_t", "double"), 8),
}
NRRD_PACKED: dict[str, Packed] = {"raw": "raw", "gzip": "gzip", "gz": "gzip", "bzip2": "bzip2", "bz2": "bzip2"}
META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1),
    **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG", "MET_ULONG"), 4),  # 8 on some machines
    **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}
GIPL_BYTES = {1: 1, 7: 1, 8: 1, 15: 2, 16: 2, 31: 4, 32: 4, 64: 4, 65: 8}
GIPL_HEADER = 256


def nifti_size(head: bytes) -> int:
    """Bytes of a NIfTI-1 or NIfTI-2 file; 0 if it is none.

    Examples:
        >>> nifti_size(b"something else")
        0
    """
    for order in "<>":
        for length, sizes, bits, offset in ((348, ("40", "8h"), ("72", "h"), ("108", "f")), _NIFTI_2):
            if len(head) >= length and struct.unpack_from(f"{order}i", head)[0] == length:
                count, *shape = struct.unpack_from(order + sizes[1], head, int(sizes[0]))
                (bits_each,) = struct.unpack_from(order + bits[1], head, int(bits[0]))
                (start,) = struct.unpack_from(order + offset[1], head, int(offset[0]))
                voxels = math.prod(max(1, axis) for axis in shape[: max(0, count)])
                # Single files that leave the start open have it behind the header and four bytes.
                first = int(start) if math.isfinite(start) and start >= length else length + 4
                return first + -(-voxels * max(0, bits_each) // 8)
    return 0


_NIFTI_2 = (540, ("16", "8q"), ("14", "h"), ("168", "q"))


def gipl_size(head: bytes) -> int:
    """Bytes of a GIPL file; 0 if it is none."""
    if len(head) < GIPL_HEADER:
        return GIPL_HEADER
    *shape, kind = struct.unpack_from(">5H", head)
    return GIPL_HEADER + math.prod(max(1, axis) for axis in shape) * GIPL_BYTES.get(kind, 0)


def nrrd(file: Path, head: bytes) -> Stored | None:
    """Where an NRRD file has its data; None where that is left to its reader, such as numbers as text."""
    text, blank = _until(head, (b"\n\n", b"\r\n\r\n"))
    fields = {}
    for line in text.decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon and not value.startswith("=") and not line.startswith("#"):
            fields[name.strip().lower()] = value.strip()
    other = fields.get("data file", fields.get("datafile", ""))
    if not other and not blank:
        if len(head) < LONGEST:
            raise ValueError(f"it is cut off within its header; {AGAIN}")
        return None
    packed = NRRD_PACKED.get(fields.get("encoding", "").lower())
    width = NRRD_BYTES.get(fields.get("type", ""))
    sizes = fields.get("sizes", "").split()
    skips = any(fields.get(f"{what}{space}skip", "0") != "0" for what in ("line", "byte") for space in (" ", ""))
    if not packed or not width or not sizes or not all(map(str.isdecimal, sizes)) or skips:
        return None
    size = math.prod(map(int, sizes)) * width
    if not other:
        return Stored(file, blank, packed, size)
    return None if "%" in other or other.startswith("LIST") else Stored(file.parent / other, 0, packed, size)


def metaimage(file: Path, head: bytes) -> Stored | None:
    """Where a MetaImage has its data; None where that is left to its reader."""
    fields, start = {}, 0
    for line in head.split(b"\n"):
        start += len(line) + 1
        name, equals, value = line.decode("latin-1").partition("=")
        if equals:
            fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            break
    other = fields.get("ElementDataFile")
    width = META_BYTES.get(fields.get("ElementType", ""))
    sizes = fields.get("DimSize", "").split()
    if other is None and len(head) < LONGEST and head.strip().startswith((b"ObjectType", b"NDims")):
        raise ValueError(f"it is cut off within its header; {AGAIN}")
    if not other or not width or not sizes or not all(map(str.isdecimal, sizes)):
        return None
    channels = fields.get("ElementNumberOfChannels", "1")
    size = math.prod(map(int, sizes)) * width * (int(channels) if channels.isdecimal() else 1)
    packed: Packed = "zlib" if fields.get("CompressedData", "False").lower() == "true" else "raw"
    if fields.get("BinaryData", "True").lower() != "true" or fields.get("HeaderSize", "0") not in ("0", "-1"):
        return None
    if other.upper() == "LOCAL":
        return Stored(file, start, packed, size)
    return None if "%" in other or other.startswith("LIST") else Stored(file.parent / other, 0, packed, size)


def _until(head: bytes, ends: tuple[bytes, ...]) -> tuple[bytes, int]:
    """What stands before the first end, and the place behind it; 0 if there is none."""
    places = [(place, len(end)) for end in ends if (place := head.find(end)) >= 0]
    if not places:
        return head, 0
    place, length = min(places)
    return head[:place], place + length
