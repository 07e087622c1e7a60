"""Cost of the door: starts of Python with a link, look-ups of our trainers, and our command line.

Everything is measured in fresh processes, in rounds of random order. The baseline takes part twice, so each figure
comes with the noise of the baseline compared with itself. On a busy machine CPU time tells more.

python -m benchmarks.door [--starts 200] [--look-ups 7] [--out benchmarks/results/door.json]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import nnunet_tricks
from benchmarks.measuring import save
from nnunet_tricks.door.doctor import BUILT_IN, OURS, probe

LINK = "import nnunet_tricks.door.link as link; link.link()"
COMMAND = "import sys; from nnunet_tricks.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Comparison:
    """Times of a command and of its baseline, in milliseconds.

    Attributes:
        what: Name of the command.
        baseline: Name of the baseline.
        rounds: Number of rounds.
        baseline_ms: Median time of the baseline.
        ms: Median time of the command.
        extra_ms: Median of the differences within a round.
        noise_ms: Median of the differences between the baseline and itself.
        ratio: Median of the ratios within a round.
        noise_ratio: Median of the ratios between the baseline and itself.
    """

    what: str
    baseline: str
    rounds: int
    baseline_ms: float
    ms: float
    extra_ms: float
    noise_ms: float
    ratio: float
    noise_ratio: float

    def __str__(self) -> str:
        """One line of the table."""
        return (
            f"{self.what:<35} {self.ms:7.1f} ms  {self.baseline:<35} {self.baseline_ms:7.1f} ms  "
            f"{self.extra_ms:+7.2f} ms (noise {self.noise_ms:+.2f})  {self.ratio:5.2f}x (noise {self.noise_ratio:.2f}x)"
        )


def compare(
    baseline: tuple[str, Callable[[], float]], others: Mapping[str, Callable[[], float]], *, rounds: int
) -> list[Comparison]:
    """Compare commands with a baseline.

    Args:
        baseline: Name of the baseline, and a function that runs it once and returns the milliseconds.
        others: Such functions of the commands to compare, by name.
        rounds: Number of rounds. One more round before them warms the caches.

    Returns:
        One comparison for each of ``others``.
    """
    name, run = baseline
    runs = {"": run, name: run, **others}
    times: dict[str, list[float]] = {key: [] for key in runs}
    for number in range(rounds + 1):
        for key in random.sample(list(runs), len(runs)):
            elapsed = runs[key]()
            if number:
                times[key].append(elapsed)
    base, again = times[name], times[""]
    return [
        Comparison(
            what=what,
            baseline=name,
            rounds=rounds,
            baseline_ms=median(base),
            ms=median(times[what]),
            extra_ms=median(time - reference for time, reference in zip(times[what], base, strict=True)),
            noise_ms=median(time - reference for time, reference in zip(again, base, strict=True)),
            ratio=median(time / reference for time, reference in zip(times[what], base, strict=True)),
            noise_ratio=median(time / reference for time, reference in zip(again, base, strict=True)),
        )
        for what in others
    ]


def environment(folder: Path, *, linked: bool, paths: list[str] | None = None) -> Path:
    """Make a virtual environment that sees ``paths`` and return its Python."""
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    site_packages = next(folder.glob("lib/python*/site-packages"))
    if paths:
        (site_packages / "zz_shared.pth").write_text("\n".join(paths) + "\n")
    if linked:
        subprocess.run([python, "-c", LINK], env=os.environ | {"PYTHONPATH": str(_home())}, check=True)
    return python


def timed(*words: object) -> Callable[[], float]:
    """A function that runs a command and returns its time in milliseconds."""

    def run() -> float:
        start = time.perf_counter()
        subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, check=True)
        return 1e3 * (time.perf_counter() - start)

    return run


def looked_up(python: Path, trainer: str, clock: str) -> Callable[[], float]:
    """A function that looks up a trainer in a fresh process and returns the milliseconds of nnU-Net's search."""

    def run() -> float:
        outcome = probe(trainer, python=str(python))
        if "failure" in outcome:
            raise RuntimeError(f"{trainer} was not found: {outcome['failure']}")
        return 1e3 * float(outcome[clock])

    return run


def measure(folder: Path, *, starts: int, look_ups: int) -> list[Comparison]:
    """Measure all comparisons."""
    bare, with_link = environment(folder / "bare", linked=False), environment(folder / "linked", linked=True)
    libraries = environment(folder / "libraries", linked=True, paths=_libraries())
    return [
        *compare(
            ("python -c pass", timed(bare, "-c", "pass")),
            {"linked python -c pass": timed(with_link, "-c", "pass")},
            rounds=starts,
        ),
        *compare(
            ('python -c "import json"', timed(libraries, "-c", "import json")),
            {
                "nnunet-tricks --help": timed(libraries, "-c", COMMAND, "--help"),
                "nnunet-tricks list": timed(libraries, "-c", COMMAND, "list"),
            },
            rounds=max(1, starts // 4),
        ),
        *compare(
            (f"{BUILT_IN}, CPU", looked_up(libraries, BUILT_IN, "cpu_seconds")),
            {f"{OURS}, CPU": looked_up(libraries, OURS, "cpu_seconds")},
            rounds=look_ups,
        ),
        *compare(
            (f"{BUILT_IN}, wall", looked_up(libraries, BUILT_IN, "seconds")),
            {f"{OURS}, wall": looked_up(libraries, OURS, "seconds")},
            rounds=look_ups,
        ),
    ]


def main() -> None:
    """Print the table and, with ``--out``, write it."""
    parser = argparse.ArgumentParser(description="Cost of the door.")
    parser.add_argument("--starts", type=int, default=200, help="rounds for starts of Python (default: 200)")
    parser.add_argument("--look-ups", type=int, default=7, help="rounds for look-ups, half a minute each (default: 7)")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        comparisons = measure(Path(folder), starts=arguments.starts, look_ups=arguments.look_ups)
    print(*comparisons, sep="\n")
    if arguments.out:
        save(arguments.out, {"comparisons": [asdict(comparison) for comparison in comparisons]})


def _home() -> Path:
    return Path(nnunet_tricks.__file__).parents[1]


def _libraries() -> list[str]:
    """Folders in which this interpreter finds nnU-Net and this package."""
    spec = find_spec("nnunetv2")
    nnunet = [str(Path(spec.origin).parents[1])] if spec and spec.origin else []
    return [*nnunet, *(path for path in sys.path if path.endswith("-packages")), str(_home())]


if __name__ == "__main__":
    main()
