"""A fingerprint for data sets that are annotated in part: intensities of what was annotated, and of nothing else.

nnU-Net takes intensities where the label is above 0, which ``ignore`` is. In CT of a small organ the statistics then
are those of air and table, and every image is clipped and scaled by them. ``nnUNetv2_plan_and_preprocess -d 601 -fpe
DatasetFingerprintExtractorAnnotated`` leaves ignored voxels out; all else is nnU-Net's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from numpy.typing import NDArray

from nnunet_tricks.catalogue.naming import IllegalName

PREFIX = "DatasetFingerprintExtractor"
NAME = f"{PREFIX}Annotated"


class AnnotatedOnly:
    """A reader of nnU-Net's whose label maps have background where nobody annotated.

    Args:
        reader: Class of the reader.
        ignore: Value of voxels without annotation.
    """

    def __init__(self, reader: type, ignore: int) -> None:
        """Open the reader."""
        self._reader, self._ignore = reader(), ignore

    def read_images(self, files: Sequence[str]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Read images as nnU-Net's reader does."""
        return self._reader.read_images(files)

    def read_seg(self, file: str) -> tuple[NDArray[Any], dict[str, Any]]:
        """Read a label map as nnU-Net's reader does, with background in place of ``ignore``."""
        label, properties = self._reader.read_seg(file)
        label[label == self._ignore] = 0
        return label, properties


def find(name: str) -> type | None:
    """The extractor class of a name.

    Args:
        name: Name as it follows nnU-Net's ``-fpe``.

    Returns:
        The class, the same one each time, or ``None`` where the name does not begin as extractors' names do.

    Raises:
        IllegalName: If it begins so, but is none of ours.
    """
    if not name.startswith(PREFIX):
        return None
    if name != NAME:
        raise IllegalName(name, "there is no such one", [NAME], "fingerprint extractor")
    return _build()


@cache
def _build() -> type:
    from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

    from nnunet_tricks.nnunet import patches

    class OfAnnotated(DatasetFingerprintExtractor):
        """nnU-Net's extractor, with readers that hide ignored voxels."""

        def run(self, overwrite_existing: bool = False) -> dict[str, Any]:
            """Extract the fingerprint as nnU-Net does, from annotated voxels only.

            Raises:
                ValueError: If the data set has no ignore label, so that nothing would differ.
            """
            ignore = self.dataset_json["labels"].get("ignore")
            if ignore is None:
                raise ValueError(f"{self.dataset_name} has no label 'ignore': plan it without -fpe {NAME}")
            with patches.reader_of_fingerprints(lambda reader: partial(AnnotatedOnly, reader, int(ignore))):
                return super().run(overwrite_existing)

    return type(NAME, (OfAnnotated,), {"__module__": __name__, "__doc__": "nnU-Net's, of annotated voxels only."})


def __getattr__(name: str) -> type:
    """The class is an attribute, so that it can be imported and pickled."""
    if name != NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _build()
