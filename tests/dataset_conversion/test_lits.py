"""LiTS: layouts and geometry, checked by content."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pytest

ZIP_FOLDER = "media/nas/01_Datasets/CT/LITS/Training Batch 1/"


@pytest.mark.parametrize("case", ["lits_000", "lits_001", "lits_028"])
def test_liver_voxels_have_the_density_of_liver(convert, data, case):
    done = convert("lits", data / "lits")
    values = np.asanyarray(nibabel.load(done.folder / f"imagesTr/{case}_0000.nii").dataobj)
    labels = np.asanyarray(nibabel.load(done.folder / f"labelsTr/{case}.nii").dataobj)
    liver = values[labels == 1]
    assert 40 < liver.mean() < 160
    assert liver.std() < 60


def test_sample_is_linked_under_one_ending(convert, data):
    done = convert("lits", data / "lits")
    assert done.code == 0
    assert done.json("dataset.json")["file_ending"] == ".nii"
    assert done.summary["test"] == 1
    assert any("lits_028" in warning and "3D-IRCADb" in warning for warning in done.summary["warnings"])


def test_merged_liver_holds_its_tumors(convert, data):
    done = convert("lits", data / "lits", "--task", "liver")
    source = np.asanyarray(nibabel.load(data / "lits/Training Batch 1/segmentation-0.nii").dataobj)
    written = np.asanyarray(nibabel.load(done.folder / "labelsTr/lits_000.nii").dataobj)
    np.testing.assert_array_equal(written, source > 0)
    assert done.folder.name == "Dataset520_LiTS2017Liver"


@pytest.mark.parametrize(
    "names",
    [
        (ZIP_FOLDER + "volume-{}.nii", ZIP_FOLDER + "segmentation-{}.nii"),
        ("volume_pt1/volume-{}.nii", "segmentations/segmentation-{}.nii"),
        ("ct/volume_{}.nii", "ct/segmentation_{}.nii"),
        ("volume-{0}.nii/volume-{0}.nii", "segmentation-{0}.nii/segmentation-{0}.nii"),
        ("Task03_Liver/imagesTr/liver_{}.nii", "Task03_Liver/labelsTr/liver_{}.nii"),
    ],
)
def test_layouts_of_the_copies(convert, data, tmp_path, names):
    source = tmp_path / "copy of lits"
    for number, new in ((0, 2), (1, 10)):
        for name, role in zip(names, ("volume", "segmentation"), strict=True):
            target = source / name.format(new)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / f"lits/Training Batch 1/{role}-{number}.nii", target)
    done = convert("lits", source)
    assert done.summary["training"] == 2
    # Paired by number: sorted lists would give 10 before 2.
    assert done.case("lits_002")["size"] == [256, 256, 33]
    assert done.case("lits_010")["size"] == [122, 101, 30]


def loaded(path):
    # Not mapped into memory, since the same file is written afterwards.
    return nibabel.Nifti1Image.from_bytes(path.read_bytes())


def reoriented(path, codes):
    image = loaded(path)
    orientation = nibabel.orientations.axcodes2ornt(codes)
    transform = nibabel.orientations.ornt_transform(nibabel.orientations.io_orientation(image.affine), orientation)
    moved = image.as_reoriented(transform)
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(moved.dataobj), moved.affine), path)


@pytest.mark.parametrize("codes", ["LPS", "SAR", "IPL", "ASL"])
def test_label_in_another_voxel_order_is_aligned_in_world_space(convert, copied, data, codes):
    source = copied("lits")
    reoriented(source / "Training Batch 1/segmentation-1.nii", codes)
    done = convert("lits", source)
    assert done.code == 0
    before = np.asanyarray(nibabel.load(data / "lits/Training Batch 1/segmentation-1.nii").dataobj)
    written = np.asanyarray(nibabel.load(done.folder / "labelsTr/lits_001.nii").dataobj)
    np.testing.assert_array_equal(written, before)
    assert "world space" in done.case("lits_001")["files"][1]["notes"][0]


def test_unit_matrix_with_an_origin_is_replaced_by_the_images_geometry(convert, copied):
    source = copied("lits")
    path = source / "Training Batch 1/segmentation-1.nii"
    affine = np.eye(4)
    affine[:3, 3] = 1
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(loaded(path).dataobj), affine), path)
    done = convert("lits", source)
    assert done.code == 0
    image = nibabel.load(done.folder / "imagesTr/lits_001_0000.nii")
    np.testing.assert_array_equal(nibabel.load(done.folder / "labelsTr/lits_001.nii").affine, image.affine)


def test_wrong_flip_in_the_header_is_caught_by_content(convert, copied):
    source = copied("lits")
    path = source / "Training Batch 1/segmentation-0.nii"
    image = loaded(path)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = image.shape[0] - 1
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), image.affine @ flip), path)
    done = convert("lits", source)
    assert done.code == 1
    assert "header is wrong" in done.reason("lits_000")


def test_mirrored_label_is_noticed_by_its_density(convert, copied):
    source = copied("lits")
    path = source / "Training Batch 1/segmentation-1.nii"
    image = loaded(path)
    mirrored = np.ascontiguousarray(np.asanyarray(image.dataobj)[::-1])
    nibabel.save(nibabel.Nifti1Image(mirrored, image.affine), path)
    done = convert("lits", source)
    assert any("lits_001" in text and "look whether" in text for text in done.summary["warnings"])


def test_two_real_but_different_places_are_refused(convert, copied):
    source = copied("lits")
    path = source / "Training Batch 1/segmentation-1.nii"
    image = loaded(path)
    affine = image.affine.copy()
    affine[0, 3] += 30
    nibabel.save(nibabel.Nifti1Image(np.asanyarray(image.dataobj), affine), path)
    done = convert("lits", source)
    assert "10 voxels apart" in done.reason("lits_001")
    assert convert("lits", source, "--skip-refused", "-d", 521).code == 0
