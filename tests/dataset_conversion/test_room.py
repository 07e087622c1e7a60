"""The estimate of written bytes: close enough, and never a dead end."""

from __future__ import annotations

import gzip
import json
import os
import shutil

import numpy as np
import pytest

from dataset_conversion import room
from dataset_conversion.staging import Staging, prefixes
from tests.dataset_conversion.test_volume_faults import AFFINE, save, volume


def written(folder):
    """Bytes of what a conversion wrote itself, without the linked images and the reports."""
    return sum(
        path.stat().st_size
        for part in ("imagesTr", "imagesTs", "labelsTr", "labelsTs")
        for path in folder.glob(f"{part}/*")
        if path.stat().st_nlink == 1 and not path.is_symlink()
    )


def asked_for(convert, name, *words):
    return convert(name, *words, "--dry-run").summary["written_bytes"]


@pytest.mark.parametrize("words", [(), ("--max-size", "128"), ("--max-size", "64", "--format", "tif")])
@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_pictures_by_size_and_format(convert, data, words, ending):
    words = words if "--format" in words else (*words, "--format", ending)
    needed = asked_for(convert, "isic2018", data / "isic2018", *words)
    done = convert("isic2018", data / "isic2018", *words)
    assert 0.9 * written(done.folder) <= needed <= 2 * written(done.folder)


@pytest.fixture
def volumes(tmp_path):
    """Three cases, images .nii and labels .nii.gz, as large as a label needs to compress well."""
    source = tmp_path / "source"
    source.mkdir()
    values, labels = (np.tile(array, (3, 3, 3)) for array in volume())
    for number in range(3):
        save(source / f"volume-{number}.nii.gz", values + number)
        (source / f"volume-{number}.nii").write_bytes(
            gzip.decompress((source / f"volume-{number}.nii.gz").read_bytes())
        )
        (source / f"volume-{number}.nii.gz").unlink()
        save(source / f"segmentation-{number}.nii.gz", labels)
    return source


def test_labels_are_written_uncompressed_beside_uncompressed_images(convert, volumes):
    needed = asked_for(convert, "lits", volumes)
    done = convert("lits", volumes)
    assert done.json("dataset.json")["file_ending"] == ".nii"
    assert needed == pytest.approx(written(done.folder), rel=0.05)


def test_images_that_are_written_anew_count(convert, volumes):
    for path in volumes.glob("volume-*"):
        contents = bytearray(path.read_bytes())
        # Units of metres: the header is written again.
        contents[123] = 1
        path.write_bytes(contents)
    needed = asked_for(convert, "lits", volumes)
    done = convert("lits", volumes)
    assert needed == pytest.approx(written(done.folder), rel=0.05)
    assert done.summary["actions"]["images: written with a corrected header"] == 3


@pytest.mark.parametrize("link", ["copy", "symbolic"])
def test_copies_count(convert, volumes, link):
    needed = asked_for(convert, "lits", volumes, "--link", link)
    done = convert("lits", volumes, "--link", link)
    assert needed == pytest.approx(written(done.folder), rel=0.05)


def test_files_of_others_are_copied_where_linux_does_not_link_them(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("x")
    path.chmod(0o444)
    state = path.stat()
    assert room._may_be_linked(path, state)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not room._may_be_linked(path, state)


def test_resume_asks_only_for_what_is_missing(convert, volumes, raw, monkeypatch):
    convert("lits", volumes)
    (final,) = raw.iterdir()
    staging = Staging(raw, final.name)
    staging.folder.mkdir()
    cases = json.loads((final / "conversion_report.json").read_text())["cases"]
    with (staging.folder / "journal.jsonl").open("w") as journal:
        for case in cases[:2]:
            names = (f"imagesTr/{case['id']}_0000.nii", f"labelsTr/{case['id']}.nii")
            sizes = {name: (final / name).stat().st_size for name in names}
            journal.write(json.dumps({**case, "outputs": sizes}) + "\n")
    os.replace(final, staging.data)
    assert staging.done_before() == {"lits_000", "lits_001"}
    whole = asked_for(convert, "lits", volumes)
    assert asked_for(convert, "lits", volumes, "--resume") == whole // 3
    # What --restart removes counts as room, too.
    assert staging.own_bytes() >= whole


@pytest.mark.parametrize("name", ["isic2018", "lits"])
def test_a_small_disk_is_said_in_figures_and_can_be_overruled(convert, data, raw, monkeypatch, name):
    usage = shutil.disk_usage(raw)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    error = convert(name, data / name).summary["error"]
    assert "1.0 kB free" in error
    assert "0.0 GB" not in error
    assert "--no-space-check" in error
    assert not list(raw.iterdir())
    assert convert(name, data / name, "--no-space-check").code == 0


def test_a_header_that_claims_anything_costs_no_room(convert, volumes):
    label = np.zeros((3, 3, 3), np.uint8)
    before = asked_for(convert, "lits", volumes)
    save(volumes / "volume-7.nii.gz", label, AFFINE)
    save(volumes / "segmentation-7.nii.gz", label, AFFINE)
    contents = bytearray(gzip.decompress((volumes / "volume-7.nii.gz").read_bytes()))
    contents[42:48] = np.array([32000] * 3, dtype="<i2").tobytes()
    (volumes / "volume-7.nii.gz").write_bytes(gzip.compress(contents))
    assert asked_for(convert, "lits", volumes) < before + 1_000_000


def test_sources_of_one_name_stay_apart_in_the_report(tmp_path):
    folders = [tmp_path / "a/data", tmp_path / "b/data", tmp_path / "other"]
    assert prefixes(folders) == ["a/data/", "b/data/", f"{tmp_path.name}/other/"]
    assert prefixes(folders[2:]) == [""]
