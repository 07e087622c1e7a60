"""Ensembles, beside nnU-Net's own and beside counting by hand."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from nnunetv2.ensembling.ensemble import ensemble_folders

from nnunet_tricks.cli import main
from nnunet_tricks.tricks.inference.voting import majority
from tests.tricks.inference.test_predict import Model, predict, read


@pytest.fixture(scope="session")
def members(volumes: Model, slices: Model, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Predictions of both folds of both models, with probabilities."""
    made: dict[str, list[Path]] = {}
    for name, model in (("volumes", volumes), ("slices", slices)):
        folder = tmp_path_factory.mktemp(name)
        for fold in ("0", "1"):
            assert predict(model, folder / fold, "-f", fold, "--save_probabilities", "--tta", "none") == 0
        made[name] = [folder / "0", folder / "1"]
    return made


def ensemble(folders: list[Path], out: Path, *words: str) -> int:
    return main(["ensemble", "-i", *map(str, folders), "-o", str(out), "--disable_progress_bar", *words])


def segmentations(folder: Path) -> dict[str, Path]:
    return {file.name: file for file in sorted(folder.iterdir()) if file.suffix in (".gz", ".png")}


@pytest.mark.parametrize("kind", ["volumes", "slices"])
def test_average_is_nnunets_own_voxel_for_voxel(kind: str, members: dict[str, list[Path]], tmp_path: Path) -> None:
    assert ensemble(members[kind], tmp_path / "ours", "--save_probabilities") == 0
    ensemble_folders(
        list(map(str, members[kind])), str(tmp_path / "theirs"), save_merged_probabilities=True, num_processes=1
    )
    assert segmentations(tmp_path / "ours").keys() == segmentations(tmp_path / "theirs").keys() != set()
    for name, file in segmentations(tmp_path / "ours").items():
        assert np.array_equal(read(file), read(tmp_path / "theirs" / name))
        npz = name.partition(".")[0] + ".npz"
        ours, theirs = (np.load(tmp_path / folder / npz)["probabilities"] for folder in ("ours", "theirs"))
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["volumes", "slices"])
def test_a_member_with_all_the_weight_is_the_result(kind: str, members: dict[str, list[Path]], tmp_path: Path) -> None:
    for method in ("average", "vote"):
        assert ensemble(members[kind], tmp_path / method, "--method", method, "--weights", "0", "1") == 0
        for name, file in segmentations(tmp_path / method).items():
            assert np.array_equal(read(file), read(members[kind][1] / name))


