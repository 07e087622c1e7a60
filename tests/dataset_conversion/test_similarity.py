"""Thumbnails: copies are found whatever was done to them, other pictures of the same kind are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dataset_conversion.similarity import fingerprint, near_identical


@pytest.fixture(scope="module")
def pictures(data):
    """Pictures of the same kind that show different things, hairs and vessels among them."""
    files = [*(data / "isic2018").glob("*_Input/*.jpg"), *(data / "cosmos55k/train").glob("Fundus*[0-9LR].png")]
    return {path.stem: Image.open(path).convert("RGB") for path in sorted(files)}


def copied(picture, scale):
    size = (round(picture.width * scale), round(picture.height * scale))
    stream = io.BytesIO()
    picture.resize(size, Image.Resampling.LANCZOS).save(stream, "JPEG", quality=60)
    return Image.open(stream)


@pytest.mark.parametrize("scale", [0.35, 0.8, 1.0, 1.5, 3.7])
def test_scaled_and_compressed_copies_are_found(pictures, scale):
    prints = {}
    for name, picture in pictures.items():
        prints[f"{name} original"] = fingerprint(np.asarray(picture))
        prints[f"{name} copy"] = fingerprint(np.asarray(copied(picture, scale)))
    assert near_identical(prints) == [(f"{name} copy", f"{name} original") for name in sorted(pictures)]


def test_flat_pictures_are_like_nothing():
    flat = fingerprint(np.full((300, 400, 3), 90, dtype=np.uint8))
    assert near_identical({"one": flat, "other": flat}) == []
