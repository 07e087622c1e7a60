"""The folder that travels: what is in it, and that there is all of it or nothing."""

from __future__ import annotations

import json
import resource
import shutil
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.door.trainers import find
from nnunet_tricks.export.write import TRAINED_BY, export
from nnunet_tricks.nnunet.model_folder import FINAL, load
from tests.export.conftest import TRAINER

Train = Callable[[str, Situation], Path]


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def predictor(folder: Path) -> nnUNetPredictor:
    made = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    made.initialize_from_trained_model_folder(str(folder), (0,), FINAL)
    return made


def assert_same_network(source: Path, exported: Path, trainer: str) -> None:
    """nnU-Net's predictor makes the same of both; only for the source it is told where our trainer is."""
    found = find(trainer)
    assert found is not None
    with findable(found):
        theirs = predictor(source)
    mine = predictor(exported)
    assert mine.trainer_name == nnUNetTrainer.__name__
    assert mine.allowed_mirroring_axes == theirs.allowed_mirroring_axes
    assert str(mine.network) == str(theirs.network)
    expected = theirs.network.state_dict()
    assert all(torch.equal(value, expected.pop(name)) for name, value in mine.network.state_dict().items())
    assert not expected


def test_nothing_but_the_name_changes(volumes: Path, tmp_path: Path) -> None:
    before, out = content(volumes), tmp_path / "made" / "out"
    done = export(volumes, out)
    assert (done.outcome, done.trainer, done.model.folds) == ("exported", TRAINER, ("0",))
    assert content(volumes) == before
    after = content(out)
    changed = {file for file, digest in after.items() if before[file] != digest}
    assert changed == {f"fold_0/{FINAL}"}
    assert {"plans.json", "dataset.json", "fold_0/debug.json", "fold_0/validation/summary.json"} <= set(after)
    source, made = load(volumes / "fold_0" / FINAL), load(out / "fold_0" / FINAL)
    assert made.pop(TRAINED_BY) == source.pop("trainer_name") == TRAINER
    assert made.pop("trainer_name") == "nnUNetTrainer"
    assert made.keys() == source.keys()
    assert_same_network(volumes, out, TRAINER)


@pytest.mark.parametrize(
    ("trainer", "cell"),
    [
        ("nnUNetTrainerDiceOHEM", Situation("labels", "2d", True)),
        ("nnUNetTrainerCE", Situation("labels", "cascade", True)),
    ],
    ids=["2d", "cascade"],
)
def test_every_kind_of_configuration(
    train: Train, trainer: str, cell: Situation, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = train(trainer, cell), tmp_path / "out"
    assert main(["export", str(model), str(out)]) == 0
    assert ("also needs the model of 3d_lowres" in capsys.readouterr().out) == (cell.dimension == "cascade")
    assert_same_network(model, out, trainer)


def test_a_second_time_it_is_there_already(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["export", str(volumes), str(out)]) == 0
    assert f"-m {out} -f 0\n" in capsys.readouterr().out
    before = content(tmp_path)
    for flags in ([], ["--dry-run"]):
        assert main(["export", str(volumes), str(out), "--json", *flags]) == 0
        assert json.loads(capsys.readouterr().out)["outcome"] == "unchanged"
    assert content(tmp_path) == before


def test_an_exported_model_is_exported_again_under_its_first_name(volumes: Path, tmp_path: Path) -> None:
    export(volumes, tmp_path / "one")
    done = export(tmp_path / "one", tmp_path / "two")
    assert done.trainer == TRAINER
    assert content(tmp_path / "one") == content(tmp_path / "two")


def test_a_dry_run_writes_nothing(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(volumes), str(tmp_path / "new" / "out"), "--dry-run", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["outcome"], report["dry_run"], report["trainer"]) == ("exported", True, TRAINER)
    assert not list(tmp_path.iterdir())


def test_folds_and_checkpoints_can_be_chosen(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model / "fold_0", model / "fold_all")
    (model / "fold_all" / FINAL).rename(model / "fold_all" / "checkpoint_best.pth")
    with pytest.raises(
        ValueError, match=r"no fold_all/checkpoint_final.pth: choose finished folds with -f \(there are"
    ):
        export(model, tmp_path / "out")
    export(model, tmp_path / "out", folds=["all"], names=["checkpoint_best.pth"])
    checkpoints = {file for file in content(tmp_path / "out") if file.endswith(".pth")}
    assert checkpoints == {"fold_all/checkpoint_best.pth"}


def test_folds_of_different_trainers_do_not_travel_together(model: Path, tmp_path: Path) -> None:
    shutil.copytree(model / "fold_0", model / "fold_1")
    other = load(model / "fold_1" / FINAL) | {"trainer_name": "nnUNetTrainerDice"}
    torch.save(other, model / "fold_1" / FINAL)
    with pytest.raises(ValueError, match="is of nnUNetTrainerDice 3d_fullres, the others are of"):
        export(model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("fold_0", "is no model folder of nnU-Net, it has no plans.json and dataset.json: give the folder above"),
        ("..", "is no model folder of nnU-Net.*: give one of .*nnUNetTrainerTversky_NoDeepSupervision__nnUNetPlans"),
        ("nowhere", "is no model folder of nnU-Net"),
    ],
)
def test_what_is_no_model_folder(model: Path, tmp_path: Path, where: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        export(model / where, tmp_path / "out")


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"half",
        "half",
        {"epoch": 3},
        {"trainer_name": "nnUNetTrainer", "init_args": {"configuration": "2d"}, "network_weights": None},
        {"trainer_name": "nnUNetTrainer", "init_args": {}, "network_weights": {}},
    ],
    ids=["empty", "text", "half", "foreign", "no weights", "no configuration"],
)
def test_a_damaged_checkpoint_is_named_and_nothing_is_left(model: Path, tmp_path: Path, damage: object) -> None:
    shutil.copytree(model / "fold_0", model / "fold_1")
    file = model / "fold_1" / FINAL
    if isinstance(damage, dict):
        torch.save(damage, file)
    else:
        file.write_bytes(damage if isinstance(damage, bytes) else file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"fold_1/checkpoint_final.pth (cannot be read|is no checkpoint)"):
        export(model, tmp_path / "made" / "out")
    assert list((tmp_path / "made").iterdir()) == []


