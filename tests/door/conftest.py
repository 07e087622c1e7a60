"""Environments to link, and what to put into them."""

import subprocess
import sys
import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.door.environments import Environment, Maker, copy_nnunet


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
def make(tmp_path_factory: pytest.TempPathFactory, libraries: Path, ours: Path) -> Maker:
    """Make an environment, if not told otherwise with our packages and a copy of the nnU-Net installed here."""

    def make(*, tricks: bool = True, nnunet: bool = True, libs: bool = True, user_site: bool = False) -> Environment:
        base = tmp_path_factory.mktemp("environment")
        made = Environment(base / "venv", base / "home")
        made.home.mkdir()
        venv.create(made.folder, system_site_packages=user_site, symlinks=True)
        # Sorted last, so that whatever a test installs comes before.
        shared = [str(libraries)] * libs + [str(ours)] * tricks
        (made.site_packages / "zz_shared.pth").write_text("\n".join(shared) + "\n")
        if nnunet:
            copy_nnunet(made.site_packages)
        return made

    return make


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
