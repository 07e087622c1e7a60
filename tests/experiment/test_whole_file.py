import nibabel
import numpy as np
import pytest
from skimage.io import imsave

from nnunet_tricks.experiment.whole_file import is_whole


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".png", ".bmp"])
def test_a_file_that_was_cut_off_anywhere_is_not_whole(tmp_path, ending) -> None:
    values = np.random.default_rng(0).integers(0, 4, (9, 10)).astype(np.uint8)
    file = tmp_path / f"case{ending}"
    if ".nii" in ending:
        nibabel.save(nibabel.Nifti1Image(values[..., None].repeat(11, -1), np.eye(4)), file)
    else:
        imsave(file, values, check_contrast=False)
    assert is_whole(file) is True
    content = file.read_bytes()
    for left in (0, 1, 20, len(content) // 2, len(content) - 1):
        (tmp_path / f"cut_{left}{ending}").write_bytes(content[:left])
        assert is_whole(tmp_path / f"cut_{left}{ending}") is False, left


def test_what_cannot_be_told_is_not_guessed(tmp_path) -> None:
    (tmp_path / "case.mha").write_text("ObjectType = Image\n")
    assert is_whole(tmp_path / "case.mha") is None
