"""The head process: starts Snakemake on the open cells, until none is left that can be done.

Only files say what is done, so it may be killed at any time: jobs run on, and the next head process waits for them.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from nnunet_tricks.experiment.cell import Cell
from nnunet_tricks.experiment.cluster.environment import Environment
from nnunet_tricks.experiment.cluster.profile import Profile
from nnunet_tricks.experiment.cluster.rounds import WORKFLOW, Round, new_folder
from nnunet_tricks.experiment.cluster.schedulers import check_scheduler, needed_options
from nnunet_tricks.experiment.costs import Costs
from nnunet_tricks.experiment.keeper import out_of_space
from nnunet_tricks.experiment.local import BLOCKED, DONE, FAILED, LOCK, CellProgress
from nnunet_tricks.experiment.lock import Lock, is_held
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.processes import dying_with_parent
from nnunet_tricks.experiment.record import Record
from nnunet_tricks.experiment.signs_of_life import OtherMachines, SignsOfLife
from nnunet_tricks.nnunet.folders import Folders
from nnunet_tricks.nnunet.model import CHECKPOINTS
from nnunet_tricks.utilities.files import write_atomically

RUNS = "runs"
OUTPUT = "snakemake.txt"
"""File with Snakemake's output."""

KEPT = 5
"""Number of rounds whose folders are kept, for their logs."""

POLL = 2.0
SHOWN = 20
"""Lines of a job's log."""


