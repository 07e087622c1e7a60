"""Raw images of a fold's training cases, and preprocessed ones on their grid again."""

# mypy: untyped-calls-exclude="SimpleITK"
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from skimage import io

from nnunet_tricks.annotation.scans import VolumeFile, written
from nnunet_tricks.nnunet.folders import Case, Folders
from nnunet_tricks.tricks.synthesis.cases import FoldCases
from nnunet_tricks.utilities.files import replacing
from nnunet_tricks.utilities.wording import some

PICTURES = "NaturalImage2DIO"
WRITTEN = (PICTURES, "SimpleITKIO", "NibabelIO")
"""nnU-Net's readers whose files are written here."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class RawCases:
    """Raw files of training cases.

    Attributes:
        dataset: Full name of the data set.
        description: Content of ``dataset.json``.
        reader: nnU-Net's reader of its images.
        files: Files of each case.
    """

    dataset: str
    description: dict[str, Any]
    reader: Any
    files: dict[str, Case]

    @classmethod
    def of(cls, folders: Folders, cases: FoldCases, *, labels: bool) -> RawCases:
        """Find the raw files of training cases, without reading them.

        Args:
            folders: nnU-Net's folders.
            cases: Training cases.
            labels: Whether label maps are needed, and files like these are written.

        Raises:
            ValueError: If some are missing, or such files cannot be written.
        """
        name = cases.place.dataset
        if not (folders.raw / name / "dataset.json").is_file():
            raise ValueError(f"{name} is not in {folders.raw}, and translating needs its raw images, too")
        raw = folders.cases(name, "Tr")
        missing = [case for case in cases.names if case not in raw or (labels and raw[case].label is None)]
        if missing:
            what = "images with label maps" if labels else "images"
            raise ValueError(f"{folders.raw / name} has no raw {what} of {some(missing)}, which fold trains on")
        reader = cases.planned.plans.image_reader_writer_class
        if labels and reader.__name__ not in WRITTEN:
            raise ValueError(
                f"{name} is read by {reader.__name__}, and translated images are written for {some(WRITTEN)}: plan it "
                "with files that one of these reads"
            )
        return cls(name, folders.description(name), reader(), {case: raw[case] for case in cases.names})

    @property
    def is_pictures(self) -> bool:
        """Whether files are pictures rather than volumes."""
        return type(self.reader).__name__ == PICTURES

    @property
    def numbers(self) -> np.dtype[Any]:
        """Kind of the numbers in its picture files; single precision for volumes."""
        first = next(iter(self.files.values())).images[0]
        return io.imread(first).dtype if self.is_pictures else np.dtype(np.float32)

    @property
    def labels(self) -> dict[str, Path]:
        """Label map of each case that has one."""
        return {case: files.label for case, files in self.files.items() if files.label}

    def read(self, case: str) -> Image:
        """The raw image of a case, (C, *axes of the file)."""
        image: Image = self.reader.read_images([str(file) for file in self.files[case].images])[0]
        return image


def on_raw_grid(image: Image, cases: FoldCases, properties: dict[str, Any]) -> Image:
    """A preprocessed image resampled to the voxels of the raw one.

    Voxels that were cropped away get the values of the nearest ones.

    Args:
        image: Preprocessed image, (C, Z, Y, X).
        cases: Training cases, for their plans.
        properties: What nnU-Net noted when it preprocessed the image.

    Returns:
        (C, *axes of the raw image).
    """
    plans, configuration = cases.planned.plans, cases.planned.configuration
    shape = [int(side) for side in properties["shape_after_cropping_and_before_resampling"]]
    raw_spacing = [float(properties["spacing"][axis]) for axis in plans.transpose_forward]
    spacing = [float(side) for side in configuration.spacing]
    spacing = spacing if len(spacing) == len(shape) else [raw_spacing[0], *spacing]
    if list(image.shape[1:]) != shape:
        low, high = (limit(image, axis=(1, 2, 3), keepdims=True) for limit in (np.min, np.max))
        resampled = configuration.resampling_fn_data(image, shape, spacing, raw_spacing)
        # Splines overshoot at sharp borders.
        image = np.clip(np.asarray(resampled, np.float32), low, high)
    whole = [int(side) for side in properties["shape_before_cropping"]]
    beside = [
        (int(first), side - int(stop))
        for (first, stop), side in zip(properties["bbox_used_for_cropping"], whole, strict=True)
    ]
    padded = np.pad(image, [(0, 0), *beside], mode="edge")
    return np.ascontiguousarray(padded.transpose([0, *(axis + 1 for axis in plans.transpose_backward)]))


def write_picture(image: Image, like: Path, file: Path, numbers: np.dtype[Any]) -> None:
    """Write channels as a picture file.

    Args:
        image: Channels of the file, (C, 1, Y, X).
        like: Picture of as many channels.
        file: The new file.
        numbers: Kind of its numbers.
    """
    if np.issubdtype(numbers, np.integer):
        limits = np.iinfo(numbers)
        image = np.clip(np.rint(image), limits.min, limits.max)
    pixels = image[:, 0].astype(numbers)
    with replacing(file, ending=like.suffix) as temporary:
        flat = len(pixels) == 1
        io.imsave(temporary, pixels[0] if flat else np.moveaxis(pixels, 0, -1), check_contrast=False)


def write_volume(image: Image, like: Path, file: Path) -> None:
    """Write channels as a volume on the grid of another.

    Args:
        image: Channels of the file, (C, k, j, i).
        like: Volume with that grid.
        file: The new file.
    """
    grid = VolumeFile(like).image()
    written(image.reshape(SimpleITK.GetArrayViewFromImage(grid).shape), grid, file)


def channels_of(file: Path, *, picture: bool, axes: Sequence[int]) -> int:
    """Number of channels in a file.

    Args:
        file: A raw image.
        picture: Whether it is a picture rather than a volume.
        axes: Size of the image without channels.

    Returns:
        3 for a colour picture, and 1 for most others.
    """
    if picture:
        pixels = io.imread(file)
        return 1 if pixels.ndim == 2 else int(pixels.shape[-1])
    view = SimpleITK.GetArrayViewFromImage(VolumeFile(file).image())
    return int(view.size // np.prod(axes))
