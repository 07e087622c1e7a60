"""Snakemake's own virtual environment. In nnU-Net's environment it would downgrade packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.experiment.cluster.profile import LOCAL
from nnunet_tricks.nnunet.folders import is_json, read_json
from nnunet_tricks.utilities.files import write_atomically

VARIABLE = "NNUNET_TRICKS_SNAKEMAKE"
"""Variable with the folder of the environment, if it is not in its usual place."""

PINS = Path(__file__).parent / "pins.txt"
READY = "nnunet_tricks.json"
"""File that is written last: an environment without it is incomplete."""

OLDEST = (3, 11)
"""Oldest Python that Snakemake runs on."""

LEFT_OUT = ("PYTHONPATH", "PYTHONHOME", "SNAKEMAKE_PROFILE", "VIRTUAL_ENV")
"""Variables for nnU-Net's environment or for other workflows, which Snakemake must not see."""


@dataclass(frozen=True)
class Environment:
    """Where Snakemake is installed.

    Attributes:
        folder: Folder of the virtual environment.
    """

    folder: Path

    @classmethod
    def usual(cls, variables: Mapping[str, str] = os.environ) -> Environment:
        """The environment that the variable names, else the one in the user's data folder."""
        if variables.get(VARIABLE):
            return cls(Path(variables[VARIABLE]).expanduser().absolute())
        data = Path(variables.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return cls(data / "nnunet_tricks" / "snakemake")

    @property
    def snakemake(self) -> Path:
        """The command."""
        return self.folder / "bin" / "snakemake"

    @property
    def schedulers(self) -> tuple[str, ...]:
        """Schedulers whose executors are installed in the pinned versions; none if it is incomplete."""
        file = self.folder / READY
        content = read_json(file) if is_json(file) else {}
        if content.get("pins") != _pins() or not self.snakemake.is_file():
            return ()
        return tuple(content["schedulers"])

    def check(self, scheduler: str) -> None:
        """Require Snakemake with the executor of a scheduler.

        Raises:
            ValueError: If it is not installed.
        """
        installed = self.schedulers
        if scheduler not in installed:
            what = f"Snakemake's executor for {scheduler}" if installed else "Snakemake, in the version that is needed,"
            raise ValueError(
                f"{what} is not installed in {self.folder}: 'nnunet-tricks cluster setup {scheduler}' installs it, in "
                f"an environment of its own ({VARIABLE} names another folder)"
            )

    def variables(self, others: Mapping[str, str]) -> dict[str, str]:
        """The environment variables for Snakemake."""
        return {name: value for name, value in others.items() if name not in LEFT_OUT}

    def install(self, schedulers: Iterable[str], *, python: str = sys.executable) -> bool:
        """Create the environment, or add executors to it.

        Args:
            schedulers: Schedulers whose executors to add.
            python: Interpreter of the environment.

        Returns:
            Whether something was installed.

        Raises:
            ValueError: If the interpreter is too old, or pip fails.
        """
        installed = self.schedulers
        wanted = tuple(dict.fromkeys((LOCAL, *installed, *schedulers)))
        if installed and set(wanted) == set(installed):
            return False
        if not installed:
            self._make(python)
        names = ["snakemake", *(f"snakemake-executor-plugin-{name}" for name in wanted if name != LOCAL)]
        names += ["snakemake-storage-plugin-fs"] if "kubernetes" in wanted else []
        pip = [str(self.folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _call([*pip, "-c", str(PINS), *names], self.variables(os.environ), "pip could not install Snakemake")
        write_atomically(self.folder / READY, json.dumps({"pins": _pins(), "schedulers": wanted}))
        return True

    def _make(self, python: str) -> None:
        variables = self.variables(os.environ)
        output = _call([python, "-c", "import sys; print(*sys.version_info[:2])"], variables, f"{python} does not run")
        version = tuple(map(int, output.split()))
        if version < OLDEST:
            raise ValueError(
                f"Snakemake needs Python {'.'.join(map(str, OLDEST))} or later, and {python} is "
                f"{'.'.join(map(str, version))}: name a later one with --python"
            )
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        (self.folder / READY).unlink(missing_ok=True)
        _call([python, "-m", "venv", "--clear", str(self.folder)], variables, "no virtual environment could be made")


def _pins() -> str:
    return PINS.read_text(encoding="utf-8")


def _call(words: list[str], variables: Mapping[str, str], complaint: str) -> str:
    try:
        done = subprocess.run(words, env=variables, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ValueError(f"{complaint}: {error}") from error
    if done.returncode:
        last = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()][-3:]
        raise ValueError(f"{complaint}: {' / '.join(last) or 'no message'}")
    return done.stdout
