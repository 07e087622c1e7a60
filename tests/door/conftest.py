"""Real interpreters: light virtual environments that share the libraries of this one, but have nnU-Net as a test wants it."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "scripts"
PACKED = ("nnunet_tricks", "dataset_conversion", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


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


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is installed here but nnU-Net and ourselves."""
    folder = tmp_path_factory.mktemp("libraries")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            ours = path.name.lower().replace("-", "_").startswith(("nnunet", "dataset_conversion", "__editable__"))
            if not ours and path.suffix not in (".pth", ".start") and path.name != "__pycache__":
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory, libraries: Path) -> Maker:
    """Make an environment; it has this checkout, and a copy of the nnU-Net that is installed here, unless told otherwise."""

    def make(*, checkout: bool = True, nnunet: bool = True, libs: bool = True, user_site: bool = False) -> Environment:
        base = tmp_path_factory.mktemp("environment")
        made = Environment(base / "venv", base / "home")
        made.home.mkdir()
        venv.create(made.folder, system_site_packages=user_site, symlinks=True)
        # Sorted last, so that whatever a test installs comes before.
        shared = [str(libraries)] * libs + [str(CHECKOUT)] * checkout
        (made.site_packages / "zz_shared.pth").write_text("\n".join(shared) + "\n")
        if nnunet:
            copy_nnunet(made.site_packages)
        return made

    return make


def copy_nnunet(folder: Path) -> None:
    """The nnU-Net that is installed here, as pip lays it out."""
    found = find_spec("nnunetv2")
    assert found
    assert found.origin
    package = Path(found.origin).parent
    shutil.copytree(package, folder / "nnunetv2")
    for metadata in package.parent.glob("nnunetv2-*.dist-info"):
        shutil.copytree(metadata, folder / metadata.name)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, make: Maker) -> Path:
    """Our wheel, built from a copy: a build leaves files behind, and finds those of earlier ones."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in PACKED:
        path = CHECKOUT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif path.exists():
            shutil.copy(path, source / name)
    offline = ["--no-build-isolation"] if find_spec("setuptools") else []
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", *offline, "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, *words], check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def nnunet_release(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A folder with a release of nnU-Net, installed by pip."""

    def install(release: str) -> Path:
        folder = tmp_path_factory.mktemp(f"nnunetv2-{release}")
        words = ["install", "--quiet", "--no-deps", "--no-compile", "--target", str(folder), f"nnunetv2=={release}"]
        done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"nnunetv2 {release} cannot be downloaded: {done.stderr.strip().splitlines()[-1]}")
        return folder

    return install
