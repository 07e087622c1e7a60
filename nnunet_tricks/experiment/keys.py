"""The keys of an experiment file: what ``spec.py`` accepts, in words.

``python -m nnunet_tricks.experiment.keys`` writes them into ``docs/run.md``, and a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nnunet_tricks.utilities.blocks import with_block
from nnunet_tricks.utilities.files import write_atomically

BEGIN = "<!-- keys: begin, written by 'python -m nnunet_tricks.experiment.keys' -->"
END = "<!-- keys: end -->"


class KeyHelp(NamedTuple):
    """A key in words.

    Attributes:
        meaning: Values that it takes and what they do, in Markdown.
        default: Value where the file does not have the key; empty if there is none.
    """

    meaning: str
    default: str = ""


FILE_KEYS = {
    "name": KeyHelp("name in tables and of lock and report", "the file's name"),
    "description": KeyHelp("a sentence for the report"),
    "needs": KeyHelp("tricks in the file that do not exist yet; `run` names them, and `--skip-missing` runs the rest"),
    "comparisons": KeyHelp(
        "several comparisons in one file: a list of `name` and any keys of a comparison; other keys are taken from "
        "the top"
    ),
}
"""Keys that stand at the top of a file only."""

KEYS = {
    "datasets": KeyHelp("numbers or full names"),
    "configurations": KeyHelp("nnU-Net's configurations, or added ones, see below"),
    "plans": KeyHelp("stems of plans files, see below", "`nnUNetPlans`"),
    "small": KeyHelp(
        "light configurations to add, as `nnunet-tricks plan --small` does: "
        "`{3d_fullres_small: {from: 3d_fullres, patch: [40, 56, 40]}}`"
    ),
    "design": KeyHelp("how tricks are combined: `add-one`, `leave-one-out` or `factorial`, see below", "`add-one`"),
    "trainers": KeyHelp("any trainers by name: ours, nnU-Net's, your own; the first is the baseline"),
    "tricks": KeyHelp("tricks, in place of `trainers`: each is added to the baseline"),
    "baseline": KeyHelp("trainer to which tricks are added", "`nnUNetTrainer`"),
    "epochs": KeyHelp(
        "number of epochs of all trainers, so that baseline and tricks are trained equally long", "nnU-Net's 1000"
    ),
    "folds": KeyHelp("folds of the split, or `all`", "all five"),
    "runs": KeyHelp("`runs: 3` trains everything three times, as `..._run2` and `..._run3`", "one"),
    "baseline_runs": KeyHelp("number of runs of the baseline, see below", "`runs`"),
    "shared_randomness": KeyHelp(
        "`true` pairs the runs of baseline and tricks, see [statistics](statistics.md#shared-randomness)", "`false`"
    ),
    "on": KeyHelp("parts to evaluate: `validation`, `test` or both", "`validation`"),
    "checkpoint": KeyHelp("checkpoint to evaluate: `final` or `best`", "`final`"),
    "regions": KeyHelp("unions of labels to evaluate, `{kidney: 1+2, tumor: 2}`", "each label"),
    "inference": KeyHelp(
        "what is done with the trained models: test-time augmentation, ensembles, post-processing, see below"
    ),
    "published": KeyHelp("the numbers that a paper printed for the same comparison: see `experiments/`"),
}
"""Keys of a comparison. In a file with several, keys at the top hold for all."""


def as_markdown() -> str:
    """The table of all keys."""
    rows = [f"| `{key}` | {entry.meaning} | {entry.default} |" for key, entry in {**KEYS, **FILE_KEYS}.items()]
    return "\n".join(["| key | what it is | default |", "|---|---|---|", *rows])


def inserted(document: str) -> str:
    """The document with its table of keys replaced.

    Raises:
        ValueError: If the document has no place for it.
    """
    return with_block(document, BEGIN, END, as_markdown())


def main(arguments: Sequence[str]) -> int:
    """Write the table into a document, ``docs/run.md`` of the current folder if none is given."""
    file = Path(arguments[0] if arguments else "docs/run.md")
    write_atomically(file, inserted(file.read_text(encoding="utf-8")))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
