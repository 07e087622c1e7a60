"""Sound, tiny sources of the data sets of pictures, to be made odd."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from dataset_conversion.conic_counts import centre_counts

SIDE = 64
NUCLEI = {1: (8, 8), 2: (8, 40), 3: (40, 8), 4: (40, 40)}


def texture(generator: np.random.Generator) -> np.ndarray:
    """A picture like no other."""
    coarse = generator.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def disk(side: int = SIDE) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (x - side / 2) ** 2 + (y - side / 2) ** 2 < (side / 4) ** 2


def pair(picture: Path, mask: Path, generator: np.random.Generator) -> None:
    """A picture and its mask, in folders that are made."""
    for path in (picture, mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(texture(generator)).save(picture)
    Image.fromarray(disk().astype(np.uint8) * 255).save(mask)


def isic(folder: Path, generator: np.random.Generator, names: Sequence[str], pattern: Sequence[str] = ("", "")) -> None:
    """Pictures and masks; the pattern gives their places, such as ``images/{}.png``."""
    picture, mask = (text or default for text, default in zip(pattern, ("images/{}.png", "masks/{}.png"), strict=True))
    for name in names:
        pair(folder / picture.format(name), folder / mask.format(name), generator)


def nuclei_map() -> np.ndarray:
    """Four square nuclei."""
    instances = np.zeros((SIDE, SIDE), np.uint16)
    for number, (top, left) in NUCLEI.items():
        instances[top : top + 16, left : left + 16] = number
    return instances


def lizard(folder: Path, generator: np.random.Generator, names: Sequence[str] = ("consep_1", "glas_2")) -> None:
    """Images with their MATLAB files."""
    for name in names:
        Image.fromarray(texture(generator)).save(folder / f"{name}.png")
        numbers = np.array(list(NUCLEI))[:, None]
        savemat(folder / f"{name}.mat", {"inst_map": nuclei_map(), "id": numbers, "class": np.full_like(numbers, 2)})


def conic(folder: Path, generator: np.random.Generator, patches: int = 8) -> None:
    """Patches, two of an image, with nuclei of several classes and their counts."""
    maps = np.zeros((patches, SIDE, SIDE, 2), np.uint16)
    for patch in range(patches):
        # More nuclei than classes, so that numbers of nuclei cannot be mistaken for classes.
        for number in range(1, 10):
            top, left = divmod(number - 1, 3)
            place = (slice(20 * top + 2, 20 * top + 16), slice(20 * left + 2, 20 * left + 16))
            maps[(patch, *place)] = (number, generator.integers(1, 3) if number < 8 else number - 5)
    np.save(folder / "images.npy", np.stack([texture(generator) for _ in range(patches)]))
    np.save(folder / "labels.npy", maps)
    names = [f"consep_{patch // 2 + 1}-000{patch % 2}" for patch in range(patches)]
    (folder / "patch_info.csv").write_text("\n".join(["patch_info", *names]))
    counts = [",".join(map(str, centre_counts(map_[..., 0], map_[..., 1]))) for map_ in maps]
    header = "neutrophil,epithelial,lymphocyte,plasma,eosinophil,connective"
    (folder / "counts.csv").write_text("\n".join([header, *counts]))