@dataclass
class HeadProcess:
    """Runs cells through Snakemake.

    Attributes:
        spec: Path of the experiment file. Two head processes never run the same one at a time.
        cells: All cells, lowest rank first, with every cell that they need.
        profile: Profile of the cluster.
        device: nnU-Net's ``-device``.
        folders: nnU-Net's folders.
        variables: Environment variables of the commands.
        devices: Devices of this machine, for a profile that runs cells here.
        timings: Times measured on the cluster, as ``timed`` returns them.
        timing: Whether to time what is not known.
        environment: Environment with Snakemake.
    """

    spec: Path
    cells: Sequence[Cell]
    profile: Profile
    device: str
    folders: Folders
    variables: Mapping[str, str]
    devices: Sequence[str] = ()
    timings: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    timing: bool = True
    environment: Environment = field(default_factory=Environment.usual)
    progress: dict[str, CellProgress] = field(init=False)

    def __post_init__(self) -> None:
        """Find out what is done already."""
        self.progress = {cell.key: CellProgress(cell, cell.state) for cell in self.cells}
        self._others = OtherMachines()
        self._strangers = Strangers()
        self._complaints: dict[str, str] = {}
        self._options = needed_options(self.profile)

    @property
    def base(self) -> Path:
        """The folder of this experiment's rounds."""
        file = self.spec.resolve()
        return self.folders.state / RUNS / f"{file.stem}_{sha256(str(file).encode()).hexdigest()[:8]}"

    def check(self) -> None:
        """Require that jobs can be submitted from here.

        Raises:
            ValueError: If they cannot.
        """
        self.environment.check(self.profile.scheduler)
        check_scheduler(self.profile)

    def run(self) -> bool:
        """Work until no cell is left that can be done.

        Returns:
            Whether every cell is done.

        Raises:
            ValueError: If jobs cannot be submitted from here, or another head process runs this experiment.
        """
        self.check()
        self.base.mkdir(parents=True, exist_ok=True)
        lock = Lock.take(self.base / LOCK)
        if lock is None or self._alive(self.base):
            raise ValueError(
                f"another process already runs {self.spec} ({_owner(self.base)}): stop it first, or wait for it"
            )
        with lock, SignsOfLife(self.base):
            write_atomically(self.base / "owner", f"process {os.getpid()} on {platform.node()}")
            while self._round():
                pass
        self._settle_states()
        is_complete = all(progress.state == DONE for progress in self.progress.values())
        if not is_complete and (why := out_of_space(self.base)):
            print(f"stopped: {why}", file=sys.stderr)
        return is_complete

    def dry_run(self, folder: Path) -> int:
        """Let Snakemake plan the open cells in a folder of its own; returns its exit code."""
        self.environment.check(self.profile.scheduler)
        left = [cell for cell in self.cells if not cell.is_done()]
        self._prepared(folder, left, ()).write()
        return start_snakemake(self.environment, folder, self.variables, "--dry-run", "--quiet", "host", "rules").wait()

    def _round(self) -> bool:
        """Start Snakemake once; returns whether another round can achieve something."""
        left = [cell for cell in self.cells if not cell.is_done()]
        if not left:
            return False
        folder = new_folder(self.base)  # from now on waiting jobs of earlier rounds end at once
        self._clear_away()
        busy = {cell.key for cell in left if self._is_busy(cell)}
        if busy:
            print(f"somebody else works at {len(busy)} cells: waiting for them", file=sys.stderr)
        prepared = self._prepared(folder, left, busy)
        prepared.write()
        before = {cell.key: _reached(cell) for cell in left}
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(folder, prepared, ended), daemon=True)
        watcher.start()
        print(f"{len(left)} cells to do; output of Snakemake: {folder / OUTPUT}", file=sys.stderr, flush=True)
        try:
            with (folder / OUTPUT).open("wb") as output:
                self._wait(start_snakemake(self.environment, folder, self.variables, output=output))
        finally:
            ended.set()
            watcher.join()
        self._complaints = {cell.key: last_words(folder, prepared.names[cell.key]) for cell in left}
        self._tell_timings(folder)
        held = {file.name for file in (folder / "held").iterdir()}
        undone = [cell for cell in left if not self._done_in(folder, prepared, cell)]
        # Cut off by its time limit, but further than before; or somebody else worked at it.
        return any(
            _reached(cell) != before[cell.key] or cell.key in busy or prepared.names[cell.key] in held
            for cell in undone
        )

    def _prepared(self, folder: Path, left: Sequence[Cell], busy: Sequence[str] | set[str]) -> Round:
        costs = Costs(self.cells, self.timings)
        return Round(
            folder,
            left,
            self.profile,
            self.device,
            self.folders,
            self.variables,
            busy=busy,
            devices=self.devices,
            seconds=costs.seconds,
            megabytes=lambda cell: (costs.memory(cell) or 0) / 1e6 or None,
            timing=self.timing,
            options=self._options,
        )

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait()
        except BaseException:
            interrupt(process)
            raise

    def _watch(self, folder: Path, prepared: Round, ended: threading.Event) -> None:
        """Print what is done, and tell Snakemake when cells of others are free again."""
        busy = {prepared.names[cell.key]: cell for cell in prepared.cells if cell.key in prepared.busy}
        keys = {name: key for key, name in prepared.names.items()}
        last = False
        while not last:
            last = ended.wait(POLL)
            for name, cell in list(busy.items()):
                with suppress(OSError, ValueError):
                    if not self._is_busy(cell):
                        write_atomically(folder / "settled" / name, "done" if cell.is_done() else "free")
                        del busy[name]
            for file in sorted(folder.glob("done/*/*")):
                if key := keys.pop(file.name, None):
                    print(f"{time.strftime('%H:%M:%S')} done: {key}", file=sys.stderr, flush=True)

    def _is_busy(self, cell: Cell) -> bool:
        if is_held(cell.folder / LOCK) or self._others.work_at(cell.folder):
            return True
        return (self._strangers.running(cell) if cell.is_done() else self._strangers.at(cell)) is not None

    def _alive(self, folder: Path) -> bool:
        """Whether a process of another machine works there; waits until that is certain."""
        first = _owner(folder)
        while self._others.work_at(folder):
            print(f"waiting to see whether {first} still runs this experiment", file=sys.stderr)
            before = (folder / "beat").read_text(encoding="utf-8")
            for _ in range(15):
                time.sleep(POLL)
                with suppress(OSError):
                    if (folder / "beat").read_text(encoding="utf-8") != before:
                        return True
        return False

    def _done_in(self, folder: Path, prepared: Round, cell: Cell) -> bool:
        """Whether a cell is done; a file system may show its marker before the files that it made."""
        rules = ("training", "preparation", "elsewhere")
        return cell.is_done() or any((folder / "done" / rule / prepared.names[cell.key]).exists() for rule in rules)

    def _settle_states(self) -> None:
        """Set the final state of each cell."""
        for progress in self.progress.values():
            record = Record.read(progress.cell.folder)
            if progress.cell.is_done():
                progress.state = DONE
            elif text := self._complaints.get(progress.cell.key):
                progress.state, progress.why, progress.told = FAILED, text, True
            elif record.is_unfinished:
                progress.state, progress.why = FAILED, _why(record)
        lost = {key for key, progress in self.progress.items() if progress.state == FAILED}
        for key, progress in self.progress.items():  # in order of rank: what is needed comes first
            if progress.state not in (DONE, FAILED) and lost & set(progress.cell.after):
                progress.state = BLOCKED
                lost.add(key)

    def _tell_timings(self, folder: Path) -> None:
        """Print why steps could not be timed: those jobs belong to no cell."""
        for log in folder.glob("logs/timing_*.txt"):
            if text := last_words(folder, log.stem):
                print(f"note: steps could not be timed: {text}", file=sys.stderr)

    def _clear_away(self) -> None:
        """Remove folders of old rounds."""
        rounds = sorted(folder for folder in self.base.iterdir() if (folder / "plan.json").is_file())
        for folder in rounds[:-KEPT]:
            shutil.rmtree(folder, ignore_errors=True)


