"""Deliberately odd NIfTI files and folders: none stops a conversion, none is silently wrong."""

from __future__ import annotations

import logging

import nibabel
import numpy as np
import pytest
import SimpleITK

from tests.dataset_conversion.test_header_fields import read_alike
from tests.odd_files import nifti, volume_layouts
from tests.odd_files.nifti import AFFINE, IMAGE, LABEL, sound


@pytest.fixture(autouse=True)
def quiet():
    logging.getLogger("nibabel").setLevel(logging.CRITICAL)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)


def canonical(voxels, affine):
    """Voxels and place with the axes from right to left, back to front, feet to head."""
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine))
    return np.asanyarray(image.dataobj), image.affine


def check_case(folder, case, step=0):
    """Values and places of a converted case are those that are meant, to both readers.

    Args:
        folder: The data set.
        case: Its id.
        step: What was added to the image's values.
    """
    (image,) = (folder / "imagesTr").glob(f"{case}_0000.*")
    (label,) = (folder / "labelsTr").glob(f"{case}.*")
    for path, meant in ((image, IMAGE + step), (label, LABEL)):
        values, place = canonical(*read_alike(path))
        expected, expected_place = canonical(meant.astype(np.float64), AFFINE)
        np.testing.assert_allclose(values, expected, atol=1e-3)
        np.testing.assert_allclose(place, expected_place, atol=0.05)
    first, second = SimpleITK.ReadImage(str(image)), SimpleITK.ReadImage(str(label))
    assert (first.GetSpacing(), first.GetOrigin(), first.GetDirection()) == (
        second.GetSpacing(),
        second.GetOrigin(),
        second.GetDirection(),
    )


def test_the_sample_is_large_and_its_names_are_its_own():
    assert len(nifti.FILES) >= 40
    assert len(volume_layouts.SOURCES) >= 8
    assert len({file.name for file in nifti.FILES}) == len(nifti.FILES)


@pytest.mark.parametrize("odd", nifti.FILES, ids=lambda odd: odd.name)
def test_odd_volume(convert, tmp_path, odd):
    source = tmp_path / "source"
    source.mkdir()
    for number in (0, 1):
        for role, word in (("image", "volume"), ("label", "segmentation")):
            path = source / f"{word}-{number}{odd.ending}"
            if number == 0 and role == odd.role:
                odd.make(path, np.random.default_rng(0))
            else:
                sound(path, role)
    done = convert("lits", source)
    assert done.code == (0 if odd.outcome == "converted" else 1), done.summary
    check_case(done.folder, "lits_001")
    if odd.outcome == "refused":
        assert odd.says in done.reason("lits_000")
        assert str(tmp_path) not in done.reason("lits_000")
        assert not list(done.folder.glob("*/lits_000*"))
        return
    check_case(done.folder, "lits_000")
    notes = [note for file in done.case("lits_000")["files"] for note in file.get("notes", [])]
    assert any(odd.says in note for note in notes) if odd.says else not notes


def is_image(folder, case, number):
    """Whether a case has the image with that number added, which says which file it comes from."""
    (image,) = (folder / "imagesTr").glob(f"{case}_0000.*")
    return nibabel.load(image).get_fdata().max() == IMAGE.max() + number


@pytest.mark.parametrize("odd", volume_layouts.SOURCES, ids=lambda odd: odd.name)
def test_odd_layout(convert, tmp_path, odd):
    source = tmp_path / "source"
    source.mkdir()
    odd.make(source, np.random.default_rng(0))
    done = convert(odd.data_set, source, *odd.words)
    assert done.code == odd.code, done.summary
    assert odd.says in str(done.summary)
    if odd.cases is None:
        assert not list(done.folder.parent.glob("raw/Dataset*"))
        return
    assert {path.name.partition(".")[0] for path in (done.folder / "labelsTr").iterdir()} == set(odd.cases)
    for case in odd.cases:
        number = next(number for number in range(10) if is_image(done.folder, case, number))
        check_case(done.folder, case, step=number)
