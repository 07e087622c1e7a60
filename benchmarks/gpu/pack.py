"""Pack what ``measure.py`` needs on a machine without a network: the wheel of this checkout and of what it imports.

    python benchmarks/gpu/pack.py packed                     # needs pip and a registry
    # take the folder packed/ to the machine, which has Python, and torch and torchvision for its card, then there:
    sh packed/run.sh

Versions are those that are installed here, and torch with its CUDA libraries stays out: the machine has its own. Wheels
are for this Python and this system, so pack with the version of Python that the machine has.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
OURS = "nnunet_tricks"
ON_THE_MACHINE = ("torch", "torchvision", "triton", "nvidia-", "cuda-", "pip", "setuptools")
"""Packages that the machine has, by how their names begin."""

BACKPORTS = ("", "2")
"""What follows a standard module's name in the names of packages that stand in for it in old versions of Python."""

EXTRAS = ("networks",)
"""Extras of this package whose networks are measured."""

RUN = """#!/bin/sh
# Installs the packed wheels beside the machine's torch, and measures for about eight minutes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
rm -rf "$here/site"
python3 -m pip install --no-index --no-deps --target "$here/site" "$here"/wheels/*.whl
PYTHONPATH="$here:$here/site" python3 -m benchmarks.gpu.measure --out "${OUT:-$here}/results.json" "$@"
"""


def main(words: Sequence[str] | None = None) -> int:
    """Pack, and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to make")
    parser.add_argument("--only", nargs="+", metavar="PACKAGE", help="pack only these, to try the script")
    arguments = parser.parse_args(words)
    requirements = [str(ROOT), *needed(arguments.only)]
    wheels = arguments.folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for earlier in wheels.glob("*.whl"):
        earlier.unlink()
    for requirement in requirements:
        print(requirement, flush=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            str(wheels),
            requirement,
        ]
        subprocess.run(command, check=True)
    copy_scripts(arguments.folder)
    (arguments.folder / "run.sh").write_text(RUN, encoding="utf-8")
    packed = list(wheels.glob("*.whl"))
    size = sum(file.stat().st_size for file in packed) / 2**20
    print(f"{len(packed)} wheels, {size:.0f} MiB, in {arguments.folder}")
    return 0


def copy_scripts(folder: Path) -> None:
    """The modules of the measurements, below the same name as here."""
    place = folder / "benchmarks" / "gpu"
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE.parent / "__init__.py", place.parent)
    for file in sorted(HERE.glob("*.py")):
        if file.name != Path(__file__).name:
            shutil.copy(file, place)


def needed(only: Sequence[str] | None) -> list[str]:
    """Every package that ours needs, with the version that is installed here.

    Raises:
        SystemExit: If ours is not installed, so that nobody knows the versions.
    """
    try:
        distribution(OURS)
    except PackageNotFoundError:
        raise SystemExit(
            f"{OURS} is not installed for {sys.executable}, whose versions are packed: "
            f"pip install '.[{','.join(EXTRAS)}]'"
        ) from None
    wanted = {normal(name) for name in only} if only is not None else None
    names = sorted(set(closure(OURS, EXTRAS)) - {normal(OURS)})
    return [
        f"{name}=={distribution(name).version}"
        for name in names
        if not name.startswith(ON_THE_MACHINE) and (wanted is None or name in wanted)
    ]


def closure(name: str, extras: Sequence[str] = (), seen: set[str] | None = None) -> Iterator[str]:
    """A package and all that it requires here, once each; what is not installed here is not needed here.

    Packages that stand in for modules of the standard library stay out, with what only they require.
    """
    seen = set() if seen is None else seen
    if normal(name) in seen or normal(name).startswith(ON_THE_MACHINE) or is_backport(name):
        return
    try:
        requirements = distribution(name).requires or []
    except PackageNotFoundError:
        return
    seen.add(normal(name))
    yield normal(name)
    for requirement in requirements:
        package, _, marker = requirement.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([\w.-]+)['\"]", marker)
        if extra is None or extra.group(1) in extras:
            yield from closure(re.split(r"[\s<>=!~\[(]", package.strip())[0], (), seen)


def is_backport(name: str) -> bool:
    """Whether a package stands in for a module of the standard library, as argparse and unittest2 do."""
    return any(normal(name).removesuffix(ending) in sys.stdlib_module_names for ending in BACKPORTS)


def normal(name: str) -> str:
    """A package's name as registries compare names."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    sys.exit(main())