def test_a_checkpoint_that_holds_more_than_data_needs_trust(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = model / "fold_0" / FINAL, tmp_path / "out"
    torch.save(load(file) | {"args": Namespace(lr=0.01)}, file)
    assert main(["export", str(model), str(out)]) == 2
    refusal = capsys.readouterr().err
    assert f"{file} holds more than weights, numbers and settings (argparse.Namespace)" in refusal
    assert "say --trust" in refusal
    assert not out.exists()
    assert main(["export", str(model), str(out), "--trust"]) == 0
    assert load(out / "fold_0" / FINAL, trust=True)["args"] == Namespace(lr=0.01)
    # What is there is compared with it, and so opened, too.
    assert main(["export", str(model), str(out)]) == 2
    assert main(["export", str(model), str(out), "--trust"]) == 0
    assert "is already, unchanged, in" in capsys.readouterr().out


def test_what_is_there_already_is_never_touched(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(model, out)
    weights = load(model / "fold_0" / FINAL)
    next(iter(weights["network_weights"].values())).add_(1)
    torch.save(weights, model / "fold_0" / FINAL)
    before = content(out)
    with pytest.raises(ValueError, match=r"holds another model, it differs in fold_0/checkpoint_final.pth"):
        export(model, out)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty, and no export of this model"):
        export(model, out)
    (out / "notes.txt").unlink()
    assert content(out) == before


def test_an_empty_folder_is_filled_and_a_file_is_not_replaced(volumes: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    export(volumes, tmp_path / "empty")
    assert (tmp_path / "empty" / "plans.json").is_file()
    (tmp_path / "folders" / "of_mine").mkdir(parents=True)
    with pytest.raises(ValueError, match="is not empty, and no export of this model"):
        export(volumes, tmp_path / "folders")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="is a file: choose a folder"):
        export(volumes, tmp_path / "file")


@pytest.mark.parametrize("where", [".", "export", "fold_0/export"])
def test_the_source_is_no_place_for_it(model: Path, where: str) -> None:
    before = content(model)
    with pytest.raises(ValueError, match="lies in the model that is exported"):
        export(model, model / where)
    assert content(model) == before


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk: writing fails in the middle of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_a_file_cannot_be_finished_nothing_is_left(volumes: Path, tmp_path: Path) -> None:
    size = (volumes / "fold_0" / FINAL).stat().st_size
    with no_file_larger_than(size // 2), pytest.raises(OSError, match="could not be written"):
        export(volumes, tmp_path / "out")
    assert not list(tmp_path.iterdir())
