"""Commands of nnU-Net that run on this machine, typed by hand or not, and what they write."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.experiment.processes import MARK, has_only_forked, processes
from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS

TRAIN, PREDICT, EVALUATE, PREPROCESS, PLAN = "train", "predict", "evaluate", "preprocess", "plan"
RESULTS, PREPROCESSED = "nnUNet_results", "nnUNet_preprocessed"
KEEPER = "nnunet_tricks.experiment.keeper"
CONFIGURATIONS = ("2d", "3d_fullres", "3d_lowres")
"""The configurations that nnU-Net preprocesses by default."""


@dataclass(frozen=True)
class Work:
    """What a command writes.

    Attributes:
        kind: One of this module's words.
        place: Folder below which it writes, as ``identity`` gives it; None if it is not known.
        names: Names that distinguish it from other work in the folder; None matches any name.
    """

    kind: str
    place: str | None
    names: tuple[str | None, ...] = ()

    @classmethod
    def at(cls, kind: str, place: Path | str, *names: str) -> Work:
        """Work in a folder, also if the path leads through links."""
        return cls(kind, identity(str(place)), names)

    def is_same(self, other: Work) -> bool:
        """Whether two may be the same work; what is not known counts as equal."""
        if self.kind != other.kind or len(self.names) != len(other.names):
            return False
        pairs = zip((self.place, *self.names), (other.place, *other.names), strict=True)
        return all(mine is None or others is None or mine == others for mine, others in pairs)


@dataclass(frozen=True)
class RunningCommand:
    """A command that runs.

    Attributes:
        process: Number of the process.
        works: Everything that it writes.
        cell: Folder of the cell whose keeper started it; empty if it was typed by hand.
    """

    process: int
    works: tuple[Work, ...]
    cell: str


def running() -> list[RunningCommand]:
    """nnU-Net's commands that run on this machine, typed by hand or not; none where the system has no ``/proc``."""
    commands = []
    for process in processes():
        with suppress(OSError, ValueError, IndexError):
            words = _words(process)
            # Loading processes are copies of their command, and survive if it is killed.
            if not _may_be(words) or has_only_forked(process):
                continue
            variables = _variables(process)
            folder = _folder(process)
            works = tuple(works_of(words, variables, folder, str(process / "root")))
            if works:
                commands.append(RunningCommand(int(process.name), works, (variables or {}).get(MARK, "")))
    return commands


def may_train_unseen(results: Path) -> bool:
    """Whether a Python program of this machine may train through nnU-Net's functions, which its command line hides.

    Args:
        results: The folder that it would write to.
    """
    for process in processes():
        with suppress(OSError, ValueError, IndexError):
            if int(process.name) == os.getpid() or has_only_forked(process):
                continue
            words, variables, root = _words(process), _variables(process), str(process / "root")
            if variables is None or MARK in variables or list(works_of(words, variables, _folder(process), root)):
                continue
            line = " ".join(words).lower()
            place = variables.get(RESULTS)
            is_here = place is not None and identity(place, root) == identity(str(results))
            suspect = is_here or (place is None and ("nnunet" in line or "ipykernel" in line))
            if suspect and "libtorch" in (process / "maps").read_text(encoding="utf-8", errors="replace"):
                return True
    return False


def works_of(words: Sequence[str], variables: Mapping[str, str] | None, folder: str, root: str = "") -> Iterator[Work]:
    """What a command line writes; nothing if it is not one of nnU-Net's.

    Args:
        words: The command line, split.
        variables: Its environment; None if it may not be read.
        folder: The folder in which it was started.
        root: Its root folder, which differs in a container.

    Examples:
        >>> words = "python3 /bin/nnUNetv2_train 4 2d 0 -tr nnUNetTrainerCE --c".split()
        >>> [work.names for work in works_of(words, None, "/")]
        [('4', 'nnUNetTrainerCE', 'nnUNetPlans', '2d', '0')]
    """
    if KEEPER in words:
        return
    for place, word in enumerate(words):
        name = next((name for module, name in MODULES.items() if _is_module(word, module)), os.path.basename(word))
        if read := READERS.get(name):
            with suppress(ValueError, argparse.ArgumentError):
                yield from read(words[place + 1 :], _Where(variables, folder, root))
            return


@dataclass(frozen=True)
class _Where:
    """The environment of a command, if it may be read, and its folders."""

    variables: Mapping[str, str] | None
    folder: str
    root: str

    def of(self, variable: str) -> str | None:
        """One of nnU-Net's folders."""
        value = (self.variables or {}).get(variable)
        return self.path(value) if value else None

    def path(self, words: str) -> str:
        """A path as the command understands it, see ``identity``."""
        return identity(os.path.normpath(os.path.join(self.folder, os.path.expanduser(words))), self.root)


