"""Odd pictures and masks. Their partner in the case is sound.

The sound picture is grey in all channels and goes from 0 to 255, so that whatever way it is stored, it comes out as the
same pixels.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from tests.odd_files.odd_file import OddFile

WIDTH, HEIGHT = 60, 44
Writer = Callable[[Path, np.random.Generator], None]


def grey():
    """Smooth waves from 0 to 255, which JPEG preserves."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = np.sin(x / 9.0) + np.cos(y / 7.0) + np.sin((x + 2 * y) / 13.0)
    return np.rint((waves - waves.min()) * (255 / np.ptp(waves))).astype(np.uint8)


def picture():
    return np.repeat(grey()[..., None], 3, axis=2)


def inside():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((x - 20) / 12) ** 2 + ((y - 18) / 9) ** 2 < 1


def core():
    """A part of the object."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return ((x - 20) / 6) ** 2 + ((y - 18) / 4) ** 2 < 1


def saved(make, **options) -> Writer:
    """Writes what the function gives, as Pillow saves it."""

    def write(path: Path, _: np.random.Generator) -> None:
        make().save(path, **options)

    return write


def array(values, **options) -> Writer:
    return saved(lambda: Image.fromarray(values()), **options)


def tiff(values, **options) -> Writer:
    def write(path: Path, _: np.random.Generator) -> None:
        tifffile.imwrite(path, values(), **options)

    return write


def spoilt(writer: Writer, spoil: Callable[[bytearray], bytes | bytearray]) -> Writer:
    """Writes a file and then damages it."""

    def write(path: Path, generator: np.random.Generator) -> None:
        writer(path, generator)
        path.write_bytes(spoil(bytearray(path.read_bytes())))

    return write


def contents(data: bytes) -> Writer:
    return lambda path, _: path.write_bytes(data) and None


def noisy(**options) -> Writer:
    """A picture of 240 x 176 pixels with noise, so that there is something to damage."""

    def make():
        noise = np.random.default_rng(7).integers(0, 60, (HEIGHT * 4, WIDTH * 4, 3))
        large = Image.fromarray(picture()).resize((WIDTH * 4, HEIGHT * 4), Image.Resampling.BICUBIC)
        return Image.fromarray(np.clip(np.asarray(large) * 0.75 + noise, 0, 255).astype(np.uint8))

    return saved(make, **options)


def zeros(data):
    middle = len(data) // 2
    data[middle : middle + 512] = bytes(512)
    return data


def five_bytes(data):
    middle = len(data) // 2
    data[middle : middle + 5] = bytes(
        255 - byte if byte not in (0, 255) else byte for byte in data[middle : middle + 5]
    )
    return data


def in_last_chunk(data):
    data[data.rindex(b"IDAT") + 12] ^= 0x55
    return data


def with_exif(values, orientation) -> Writer:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return array(values, exif=exif)


def mask(high=255, low=0):
    return lambda: np.where(inside(), high, low).astype(np.uint8)


def instances(dtype=np.uint8, side=5):
    """Every square of the picture is an object of its own."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return lambda: (y // side * (WIDTH // side) + x // side).astype(dtype)


def palette_mask(colours, values=None):
    def make():
        image = Image.new("P", (WIDTH, HEIGHT))
        image.putdata((inside().astype(int) if values is None else values()).ravel().tolist())
        image.putpalette(colours)
        return image

    return make


def colours(colour, background=(0, 0, 0)):
    return lambda: np.where(inside()[..., None], np.array(colour), np.array(background)).astype(np.uint8)


def soft(scale):
    """An outline that was scaled, so that its pixels are grey."""

    def make():
        image = Image.fromarray(mask()())
        large = image.resize((round(WIDTH * scale), round(HEIGHT * scale)), Image.Resampling.BICUBIC)
        return large.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)

    return make


def animated(format_name, mode="L") -> Writer:
    def write(path: Path, _: np.random.Generator) -> None:
        frames = [Image.fromarray(grey()).convert(mode), Image.fromarray(255 - grey()).convert(mode)]
        frames[0].save(path, format_name, save_all=True, append_images=frames[1:])

    return write


def archive(path: Path, _: np.random.Generator) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("picture.png", b"no picture")


def array_file(path: Path, _: np.random.Generator) -> None:
    stream = io.BytesIO()
    np.save(stream, grey())
    path.write_bytes(stream.getvalue())


