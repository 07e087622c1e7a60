"""Deliberately odd pictures and masks: none stops a conversion, none is silently wrong."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage import io

from tests.odd_files.pictures import HEIGHT, MASKS, PICTURES, WIDTH, WITH_WARNING, inside, picture

ODD, SOUND = "ISIC_0000001", "ISIC_0000002"


def test_the_sample_is_large_and_its_names_are_its_own():
    assert len(PICTURES) >= 40
    assert len(MASKS) >= 40
    for files in (PICTURES, MASKS):
        assert len({file.name for file in files}) == len(files)


def make_source(folder, odd_role, make, ending):
    """A case with the odd file, and a sound one."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for name in (ODD, SOUND):
        for role, place, values in (
            ("image", f"images/{name}", picture()),
            ("label", f"masks/{name}_segmentation", inside()),
        ):
            if name == ODD and role == odd_role:
                make(folder / f"{place}{ending}", np.random.default_rng(0))
            else:
                Image.fromarray(values.astype(np.uint8) * (255 if role == "label" else 1)).save(folder / f"{place}.png")


def check_label(folder, name):
    written = io.imread(folder / f"labelsTr/{name}.png")
    assert written.dtype == np.uint8
    assert set(np.unique(written)) == {0, 1}
    # Soft outlines and masks at half size move by a pixel.
    assert np.count_nonzero(written != inside()) <= 40


def check_picture(folder, name):
    written = io.imread(folder / f"imagesTr/{name}_0000.png")
    assert written.shape == (HEIGHT, WIDTH, 3)
    assert written.dtype == np.uint8
    assert np.abs(written.astype(int) - picture()).max() <= 20


@pytest.mark.parametrize("odd", [*PICTURES, *MASKS], ids=lambda odd: f"{odd.role}-{odd.name}")
def test_odd_picture(convert, tmp_path, odd):
    make_source(tmp_path / "source", odd.role, odd.make, odd.ending)
    done = convert("isic2018", tmp_path / "source")
    assert done.code == (0 if odd.outcome == "converted" else 1), done.summary
    check_label(done.folder, SOUND)
    check_picture(done.folder, SOUND)
    if odd.outcome == "refused":
        assert odd.says in done.reason(ODD)
        assert not list(done.folder.glob(f"*/{ODD}*"))
        return
    check_label(done.folder, ODD)
    check_picture(done.folder, ODD)
    notes = [note for file in done.case(ODD)["files"] for note in file.get("notes", [])]
    assert any(odd.says in note for note in notes) if odd.says else not notes
    if odd.role == "label" and not odd.says:
        np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{ODD}.png"), inside())


@pytest.mark.parametrize("name", WITH_WARNING)
def test_masks_that_may_be_meant_so_are_converted_with_a_warning(convert, tmp_path, name):
    make, warning = WITH_WARNING[name]
    make_source(tmp_path / "source", "label", make, ".png")
    done = convert("isic2018", tmp_path / "source")
    assert done.code == 0
    assert any(ODD in text and warning in text for text in done.summary["warnings"])
    expected = {"inverted": ~inside(), "all-255": np.ones_like(inside()), "all-0": np.zeros_like(inside())}[name]
    np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{ODD}.png"), expected)
