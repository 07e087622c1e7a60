"""Which file belongs to which case: channels, cases, formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.annotation.listing import channels_in, labels_in
from nnunet_tricks.cli import main
from tests.annotation.world import save


def put(folder: Path, *names: str, slices: int = 4) -> None:
    for name in names:
        save(np.zeros((slices, 3, 3), np.int16), folder / name)


def select(folder: Path, expect: int = 0) -> int:
    return main(["annotate", "select", str(folder), "--density", "0.3", "--dry-run"]) - expect


def test_channels_and_cases_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, *(f"{case}_{channel:04d}.nii.gz" for case in "ab" for channel in range(2)))
    assert {case: len(files) for case, files in channels_in(tmp_path).items()} == {"a": 2, "b": 2}
    assert select(tmp_path) == 0
    printed = capsys.readouterr()
    assert "2 cases with 2 channels each" in printed.out
    assert "are taken for" not in printed.err


def test_numbers_of_patients_that_look_like_channels_are_named_or_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(tmp_path, *(f"img_{number:04d}.nii.gz" for number in range(5)))
    assert select(tmp_path) == 0
    printed = capsys.readouterr()
    assert "1 case with 5 channels each" in printed.out
    assert "img_0000.nii.gz to img_0004.nii.gz are taken for 5 channels of one case, img" in printed.err
    put(tmp_path, "img_0003.nii.gz", slices=5)
    assert select(tmp_path, 2) == 0
    assert "are not channels of one case" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["a_0000", "a_0001", "b_0000", "b_0001", "stray"], "stray.nii.gz does not"),
        (["a_0000", "a_0001", "b_0000"], "b has the channels 0000, and other cases 2 from 0000 on"),
        (["a_0001", "a_0002", "a_0003"], "a has no first channel"),
        (["a_0000", "a_0002", "b_0000", "b_0001"], "a has the channels 0000, 0002"),
    ],
)
def test_names_that_could_be_both_are_refused(tmp_path: Path, names: list[str], reason: str) -> None:
    put(tmp_path, *(f"{name}.nii.gz" for name in names))
    with pytest.raises(ValueError, match=reason):
        channels_in(tmp_path)


def test_capitals_in_endings_are_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for ending in (".nii.gz", ".nrrd", ".mha", ".gipl", ".nii"):
        put(tmp_path, f"x{ending}")
        (tmp_path / f"x{ending}").rename(tmp_path / f"Scan{ending[1:].replace('.', '')}{ending.upper()}")
    assert [*channels_in(tmp_path)] == ["Scangipl", "Scanmha", "Scannii", "Scanniigz", "Scannrrd"]
    assert select(tmp_path) == 0
    assert "5 cases with 1 channel each" in capsys.readouterr().out


def test_a_label_map_is_of_the_longest_name_that_is_known(tmp_path: Path) -> None:
    put(tmp_path, "a_0000.nii.gz", "b.seg.nrrd", "c_0000.seg.nrrd", "d_0000.nrrd")
    assert [*labels_in(tmp_path, ["a", "b", "c", "d_0000"])] == ["a", "b", "c", "d_0000"]
    assert [*labels_in(tmp_path)] == ["a_0000", "b", "c_0000", "d_0000"]


@pytest.mark.parametrize(
    "names", [("a.nii.gz", "b.seg.nrrd"), ("a.nii.gz", "a-label.nrrd"), ("a_0000.mha", "a_seg.mha")]
)
def test_segmentations_among_images_are_no_volumes_to_paint(tmp_path: Path, names: tuple[str, str]) -> None:
    put(tmp_path, *names)
    with pytest.raises(ValueError, match=f"{names[1]} among its images, which by the name is a segmentation"):
        channels_in(tmp_path)
    (tmp_path / names[0]).unlink()
    if ".seg" not in names[1]:
        assert len(channels_in(tmp_path)) == 1
