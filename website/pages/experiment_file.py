"""The reference of experiment files, written from the keys that the reader accepts and from its own errors."""

from __future__ import annotations

import tempfile
from pathlib import Path

from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.keys import FILE_KEYS, KEYS, KeyHelp
from nnunet_tricks.experiment.spec import read_experiment
from website.pages.tables import table

PAGE = "experiment_file.md"

_RIGHT = """\
datasets: [501]
configurations: [3d_fullres]
tricks: [Tversky, DiceOHEM]
epochs: 100
baseline_runs: 3
"""
_WRONG = (
    ("a key that does not exist", _RIGHT.replace("epochs", "epoch")),
    ("a trick that does not exist", _RIGHT.replace("Tversky", "Tverski")),
    ("a number that is none", _RIGHT.replace("100", "many")),
    ("a key that is missing", _RIGHT.replace("datasets: [501]\n", "")),
)


def experiment_file_page() -> str:
    """The page in Markdown.

    Raises:
        ValueError: If a file that it shows as right is refused, or one that it shows as wrong is accepted.
    """
    refused = "\n".join(f"- {what}:\n\n    ```text\n    {_refusal(text)}\n    ```\n" for what, text in _WRONG)
    if answer := _refusal(_RIGHT):
        raise ValueError(f"the example of the experiment file is refused: {answer}")
    return (
        "# Keys of the experiment file\n\n"
        "`nnunet-tricks run` reads an experiment file. This page is made from the code that checks it:"
        " there are these keys and no others.\n"
        "[Run an experiment](run.md) explains how they work together.\n\n"
        f"```yaml\n{_RIGHT}```\n\n"
        "## Keys of a comparison\n\n"
        f"{_keys(KEYS)}\n\n"
        "`datasets` and `configurations` are needed, and `tricks` or `trainers`.\n\n"
        "## Keys of the whole file\n\n"
        f"{_keys(FILE_KEYS)}\n\n"
        "## What is refused\n\n"
        "Whatever is wrong is refused with its line, before anything is trained:\n\n"
        f"{refused}"
    )


def _keys(keys: dict[str, KeyHelp]) -> str:
    return table(
        ("key", "what it is", "default"),
        [
            (f"`{key}`", entry.meaning.replace(", see below", ": [run](run.md#the-file)"), entry.default)
            for key, entry in keys.items()
        ],
    )


def _refusal(text: str) -> str:
    """What the reader says about a file; empty if it accepts it."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "losses.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            read_experiment(file)
        except SpecError as error:
            return str(error).replace(f"{folder}/", "")
        return ""
