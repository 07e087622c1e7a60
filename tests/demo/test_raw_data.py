import json
from pathlib import Path

import numpy as np
import SimpleITK

from nnunet_tricks.demo.phantom import make_phantom
from nnunet_tricks.demo.raw_data import write_phantoms


def test_phantoms_as_nnunet_wants_them(tmp_path: Path) -> None:
    folder = tmp_path / "Dataset001_Phantoms"
    write_phantoms(folder, train=2, unseen=1)
    described = json.loads((folder / "dataset.json").read_text())
    assert described["numTraining"] == 2
    assert sorted(path.name for path in folder.rglob("*.nii.gz")) == [
        *("phantom_000.nii.gz", "phantom_000_0000.nii.gz", "phantom_001.nii.gz", "phantom_001_0000.nii.gz"),
        *("phantom_002.nii.gz", "phantom_002_0000.nii.gz"),
    ]
    image = SimpleITK.ReadImage(str(folder / "imagesTs" / "phantom_002_0000.nii.gz"))
    labels = SimpleITK.ReadImage(str(folder / "labelsTs" / "phantom_002.nii.gz"))
    phantom = make_phantom(2)
    assert np.allclose(image.GetSpacing(), phantom.spacing[::-1])
    assert image.GetSpacing() == labels.GetSpacing()
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), phantom.image)
    assert np.array_equal(SimpleITK.GetArrayFromImage(labels), phantom.labels)
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
