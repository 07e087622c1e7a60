"""Cost of a cluster in addition to its scheduler: ``python -m benchmarks.cluster``.

Planning: a grid of 5,000 trainings, from ten ways to train, twenty runs, and five folds of five data sets. The data
sets have names but no voxels. The grid is planned once by ``nnunet-tricks run --dry-run`` and once with Snakemake's own
dry run. Results are seconds and the peak memory of all processes.

Overhead: cells whose command does nothing, started as a job would start them on a node. The time from the beginning of
the job to its end, without the command's own time, covers reading the plan of 5,000 cells, locks, record, log and
marker. Snakemake and the scheduler come on top. ``bash -c true`` shows the cost of starting any program.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measuring import save
from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cluster import rounds
from nnunet_tricks.experiment.cluster.environment import Environment
from nnunet_tricks.experiment.cluster.profile import read_profile
from nnunet_tricks.experiment.cluster.rounds import Round, new_folder
from nnunet_tricks.nnunet.folders import Folders

RESULT = Path(__file__).parent / "results" / "cluster.json"
SECONDS, BYTES, OVERHEAD = 20.0, 1e9, 1.0
DATASETS, CASES = range(901, 906), 50
TRICKS = ("Tversky", "CE", "Dice", "Focal", "WCE", "OHEM", "Combo", "Jaccard", "Lovasz")
CONFIGURATION = {
    "data_identifier": "nnUNetPlans_3d_fullres",
    "patch_size": [96, 96, 96],
    "median_image_size_in_voxels": [128, 128, 128],
}


@dataclass(frozen=True, kw_only=True)
class EmptyCell(Cell):
    """A cell that does nothing."""

    def words(self) -> list[str]:
        """The command, a line of bash."""
        return ["/bin/bash", "-c", f"touch {self.folder}/made"]

    def is_made(self) -> bool:
        """Whether it has run."""
        return (self.folder / "made").exists()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=20, help="jobs that do nothing (default: %(default)s)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        spec, variables = _grid(Path(folder))
        words = [sys.executable, "-m", "nnunet_tricks.cli", "run", str(spec), "--dry-run"]
        plan = _measured([*words, "--no-timing", "--device", "cpu"], variables)
        snakemake = _measured([*words, "--runner", "snakemake", "--profile", "slurm"], variables)
        jobs, nothing, cpu = _overheads(Path(folder), variables, options.cells)
    results = {
        "plan of 5,000 cells": plan,
        "plan of 5,000 cells, and Snakemake's dry run": snakemake,
        "limits of a plan": {"seconds": SECONDS, "bytes": BYTES},
        "overhead of a job, seconds": _summary(jobs),
        "overhead of a job, seconds of CPU": _summary(cpu),
        "bash that does nothing, seconds": _summary(nothing),
        "limit of the overhead, seconds": OVERHEAD,
        "snakemake": Environment.usual().schedulers,
    }
    save(RESULT, results)
    print(json.dumps(results, indent=1))
    within = all(planning["seconds"] < SECONDS and planning["bytes"] < BYTES for planning in (plan, snakemake))
    return 0 if within and statistics.median(jobs) < OVERHEAD else 1


def _grid(folder: Path) -> tuple[Path, dict[str, str]]:
    """An experiment file of 5,000 trainings on data sets that have names but no voxels."""
    cases = [f"case_{number:03d}" for number in range(CASES)]
    for number in DATASETS:
        name = f"Dataset{number}_Toy"
        raw, preprocessed = folder / "raw" / name, folder / "preprocessed" / name
        for part, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
            _files(raw / part, [f"{case}{ending}" for case in cases])
        _files(preprocessed / "gt_segmentations", [f"{case}.nii.gz" for case in cases])
        _files(preprocessed / "nnUNetPlans_3d_fullres", [f"{case}.pkl" for case in cases])
        (raw / "dataset.json").write_text(json.dumps({"file_ending": ".nii.gz", "numTraining": CASES}))
        plans = {"configurations": {"3d_fullres": CONFIGURATION}}
        (preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))
        splits = [{"train": cases[10:], "val": cases[:10]}] * 5
        (preprocessed / "splits_final.json").write_text(json.dumps(splits))
    (folder / "results").mkdir()
    spec = folder / "spec.yaml"
    spec.write_text(
        f"datasets: {list(DATASETS)}\nconfigurations: [3d_fullres]\ntricks: [{', '.join(TRICKS)}]\nepochs: 100\n"
        "runs: 20\nfolds: [0, 1, 2, 3, 4]\n"
    )
    return spec, {**os.environ, **{f"nnUNet_{name}": str(folder / name) for name in ("raw", "preprocessed", "results")}}


def _files(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()


def _measured(words: Sequence[str], variables: Mapping[str, str]) -> dict[str, float]:
    """Seconds and the largest process of a command, in a process that has no other children."""
    code = (
        "import json, resource, subprocess, sys, time; began = time.perf_counter();"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True);"
        "print(json.dumps([time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,"
        "sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])]))"
    )
    process = subprocess.run(
        [sys.executable, "-c", code, *words], env=variables, capture_output=True, text=True, check=True
    )
    seconds, peak, cpu = json.loads(process.stdout)
    return {"seconds": round(seconds, 2), "seconds of CPU": round(cpu, 2), "bytes": peak}


def _overheads(folder: Path, variables: Mapping[str, str], count: int) -> tuple[list[float], ...]:
    """Seconds of empty jobs within a plan of 5,000 cells, seconds of an empty program, and CPU seconds of the jobs."""
    # A job makes cells of known kinds only; this module adds ours.
    module = import_module("benchmarks.cluster_job")
    rounds.JOB, empty_cell = module.__name__, module.EmptyCell
    cells = [empty_cell(key=f"c{number}/train", states=folder / "states", rank=(number,)) for number in range(5000)]
    folders = Folders(folder / "raw", folder / "preprocessed", folder / "results")
    exported = {**variables, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH")]))}
    planned = Round(new_folder(folder / "rounds"), cells, read_profile("slurm"), "cpu", folders, exported)
    planned.write()
    jobs, others, cpu = [], [], []
    for cell in cells[: count + 1]:
        name = planned.names[cell.key]
        marker = planned.folder / "done" / name
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        jobs.append(_seconds(["bash", str(planned.folder / "job.sh"), name, str(marker)], variables))
        cpu.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
        others.append(_seconds(["bash", "-c", "true"], variables))
        if not marker.exists():
            raise RuntimeError(f"{cell.key} is not done")
    return jobs[1:], others[1:], cpu[1:]


def _seconds(words: Sequence[str], variables: Mapping[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, env=variables, check=True)
    return time.perf_counter() - began


def _summary(times: Sequence[float]) -> dict[str, Any]:
    return {"median": round(statistics.median(times), 3), "largest": round(max(times), 3), "jobs": len(times)}


if __name__ == "__main__":
    sys.exit(main())
