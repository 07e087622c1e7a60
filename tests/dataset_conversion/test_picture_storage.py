"""Linked pictures are the same to every reader, and damage in them is found."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import io as skimage_io

from dataset_conversion.errors import Refused
from dataset_conversion.picture import decode
from dataset_conversion.source_file import source_of
from tests.odd_files.sources import disk, texture

NAME = "ISIC_0000001"

TIFFS = {
    "plain": (lambda pixels: (pixels, {}), True),
    "16-bit": (lambda pixels: (pixels.astype(np.uint16) * 257, {}), False),
    "extra-channel": (lambda pixels: (np.dstack([pixels, pixels[..., 0]]), {"extrasamples": ["unspecified"]}), False),
    "alpha": (lambda pixels: (np.dstack([pixels, pixels[..., 0]]), {"extrasamples": ["unassalpha"]}), False),
    "planes": (lambda pixels: (np.moveaxis(pixels, -1, 0), {"planarconfig": "separate"}), False),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_a_tiff_is_linked_only_if_it_is_plain(convert, tmp_path, kind):
    change, linked = TIFFS[kind]
    pixels = texture(np.random.default_rng(0)).copy()
    # Pictures of 16 bits are scaled by their brightest value.
    pixels[0, 0] = 255
    for folder in ("images", "masks"):
        (tmp_path / "source" / folder).mkdir(parents=True)
    values, options = change(pixels)
    path = tmp_path / f"source/images/{NAME}.tif"
    tifffile.imwrite(path, values, photometric="rgb", **options)
    Image.fromarray(disk().astype(np.uint8) * 255).save(tmp_path / f"source/masks/{NAME}.png")
    done = convert("isic2018", tmp_path / "source", "--format", "tif")
    assert done.code == 0
    written = done.folder / f"imagesTr/{NAME}_0000.tif"
    assert written.samefile(path) == linked
    # As nnU-Net reads it.
    np.testing.assert_array_equal(skimage_io.imread(written), pixels)
    assert skimage_io.imread(written).dtype == np.uint8


def jpeg(seed, **options):
    generator = np.random.default_rng(seed)
    large = Image.fromarray(texture(generator)).resize((300, 200), Image.Resampling.BICUBIC)
    noise = generator.integers(-20, 20, (200, 300, 3))
    stream = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(large) + noise, 0, 255).astype(np.uint8)).save(stream, "JPEG", **options)
    return stream.getvalue()


KINDS = [
    {"quality": 50},
    {"quality": 80},
    {"quality": 95, "subsampling": 0},
    {"quality": 85, "optimize": True},
    {"quality": 85, "progressive": True},
    {"quality": 85, "restart_marker_rows": 1},
]


def is_refused(data):
    try:
        decode(source_of(Path("picture.jpg"), data))
    except Refused:
        return True
    return False


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_sound_jpeg_files_are_taken(options):
    for seed in range(5):
        data = jpeg(seed, **options)
        assert not is_refused(data)
        assert not is_refused(data + b"bytes of a careless tool")


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_jpeg_files_that_were_cut_and_closed_are_refused(options):
    for seed in range(5):
        data = jpeg(seed, **options)
        for share in (0.4, 0.6, 0.8, 0.95):
            assert is_refused(data[: int(len(data) * share)] + b"\xff\xd9")


@pytest.mark.parametrize("options", KINDS[:4], ids=str)
def test_jpeg_files_with_a_block_of_zeros_are_refused(options):
    refused = []
    for seed in range(10):
        data = bytearray(jpeg(seed, **options))
        middle = len(data) // 2
        data[middle : middle + 512] = bytes(512)
        refused.append(is_refused(bytes(data)))
    # Zeros are codes, too: sometimes they make as many blocks as they replace.
    assert sum(refused) >= 9


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (17, 3), (300, 1)])
@pytest.mark.parametrize("value", [0, 128, 255])
def test_tiny_and_flat_jpeg_files_are_taken(size, value):
    for mode in ("L", "RGB"):
        stream = io.BytesIO()
        Image.new(mode, size, value if mode == "L" else (value, value, value)).save(stream, "JPEG")
        assert not is_refused(stream.getvalue())
