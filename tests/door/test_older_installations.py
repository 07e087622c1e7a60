"""What an older version has left behind keeps working: links, shell profiles, checkpoints, plans and pickles."""

from __future__ import annotations

import ast
import inspect
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.door import external, hook, link, trainers
from nnunet_tricks.door.kinds import answer
from nnunet_tricks.nnunet.plans_file import RESIZE
from tests.door.environments import Environment, Maker

TRAINERS = "nnunetv2.training.nnUNetTrainer"
PLANNING = "nnunetv2.experiment_planning"
RESAMPLING = "nnunetv2.preprocessing.resampling"
"""Where nnU-Net searches, as copies of the hook say it."""

RELEASED = [
    line
    for line in Path(__file__).with_name("names_0_1_0.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
]
PLANNERS = (
    *(f"nnUNetPlanner{name}" for name in ("NoResampling", "NoIntensityNorm", "MinMax", "ZScore", "CTWindow")),
    *(f"nnUNetPlanner{name}" for name in ("ImageNet", "Patch96", "Spacing3p22x1p62x1p62", "Resize200x200")),
    "DatasetFingerprintExtractorAnnotated",
)


def imports_of_ours(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] == "nnunet_tricks":
            yield from (f"{node.module}:{alias.name}" for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "nnunet_tricks")


def test_copies_of_the_hook_and_shell_profiles_know_two_places_only() -> None:
    bridge = external.FOLDER / "nnunet_tricks_bridge.py"
    assert list(imports_of_ours(inspect.getsource(hook))) == ["nnunet_tricks.door.kinds:answer"]
    assert set(imports_of_ours(bridge.read_text(encoding="utf-8"))) == {
        "nnunet_tricks.door.kinds:answer",
        "nnunet_tricks.door.kinds:TRAINERS",
    }
    assert external.FOLDER.parts[-3:] == ("nnunet_tricks", "door", "ext")
    assert list(inspect.signature(answer).parameters) == ["place", "name"]


@pytest.mark.parametrize("name", RELEASED)
def test_names_in_checkpoints_stay_trainers(name: str) -> None:
    trainer, refusal = answer(TRAINERS, name)
    assert refusal == ""
    assert trainer.__name__ == name or str(parse(name)) == trainer.__name__


@pytest.mark.parametrize("name", PLANNERS)
def test_names_of_planners_and_extractors_stay(name: str) -> None:
    found, refusal = answer(PLANNING, name)
    assert (found.__name__, refusal) == (name, "")


def test_the_resampling_function_that_plans_name_stays() -> None:
    assert RESIZE == "nnunet_tricks_resize"
    function, refusal = answer(RESAMPLING, "nnunet_tricks_resize")
    assert callable(function)
    assert refusal == ""


@pytest.mark.parametrize("name", ["nnUNetTrainerTversky_alpha0p2", "nnUNetTrainerMedISeg2D_OHEM"])
def test_trainers_travel_between_processes_by_their_name(name: str) -> None:
    trainer = trainers.find(name)
    assert pickle.loads(pickle.dumps(trainer)) is trainer


def test_a_link_of_another_version_works_and_is_silent_until_it_is_refreshed(make: Maker) -> None:
    environment: Environment = make()
    assert environment.tricks("link").returncode == 0
    copy = environment.site_packages / f"{link.HOOK}.py"
    # Another text with the same promise, as an older version may have left it.
    copy.write_text(f"{copy.read_text(encoding='utf-8')}\n# of another version\n", encoding="utf-8")
    look_up = (
        "from nnunetv2.utilities.find_class_by_name import recursive_find_python_class as find; "
        f"print(find('x', 'nnUNetTrainerTversky', {TRAINERS!r}).__name__)"
    )
    done = environment.run("-c", look_up)
    assert (done.stdout, done.stderr) == ("nnUNetTrainerTversky\n", "")
    state = "from nnunet_tricks.door import link; print([place.status for place in link.state()])"
    assert environment.run("-c", state).stdout == "['outdated']\n"
    assert environment.tricks("link").stdout.startswith("Refreshed the link in ")
    assert environment.run("-c", state).stdout == "['current']\n"
