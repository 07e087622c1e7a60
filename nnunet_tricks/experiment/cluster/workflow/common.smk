"""What the rules know of the cells. Runs in Snakemake's own environment, which has the standard library only."""

import json
import math
from pathlib import Path

FOLDER = Path(config.get("folder", "."))
PLAN = json.loads(FOLDER.joinpath("plan.json").read_text(encoding="utf-8"))
SCRIPT = FOLDER.joinpath("job.sh")
CELLS = PLAN["cells"]


def marker(cell):
    """The file that says that a cell is done, in this run. Times of files count for nothing: clocks differ."""
    return ancient(f"done/{CELLS[cell]['rule']}/{cell}")


def needed(wildcards):
    """What must come first."""
    return [marker(cell) for cell in CELLS[wildcards.cell]["after"]]


def measured(wildcards):
    """Where the job that times cells like this one writes; nothing if it is known already, or not asked for."""
    group = CELLS[wildcards.cell]["measure"]
    return [marker(group)] if group else []


def known(wildcards, what):
    """Seconds or megabytes of a cell, from the plan, or from what was timed since; None if nobody knows."""
    cell = CELLS[wildcards.cell]
    # Snakemake asks once more when a cell can begin, and by then its steps have been timed.
    timing = FOLDER.joinpath("timed", str(cell["measure"]))
    if cell[what] is None and timing.is_file():
        return json.loads(timing.read_text(encoding="utf-8")).get(wildcards.cell, {}).get(what)
    return cell[what]


def minutes(section):
    """A function for a rule's 'runtime': more with each attempt, up to the limit."""

    def of(wildcards, attempt):
        seconds = known(wildcards, "seconds")
        asked = section["seconds"] if seconds is None else PLAN["start"] + PLAN["margin"] * seconds
        return math.ceil(min(asked * attempt, PLAN["longest"]) / 60)

    return of


def megabytes(section):
    """A function for a rule's 'mem_mb': more with each attempt."""

    def of(wildcards, attempt):
        memory = known(wildcards, "megabytes")
        asked = section["megabytes"] if memory is None else PLAN["spare"] + PLAN["margin"] * memory
        return math.ceil(asked * attempt)

    return of


def priority(wildcards):
    """Baseline and first trick first, as in the local queue."""
    return len(CELLS) - CELLS[wildcards.cell]["place"]
