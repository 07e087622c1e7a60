"""Image files of every format that nnU-Net reads, read to their end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nnunet_tricks.utilities.whole_images.headers import LONGEST, gipl_size, metaimage, nifti_size, nrrd
from nnunet_tricks.utilities.whole_images.pictures import check_bmp, check_png
from nnunet_tricks.utilities.whole_images.stream import AGAIN, Stored, check_stored
from nnunet_tricks.utilities.whole_images.tiff import check_tiff


def check_whole(file: Path) -> None:
    """Read a file to its end, and compare it with what its header promises.

    What has no check sum, such as an uncompressed volume, can only be found to be too short.

    Args:
        file: An image or a label map; formats that nnU-Net does not read are not looked at.

    Raises:
        ValueError: With the reason, if it is cut off or damaged. The file is not named.
        OSError: If it cannot be read at all.
    """
    name = file.name.lower()
    if not file.stat().st_size:
        raise ValueError(f"it is empty: {AGAIN}")
    for endings, check in _CHECKS.items():
        if name.endswith(endings):
            check(file)


def _nifti(file: Path) -> None:
    check_stored(Stored(file), nifti_size)


def _gipl(file: Path) -> None:
    check_stored(Stored(file), gipl_size)


def _with_text_header(file: Path) -> None:
    with file.open("rb") as opened:
        head = opened.read(LONGEST)
    stored = (nrrd if head.startswith(b"NRRD") else metaimage)(file, head)
    if stored is not None:
        needed = stored.size
        check_stored(stored, lambda _: needed)


_CHECKS: dict[tuple[str, ...], Callable[[Path], None]] = {
    (".nii.gz", ".nii"): _nifti,
    (".gipl", ".gipl.gz"): _gipl,
    (".nrrd", ".nhdr", ".mha", ".mhd"): _with_text_header,
    (".tif", ".tiff"): check_tiff,
    (".png",): check_png,
    (".bmp",): check_bmp,
}
