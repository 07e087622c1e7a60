"""Checks whether all pages of a TIFF are within their file."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

CHUNKS = {273: 279, 324: 325}
"""Tags with the places of strips and of tiles, and the tags with their sizes."""

WIDTHS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""Formats of whole numbers, by the type that a tag names."""


def check_tiff(file: Path) -> None:
    """Follow the chain of pages. Where it leaves the file, readers silently stop.

    Raises:
        ValueError: If a page, or the data of one, ends behind the file.
    """
    size = file.stat().st_size
    with file.open("rb") as opened:
        for end in _ends(opened):
            if end > size:
                raise ValueError(f"it is cut off: {size:,} of at least {end:,} bytes are there; copy or make it again")


def _ends(opened: BinaryIO) -> Iterator[int]:
    """Where each page, and each piece of its data, ends; nothing if this is no TIFF."""
    head = opened.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    if not order or len(head) < 8:
        return
    big = struct.unpack(f"{order}H", head[2:4])[0] == 43
    if big and len(head) < 16:
        yield 16
        return
    count_form, place_form, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    place = struct.unpack_from(order + place_form, head, 8 if big else 4)[0]
    seen = set()
    while place and place not in seen:
        seen.add(place)
        counted = struct.calcsize(count_form)
        opened.seek(place)
        count_field = opened.read(counted)
        if len(count_field) < counted:
            yield place + counted
            return
        entries = struct.unpack(order + count_form, count_field)[0]
        end = place + counted + entries * entry + struct.calcsize(place_form)
        yield end
        block = opened.read(end - place - counted)
        tags: dict[int, list[int]] = {}
        for start in range(0, entries * entry, entry):
            tag, kind, count = struct.unpack_from(f"{order}HH{place_form}", block, start)
            if kind not in WIDTHS or (tag not in CHUNKS and tag not in CHUNKS.values()):
                continue
            form, field = f"{order}{count}{WIDTHS[kind]}", block[start + (12 if big else 8) : start + entry]
            if struct.calcsize(form) > len(field):
                # The field says where the numbers are.
                elsewhere = struct.unpack(order + place_form, field)[0]
                yield elsewhere + struct.calcsize(form)
                opened.seek(elsewhere)
                field = opened.read(struct.calcsize(form))
            tags[tag] = list(struct.unpack_from(form, field))
        for places, sizes in CHUNKS.items():
            pieces = zip(tags.get(places, []), tags.get(sizes, []), strict=False)
            yield from (start + length for start, length in pieces if length)
        place = struct.unpack_from(order + place_form, block, entries * entry)[0]