class _Parser(argparse.ArgumentParser):
    """Reads words as nnU-Net's command does, and prints nothing."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _parser(*values: str, flags: Sequence[str] = (), several: Sequence[str] = ()) -> _Parser:
    parser = _Parser(add_help=False)
    for value in values:
        parser.add_argument(value)
    for value in several:
        parser.add_argument(value, nargs="+")
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser


def _train(words: Sequence[str], where: _Where) -> Iterator[Work]:
    values = ("dataset", "configuration", "fold", "-tr", "-p", "-pretrained_weights", "-num_gpus", "-device")
    options, _ = _parser(
        *values, flags=("--npz", "--c", "--val", "--val_best", "--disable_checkpointing")
    ).parse_known_args(list(words))
    fold = str(int(options.fold)) if options.fold.isdecimal() else options.fold
    names = (trainer_name(options.tr or "nnUNetTrainer"), options.p or DEFAULT_PLANS, options.configuration, fold)
    yield Work(TRAIN, where.of(RESULTS), (dataset_number(options.dataset), *names))


def _predict(words: Sequence[str], where: _Where) -> Iterator[Work]:
    yield from _out(PREDICT, words, where)


def _evaluate(words: Sequence[str], where: _Where) -> Iterator[Work]:
    options, _ = _parser("truth", "predictions", "-o", "-djfile", "-pfile", "-np", "-il").parse_known_args(list(words))
    yield Work(EVALUATE, where.path(options.o or os.path.join(options.predictions, "summary.json")))


def _preprocess(words: Sequence[str], where: _Where) -> Iterator[Work]:
    options, _ = _parser("-plans_name", several=("-d", "-c", "-np")).parse_known_args(list(words))
    yield from _preprocessed(options.d, options.plans_name or DEFAULT_PLANS, options.c, where)


def _plan_and_preprocess(words: Sequence[str], where: _Where) -> Iterator[Work]:
    values = ("-fpe", "-npfp", "-pl", "-gpu_memory_target", "-preprocessor_name", "-overwrite_plans_name")
    several = ("-d", "-c", "-np", "-overwrite_target_spacing")
    options, _ = _parser(*values, flags=("--no_pp",), several=several).parse_known_args(list(words))
    # Only the code of another planner knows the name of its plans.
    plans = options.overwrite_plans_name or (DEFAULT_PLANS if options.pl in (None, "ExperimentPlanner") else None)
    for dataset in options.d or ():
        yield Work(PLAN, where.of(PREPROCESSED), (dataset_number(dataset), plans))
    if not options.no_pp:
        yield from _preprocessed(options.d, plans, options.c, where)


def _plan(words: Sequence[str], where: _Where) -> Iterator[Work]:
    yield from _plan_and_preprocess([*words, "--no_pp"], where)


def _preprocessed(
    datasets: Sequence[str] | None, plans: str | None, configurations: Sequence[str] | None, where: _Where
) -> Iterator[Work]:
    for dataset in datasets or ():
        for configuration in configurations or CONFIGURATIONS:
            yield Work(PREPROCESS, where.of(PREPROCESSED), (dataset_number(dataset), plans, configuration))


def _out(kind: str, words: Sequence[str], where: _Where) -> Iterator[Work]:
    if "-o" in words[:-1]:
        yield Work(kind, where.path(words[list(words).index("-o") + 1]))


Reader = Callable[[Sequence[str], _Where], Iterator[Work]]

READERS: Mapping[str, Reader] = {
    "nnUNetv2_train": _train,
    "nnUNetv2_predict": _predict,
    "nnUNetv2_predict_from_modelfolder": _predict,
    "nnUNetv2_evaluate_folder": _evaluate,
    "nnUNetv2_evaluate_simple": _evaluate,
    "nnUNetv2_preprocess": _preprocess,
    "nnUNetv2_plan_experiment": _plan,
    "nnUNetv2_plan_and_preprocess": _plan_and_preprocess,
}
MODULES: Mapping[str, str] = {
    "nnunetv2.run.run_training": "nnUNetv2_train",
    "nnunetv2.inference.predict_from_raw_data": "nnUNetv2_predict",
    "nnunetv2.evaluation.evaluate_predictions": "nnUNetv2_evaluate_folder",
}
"""The same commands, as ``python -m`` or a path names them."""


def _is_module(word: str, module: str) -> bool:
    return word.replace("/", ".").removesuffix(".py").endswith(module)


def identity(path: str, root: str = "") -> str:
    """A word that is the same for two paths to the same file, even if one of them is a container's.

    Args:
        path: The path; the file need not exist yet.
        root: Root folder of the path, such as ``/proc/12/root``.

    Examples:
        >>> identity("/usr/../") == identity("/") != identity("/not/there") == identity("/not/../not/there/")
        True
    """
    path = os.path.normpath(path)
    root = root if os.path.isdir(root + "/") else ""  # another user's may not be looked into
    try:
        status = os.stat(root + path)
    except OSError:
        above, name = os.path.split(path)
        return f"{identity(above, root)}/{name}" if name else path
    return f"{status.st_dev}:{status.st_ino}"


def dataset_number(dataset: str) -> str:
    """A data set's number, from its number or its full name.

    Examples:
        >>> dataset_number("007"), dataset_number("Dataset007_Kidney")
        ('7', '7')
    """
    word = dataset.removeprefix("Dataset").partition("_")[0]
    return str(int(word)) if word.isdecimal() else dataset


def trainer_name(trainer: str) -> str:
    """The name of nnU-Net's folder: for a trainer of ours, the canonical one."""
    try:
        return str(parse(trainer))
    except IllegalName:
        return trainer


def _words(process: Path) -> list[str]:
    content = (process / "cmdline").read_bytes().decode(errors="replace")
    return content.removesuffix("\0").split("\0")


def _may_be(words: Sequence[str]) -> bool:
    return any("nnUNetv2_" in word or "nnunetv2" in word for word in words)


def _variables(process: Path) -> dict[str, str] | None:
    try:
        content = (process / "environ").read_bytes().decode(errors="replace")
    except OSError:
        return None
    return {name: value for name, _, value in (line.partition("=") for line in content.split("\0")) if name}


def _folder(process: Path) -> str:
    try:
        return os.readlink(process / "cwd")
    except OSError:
        return "/"
