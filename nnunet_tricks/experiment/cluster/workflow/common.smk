"""What the rules know about the cells. Runs in Snakemake's own environment, with the standard library only."""

import json
import math
from pathlib import Path

FOLDER = Path(config.get("folder", "."))
PLAN = json.loads(FOLDER.joinpath("plan.json").read_text(encoding="utf-8"))
SCRIPT = FOLDER.joinpath("job.sh")
CELLS = PLAN["cells"]


def marker(cell):
    """The file that marks a cell as done in this run. Times of files are ignored, as clocks differ."""
    return ancient(f"done/{CELLS[cell]['rule']}/{cell}")


def needed(wildcards):
    """The markers of the cells that must come first."""
    return [marker(cell) for cell in CELLS[wildcards.cell]["after"]]


def measured(wildcards):
    """The marker of the job that times cells like this one; empty if none is needed."""
    group = CELLS[wildcards.cell]["measure"]
    return [marker(group)] if group else []


def known(wildcards, what):
    """Seconds or megabytes of a cell, from the plan or from times measured since; None if they are not known."""
    cell = CELLS[wildcards.cell]
    # Snakemake asks again when a cell can start, and by then its steps have been timed.
    timing = FOLDER.joinpath("timed", str(cell["measure"]))
    if cell[what] is None and timing.is_file():
        return json.loads(timing.read_text(encoding="utf-8")).get(wildcards.cell, {}).get(what)
    return cell[what]


def minutes(section):
    """A function for a rule's 'runtime', which grows with each attempt up to the limit."""

    def of(wildcards, attempt):
        seconds = known(wildcards, "seconds")
        requested = section["seconds"] if seconds is None else PLAN["start"] + PLAN["margin"] * seconds
        return math.ceil(min(requested * attempt, PLAN["longest"]) / 60)

    return of


def megabytes(section):
    """A function for a rule's 'mem_mb', which grows with each attempt."""

    def of(wildcards, attempt):
        memory = known(wildcards, "megabytes")
        requested = section["megabytes"] if memory is None else PLAN["spare"] + PLAN["margin"] * memory
        return math.ceil(requested * attempt)

    return of


def priority(wildcards):
    """The priority of a cell: baseline and first trick come first, as in the local queue."""
    return len(CELLS) - CELLS[wildcards.cell]["place"]
