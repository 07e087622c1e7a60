"""Runs an experiment and kills it ten times at random moments, with SIGKILL; says what was hit. Linux only.

python kill_at_random.py SPEC LOG [KILLS] [SEED]
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = b"NNUNET_TRICKS_CELL="
WAYS = ("queue", "everything", "keeper", "everything", "command")
SHORTEST, LONGEST = 15, 180


def main(spec: str, log: str, kills: str = "10", seed: str = "5") -> int:
    """Run, kill, run again, until all is done."""
    chance = random.Random(int(seed))
    moments = [(chance.uniform(SHORTEST, LONGEST), WAYS[number % len(WAYS)]) for number in range(int(kills))]
    queue = _start(spec)
    for number, (wait, way) in enumerate(moments, 1):
        time.sleep(wait)
        hit = _running()
        victims = _victims(way, queue)
        for process in victims:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        entry = {"kill": number, "at": time.strftime("%H:%M:%S"), "way": way, "processes": len(victims), "cells": hit}
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        if queue.poll() is not None or way in ("queue", "everything"):
            queue.wait()
            queue = _start(spec)
    while (code := queue.wait()) != 0:
        print(f"the queue ended with {code}: once more", file=sys.stderr)
        queue = _start(spec)
    return code


def _start(spec: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["nnunet-tricks", "run", spec, "--device", "cpu", "--workers", "2"], start_new_session=True)


def _victims(way: str, queue: subprocess.Popen[bytes]) -> list[int]:
    commands = _with_mark()
    keepers = _keepers()
    if way == "queue":
        return [queue.pid]
    if way == "keeper":
        return keepers
    if way == "command":
        return [process for process in commands if _parent(process) in keepers]
    return [queue.pid, *keepers, *commands]


def _with_mark() -> dict[int, str]:
    found = {}
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            for word in (process / "environ").read_bytes().split(b"\0") if process.name.isdecimal() else []:
                if word.startswith(MARK):
                    found[int(process.name)] = word[len(MARK) :].decode()
    return found


def _keepers() -> list[int]:
    found = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdecimal() and b"nnunet_tricks.experiment.keeper" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def _parent(process: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def _running() -> list[str]:
    """Cells at work, with the last line of their logs."""
    hit = []
    for folder in sorted(set(_with_mark().values())):
        with suppress(OSError):
            lines = [
                line for line in (Path(folder) / "log.txt").read_text(errors="replace").splitlines() if line.strip()
            ]
            hit.append(f"{'/'.join(Path(folder).parts[-3:])}: {lines[-1][:100] if lines else ''}")
    return hit


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