def test_votes_need_no_probabilities(
    members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = []
    for position in range(3):
        folder = shutil.copytree(members["volumes"][position % 2], tmp_path / f"member{position}")
        for file in folder.glob("*.npz"):
            file.unlink()
        bare.append(folder)
    assert ensemble(bare, tmp_path / "average") == 2
    assert ".npz is missing, and average needs probabilities" in capsys.readouterr().err
    assert not (tmp_path / "average").exists()
    assert ensemble(bare, tmp_path / "out", "--method", "vote", "--uncertainty") == 0
    for name, file in segmentations(tmp_path / "out").items():
        votes = [read(folder / name) for folder in bare]
        assert np.array_equal(read(file), majority(votes))
        entropy, disagreement = (read(tmp_path / "out" / kind / name) for kind in ("entropy", "disagreement"))
        differs = votes[0] != votes[1]
        assert np.array_equal(entropy > 0, differs)
        # Hard votes are sure of themselves, so all doubt is disagreement.
        assert np.allclose(entropy, disagreement, atol=1e-3)


def test_processes_and_a_kill_change_nothing(members: dict[str, list[Path]], tmp_path: Path) -> None:
    assert ensemble(members["slices"], tmp_path / "out") == 0
    before = {name: file.read_bytes() for name, file in segmentations(tmp_path / "out").items()}
    lost = next(iter(segmentations(tmp_path / "out").values()))
    lost.unlink()
    (tmp_path / "out" / f".{lost.stem}.partial.png").write_bytes(b"half")
    assert ensemble(members["slices"], tmp_path / "out", "--continue_ensemble", "-np", "2") == 0
    assert {name: file.read_bytes() for name, file in segmentations(tmp_path / "out").items()} == before
    assert not list((tmp_path / "out").glob(".*"))
    assert ensemble(members["slices"], tmp_path / "out", "--continue_ensemble", "--method", "vote") == 2


def _spoil(folder: Path, key: str, value: object) -> None:
    file = folder / "dataset.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda folder: _spoil(folder, "labels", {"background": 0, "other": 1}),
            "models of other labels are no ensemble",
        ),
        (lambda folder: next(folder.glob("*.png")).unlink(), "cases are missing): predict all cases"),
        (lambda folder: (folder / "dataset.json").unlink(), "has no dataset.json: copy that of the model"),
        (lambda folder: (folder / "dataset.json").write_text("{"), "dataset.json is not valid JSON"),
        (lambda folder: (folder / "plans.json").write_text("{}"), "plans.json has no image_reader_writer"),
    ],
)
def test_members_that_do_not_go_together_are_refused(
    spoil, reason: str, members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(members["slices"][1], tmp_path / "other")
    spoil(other)
    assert ensemble([members["slices"][0], other], tmp_path / "out", "--method", "vote") == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_cannot_count_twice_or_be_the_result(
    members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = members["slices"]
    for folders, out, reason in (
        ([first], tmp_path / "out", "needs at least two folders"),
        ([first, first], tmp_path / "out", "is given twice"),
        ([first, second], second, "is one of the members"),
        ([first, tmp_path / "none"], tmp_path / "out", "is no folder"),
    ):
        assert ensemble(folders, out) == 2
        assert reason in capsys.readouterr().err


def _not_a_number(file: Path) -> None:
    probabilities = np.load(file)["probabilities"]
    probabilities[0, 0, 0, 0] = np.nan
    np.savez_compressed(file, probabilities=probabilities)


@pytest.mark.parametrize(
    ("spoil", "method", "reason"),
    [
        (lambda folder: next(folder.glob("*.npz")).write_bytes(b"PK half"), "average", "is damaged or holds no"),
        (lambda folder: _not_a_number(next(folder.glob("*.npz"))), "average", "probabilities that are no numbers"),
        (lambda folder: next(folder.glob("*.pkl")).unlink(), "average", ".pkl is missing, and average needs"),
        (lambda folder: next(folder.glob("*.png")).write_bytes(b"half"), "vote", ".png cannot be read"),
    ],
)
def test_damaged_files_are_named(
    spoil, method: str, reason: str, members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(members["slices"][1], tmp_path / "other")
    spoil(other)
    assert ensemble([other, members["slices"][0]], tmp_path / "out", "--method", method) == 2
    assert reason in capsys.readouterr().err
    assert not list((tmp_path / "out").glob(".*"))


def test_weights_are_finite_and_not_all_zero(
    members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for weights in (("0", "0"), ("-1", "2"), ("nan", "1"), ("inf", "1")):
        assert ensemble(members["slices"], tmp_path / "out", "--weights", *weights) == 2
        assert "must be finite, not negative, and not all 0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_probabilities_with_other_axes_are_no_average_and_vote_by_their_labels(
    members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As of a model whose reader turns images."""
    other = shutil.copytree(members["volumes"][1], tmp_path / "other")
    plans = json.loads((other / "plans.json").read_text()) | {"image_reader_writer": "NibabelIOWithReorient"}
    (other / "plans.json").write_text(json.dumps(plans))
    for file in other.glob("*.npz"):
        np.savez_compressed(file, probabilities=np.load(file)["probabilities"][..., ::-1])
    folders = [members["volumes"][0], other]
    assert ensemble(folders, tmp_path / "out") == 2
    assert "so their probabilities have other axes: take --method vote" in capsys.readouterr().err
    assert ensemble(folders, tmp_path / "out", "--method", "vote") == 0
    for name, file in segmentations(tmp_path / "out").items():
        assert np.array_equal(read(file), majority([read(folder / name) for folder in members["volumes"]]))


def test_what_is_older_than_its_members_is_made_again(members: dict[str, list[Path]], tmp_path: Path) -> None:
    other, out = shutil.copytree(members["slices"][1], tmp_path / "other"), tmp_path / "out"
    assert ensemble([members["slices"][0], other], out) == 0
    first, second = segmentations(out).values()
    before = [file.stat().st_mtime_ns for file in (first, second)]
    changed = (other / second.name).with_suffix(".npz")
    os.utime(changed, ns=(before[1] + 10**9,) * 2)
    assert ensemble([members["slices"][0], other], out, "--continue_ensemble") == 0
    assert first.stat().st_mtime_ns == before[0]
    assert second.stat().st_mtime_ns > before[1]


def test_maps_of_other_shapes_are_refused(
    members: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = shutil.copytree(members["slices"][1], tmp_path / "other")
    for file in other.glob("*.npz"):
        np.savez_compressed(file, probabilities=np.load(file)["probabilities"][:, :, :-1])
    assert ensemble([members["slices"][0], other], tmp_path / "out") == 2
    assert "they are not predictions of the same image" in capsys.readouterr().err


VOTES = arrays.arrays(np.uint8, (5, 40), elements=st.integers(0, 4))


@given(VOTES, st.integers(1, 5))
def test_a_majority_is_what_counting_says(votes: np.ndarray, count: int) -> None:
    result = majority(list(votes[:count]))
    counted = np.array([[np.count_nonzero(column == label) for label in range(5)] for column in votes[:count].T])
    assert np.array_equal(result, counted.argmax(1))


@given(VOTES, arrays.arrays(np.float32, (5, 40), elements=st.floats(0, 1, width=32)))
def test_ties_go_to_the_likelier_label_then_to_the_lower(votes: np.ndarray, chance: np.ndarray) -> None:
    result = majority(list(votes[:4]), probabilities=chance)
    for voxel in range(40):
        rank = [
            (np.count_nonzero(votes[:4, voxel] == label), float(chance[label, voxel]), -label) for label in range(5)
        ]
        assert -max(rank)[2] == result[voxel]


def test_slabs_do_not_show() -> None:
    generator = np.random.default_rng(0)
    votes = [generator.integers(0, 3, (70, 70, 70), dtype=np.uint8) for _ in range(3)]
    stacked = np.stack(votes)
    expected = np.stack([(stacked == label).sum(0) for label in range(3)]).argmax(0)
    assert np.array_equal(majority(votes), expected)


def test_majority_refuses_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        majority([np.zeros(3, int), np.zeros(4, int)])
    with pytest.raises(ValueError, match="weights has 1 numbers, and 2 members"):
        majority([np.zeros(3, int)] * 2, weights=[1.0])
    with pytest.raises(ValueError, match="is empty"):
        majority([])