def start_snakemake(
    environment: Environment, folder: Path, variables: Mapping[str, str], *extra: str, output: IO[Any] | int = 2
) -> subprocess.Popen[bytes]:
    """Start Snakemake in a folder that is prepared for it.

    Args:
        environment: Environment with Snakemake.
        folder: Folder of the round.
        variables: Environment variables of this process.
        extra: More words for the command line.
        output: File for its output; standard error if not given.
    """
    words = [str(environment.snakemake), "--snakefile", str(WORKFLOW), "--directory", str(folder)]
    words += ["--profile", str(folder / "profile"), "--workflow-profile", "none", "--config", f"folder={folder}"]
    return subprocess.Popen(
        [*words, *extra],
        env=environment.variables(variables),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        # Ctrl-C reaches it only through us, so only once: a second one would leave jobs behind.
        start_new_session=True,
        preexec_fn=_begin,
    )


def _begin() -> None:
    """Prepare the child: it obeys Ctrl-C even if we were started in the background, and ends with us."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if die := dying_with_parent():
        die()


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """End Snakemake and everything that it has started, including jobs on a cluster."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    process.wait()


def last_words(folder: Path, name: str) -> str:
    """The last lines of a job's log, or of its scheduler's; empty if its cell is done."""
    if any(folder.glob(f"done/*/{name}")):
        return ""
    own = folder / "logs" / f"{name}.txt"
    files = [own] if own.is_file() and own.stat().st_size else []
    # SLURM's folder has just the name, LSF's has more before it.
    files = files or list(folder.glob(f".snakemake/*_logs/*/*{name}/*"))
    if not files:
        return _refusal(folder, name)
    newest = max(files, key=lambda file: file.stat().st_mtime)
    lines = newest.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join([f"the end of {newest}:", *(f"  | {line}" for line in lines[-SHOWN:])])


def _refusal(folder: Path, name: str) -> str:
    """Snakemake's message about a job that never started."""
    with suppress(OSError):
        text = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
        for block in text.split("Error in rule ")[1:]:
            said_of = re.match(r"\w+:\n\s+message: (.*?)\n(?:\s+sbatch call:|\s+jobid:)", block, re.DOTALL)
            if said_of and re.search(rf"output: done/\w+/{re.escape(name)}\b", block):
                return said_of[1]
    return ""


def _reached(cell: Cell) -> tuple[int, ...]:
    """How far a training is: the times of its checkpoints."""
    if not isinstance(cell, Train):
        return ()
    files = [cell.model.checkpoint(which) for which in CHECKPOINTS]
    return tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)


def _owner(folder: Path) -> str:
    try:
        return (folder / "owner").read_text(encoding="utf-8").strip()
    except OSError:
        return "unknown"


def _why(record: Record) -> str:
    last = record.attempts[-1]
    if last.returncode is None:
        return "killed, with everything that it had started"
    return f"exit code {last.returncode}" + (f": {last.why}" if last.why else "")
