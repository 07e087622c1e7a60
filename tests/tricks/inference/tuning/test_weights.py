"""Weights of members, learned out of fold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from batchgenerators.utilities.file_and_folder_operations import save_pickle
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_tricks.cli import main
from nnunet_tricks.tricks.inference.stacking import fit, sample, stacked
from nnunet_tricks.tricks.inference.tuning.mixtures import mixture_dice
from nnunet_tricks.tricks.inference.tuning.nested import LEVEL, nested_choice
from nnunet_tricks.tricks.inference.tuning.overlap import dice
from nnunet_tricks.tricks.inference.tuning.weights import p_of_folds, simplex
from tests.comparison.world import World, truth, write

SHARP, NOISE = 4.0, 1.5


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, count=30)
    for name, value in made.variables.items():
        monkeypatch.setenv(name, value)
    return made


def predicted_by(world: World, trainer: str, skill: tuple[float, ...], seed: int) -> Path:
    """A model that is as sharp at each class as its skill says; 0 is chance."""
    folder = world.train(trainer)
    plans = json.loads((folder / "plans.json").read_text()) | {"image_reader_writer": "SimpleITKIO"}
    world.write_json(folder / "plans.json", plans)
    generator = np.random.default_rng(seed)
    for fold in range(3):
        for case in world.fold_cases(fold):
            labels = truth(case)
            scores = np.stack([float(sharp) * (labels == label) for label, sharp in enumerate(skill)])
            scores += generator.normal(0, NOISE, scores.shape)
            probabilities = (np.exp(scores) / np.exp(scores).sum(0)).astype(np.float32)
            target = folder / f"fold_{fold}" / "validation" / world.case(case)
            np.savez_compressed(f"{target}.npz", probabilities=probabilities)
            file = write(Path(f"{target}.nii.gz"), probabilities.argmax(0).astype(np.uint8))
            save_pickle(SimpleITKIO().read_seg(str(file))[1], f"{target}.pkl")
    return folder


def learned(models: list[Path], file: Path, method: str, capsys: pytest.CaptureFixture[str]) -> dict:
    words = ["ensemble", "--learn", *map(str, models), "-o", str(file), "--method", method, "--json"]
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)


def ensemble(models: list[Path], out: Path, *words: str) -> int:
    folders = [str(model / "fold_0" / "validation") for model in models]
    return main(["ensemble", "-i", *folders, "-o", str(out), "--disable_progress_bar", *words])


def test_a_random_member_loses_its_weight(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    models = [
        predicted_by(world, "nnUNetTrainer", (SHARP,) * 3, 0),
        predicted_by(world, "nnUNetTrainerTversky", (0, 0, 0), 1),
    ]
    report = learned(models, tmp_path / "weighted.yaml", "weighted", capsys)
    assert report["survives"]
    assert report["learned"][0] > 0.7
    assert report["gain"] == pytest.approx(report["naive_gain"], abs=0.02)
    assert report["dice"][models[0].name] > report["dice_of_equal_weights"] > report["dice"][models[1].name]

    report = learned(models, tmp_path / "stack.yaml", "stack", capsys)
    assert report["survives"]
    assert all(good > 5 * poor for good, poor, _ in report["learned"].values())

    for method in ("weighted", "stack"):
        assert ensemble(models, tmp_path / method, "--with", str(tmp_path / f"{method}.yaml")) == 0
    assert ensemble(models, tmp_path / "average") == 0
    # What was learned is better in use, too.
    right = {
        method: np.mean(
            [
                SimpleITKIO().read_seg(str(tmp_path / method / f"{world.case(case)}.nii.gz"))[0][0] == truth(case)
                for case in world.fold_cases(0)
            ]
        )
        for method in ("average", "weighted", "stack")
    }
    assert right["average"] < min(right["weighted"], right["stack"])


def test_members_that_are_good_at_different_classes_are_stacked_by_class(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [
        predicted_by(world, "nnUNetTrainer", (SHARP, SHARP, 0), 0),
        predicted_by(world, "nnUNetTrainerTversky", (SHARP, 0, SHARP), 1),
    ]
    report = learned(models, tmp_path / "stack.yaml", "stack", capsys)
    assert report["learned"]["kidney"][0] > report["learned"]["kidney"][1]
    assert report["learned"]["tumor"][0] < report["learned"]["tumor"][1]


def test_alike_members_get_alike_weights_and_those_are_the_average(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [
        predicted_by(world, "nnUNetTrainer", (2.0,) * 3, 0),
        predicted_by(world, "nnUNetTrainerTversky", (2.0,) * 3, 1),
    ]
    report = learned(models, tmp_path / "stack.yaml", "stack", capsys)
    assert all(first == pytest.approx(second, rel=0.15) for first, second, _ in report["learned"].values())
    report = learned(models, tmp_path / "weighted.yaml", "weighted", capsys)
    assert report["learned"] == pytest.approx([0.5, 0.5], abs=0.15)
    assert not report["survives"]
    assert yaml.safe_load((tmp_path / "weighted.yaml").read_text())["weights"] == [0.5, 0.5]
    assert ensemble(models, tmp_path / "ours", "--with", str(tmp_path / "weighted.yaml"), "--save_probabilities") == 0
    assert ensemble(models, tmp_path / "average", "--save_probabilities") == 0
    for file in (tmp_path / "average").glob("*.nii.gz"):
        assert file.read_bytes() == (tmp_path / "ours" / file.name).read_bytes()
    for file in (tmp_path / "average").glob("*.npz"):
        ours, theirs = (np.load(folder / file.name)["probabilities"] for folder in (tmp_path / "ours", file.parent))
        assert np.array_equal(ours, theirs)

    # What does not fit is refused, with the models of this test.
    file = tmp_path / "weighted.yaml"
    assert (
        ensemble([*models, predicted_by(world, "nnUNetTrainerCE", (2.0,) * 3, 2)], tmp_path / "x", "--with", str(file))
        == 2
    )
    assert "has weights of 2 members, and -i names 3 folders" in capsys.readouterr().err
    assert ensemble(models[::-1], tmp_path / "x", "--with", str(file)) == 2
    assert "give the members in the order nnUNetTrainer__" in capsys.readouterr().err
    assert ensemble(models, tmp_path / "x", "--with", str(file), "--method", "stack") == 2
    assert "--method is stack, and " in capsys.readouterr().err
    assert ensemble(models, tmp_path / "x", "--with", str(file), "--weights", "1", "2") == 2
    assert "both give weights" in capsys.readouterr().err
    assert ensemble(models, tmp_path / "x", "--method", "weighted") == 2
    assert "weighted needs weights: learn them" in capsys.readouterr().err
    content = yaml.safe_load(file.read_text())
    content["labels"]["spleen"] = 3
    file.write_text(yaml.safe_dump(content))
    assert ensemble(models, tmp_path / "x", "--with", str(file)) == 2
    assert "was made for the labels" in capsys.readouterr().err
    del content["labels"]["spleen"]
    for spoiled, reason in (
        ({"weights": None}, "has the weights None, and must have 2 finite numbers"),
        ({"weights": [1.0, float("nan")]}, "must have 2 finite numbers"),
        ({"weights": [0, 0]}, "must be finite, not negative, and not all 0"),
        ({"method": "stack", "weights": {"kidney": [1, 1, 0]}}, "must have weights for background, kidney, tumor"),
        (
            {"method": "stack", "weights": {key: [1, "x", 0] for key in ("background", "kidney", "tumor")}},
            "must have 3 finite numbers",
        ),
    ):
        file.write_text(yaml.safe_dump(content | spoiled))
        assert ensemble(models, tmp_path / "x", "--with", str(file)) == 2
        assert reason in capsys.readouterr().err
    file.write_text("a: 1")
    assert ensemble(models, tmp_path / "x", "--with", str(file)) == 2
    assert "is no file of 'nnunet-tricks ensemble --learn'" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_models_that_do_not_go_together_are_refused(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [predicted_by(world, name, (2.0,) * 3, 0) for name in ("nnUNetTrainer", "nnUNetTrainerTversky")]
    words = ["-o", str(tmp_path / "w.yaml"), "--disable_progress_bar"]
    learn = ["ensemble", "--learn", *map(str, models), *words]
    assert main([*learn, "--method", "average"]) == 2
    assert "--method is average, and --learn is for weighted and stack" in capsys.readouterr().err
    assert main(learn) == 2
    assert "--learn learns for weighted or for stack" in capsys.readouterr().err
    assert main([*learn, "--method", "stack", "--uncertainty"]) == 2
    assert "--uncertainty is for making an ensemble" in capsys.readouterr().err
    assert main(["ensemble", "--learn", str(models[0]), *words, "--method", "stack"]) == 2
    assert "--learn needs at least two model folders" in capsys.readouterr().err
    shutil.rmtree(models[1] / "fold_2")
    assert main([*learn, "--method", "stack"]) == 2
    assert "is a validation case of only one of" in capsys.readouterr().err
    assert not (tmp_path / "w.yaml").exists()


@given(st.integers(0, 1000), st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_only_what_differs_is_mixed_and_the_result_is_that_of_mixing_all(
    seed: int, regions: bool, with_ignored: bool
) -> None:
    generator = np.random.default_rng(seed)
    classes = {"organ": (1, 2), "tumor": (2,)} if regions else {"kidney": (1,), "tumor": (2,)}
    shape = (3, 7, 8)
    raw = generator.random((3, 2 if regions else 3, *shape), dtype=np.float32)
    members = list(raw if regions else raw / raw.sum(1, keepdims=True))
    labels = generator.choice(4 if with_ignored else 3, shape)
    weights = generator.random((4, 3))
    got = mixture_dice(members, labels, weights, classes, regions=regions, ignore=3 if with_ignored else None)
    counted = labels != 3
    for row, share in zip(got, weights / weights.sum(1, keepdims=True), strict=True):
        mean = np.tensordot(share, np.stack(members), 1)
        for position, (value, values) in enumerate(zip(row, classes.values(), strict=True)):
            mask = mean[position] > 0.5 if regions else np.isin(mean.argmax(0), values)
            true = np.isin(labels, values) & counted
            mask &= counted
            assert value == pytest.approx(float(dice((mask & true).sum(), mask.sum(), true.sum())), abs=0.02)


def test_a_region_is_stacked_by_its_logits() -> None:
    generator = np.random.default_rng(0)
    labels = generator.choice(3, (6, 8, 8))
    true = np.stack([labels > 0, labels == 2])
    good = np.where(true, 0.9, 0.1).astype(np.float32)
    poor = generator.random(good.shape, dtype=np.float32)
    drawn = sample([good, poor], labels, [(1, 2), (2,)], regions=True)
    weights = fit([drawn], regions=True)
    assert (weights[:, 0] > 10 * weights[:, 1]).all()
    assert np.array_equal(stacked([good, poor], weights.tolist(), regions=True) > 0.5, true)


@pytest.mark.parametrize(("members", "count"), [(2, 21), (3, 136), (5, 126)])
def test_the_grid_begins_with_equal_weights(members: int, count: int) -> None:
    grid = simplex(members)
    assert len(grid) == count
    assert grid[0] == pytest.approx([1 / members] * members)
    assert grid.sum(1) == pytest.approx(1)
    assert len(np.unique(grid.round(9), axis=0)) == len(grid)


@pytest.mark.parametrize("method", ["weighted", "stack"])
def test_weights_without_effect_survive_in_less_than_five_percent(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnunet_tricks.tricks.inference.tuning.nested.DRAWS", 399)
    generator = np.random.default_rng(0)
    draws, cases = 200, 60
    folds = np.array([str(case % 5) for case in range(cases)])
    grid = simplex(3)
    false = 0
    for _ in range(draws):
        if method == "weighted":
            # What moves a weight does to each case is chance, and all weights in one direction do alike.
            slopes = generator.normal(0, 0.1, (cases, 3)) * (generator.random((cases, 1)) < 0.5)
            choice = nested_choice(0.7 + slopes @ (grid - grid[0]).T, 0, folds.tolist())
            false += choice.chosen != 0 and choice.gain > 0 and choice.p < LEVEL
        else:
            # Each fold goes where the others' mean slope points, in the space of all weights.
            slopes = generator.normal(0, 0.1, (cases, 6))
            gains = np.concatenate(
                [slopes[case : case + 1] @ slopes[folds != folds[case]].mean(0) for case in range(cases)]
            )
            false += gains.mean() > 0 and p_of_folds(gains, folds.tolist()) < LEVEL
    # 5 %, and three standard errors of 200 draws.
    assert false / draws < 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5
