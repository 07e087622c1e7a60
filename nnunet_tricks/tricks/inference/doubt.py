"""One number of doubt for each case, for finding the cases that somebody should look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK
import tifffile

from nnunet_tricks.tricks.inference.writing import map_file


def doubts(folder: Path, cases: Sequence[str], maps: Sequence[str], ending: str) -> dict[str, dict[str, float]]:
    """The sum of each map over the image, for each voxel of predicted foreground.

    Sure background adds nothing to the sum. Dividing by the foreground makes large and small objects comparable; an
    image without foreground is divided by 1, so a doubtful empty prediction comes first.

    Args:
        folder: With the segmentations, and each map in a folder of its name.
        cases: Which to look at.
        maps: Names of the maps.
        ending: Ending of the segmentations.

    Returns:
        From a case to its numbers, by the name of the map, and its predicted foreground in voxels.
    """
    numbers: dict[str, dict[str, float]] = {}
    for case in cases:
        foreground = int(
            np.count_nonzero(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(folder / (case + ending)))))
        )
        of_case = {}
        for name in maps:
            file = map_file(folder / case, name, ending)
            if file.suffix in (".tif", ".tiff"):
                values = tifffile.imread(file)
            else:
                values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))
            of_case[name] = float(values.sum(dtype=np.float64)) / max(foreground, 1)
        numbers[case] = {**of_case, "foreground_voxels": foreground}
    return numbers
