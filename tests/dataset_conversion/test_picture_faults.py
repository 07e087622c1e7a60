"""Every known fault of pictures and masks, made from good ones: converted correctly or refused with the reason."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import io

WIDTH, HEIGHT = 60, 40
NAME = "ISIC_0000001"


def picture():
    """Smooth colours, so that JPEG keeps them."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y], axis=-1).astype(np.uint8)


def inside():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((x - 20) / 12) ** 2 + ((y - 18) / 9) ** 2 < 1


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Two good cases; the first is the one that gets the fault."""
    folder = tmp_path_factory.mktemp("good")
    for part in ("images", "masks"):
        (folder / part).mkdir()
    for number, turned in ((1, picture()), (2, picture()[::-1])):
        Image.fromarray(turned).save(folder / f"images/ISIC_000000{number}.png")
        mask = Image.fromarray(inside().astype(np.uint8) * 255)
        mask.save(folder / f"masks/ISIC_000000{number}_segmentation.png")
    return folder


@pytest.fixture
def source(good, tmp_path):
    return shutil.copytree(good, tmp_path / "a source")


def replace_picture(source, image, ending="png", **options):
    (source / f"images/{NAME}.png").unlink()
    image.save(source / f"images/{NAME}.{ending}", **options)


def replace_mask(source, image, ending="png", **options):
    (source / f"masks/{NAME}_segmentation.png").unlink()
    image.save(source / f"masks/{NAME}_segmentation.{ending}", **options)


def mask_image(high=255):
    return Image.fromarray(inside().astype(np.uint8) * np.uint8(high))


def palette_mask(colours):
    image = Image.fromarray(inside().astype(np.uint8)).convert("P")
    image.putdata(inside().astype(np.uint8).ravel().tolist())
    image.putpalette(colours)
    return image


def colour_mask(colour):
    return Image.fromarray(np.where(inside()[..., None], np.array(colour), 0).astype(np.uint8))


def with_alpha(image, alpha):
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    return image


def smooth_mask():
    big = Image.fromarray(inside().astype(np.uint8) * 255).resize((WIDTH * 5, HEIGHT * 5), Image.Resampling.NEAREST)
    return big.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


MASKS = {
    "0 and 1": lambda: mask_image(1),
    "RGB": lambda: mask_image().convert("RGB"),
    "RGBA": lambda: mask_image().convert("RGBA"),
    "grey with alpha": lambda: mask_image().convert("LA"),
    "1 bit": lambda: mask_image().convert("1"),
    "16 bit": lambda: Image.fromarray(inside().astype(np.uint16) * 65535),
    "16 bit, low": lambda: Image.fromarray(inside().astype(np.uint16) * 255),
    "black and white palette": lambda: palette_mask([0, 0, 0, 255, 255, 255]),
    "anti-aliased": smooth_mask,
}


@pytest.mark.parametrize("kind", MASKS)
def test_masks_of_every_kind_are_the_same_mask(convert, source, kind):
    replace_mask(source, MASKS[kind]())
    done = convert("isic2018", source)
    assert done.code == 0, done.summary["refusals"]
    written = io.imread(done.folder / f"labelsTr/{NAME}.png")
    assert written.dtype == np.uint8
    np.testing.assert_array_equal(written, inside())


def test_jpeg_mask_is_cut_at_half_scale(convert, source):
    replace_mask(source, mask_image(), "jpg", quality=80)
    done = convert("isic2018", source)
    written = io.imread(done.folder / f"labelsTr/{NAME}.png")
    assert set(np.unique(written)) == {0, 1}
    assert np.count_nonzero(written != inside()) < 10
    assert done.case(NAME)["files"][1]["notes"] == ["grey edge pixels, cut at half scale"]


@pytest.mark.parametrize("mask", [colour_mask((255, 0, 0)), palette_mask([0, 0, 0, 0, 255, 0])])
def test_colour_masks_only_on_request(convert, source, mask):
    replace_mask(source, mask)
    done = convert("isic2018", source)
    assert done.code == 1
    assert "colour mask with 2 colours" in done.reason(NAME)
    done = convert("isic2018", source, "--any-colour", "-d", 600)
    np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{NAME}.png"), inside())


PICTURES = {
    "grey": (lambda: Image.fromarray(picture()[..., 0]), "png", np.repeat(picture()[..., :1], 3, axis=2), "grey"),
    "RGBA": (lambda: Image.fromarray(picture()).convert("RGBA"), "png", picture(), "transparency dropped"),
    "half transparent": (
        lambda: with_alpha(Image.fromarray(picture()), np.where(inside(), 255, 100)),
        "png",
        picture(),
        "some pixels were transparent",
    ),
    "16-bit grey": (
        lambda: Image.fromarray(picture()[..., 0].astype(np.uint16) * 16),
        "png",
        np.repeat(np.rint(picture()[..., :1] * (255 / 236)), 3, axis=2),
        "16-bit",
    ),
    "1 bit": (lambda: mask_image().convert("1"), "png", np.repeat(inside()[..., None] * 255, 3, axis=2), "grey"),
    "bitmap": (lambda: Image.fromarray(picture()), "bmp", picture(), ""),
    "tiff": (lambda: Image.fromarray(picture()), "tif", picture(), ""),
    "palette": (
        lambda: Image.fromarray(picture()).quantize(200),
        "png",
        np.asarray(Image.fromarray(picture()).quantize(200).convert("RGB")),
        "stored as P",
    ),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_pictures_of_every_kind_become_rgb(convert, source, kind):
    make, ending, expected, note = PICTURES[kind]
    replace_picture(source, make(), ending)
    done = convert("isic2018", source)
    assert done.code == 0, done.summary["refusals"]
    written = io.imread(done.folder / f"imagesTr/{NAME}_0000.png")
    assert written.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(written.astype(int), expected.astype(int), atol=1)
    notes = done.case(NAME)["files"][0].get("notes", [])
    assert [note in text for text in notes] == ([True] if note else [])


def test_cmyk_jpeg_becomes_rgb(convert, source):
    replace_picture(source, Image.fromarray(picture()).convert("CMYK"), "jpg", quality=95)
    done = convert("isic2018", source)
    written = io.imread(done.folder / f"imagesTr/{NAME}_0000.png")
    np.testing.assert_allclose(written.astype(int), picture().astype(int), atol=12)


def test_plain_png_is_linked(convert, source):
    done = convert("isic2018", source)
    assert done.code == 0
    assert (done.folder / f"imagesTr/{NAME}_0000.png").samefile(source / f"images/{NAME}.png")


def turned(source, orientation, mask):
    exif = Image.Exif()
    exif[0x0112] = orientation
    replace_picture(source, Image.fromarray(picture()), "jpg", quality=95, exif=exif)
    replace_mask(source, Image.fromarray(mask.astype(np.uint8) * 255))


def test_orientation_that_the_mask_confirms_is_applied(convert, source):
    # 6: the stored picture has to be turned by 90 degrees clockwise.
    turned(source, 6, np.rot90(inside(), -1))
    done = convert("isic2018", source)
    assert done.code == 0
    written = io.imread(done.folder / f"imagesTr/{NAME}_0000.png").astype(int)
    np.testing.assert_allclose(written, np.rot90(picture(), -1).astype(int), atol=8)
    np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{NAME}.png"), np.rot90(inside(), -1))


def test_orientation_that_the_mask_contradicts_is_removed(convert, source):
    turned(source, 6, inside())
    done = convert("isic2018", source)
    assert done.code == 0
    written = Image.open(done.folder / f"imagesTr/{NAME}_0000.png")
    np.testing.assert_allclose(np.asarray(written).astype(int), picture().astype(int), atol=8)
    assert 0x0112 not in written.getexif()


def text_file(source):
    (source / f"images/{NAME}.png").write_text("<html>403 Forbidden</html>")


def pointer(source):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 12345\n"
    (source / f"masks/{NAME}_segmentation.png").write_text(text)


def cut_jpeg(source):
    replace_picture(source, Image.fromarray(picture()), "jpg", quality=95)
    path = source / f"images/{NAME}.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def cut_mask(source):
    path = source / f"masks/{NAME}_segmentation.png"
    path.write_bytes(path.read_bytes()[:-60])


def float_picture(source):
    (source / f"images/{NAME}.png").unlink()
    tifffile.imwrite(source / f"images/{NAME}.tif", picture()[..., 0].astype(np.float32))


def two_pages(source):
    pages = [Image.fromarray(picture()), Image.fromarray(picture())]
    replace_picture(source, pages[0], "tif", save_all=True, append_images=pages[1:])


def again(source):
    Image.fromarray(picture()).save(source / f"images/{NAME}.jpg")


REFUSED = {
    "no picture": (text_file, "not a picture"),
    "pointer": (pointer, "Git LFS pointer"),
    "JPEG cut off": (cut_jpeg, "cut off"),
    "mask cut off": (cut_mask, "cut off"),
    "empty file": (lambda source: (source / f"images/{NAME}.png").write_bytes(b""), "is empty"),
    "floating point": (float_picture, "floating-point"),
    "two pages": (two_pages, "holds 2 pictures"),
    "two files": (again, "2 files claim to be the image"),
    "upside down": (lambda source: turned(source, 3, inside()), "EXIF orientation 3"),
    "mask turned": (lambda source: replace_mask(source, mask_image().rotate(90, expand=True)), "turned by 90 degrees"),
    "mask of another shape": (lambda source: replace_mask(source, mask_image().resize((60, 60))), "another shape"),
    "mask in the alpha only": (
        lambda source: replace_mask(source, with_alpha(Image.new("RGB", (WIDTH, HEIGHT)), inside() * 255)),
        "transparency only",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_and_the_rest_converts(convert, source, name):
    spoil, reason = REFUSED[name]
    spoil(source)
    done = convert("isic2018", source)
    assert (done.code, done.summary["training"]) == (1, 1)
    assert reason in done.reason(NAME)
    assert not list(done.folder.glob(f"*/{NAME}*"))
    np.testing.assert_array_equal(io.imread(done.folder / "labelsTr/ISIC_0000002.png"), inside())


def test_half_size_mask_is_scaled(convert, source):
    replace_mask(source, mask_image().resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.NEAREST))
    done = convert("isic2018", source)
    assert done.code == 0
    written = io.imread(done.folder / f"labelsTr/{NAME}.png")
    assert written.shape == (HEIGHT, WIDTH)
    assert np.count_nonzero(written != inside()) < 40
    assert "scaled from 30x20" in done.case(NAME)["files"][1]["notes"][0]


@pytest.mark.parametrize(("value", "warning"), [(0, "mask is empty"), (255, "mask fills the whole picture")])
def test_empty_and_full_masks_are_converted_with_a_warning(convert, source, value, warning):
    replace_mask(source, Image.new("L", (WIDTH, HEIGHT), value))
    done = convert("isic2018", source)
    assert done.code == 0
    assert any(warning in text for text in done.summary["warnings"])
    assert set(np.unique(io.imread(done.folder / f"labelsTr/{NAME}.png"))) == {int(value > 0)}
