import json

import pytest

from nnunet_tricks.catalogue import AFTER_TRAINING, CATALOGUE, after_training
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import IllegalName, combine, parse
from nnunet_tricks.cli import main
from nnunet_tricks.tricks.inference.view_sets import NAMES

every_trick = pytest.mark.parametrize("info", AFTER_TRAINING, ids=lambda info: info.name)


@every_trick
def test_a_trainer_with_its_name_is_refused_with_the_command(info: TrickInfo) -> None:
    for name in (f"nnUNetTrainer{info.name}", f"nnUNetTrainerTversky_{info.name}_run2"):
        with pytest.raises(IllegalName, match=f"'nnunet-tricks {info.command}'"):
            parse(name)
    with pytest.raises(IllegalName, match=f"'nnunet-tricks {info.command}'"):
        combine("Tversky", info.name)


@every_trick
def test_its_command_is_the_one_of_its_defaults(info: TrickInfo) -> None:
    assert " ".join(after_training.command(after_training.read(info.name))) == info.command


def test_only_these_have_a_command() -> None:
    assert not any(info.command for info in CATALOGUE)


def test_every_set_of_views_is_one_of_predict() -> None:
    views = after_training.read("TTA").info.parameters[0].choices
    words = {after_training.command(after_training.read(f"TTA_{view}"))[2] for view in views}
    assert words == set(NAMES)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("TTA_upsidedown", "TTA has no parameter 'upsidedown'"),
        ("Tversky", "there is no trick 'Tversky'"),
        ("RemoveSmall_voxels0", "must be a whole number, at least 1"),
        ("TTA_EnsembleVote", "one trick with its parameters"),
        ("TTA_20epochs", "one trick with its parameters"),
        ("", "one trick with its parameters"),
    ],
)
def test_what_is_no_such_trick_is_refused(word: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        after_training.read(word)


def test_show_prints_a_command_and_no_trainer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "TTA_gtauga"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1].endswith("nnunet-tricks predict -d 501 -c 3d_fullres -i IMAGES -o OUT --tta gtaug-a")
    assert "nnUNetTrainer" not in shown
    assert main(["show", "KeepLargest_count2", "--json"]) == 0
    data = capsys.readouterr().out
    assert "nnunet-tricks postprocess IN OUT --steps KeepLargest_count2" in data
    assert "trainer" not in json.loads(data)


@pytest.mark.parametrize("phase", ["inference", "postprocessing"])
def test_list_has_them_by_phase(phase: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--phase", phase]) == 0
    shown = capsys.readouterr().out
    assert [info.name for info in AFTER_TRAINING if info.phase == shown.splitlines()[0]]
    assert all(info.name in shown for info in AFTER_TRAINING if phase in info.phase.replace("-", ""))
    assert "nnUNetTrainer" not in shown
