"""The advice as an experiment file, ready to lock and run."""

from __future__ import annotations

import json
import re
from pathlib import Path

from nnunet_tricks.comparison.advice.advise import Advice, infos_of
from nnunet_tricks.comparison.advice.costs import has_weights
from nnunet_tricks.comparison.advice.rules import CONTROLS
from nnunet_tricks.experiment.spec import read_experiment
from nnunet_tricks.utilities.files import replacing

WIDTH = 118
"""Characters of a comment's line."""


def check_file(file: Path) -> None:
    """Refuse a file that cannot be written.

    Args:
        file: Experiment file to write.

    Raises:
        ValueError: If its ending is not ``.yaml`` or ``.yml``, it is there already, or its folder is not.
    """
    if file.suffix not in (".yaml", ".yml"):
        raise ValueError(f"--write is {file}, and its ending must be .yaml or .yml")
    if file.exists():
        raise ValueError(f"{file} is there already: give another name, since it may be locked")
    if not file.absolute().parent.is_dir():
        raise ValueError(f"--write is {file}, and its folder is not there")


def write_experiment(advice: Advice, file: Path, *, most: int, epochs: int, small: bool) -> Path:
    """Write an experiment file that tries the advice.

    Args:
        advice: Advice for a data set.
        file: File to write; its ending is ``.yaml`` or ``.yml``.
        most: Number of tricks at most.
        epochs: Number of epochs of each training.
        small: Whether networks and patches are small, for a training without a GPU.

    Raises:
        ValueError: If the file cannot be written, see ``check_file``, or no trick is advised.
    """
    check_file(file)
    if not advice.tricks:
        raise ValueError(f"no rule spoke for a trick on {advice.figures.dataset}, so there is nothing to write")
    with replacing(file, ending=file.suffix) as temporary:
        temporary.write_text(text_of(advice, file.stem, most=most, epochs=epochs, small=small), encoding="utf-8")
        # What we write must be what 'run' reads.
        read_experiment(temporary)
    return file


def text_of(advice: Advice, name: str, *, most: int, epochs: int, small: bool) -> str:
    """The text of the file; see ``write_experiment``."""
    figures = advice.figures
    number = str(int(figures.dataset.removeprefix("Dataset").partition("_")[0]))
    planned = "2d" if figures.dimension == 2 else "3d_fullres"
    configuration = f"{planned}_light" if small else planned
    chosen = advice.tricks[:most]
    trained = [advised for advised in chosen if not advised.after_training]
    lines = _comment(
        f"Tricks that 'nnunet-tricks advise {number}' named for {figures.dataset} on {advice.made}, and why. "
        "Lock it before the first training: nnunet-tricks run FILE --lock"
    )
    for advised in chosen:
        lines += _comment(f"{advised.trick}: {'; '.join(reason.text for reason in advised.reasons)}.", "  ")
    for advised in trained:
        if advised.trick in CONTROLS:
            lines += _comment(f"{CONTROLS[advised.trick]}: the same without weights, to tell what they do.", "  ")
    if any(has_weights(info) for advised in trained for info in infos_of(advised.trick)):
        lines += _comment("First: nnunet-tricks weights fetch PretrainedImageNet1k --for tf_efficientnet_lite0")
    plain_name = re.sub(r"[^\w.-]", "_", name, flags=re.ASCII)
    lines += [f"name: {plain_name}", f"datasets: [{number}]", f"configurations: [{configuration}]"]
    if small:
        lines += ["small:", f"  {configuration}: {{from: {planned}}}"]
    lines += [f"epochs: {epochs}", "folds: [0, 1]", "runs: 2", "baseline_runs: 3"]
    if trained:
        lines.append("tricks:")
        for advised in trained:
            control = CONTROLS.get(advised.trick)
            lines += [f"  - {trick}" for trick in (control, advised.trick) if trick]
    else:
        # Only what is done with trained models: those of nnU-Net's default.
        lines.append("trainers: [nnUNetTrainer]")
    settings = [advised for advised in chosen if advised.after_training]
    if settings:
        lines += ["inference:", *(f"  - {_scalar(' + '.join(advised.steps))}" for advised in settings)]
    return "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """A text of YAML, quoted where a class's name could mean something else.

    Examples:
        >>> _scalar("KeepLargest"), _scalar("liver:KeepLargest")
        ('KeepLargest', '"liver:KeepLargest"')
    """
    return text if re.fullmatch(r"\w+", text, re.ASCII) else json.dumps(text, ensure_ascii=False)


def _comment(text: str, indent: str = "") -> list[str]:
    from textwrap import wrap

    return [
        f"# {line}"
        for line in wrap(text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False)
    ]
