"""Every example in a docstring of the installed packages runs and gives what it says."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest


def _with_examples() -> Iterator[str]:
    for package in ("nnunet_tricks", "dataset_conversion"):
        found = find_spec(package)
        assert found
        assert found.origin
        folder = Path(found.origin).parent
        for file in sorted(folder.rglob("*.py")):
            if ">>> " in file.read_text(encoding="utf-8"):
                parts = file.relative_to(folder.parent).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("module", list(_with_examples()))
def test_the_examples_run(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    outcome = doctest.testmod(import_module(module), optionflags=flags)
    assert outcome.attempted
    assert not outcome.failed