def gigantic(path: Path, _: np.random.Generator) -> None:
    """A header that says 65535 x 65535 pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(bytes(99))]
    packed = [struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def sixteen_bit_png(path: Path, _: np.random.Generator) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(picture().astype(np.uint16) * 16))


def image(name, make, outcome="converted", says="", ending=".png"):
    return OddFile(name=name, role="image", make=make, outcome=outcome, says=says, ending=ending)


def label(name, make, outcome="converted", says="", ending=".png"):
    return OddFile(name=name, role="label", make=make, outcome=outcome, says=says, ending=ending)


PICTURES = [
    image("grey", array(grey), says="grey, repeated"),
    image("grey-with-alpha", saved(lambda: Image.fromarray(grey()).convert("LA")), says="transparency dropped"),
    image("16-bit-grey", array(lambda: grey().astype(np.uint16) * 257), says="16-bit grey"),
    image("12-bit-grey", array(lambda: grey().astype(np.uint16) * 16), says="scaled from 0..4080"),
    image("16-bit-colours-png", sixteen_bit_png, says="16-bit colours, scaled from 0..4080"),
    image(
        "16-bit-colours-tiff",
        tiff(lambda: picture().astype(np.uint16) * 251, photometric="rgb"),
        says="16-bit colours",
        ending=".tif",
    ),
    image(
        "extra-channel-tiff",
        tiff(lambda: np.dstack([picture(), grey()]), photometric="rgb", extrasamples=["unspecified"]),
        says="4 channels",
        ending=".tif",
    ),
    image(
        "planes-tiff",
        tiff(lambda: np.moveaxis(picture(), -1, 0), photometric="rgb", planarconfig="separate"),
        ending=".tif",
    ),
    image("tiled-lzw-tiff", tiff(picture, photometric="rgb", tile=(16, 16), compression="lzw"), ending=".tiff"),
    image("palette", saved(lambda: Image.fromarray(grey()).convert("P")), says="stored as P"),
    image("transparent-colour", array(picture, transparency=(0, 0, 0)), says="transparency dropped"),
    image(
        "cmyk-jpeg", saved(lambda: Image.fromarray(picture()).convert("CMYK"), quality=95), says="CMYK", ending=".jpg"
    ),
    image("progressive-jpeg", array(picture, quality=95, progressive=True), ending=".jpg"),
    image("jpeg-with-restarts", array(picture, quality=95, restart_marker_rows=1), ending=".jpg"),
    image("jpeg-without-subsampling", array(picture, quality=95, subsampling=0), ending=".jpeg"),
    image(
        "jpeg-with-bytes-behind", spoilt(array(picture, quality=95), lambda data: data + b"behind" * 9), ending=".jpg"
    ),
    image("png-with-bytes-behind", spoilt(array(picture), lambda data: data + b"behind" * 9)),
    image("capital-ending", array(picture, format="PNG"), ending=".PNG"),
    image("jpeg-called-png", array(picture, format="JPEG", quality=95)),
    image("bmp-of-32-bits", saved(lambda: Image.fromarray(picture()).convert("RGBA")), ending=".bmp"),
    image("exif-of-a-square-turn", with_exif(picture, 3), "refused", "EXIF orientation 3"),
    image("exif-that-the-mask-denies", with_exif(picture, 6), says="orientation 6 removed"),
    image("jpeg-cut", spoilt(noisy(quality=80), lambda data: data[: len(data) // 2]), "refused", "cut off", ".jpg"),
    image(
        "jpeg-cut-and-closed",
        spoilt(noisy(quality=80), lambda data: data[: len(data) // 2] + b"\xff\xd9"),
        "refused",
        "damaged",
        ".jpg",
    ),
    image("jpeg-with-zeros", spoilt(noisy(quality=80), zeros), "refused", "damaged", ".jpg"),
    image("jpeg-with-five-wrong-bytes", spoilt(noisy(quality=80), five_bytes), "refused", "damaged", ".jpg"),
    image("progressive-with-zeros", spoilt(noisy(quality=80, progressive=True), zeros), "refused", "damaged", ".jpg"),
    image("restarts-with-zeros", spoilt(noisy(quality=80, restart_marker_rows=1), zeros), "refused", "damaged", ".jpg"),
    image("png-with-a-wrong-byte", spoilt(array(picture), in_last_chunk), "refused", "damaged"),
    image("png-without-end", spoilt(array(picture), lambda data: data[:-12]), "refused", "end is missing"),
    image(
        "deflated-tiff-with-zeros",
        spoilt(noisy(compression="tiff_adobe_deflate"), zeros),
        "refused",
        "damaged",
        ".tif",
    ),
    image("animated-png", animated("PNG"), "refused", "holds 2 pictures"),
    image("animated-gif", animated("GIF"), "refused", "holds 2 pictures"),
    image("pages", animated("TIFF"), "refused", "holds 2 pictures", ".tif"),
    image("floating-point", tiff(lambda: grey().astype(np.float32)), "refused", "floating-point", ".tif"),
    image("empty", contents(b""), "refused", "is empty"),
    image("web-page", contents(b"<!DOCTYPE html><html>404</html>"), "refused", "web page"),
    image("zip", archive, "refused", "a zip archive"),
    image("numpy-array", array_file, "refused", "a NumPy array"),
    image("git-lfs-pointer", contents(b"version https://git-lfs.github.com/spec/v1\n"), "refused", "Git LFS"),
    image("one-pixel", array(lambda: picture()[:1, :1]), "refused", "too coarse"),
    image(
        "gigantic",
        gigantic,
        "refused",
        "too many pixels",
    ),
]

MASKS = [
    label("0-and-1", array(mask(1))),
    label("0-and-2", array(mask(2)), says="two values, 0 and 2"),
    label("0-and-3", array(mask(3)), says="two values, 0 and 3"),
    label("0-and-100", array(mask(100)), says="two values, 0 and 100"),
    label("0-and-127", array(mask(127)), says="two values, 0 and 127"),
    label("1-and-2", array(mask(2, 1)), says="two values, 1 and 2"),
    label("100-and-200", array(mask(200, 100)), says="two values, 100 and 200"),
    label("16-bit", array(lambda: mask()().astype(np.uint16) * 257)),
    label("16-bit-0-and-300", array(lambda: inside().astype(np.uint16) * 300), says="two values, 0 and 300"),
    label("1-bit", saved(lambda: Image.fromarray(mask()()).convert("1")), says="1 bit"),
    label("black-and-white-palette", saved(palette_mask([0, 0, 0, 255, 255, 255])), says="stored as P"),
    label("rgb", array(colours((255, 255, 255)))),
    label("almost-grey", array(colours((255, 255, 254)))),
    label("alpha", saved(lambda: Image.fromarray(mask()()).convert("LA")), says="transparency dropped"),
    label("soft-outline", saved(soft(0.7)), says="grey edge pixels"),
    label(
        "soft-outline-up-to-200", saved(lambda: soft(0.7)().point(lambda value: value * 200 // 255)), says="grey edge"
    ),
    label("jpeg", array(mask(), quality=75), says="grey edge pixels", ending=".jpg"),
    label("own-orientation", with_exif(lambda: np.rot90(mask()()), 6), says="turned by its EXIF orientation 6"),
    label("own-orientation-not-meant", with_exif(mask(), 6), says="orientation 6 removed"),
    label("own-orientation-upside-down", with_exif(mask(), 3), "refused", "EXIF orientation 3"),
    label(
        "half-size",
        saved(lambda: Image.fromarray(mask()()).resize((30, 22), Image.Resampling.NEAREST)),
        says="scaled from 30x22",
    ),
    label("0-1-2", array(lambda: inside() + core().astype(np.uint8)), "refused", "values 0, 1, 2"),
    label(
        "0-128-255",
        array(lambda: np.where(core(), 255, inside() * 128).astype(np.uint8)),
        "refused",
        "values 0, 128, 255",
    ),
    label(
        "object-1-and-ignore-255",
        array(lambda: np.where(core(), 255, inside() * 1).astype(np.uint8)),
        "refused",
        "0, 1, 255",
    ),
    label("100-objects", array(instances(), format="PNG"), "refused", "values from 0 to"),
    label("objects-in-16-bits", array(instances(np.uint16, 3)), "refused", "values from 0 to"),
    label("nine-objects", array(lambda: np.minimum(instances(side=9)(), 9)), "refused", "values 0, 1, 2"),
    label("probabilities", array(grey), "refused", "far more in-between pixels"),
    label("one-value-77", array(lambda: np.full((HEIGHT, WIDTH), 77, np.uint8)), "refused", "one value 77"),
    label("red", array(colours((255, 0, 0))), "refused", "colour mask with 2 colours"),
    label("dark-red-palette", saved(palette_mask([0, 0, 0, 128, 0, 0])), "refused", "colour mask with 2 colours"),
    label("palette-of-one-colour", saved(palette_mask([0] * 6)), "refused", "paints all of them in one colour"),
    label("alpha-only", saved(lambda: _in_alpha()), "refused", "transparency only"),
    label("one-pixel", array(lambda: np.full((1, 1), 255, np.uint8)), "refused", "too coarse"),
    label("square", array(lambda: mask()()[:, :44]), "refused", "another shape"),
    label("turned", array(lambda: np.rot90(mask()())), "refused", "turned by 90 degrees"),
    label("floats", tiff(lambda: inside().astype(np.float32)), "refused", "floating-point", ".tif"),
    label("cut", spoilt(array(mask()), lambda data: data[:-40]), "refused", "cut off"),
    label("wrong-byte", spoilt(array(mask()), in_last_chunk), "refused", "damaged"),
    label("pages", animated("TIFF"), "refused", "holds 2 pictures", ".tif"),
    label("zip", archive, "refused", "a zip archive"),
]


def _in_alpha():
    shape = Image.new("RGBA", (WIDTH, HEIGHT))
    shape.putalpha(Image.fromarray(mask()()))
    return shape


WITH_WARNING = {
    "inverted": (array(mask(0, 255)), "is it inverted"),
    "all-255": (array(lambda: np.full((HEIGHT, WIDTH), 255, np.uint8)), "fills the whole picture"),
    "all-0": (array(lambda: np.zeros((HEIGHT, WIDTH), np.uint8)), "mask is empty"),
}
"""Masks that may be right: they are converted, with a warning."""
