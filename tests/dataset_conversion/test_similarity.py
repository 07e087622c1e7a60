"""Thumbnails: changed copies are found, other pictures of the same kind are not."""

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


def behind_a_frame(picture, shift, level=8):
    """The middle of a picture behind a dermoscope's round frame."""
    side = min(picture.size) * 2 // 3
    small = picture.crop((0, 0, side, side * 3 // 4)).resize((320, 240), Image.Resampling.BICUBIC)
    y, x = np.mgrid[:240, :320]
    outside = np.hypot(x - 160 - shift, y - 120) > 135
    return np.where(outside[..., None], level, np.asarray(small)).astype(np.uint8)


def test_one_frame_around_different_lesions_makes_no_pair(data):
    lesions = [Image.open(path).convert("RGB") for path in sorted((data / "isic2018").glob("*_Input/*.jpg"))]
    quarters = [
        lesion.transpose(turn)
        for lesion in lesions
        for turn in (Image.Transpose.ROTATE_180, Image.Transpose.FLIP_LEFT_RIGHT)
    ]
    framed = {
        f"{number:02d}": behind_a_frame(picture, number % 3) for number, picture in enumerate([*lesions, *quarters])
    }
    assert near_identical({name: fingerprint(picture) for name, picture in framed.items()}) == []


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
def test_copies_behind_a_frame_are_found(data, scale):
    prints = {}
    for number, path in enumerate(sorted((data / "isic2018").glob("*_Input/*.jpg"))):
        picture = behind_a_frame(Image.open(path).convert("RGB"), number % 3)
        prints[f"{number} original"] = fingerprint(picture)
        prints[f"{number} copy"] = fingerprint(np.asarray(copied(Image.fromarray(picture), scale)))
    assert near_identical(prints) == [(f"{number} copy", f"{number} original") for number in range(len(prints) // 2)]


def test_fundus_pictures_of_different_eyes_make_no_pair(data):
    files = sorted((data / "cosmos55k").glob("*/Fundus*[0-9LR].png"))
    assert len(files) >= 20
    assert near_identical({path.stem: fingerprint(np.asarray(Image.open(path).convert("RGB"))) for path in files}) == []
