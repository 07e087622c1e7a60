"""Real interpreters: light virtual environments that share our libraries, but have nnU-Net as a test wants it."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parent / "scripts"


def _obey_permissions() -> None:
    """Root writes where it must not; without this capability it does not. For ordinary users there is nothing to do."""
    if os.geteuid() == 0:
        pr_capbset_drop, cap_dac_override = 24, 1
        ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)


@dataclass
class Environment:
    """A virtual environment and how to run things in it."""

    folder: Path
    home: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        return self.folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"

    @property
    def user_site(self) -> Path:
        return self.home / self.site_packages.relative_to(self.folder)

    def run(self, *words: object, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run this environment's Python, with nothing of the caller's nnU-Net or Python settings."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("nnUNet_", "PYTHON"))}
        # Nor with the nnU-Net commands of the environment that runs the tests.
        foreign = [entry for entry in os.get_exec_path() if not Path(entry, "nnUNetv2_train").exists()]
        clean["PATH"] = os.pathsep.join([str(self.folder / "bin"), *foreign])
        clean |= {"HOME": str(self.home), "PYTHONUSERBASE": str(self.home), "OMP_NUM_THREADS": "1"}
        return subprocess.run(
            [str(word) for word in (self.python, *words)],
            cwd=self.home,
            env=clean | self.variables | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            preexec_fn=_obey_permissions,
        )

    def tricks(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run our command line."""
        return self.run("-c", "import sys; from nnunet_tricks.cli import main; sys.exit(main())", *words, **variables)

    def answers(self, script: str, *words: str, **variables: str) -> Any:
        """What a script beside these tests prints, as JSON, on its last line."""
        done = self.run(SCRIPTS / script, *words, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    def pip(self, *words: object) -> None:
        # Where it can be, without the index: then what builds is what this environment has.
        offline = ["--no-build-isolation"] if find_spec("setuptools") and words[0] == "install" else []
        done = self.run("-m", "pip", *words, *offline, "--disable-pip-version-check")
        assert done.returncode == 0, done.stderr

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Take away the right to write anywhere in this environment."""
        folders = [self.folder, *(path for path in self.folder.rglob("*") if path.is_dir() and not path.is_symlink())]
        for path in folders:
            path.chmod(0o555)
        try:
            if self.run("-c", f"open({str(self.site_packages / 'x')!r}, 'w')").returncode == 0:
                pytest.skip("this user may write everywhere and cannot give that right away")
            yield
        finally:
            for path in folders:
                path.chmod(0o755)


Maker = Callable[..., Environment]


def copy_nnunet(folder: Path) -> None:
    """The nnU-Net that is installed here, as pip lays it out."""
    found = find_spec("nnunetv2")
    assert found
    assert found.origin
    package = Path(found.origin).parent
    shutil.copytree(package, folder / "nnunetv2")
    for metadata in package.parent.glob("nnunetv2-*.dist-info"):
        shutil.copytree(metadata, folder / metadata.name)
