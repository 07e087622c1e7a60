"""Fixtures of the converters' tests: the sample data, an empty raw folder, and a call that converts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dataset_conversion import command


@dataclass(frozen=True)
class Converted:
    """The result of a conversion."""

    code: int
    summary: dict[str, Any]
    folder: Path

    def json(self, name: str) -> Any:
        """Read a JSON file beside ``dataset.json``."""
        return json.loads((self.folder / name).read_text())

    def case(self, name: str) -> dict[str, Any]:
        """Entry of a case in the report."""
        return next(case for case in self.json("conversion_report.json")["cases"] if case["id"] == name)

    def reason(self, name: str) -> str:
        """Reason why a case was refused."""
        return next(refusal["reason"] for refusal in self.summary["refusals"] if refusal["id"] == name)


Convert = Callable[..., Converted]


@pytest.fixture(scope="session")
def data() -> Path:
    """The samples in native layout."""
    default = Path(__file__).parents[3] / "shared" / "data"
    folder = Path(os.environ.get("NNUNET_TRICKS_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}; set NNUNET_TRICKS_TEST_DATA")
    return folder


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty nnUNet_raw."""
    folder = tmp_path / "raw"
    folder.mkdir()
    monkeypatch.setenv("nnUNet_raw", str(folder))
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    monkeypatch.delenv("nnUNet_results", raising=False)
    return folder


@pytest.fixture
def convert(raw: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Convert in this process and read the summary."""

    def run(name: str, *words: object) -> Converted:
        capsys.readouterr()
        code = command.main(name, [*map(str, words), "--json", "--workers", "1"])
        out, err = capsys.readouterr()
        summary = json.loads(out) if out else {"error": err}
        return Converted(code, summary, Path(summary.get("folder", raw)))

    return run


@pytest.fixture
def copied(data: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copy a sample data set to a place where it may be changed."""

    def copy(name: str) -> Path:
        target = tmp_path / "source" / name
        shutil.copytree(data / name, target, copy_function=shutil.copyfile)
        # The samples are read-only, folders too.
        for folder, _, files in os.walk(target):
            os.chmod(folder, 0o755)
            for file in files:
                os.chmod(Path(folder, file), 0o644)
        return target

    return copy
