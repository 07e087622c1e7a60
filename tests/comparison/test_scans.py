from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from skimage import io

from nnunet_tricks.comparison.scans import CT_WINDOW, ImageVolume


def test_channels_of_volumes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 4, 6, 8)).astype(np.float32)
    for channel in (0, 1):
        sitk.WriteImage(sitk.GetImageFromArray(values[channel]), str(tmp_path / f"{channel}.nii.gz"))
        tifffile.imwrite(tmp_path / f"{channel}.tif", values[channel])
    for ending in ("nii.gz", "tif"):
        np.testing.assert_array_equal(
            ImageVolume.read([tmp_path / f"{channel}.{ending}" for channel in (0, 1)]).values, values
        )


def test_colour_and_grey_pictures(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    io.imsave(tmp_path / "colour.png", colour, check_contrast=False)
    io.imsave(tmp_path / "grey.png", colour[..., 0], check_contrast=False)
    scan = ImageVolume.read([tmp_path / "colour.png"])
    assert scan.values.shape == (3, 1, 6, 8)
    np.testing.assert_array_equal(scan.plane(0), colour)
    assert ImageVolume.read([tmp_path / "grey.png"]).plane(0).shape == (6, 8)


def test_what_is_shown_of_ct_does_not_depend_on_the_image() -> None:
    low, high = CT_WINDOW
    values = np.array([[low - 500, low, (low + high) / 2, high, 3000]], np.float32)[None, None]
    np.testing.assert_array_equal(ImageVolume(values).plane(0, ct=True), [[0, 0, 128, 255, 255]])


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_an_image_that_shows_nothing(value: float) -> None:
    plane = ImageVolume(np.full((1, 1, 4, 4), value, np.float32)).plane(0)
    assert plane.dtype == np.uint8
    assert len(np.unique(plane)) == 1


def test_what_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_text("nothing")
    with pytest.raises(ValueError, match=r"a\.nii\.gz cannot be read as an image"):
        ImageVolume.read([tmp_path / "a.nii.gz"])
    for name, size in (("b", 4), ("c", 5)):
        io.imsave(tmp_path / f"{name}.png", np.zeros((size, size), np.uint8), check_contrast=False)
    with pytest.raises(ValueError, match="different shapes"):
        ImageVolume.read([tmp_path / "b.png", tmp_path / "c.png"])
