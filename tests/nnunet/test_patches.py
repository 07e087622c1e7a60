"""All replacements of functions and classes of nnU-Net are in one file, and end when they should."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
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


def test_loaders_of_weights_call_what_they_replaced() -> None:
    from nnunetv2.run import run_training

    heard: list[str] = []

    def wrap(name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        def wrapped(theirs: Callable[..., None]) -> Callable[..., None]:
            def load(*arguments: object) -> None:
                heard.append(name)
                if arguments != ("end",):
                    theirs(*arguments)

            return load

        return wrapped

    before = run_training.load_pretrained_weights
    outer, inner = patches.accept_weights(wrap("outer")), patches.accept_weights(wrap("inner"))
    with inner, outer:
        with pytest.raises(TypeError):
            run_training.load_pretrained_weights()
        assert heard == ["outer", "inner"]
        run_training.load_pretrained_weights("end")
    with outer:
        run_training.load_pretrained_weights("end")
    assert heard == ["outer", "inner", "outer", "outer"]
    assert run_training.load_pretrained_weights is before


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
        "from nnunetv2.a import b; b.c, d = 1, 2",
        "from nnunetv2.a import b; [*b.c] = 1, 2",
        "from nnunetv2.a import b\nfor b.c in (1, 2): pass",
        "from nnunetv2.a import b\nwith open('x') as b.c: pass",
        "from nnunetv2.a import b; vars(b).update(c=1)",
        "from nnunetv2.a import b; b.__dict__.setdefault('c', 1)",
        "from nnunetv2.a import b; b.__setattr__('c', 1)",
        "from nnunetv2.a import b; type.__setattr__(b, 'c', 1)",
        "from nnunetv2.a import b; Replacement(owner=b, name='c', value=1)",
        "from nnunetv2 import a\nmodule = a.b\nmodule.c = 1",
        "import sys; sys.modules['nnunetv2.a'].c = 1",
        "from importlib import import_module\nmodule = import_module('nnunetv2.a')\nmodule.c = 1",
        "from unittest import mock; mock.patch('nnunetv2.a.c', 1)",
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
    assert len(public) == 11
    assert [name for name in public if f"| `{name}` |" not in text] == []


SETTERS = {"setattr", "delattr", "__setattr__", "__delattr__", "Replacement", "object", "patch"}
"""Functions that set the attribute of an argument, or of what they are a method of."""
CHANGES = {"update", "setdefault", "pop", "clear"}
"""Methods of dictionaries that change them."""


def assignments(source: str) -> Iterator[int]:
    """Lines that assign to an attribute of what is imported from nnU-Net or its libraries."""
    nodes = list(ast.walk(ast.parse(source)))
    theirs = {
        (alias.asname or alias.name).partition(".")[0]
        for node in nodes
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if _is_theirs((node.module if isinstance(node, ast.ImportFrom) else alias.name) or "")
    }
    # Other names for their modules, as in "module = nnunetv2.paths".
    theirs |= {
        node.targets[0].id
        for node in nodes
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and _owner(node.value) in theirs | {""}
    }
    for node in nodes:
        if any(_owner(target) in theirs | {""} for target in _changed(node)):
            yield node.lineno  # type: ignore[attr-defined]


def _changed(node: ast.AST) -> Iterator[ast.expr]:
    """What a node assigns to, or changes by a call; not names, which are variables of the file's own."""
    if isinstance(node, (ast.Attribute, ast.Subscript)) and isinstance(node.ctx, (ast.Store, ast.Del)):
        yield node
    elif isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in SETTERS:
            yield from (*node.args[:1], *(word.value for word in node.keywords if word.arg == "owner"))
        if isinstance(node.func, ast.Attribute) and (called in SETTERS or (called in CHANGES and _dictionary(node))):
            yield node.func.value


def _dictionary(call: ast.Call) -> bool:
    """Whether a method is one of ``vars(a)`` or ``a.__dict__``."""
    value = call.func.value if isinstance(call.func, ast.Attribute) else None
    return getattr(value, "attr", "") == "__dict__" or getattr(getattr(value, "func", None), "id", "") == "vars"


def _is_theirs(name: object) -> bool:
    return isinstance(name, str) and name.partition(".")[0] in THEIRS


def _owner(target: ast.expr) -> str | None:
    """The name at the beginning of ``a.b.c``, ``vars(a)["b"]`` or ``a.__dict__["b"]``; ``""`` if it is theirs in words.

    Those are ``sys.modules["nnunetv2.a"]``, ``import_module("nnunetv2.a")`` and a mere ``"nnunetv2.a"``.
    """
    while not isinstance(target, ast.Name):
        if isinstance(target, ast.Constant):
            return "" if _is_theirs(target.value) else None
        if isinstance(target, ast.Subscript) and getattr(target.value, "attr", "") == "modules":
            target = target.slice
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            target = target.value
        elif isinstance(target, ast.Call) and target.args and _name(target.func) in ("vars", "import_module"):
            target = target.args[0]
        else:
            return None
    return target.id


def _name(function: ast.expr) -> str:
    return str(getattr(function, "attr", getattr(function, "id", "")))
