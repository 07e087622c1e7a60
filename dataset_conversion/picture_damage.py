"""Damage that picture decoders do not report: they fill in what is missing and continue."""

from __future__ import annotations

import io
import re
import struct
import zlib
from dataclasses import dataclass

import imagecodecs
import tifffile

from dataset_conversion.source_file import Buffer

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_TIFF = frozenset([b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
_CHECKED = frozenset(
    [
        tifffile.COMPRESSION.LZW,
        tifffile.COMPRESSION.ADOBE_DEFLATE,
        tifffile.COMPRESSION.DEFLATE,
        tifffile.COMPRESSION.PACKBITS,
    ]
)
# A marker inside a scan: neither a stuffed zero nor a restart nor a fill byte.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_RESTARTS = re.compile(rb"\xff([\xd0-\xd7])")
_FRAMES = frozenset([0xC0, 0xC1, 0xC2])
_WITHOUT_LENGTH = frozenset([0x01, *range(0xD0, 0xD9)])
# libjpeg reads eight bytes ahead before it returns the last block.
_AHEAD = 12
_TAIL = 3
_KINDS = {
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"\x93NUMPY": "a NumPy array",
    b"SIMPLE": "a FITS file",
    b"{": "JSON text",
}


def what_it_is(data: Buffer) -> str:
    """Describe a file that is not a picture, if its first bytes tell; otherwise empty."""
    beginning = bytes(data[:256]).lstrip()
    if beginning[:1] == b"<":
        return ": it is a web page or other text, as servers send instead of a file; download it again"
    kind = next((what for start, what in _KINDS.items() if beginning.startswith(start)), "")
    return f": it is {kind}, in spite of its name" if kind else ""


@dataclass(frozen=True, kw_only=True)
class _JpegScan:
    """Place of the compressed pixels in a JPEG file with one scan, neither progressive nor split."""

    start: int
    end: int
    restarts: bool


class WatchedJpeg(io.BytesIO):
    """A JPEG file that notices how much of its compressed pixels the decoder reads.

    A decoder that got out of step is done before the end, or wants more than there is. To libjpeg that is only a
    warning, which Pillow does not pass on. Some zeros are added after the compressed pixels, so that the decoder can
    read ahead as always; with a sound file it reads no further than these.
    """

    def __init__(self, data: Buffer, scan: _JpegScan) -> None:
        """Add the zeros after the compressed pixels."""
        super().__init__(b"".join((data[: scan.end], bytes(_AHEAD), data[scan.end :])))
        self._stops = (scan.end - _TAIL, scan.end + _AHEAD)
        self._reached: set[int] = set()
        self._watching = False

    def begin(self) -> None:
        """Watch all reads from now on: they are the decoder's."""
        self._watching = True

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as usual, but never past one of the two watched places."""
        if not self._watching:
            return super().read(size)
        place = self.tell()
        self._reached.update(stop for stop in self._stops if stop == place)
        stop = next((stop for stop in self._stops if stop > place), None)
        if stop is not None:
            size = stop - place if size is None or size < 0 else min(size, stop - place)
        return super().read(size)

    def damage(self) -> str:
        """Describe the damage, once the picture was decoded; empty if there is none."""
        if not self._watching or self.tell() == 0:
            return ""
        if self._stops[0] not in self._reached:
            return "its compressed pixels continue after the last one"
        if self._stops[1] in self._reached:
            return "its compressed pixels end before the last one"
        return ""


class OtherFile(io.BytesIO):
    """A file whose decoder reports damage itself, or in which `damage_of` finds it."""

    def begin(self) -> None:
        """Do nothing: no reads are watched."""

    def damage(self) -> str:
        """No damage: none is looked for here."""
        return ""


def watched(data: Buffer) -> tuple[io.BytesIO, WatchedJpeg | OtherFile]:
    """The file to decode, and the object (the same one) that reports damage afterwards."""
    scan = _only_scan(data) if data[:2] == _JPEG else None
    stream = WatchedJpeg(data, scan) if scan is not None and scan.end - _TAIL > scan.start else OtherFile(data)
    return stream, stream


def damage_of(data: Buffer) -> str:
    """Describe the damage in a picture file; empty if there is none.

    In PNG the checksum of each chunk is compared. JPEG with restart markers or several scans is read by a strict
    reader. TIFF is read by a second decoder, which compares the checksums in its strips.

    Args:
        data: A whole file that can be decoded.
    """
    if data[:8] == _PNG:
        return _png_damage(data)
    if data[:2] == _JPEG:
        return _jpeg_damage(data)
    if bytes(data[:4]) in _TIFF:
        return _tiff_damage(data)
    return ""


def _tiff_damage(data: Buffer) -> str:
    try:
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages.first
            if 0 in page.databytecounts or 0 in page.dataoffsets:
                return "a part of its pixels is missing"
            if page.compression in _CHECKED:
                page.asarray()
    except (ValueError, RuntimeError, LookupError, OSError, struct.error, zlib.error) as error:
        return f"its pixels cannot be unpacked: {error}"
    return ""


def _png_damage(data: Buffer) -> str:
    view, place = memoryview(data), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind = bytes(view[place + 4 : place + 8])
        end = place + 8 + length
        if end + 4 > len(data):
            return f"its chunk {kind.decode('latin-1')} is cut off"
        if zlib.crc32(view[place + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            return f"the checksum of its chunk {kind.decode('latin-1')} is wrong"
        if kind == b"IEND":
            return ""
        place = end + 4
    return "its end is missing"


def _jpeg_damage(data: Buffer) -> str:
    scan = _only_scan(data)
    if scan is not None and not scan.restarts:
        # The watched decoder has already noticed all damage.
        return ""
    if scan is not None:
        numbers = [match[1][0] - 0xD0 for match in _RESTARTS.finditer(data, scan.start, scan.end)]
        if any(number != place % 8 for place, number in enumerate(numbers)):
            return "its restart markers are not in order"
    if _channels(data) not in (1, 3):
        return ""
    try:
        imagecodecs.jpegxl_encode_jpeg(bytes(data))
    except imagecodecs.JpegxlError:
        return "its compressed pixels hold codes that no encoder writes"
    return ""


def _segments(data: Buffer) -> list[tuple[int, int, int]]:
    """Marker, place and length of the segments up to the first scan; fewer if the file is damaged."""
    segments = []
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if marker in _WITHOUT_LENGTH:
            place += 2
            continue
        (length,) = struct.unpack_from(">H", data, place + 2)
        segments.append((marker, place, length))
        if marker == 0xDA:
            break
        place += 2 + length
    return segments


def _channels(data: Buffer) -> int:
    """Colour channels of a JPEG file; 0 if unknown."""
    return next((data[place + 9] for marker, place, _ in _segments(data) if marker in _FRAMES), 0)


def _only_scan(data: Buffer) -> _JpegScan | None:
    """Place of the compressed pixels; None for files with several scans, and for damaged ones."""
    segments = _segments(data)
    if not segments or segments[-1][0] != 0xDA:
        return None
    frame = next((marker for marker, _, _ in segments if marker in _FRAMES), None)
    if frame is None or frame == 0xC2:
        return None
    _, place, length = segments[-1]
    if place + 5 > len(data) or data[place + 4] != _channels(data):
        return None
    start = place + 2 + length
    end = _MARKER.search(data, start)
    if end is None:
        return None
    restarts = any(marker == 0xDD and data[at + 4 : at + 6] != b"\0\0" for marker, at, _ in segments)
    return _JpegScan(start=start, end=end.start(), restarts=restarts)
