"""Where the real samples lie, and one set of tiny nnU-Net data for all tests that build a trainer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from nnunet_tricks.conformance.bench import Bench

ROOT = Path(__file__).resolve().parents[1]
# Last, so that "import nnunet_tricks" finds the installed package and not the checkout.
sys.path.append(str(ROOT))

# Two cores that do other things too make single examples slow; speed is no subject of the tests.
settings.register_profile("nnunet_tricks", deadline=None)
settings.load_profile("nnunet_tricks")


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder with real samples, each data set in its native layout."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("NNUNET_TRICKS_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no sample data at {folder}; NNUNET_TRICKS_TEST_DATA names another folder")
    return folder


@pytest.fixture(scope="session")
def oracles(sample_data: Path) -> Path:
    """What the papers' published programs compute, as arrays."""
    folder = sample_data.parent / "oracles"
    if not folder.is_dir():
        pytest.skip(f"no published values at {folder}, beside the sample data")
    return folder


def _of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes of this run see."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def snakemake(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snakemake in its own environment, shared by all test processes; kept in pytest's cache if there is one."""
    from nnunet_tricks.experiment.cluster.environment import VARIABLE, Environment
    from nnunet_tricks.experiment.lock import Lock

    named = os.environ.get(VARIABLE)
    if named:
        folder = Path(named)
    elif cache := getattr(request.config, "cache", None):
        folder = cache.mkdir("snakemake") / "environment"
    else:  # -p no:cacheprovider
        folder = _of_this_run(tmp_path_factory) / "snakemake" / "environment"
        folder.parent.mkdir(exist_ok=True)
    environment = Environment(folder)
    while (lock := Lock.take(environment.folder.with_name("snakemake.lock"))) is None:
        time.sleep(1.0)
    with lock:
        try:
            environment.install(["slurm", "lsf", "kubernetes"])
        except ValueError as error:
            pytest.skip(f"Snakemake cannot be installed here: {error}")
    return environment.folder


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our packages, as they are installed here."""
    folder = tmp_path_factory.mktemp("ours")
    for name in ("nnunet_tricks", "dataset_conversion"):
        found = find_spec(name)
        assert found
        assert found.origin
        (folder / name).symlink_to(Path(found.origin).parent)
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built from a copy: a build leaves files behind, and finds those of earlier ones."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("nnunet_tricks", "dataset_conversion"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    offline = ["--no-build-isolation"] if find_spec("setuptools") else []
    words = ["-m", "pip", "wheel", "--quiet", "--no-deps", *offline, "--wheel-dir", str(out), str(source)]
    subprocess.run([sys.executable, *words], check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Tiny data sets and room for tiny trainings."""
    from nnunet_tricks.conformance.bench import Bench

    with Bench() as made:
        yield made
