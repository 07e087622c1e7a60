"""Environments to link, and what to put into them."""

import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.door.environments import CHECKOUT, Environment, Maker, copy_nnunet

PACKED = ("nnunet_tricks", "dataset_conversion", "setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is installed here but nnU-Net and ourselves."""
    folder = tmp_path_factory.mktemp("libraries")
    for place in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(place).iterdir():
            ours = any(word in path.name.lower() for word in ("nnunet", "dataset_conversion"))
            if not ours and path.suffix not in (".pth", ".start") and path.name != "__pycache__":
                (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory, libraries: Path) -> Maker:
    """Make an environment, if not told otherwise with this checkout and a copy of the nnU-Net installed here."""

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
