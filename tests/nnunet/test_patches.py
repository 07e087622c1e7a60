"""All replacements of functions and classes of nnU-Net are in one file, and end when they should."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from nnunetv2.inference import predict_from_raw_data
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as trainer_module

import nnunet_tricks
from nnunet_tricks.nnunet import patches
from nnunet_tricks.nnunet.patches import Replacement
from tests.checkout import ROOT

PACKAGE = Path(nnunet_tricks.__file__).parent
ALLOWED = {"nnunet/patches.py", "door/hook.py"}
THEIRS = ("nnunetv2", "batchgenerators", "batchgeneratorsv2", "dynamic_network_architectures", "acvl_utils")


def test_a_patch_is_put_back_also_after_an_exception() -> None:
    owner = SimpleNamespace(name="theirs")
    patch = Replacement(owner, "name", "ours")
    assert not patch.is_on

    def fail() -> None:
        with patch:
            assert owner.name == "ours"
            assert patch.is_on
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert owner.name == "theirs"


def test_a_patch_that_lasts_is_put_on_once_and_taken_off_once() -> None:
    owner = SimpleNamespace(name="theirs")
    patch = Replacement(owner, "name", "ours")
    patch.take_off()
    patch.put_on()
    patch.put_on()
    patch.take_off()
    patch.take_off()
    assert owner.name == "theirs"


def test_what_others_have_put_on_since_stays() -> None:
    owner = SimpleNamespace(name="theirs")
    patch = Replacement(owner, "name", "ours")
    patch.put_on()
    owner.name = "somebody else's"
    patch.take_off()
    assert owner.name == "somebody else's"


def test_an_attribute_that_is_not_there_is_not_made() -> None:
    owner = SimpleNamespace()
    with pytest.raises(KeyError), Replacement(owner, "name", "ours"):
        pass
    assert not vars(owner)


def test_the_first_loader_is_for_training_and_all_later_ones_for_validation() -> None:
    before = trainer_module.nnUNetDataLoader, trainer_module.NonDetMultiThreadedAugmenter
    with patches.loaders(lambda part, stock, size, *, name: (part, stock, size, name), processes=list):
        made = [trainer_module.nnUNetDataLoader(size, name="x") for size in range(3)]
        assert trainer_module.NonDetMultiThreadedAugmenter is list
    assert made == [(part, before[0], size, "x") for size, part in enumerate(["training", "validation", "validation"])]
    assert (trainer_module.nnUNetDataLoader, trainer_module.NonDetMultiThreadedAugmenter) == before


def test_an_unknown_search_of_prediction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recursive_find_trainer_class_by_name", "recursive_find_python_class"):
        monkeypatch.delattr(predict_from_raw_data, name, raising=False)
    with pytest.raises(ImportError, match="does not know yet"), patches.search_of_prediction(lambda search: search):
        pass


def test_nobody_else_assigns_to_modules_of_nnunet() -> None:
    files = [file for file in PACKAGE.rglob("*.py") if file.relative_to(PACKAGE).as_posix() not in ALLOWED]
    assert len(files) > 200
    assert [f"{file}:{line}" for file in files for line in assignments(file.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "line",
    [
        "from nnunetv2.run import run_training as other; other.load_pretrained_weights = print",
        "import nnunetv2.paths; nnunetv2.paths.nnUNet_raw = 'x'",
        "from batchgenerators.a import B\ndef f():\n    setattr(B, 'c', 1)",
        "from nnunetv2 import paths; vars(paths)['nnUNet_raw'] = 'x'",
        "from nnunetv2 import paths; paths.__dict__['nnUNet_raw'] = 'x'",
        "def f():\n    from nnunetv2.a import b\n    with Replacement(b, 'c', 1): pass",
        "from nnunetv2.a import b; del b.c",
        "from nnunetv2.a import b; b.c += 1",
    ],
)
def test_assignments_are_found(line: str) -> None:
    assert list(assignments(line))
    assert list(assignments(line.replace("nnunetv2", "mine").replace("batchgenerators", "mine"))) == []


def test_contributing_lists_every_patch() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    public = [
        name
        for name, function in vars(patches).items()
        if inspect.isfunction(function) and function.__module__ == patches.__name__ and not name.startswith("_")
    ]
    assert len(public) == 9
    assert [name for name in public if f"| `{name}` |" not in text] == []


def assignments(source: str) -> Iterator[int]:
    """Lines that assign to an attribute of what is imported from nnU-Net or its libraries."""
    tree = ast.parse(source)
    theirs = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (node.module if isinstance(node, ast.ImportFrom) else alias.name or "").partition(".")[0] in THEIRS
    }
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        if isinstance(node, (ast.Assign, ast.Delete)):
            targets = [target for target in node.targets if not isinstance(target, ast.Name)]
        elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and not isinstance(node.target, ast.Name):
            targets = [node.target]
        elif isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            targets = [node.args[0]] if called in ("setattr", "delattr", "Replacement", "object") else []
        if any(_root(target) in theirs for target in targets):
            yield node.lineno


def _root(target: ast.expr) -> str:
    """The name that stands at the beginning of ``a.b.c``, ``vars(a)["b"]`` or ``a.__dict__["b"]``."""
    while not isinstance(target, ast.Name):
        if isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        elif isinstance(target, ast.Call) and target.args and getattr(target.func, "id", "") == "vars":
            target = target.args[0]
        else:
            return ""
    return target.id
