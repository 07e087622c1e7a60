"""All pictures of the site, made again only when code has changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_tricks.catalogue import EVERYTHING
from nnunet_tricks.catalogue.info import TrickInfo
from website.pages.tricks import STOCK, losses, map_of, picture_of
from website.places import ROOT

if TYPE_CHECKING:
    from website.pictures.laboratory import Laboratory

_FAILURES = "failures.json"
_DEPENDS_ON = ("torch", "nnunetv2", "numpy", "matplotlib", "batchgeneratorsv2", "dynamic_network_architectures")


@dataclass
class DrawnPictures:
    """The pictures.

    Attributes:
        files: PNG files by their places on the site.
        failures: Why a picture could not be made, by its place.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def draw_all(cache: Path) -> DrawnPictures:
    """Draw every picture, or take those that the same code has drawn before.

    Args:
        cache: Folder to keep pictures in.
    """
    folder = cache / _state_of_code()
    if not (folder / _FAILURES).is_file():
        shutil.rmtree(cache, ignore_errors=True)
        folder.mkdir(parents=True)
        drawn = _draw()
        for place, png in drawn.files.items():
            file = folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png)
        if drawn.failures:
            # Not kept: the next build tries again.
            return drawn
        (folder / _FAILURES).write_text(json.dumps(drawn.failures), encoding="utf-8")
    files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*.png"))}
    return DrawnPictures(files)


def _draw() -> DrawnPictures:
    # Only now, since it takes seconds to import torch and nnU-Net.
    from website.pictures.laboratory import laboratory
    from website.pictures.losses import BASELINE

    drawn = DrawnPictures()
    with laboratory() as data:
        for info in EVERYTHING:
            _add(drawn, picture_of(info), partial(_picture, data, info))
        for name, trainer in {STOCK: BASELINE, **{info.name: info.trainer for info in losses()}}.items():
            _add(drawn, map_of(name), partial(_map, data, trainer))
    return drawn


def _picture(data: Laboratory, info: TrickInfo) -> bytes:
    from website.pictures.gallery import has_picture, picture

    return picture(data, info) if has_picture(info) else b""


def _map(data: Laboratory, trainer: str) -> bytes:
    from website.pictures.losses import map_tile, push_of

    return map_tile(push_of(data, trainer))


def _add(drawn: DrawnPictures, place: str, make: Callable[[], bytes]) -> None:
    """Add a picture, or why it could not be made; nothing if there is to be none."""
    try:
        png = make()
    except Exception as error:
        drawn.failures[place] = f"{type(error).__name__}: {error}"
    else:
        drawn.files |= {place: png} if png else {}


def _state_of_code() -> str:
    """A word that changes with our code, and with the versions of what draws."""
    digest = sha256()
    for file in _sources():
        digest.update(file.read_bytes())
    digest.update(" ".join(version(name) for name in _DEPENDS_ON).encode())
    return digest.hexdigest()[:16]


def _sources() -> Iterator[Path]:
    found = find_spec("nnunet_tricks")
    assert found
    assert found.origin
    yield from sorted(Path(found.origin).parent.rglob("*.py"))
    yield from sorted((ROOT / "website" / "pictures").rglob("*.py"))
