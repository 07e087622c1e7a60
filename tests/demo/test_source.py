import json
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.demo import source
from nnunet_tricks.demo.raw_data import write_phantoms


def _raw(folder: Path, *, cases: int = 8, channels: int = 1, labelled: bool = True) -> Path:
    """A raw data set of empty files."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in range(cases):
        for channel in range(channels):
            (folder / "imagesTr" / f"case_{case}_{channel:04d}.nii.gz").touch()
        if labelled:
            (folder / "labelsTr" / f"case_{case}.nii.gz").touch()
    _describe(folder)
    return folder


def _describe(folder: Path, **changes: object) -> None:
    content = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz", **changes}
    (folder / "dataset.json").write_text(json.dumps(content))


def _names(folder: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folder.iterdir()}


def test_cases_are_held_out_and_nothing_is_copied_or_changed(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs", channels=2)
    before = sorted((path, path.stat().st_mtime_ns) for path in raw.rglob("*"))
    ours = tmp_path / "ours"
    source.adopt(source.select(raw, train=0, unseen=2), ours)
    train, unseen = _names(ours / "labelsTr"), _names(ours / "labelsTs")
    assert len(unseen) == 2
    assert train | unseen == {f"case_{index}" for index in range(8)}
    assert not train & unseen
    assert _names(ours / "imagesTs") == {f"{case}_{channel}" for case in unseen for channel in ("0000", "0001")}
    assert all(path.is_symlink() for path in (ours / "imagesTr").iterdir())
    assert json.loads((ours / "dataset.json").read_text())["numTraining"] == 6
    assert sorted((path, path.stat().st_mtime_ns) for path in raw.rglob("*")) == before


def test_a_test_set_with_truth_is_preferred(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs")
    for name in ("imagesTs", "labelsTs"):
        (raw / name).mkdir()
    for case in ("new_1", "new_2", "without_truth"):
        (raw / "imagesTs" / f"{case}_0000.nii.gz").touch()
    for case in ("new_1", "new_2"):
        (raw / "labelsTs" / f"{case}.nii.gz").touch()
    source.adopt(source.select(raw, train=5, unseen=4), tmp_path / "ours")
    assert _names(tmp_path / "ours" / "labelsTs") == {"new_1", "new_2"}
    assert len(_names(tmp_path / "ours" / "labelsTr")) == 5


@pytest.mark.parametrize("listed", [{"a": {"images": ["a_0000.nii.gz"]}}, {"a": "a.nii.gz"}, ["a"]])
def test_a_list_without_labels_is_refused(tmp_path: Path, listed: object) -> None:
    raw = _raw(tmp_path)
    _describe(raw, dataset=listed)
    with pytest.raises(
        ValueError, match="must list each training case as nnU-Net does, with its 'images' and its 'label'"
    ):
        source.select(raw, train=0, unseen=1)


def test_cases_that_dataset_json_lists_are_found(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    raw = tmp_path / "theirs"
    raw.mkdir()
    listed = {}
    for case in range(6):
        for kind in ("image", "label"):
            (elsewhere / f"{kind}{case}.nii.gz").touch()
        listed[f"c{case}"] = {
            "images": [f"../elsewhere/image{case}.nii.gz"],
            "label": str(elsewhere / f"label{case}.nii.gz"),
        }
    _describe(raw, dataset=listed)
    source.adopt(source.select(raw, train=0, unseen=3), tmp_path / "ours")
    assert len(_names(tmp_path / "ours" / "labelsTr")) == 5
    assert "dataset" not in json.loads((tmp_path / "ours" / "dataset.json").read_text())


def test_without_labels_the_way_out_is_named(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs", labelled=False)
    with pytest.raises(ValueError, match=r"8 of 8 cases have no truth in .*labelsTr.*case_0, case_1, case_2, \.\.\."):
        source.select(raw, train=0, unseen=2)


def test_too_few_cases(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs", cases=5)
    with pytest.raises(ValueError, match="has 5 cases to train on, and at least 6"):
        source.adopt(source.select(raw, train=0, unseen=2), tmp_path / "ours")


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs")
    _describe(raw, dataset={f"c{case}": {"images": ["gone.nii.gz"], "label": "gone_too.nii.gz"} for case in range(6)})
    with pytest.raises(ValueError, match=r"gone\.nii\.gz, a file of .*does not exist"):
        source.select(raw, train=0, unseen=2)


def test_nothing_is_written_into_the_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = _raw(tmp_path / "theirs")
    before = sorted(raw.rglob("*"))
    words = ["--source", str(raw), "--out", str(raw / "demo"), "-c", "3d_fullres", "--device", "cpu"]
    assert main(["demo", *words]) == 2
    assert "is inside the source, which is only read" in capsys.readouterr().err
    assert sorted(raw.rglob("*")) == before


def test_no_raw_data_set_at_all(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no dataset\.json"):
        source.read_dataset_json(tmp_path)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        source.read_dataset_json(tmp_path)
    (tmp_path / "dataset.json").write_text('{"labels": {}, "modality": {}}')
    with pytest.raises(ValueError, match="lacks channel_names, file_ending"):
        source.read_dataset_json(tmp_path)


def test_files_of_another_ending(tmp_path: Path) -> None:
    raw = _raw(tmp_path / "theirs")
    _describe(raw, file_ending=".mha")
    with pytest.raises(ValueError, match=r"no image named CASE_0000\.mha"):
        source.adopt(source.select(raw, train=0, unseen=2), tmp_path / "ours")


def test_the_configuration_follows_the_images(tmp_path: Path) -> None:
    from PIL import Image

    write_phantoms(tmp_path / "phantoms", train=5, unseen=1)
    assert source.configuration(tmp_path / "phantoms") == "3d_fullres"
    flat = _raw(tmp_path / "flat")
    _describe(flat, file_ending=".png")
    Image.new("L", (8, 8)).save(flat / "imagesTr" / "one_0000.png")
    Image.new("L", (8, 8)).save(flat / "labelsTr" / "one.png")
    assert source.configuration(flat) == "2d"
    _describe(flat)  # the empty files again
    with pytest.raises(ValueError, match="cannot read"):
        source.configuration(flat)
