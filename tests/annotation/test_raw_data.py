"""Data sets are written completely or not at all, by one process at a time."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.annotation.scans import VolumeFile, converted, written
from nnunet_tricks.cli import main
from nnunet_tricks.nnunet.folders import Folders
from tests.annotation.world import CASES, DATASET, array, build, labels_of, save

SPARSE = "Dataset601_Toy_fixed0p2"
NURSERY = """
import json, os, sys, tempfile
import nnunet_tricks.annotation.filled, nnunet_tricks.annotation.painted, nnunet_tricks.annotation.sparsify
import nnunetv2.utilities.crossval_split
from nnunet_tricks.cli import main

def child(command, gate, complaints):
    os.read(gate, 1)  # until the other end is closed
    os.dup2(complaints, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        os._exit(main(command))
    finally:
        os._exit(70)

for line in sys.stdin:
    gate, opening = os.pipe()
    running = []
    for command in json.loads(line):
        complaints = tempfile.TemporaryFile()
        number = os.fork()
        if not number:
            os.close(opening)
            child(command, gate, complaints.fileno())
        running.append((number, complaints))
    os.close(opening)
    outcomes = []
    for number, complaints in running:
        code = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        complaints.seek(0)
        outcomes.append((code, complaints.read().decode()))
    os.close(gate)
    print(json.dumps(outcomes), flush=True)
"""
"""Forks processes that have already imported everything, since imports take longer than the work."""


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return build(tmp_path, monkeypatch)


@pytest.fixture
def together(raw: Path) -> Iterator[Callable[..., list[tuple[int, str]]]]:
    """Exit code and complaints of commands that begin at the same moment, each in a process of its own."""
    with subprocess.Popen([sys.executable, "-c", NURSERY], stdin=-1, stdout=-1, text=True) as nursery:

        def run(*commands: list[str]) -> list[tuple[int, str]]:
            assert nursery.stdin
            assert nursery.stdout
            print(json.dumps(commands), file=nursery.stdin, flush=True)
            return [(code, complaints) for code, complaints in json.loads(nursery.stdout.readline())]

        yield run


def labels_in(folder: Path) -> set[str]:
    return {file.name.removesuffix(".nii.gz") for file in (folder / "labelsTr").iterdir()}


def test_of_two_processes_with_one_number_one_writes_and_one_is_refused(
    raw: Path, tmp_path: Path, together: Callable[..., list[tuple[int, str]]]
) -> None:
    """``import``, ``sparsify`` and ``interpolate``, once each; which of two comes first is chance."""
    assert main(["annotate", "select", str(raw), "--density", "0.2", "-o", str(tmp_path / "plan")]) == 0
    for case in CASES:
        label = np.zeros_like(labels_of(0))
        label[[2, 7, 12, 17]] = labels_of(int(case[-1]))[[2, 7, 12, 17]]
        save(label, tmp_path / "painted" / f"{case}.nii.gz")
    paint = [str(tmp_path / "plan.json"), str(raw), str(tmp_path / "painted"), "--name", "Painted", "--channels", "CT"]
    commands = {
        "Dataset610_Painted": ["import", *paint, "--classes", "organ", "lesion", "--to", "610"],
        SPARSE: ["sparsify", "501", "--to", "601", "--density", "0.2"],
        f"Dataset611_{SPARSE.partition('_')[2]}_sdf": ["interpolate", "601", "--to", "611"],
    }
    for name, command in commands.items():
        (first, second) = sorted(together(*[["annotate", *command]] * 2))
        made = raw.parent / name
        assert (first[0], second[0]) == (0, 2), (name, first, second)
        number = int(name[7:10])
        assert f"number {number} is taken" in second[1] or f"number {number} in " in second[1]
        assert labels_in(made) == {*CASES} == {*json.loads((made / "sparse_manifest.json").read_text())["cases"]}
    assert not [file.name for file in [*raw.parent.iterdir(), *tmp_path.glob("preprocessed/*")] if file.name[0] == "."]


def test_a_number_that_is_being_written_is_refused_at_once(raw: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nnunet_tricks.annotation.raw_data import RawData

    with RawData(Folders.of_environment(), "Dataset601_Other", ".nii.gz"):
        assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 2
    assert "number 601 in" in capsys.readouterr().err
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]


def test_what_a_killed_process_left_is_removed_by_the_next(raw: Path) -> None:
    for folder in (raw.parent, raw.parents[1] / "preprocessed"):
        (folder / ".Dataset601_Another.annotate.partial" / "labelsTr").mkdir(parents=True)
    (raw.parent / f".{SPARSE}.annotate.partial" / "labelsTr").mkdir(parents=True)
    (raw.parent / f".{SPARSE}.annotate.partial" / "labelsTr" / "strange.nii.gz").touch()
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 0
    assert sorted(path.name for path in raw.parent.iterdir()) == [DATASET, SPARSE]
    assert labels_in(raw.parent / SPARSE) == {*CASES}


def test_what_a_preprocessed_folder_would_mix_is_refused_before_anything_is_written(
    raw: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Raw data were removed by hand, the rest was left: its split has other validation cases."""
    import shutil

    words = ["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]
    assert main(words) == 0
    shutil.rmtree(raw.parent / SPARSE)
    split = raw.parents[1] / "preprocessed" / SPARSE / "splits_final.json"
    before = split.read_text()
    assert main([*words, "--fold", "1"]) == 2
    assert "left by a data set of that name: its split and plans would be used" in capsys.readouterr().err
    assert [path.name for path in raw.parent.iterdir()] == [DATASET]
    assert split.read_text() == before


def test_both_sides_are_there_or_none(raw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step fails: the folder of raw data gets in the way at the last moment."""
    from nnunet_tricks.annotation import raw_data

    def in_the_way(folder: Path, final: Path, outputs: object) -> None:
        (final.parent / "Dataset601_Other").mkdir()
        give_name(folder, final, outputs)  # type: ignore[arg-type]

    give_name = raw_data.give_name
    monkeypatch.setattr(raw_data, "give_name", in_the_way)
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 2
    assert sorted(path.name for path in raw.parent.iterdir()) == [DATASET, "Dataset601_Other"]
    assert [path.name for path in (raw.parents[1] / "preprocessed").iterdir()] == [DATASET]


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
def test_a_label_that_is_cut_short_gets_no_name(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 40)).astype(np.uint8)
    save(noise, tmp_path / "image.nii.gz")
    like = VolumeFile(tmp_path / "image.nii.gz").image()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(OSError, match="could not be written"):
            written(noise, like, tmp_path / f"label{ending}")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [file.name for file in tmp_path.iterdir()] == ["image.nii.gz"]
    written(noise, like, tmp_path / f"label{ending}")
    np.testing.assert_array_equal(array(tmp_path / f"label{ending}"), noise)


@pytest.mark.parametrize(
    ("words", "limit", "named"),
    [
        (["sparsify", "501", "--to", "601", "--density", "0.2"], 1_500, "sparse_manifest.json'"),
        (["select", "RAW", "--density", "0.2", "--policy", "ual", "-o", "OUT"], 2_000, "temporary file in "),
        (["select", "RAW", "--density", "0.2", "-o", "OUT"], 3_000, "plan.json'"),
    ],
)
def test_a_full_disk_is_named_by_file_and_leaves_nothing(
    raw: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], limit: int, named: str
) -> None:
    places = {"RAW": str(raw), "OUT": str(tmp_path / "plan")}
    before = sorted(tmp_path.rglob("*"))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        assert main(["annotate", *(places.get(word, word) for word in words)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert named in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("detached", "whole"), [(".mhd", ".mha"), (".nhdr", ".nrrd")])
def test_headers_with_voxels_elsewhere_become_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, detached: str, whole: str
) -> None:
    for name in ("raw", "preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    image = np.random.default_rng(0).integers(-100, 100, (10, 6, 5)).astype(np.int16)
    label = np.zeros((10, 6, 5), np.uint8)
    label[5] = 1
    save(image, tmp_path / "images" / f"a{detached}")
    save(label, tmp_path / "painted" / f"a{detached}")
    assert main(["annotate", "select", str(tmp_path / "images"), "--density", "0.1", "-o", str(tmp_path / "plan")]) == 0
    words = [str(tmp_path / "plan.json"), str(tmp_path / "images"), str(tmp_path / "painted"), "--to", "7"]
    assert main(["annotate", "import", *words, "--name", "A", "--classes", "x", "--channels", "CT"]) == 0
    made = tmp_path / "raw" / "Dataset007_A"
    assert not (made / "imagesTr" / f"a_0000{whole}").is_symlink()
    np.testing.assert_array_equal(array(made / "imagesTr" / f"a_0000{whole}"), image)
    assert [file.name for file in (made / "labelsTr").iterdir()] == [f"a{whole}"]
    description = json.loads((made / "dataset.json").read_text())
    assert (description["file_ending"], description["numTraining"]) == (whole, 1)
    # The hash covers the voxels, too.
    voxels = next(file for file in (tmp_path / "painted").iterdir() if file.suffix != detached)
    save(np.roll(label, 1, axis=1) + label, tmp_path / "painted" / f"a{detached}")
    assert voxels.is_file()
    assert main(["annotate", "interpolate", "7", "--to", "8"]) == 2
    assert not (tmp_path / "raw" / "Dataset008_A_sdf").exists()


def test_conversion_keeps_voxels_and_grid(tmp_path: Path) -> None:
    image = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    image[0, 0, 0] = np.nan
    save(image, tmp_path / "a.mhd", direction=[[0, -1, 0], [0, 0, 1], [1, 0, 0]])
    converted(tmp_path / "a.mhd", tmp_path / "a.mha")
    before, after = (VolumeFile(tmp_path / f"a.{ending}") for ending in ("mhd", "mha"))
    np.testing.assert_array_equal(array(before.file), array(after.file))
    np.testing.assert_allclose(before.axial.affine, after.axial.affine)
    assert os.path.getsize(tmp_path / "a.mha") > 0
