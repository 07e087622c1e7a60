"""Tricks for trained models: how their settings are written, and the command that does each. Standard library only."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from nnunet_tricks.catalogue import AFTER_TRAINING
from nnunet_tricks.catalogue.info import TrickInfo
from nnunet_tricks.catalogue.naming import IllegalName, Trick, combine
from nnunet_tricks.catalogue.papers import Paper

PREDICT, ENSEMBLE, POSTPROCESS = "predict", "ensemble", "postprocess"
MARK = "+"
"""Between a trainer's name and what was done with its models. No trainer has it, since it is no letter of a class."""

LEARNED = ("EnsembleWeighted", "EnsembleStack")
"""Ensembles whose weights ``ensemble --learn`` finds first."""

VIEWS = {"gtauga": "gtaug-a", "gtaugb": "gtaug-b"}
"""Sets of views by their words in settings, where ``predict --tta`` writes them otherwise."""


def info_of(word: str) -> TrickInfo | None:
    """The trick for trained models whose name a word begins with; None if there is none.

    Examples:
        >>> info_of("keeplargest_count2").name, info_of("Tversky")
        ('KeepLargest', None)
    """
    name = word.partition("_")[0].casefold()
    return next((info for info in AFTER_TRAINING if info.name.casefold() == name), None)


def read(word: str) -> Trick:
    """A trick for trained models with its settings.

    Args:
        word: Trick with or without parameters, such as ``TTA_mirror``.

    Raises:
        ValueError: If it is none, or its parameters are wrong.

    Examples:
        >>> read("RemoveSmall_voxels80").settings["voxels"]
        80
    """
    names = ", ".join(info.name for info in AFTER_TRAINING)
    try:
        setting = combine(word, catalogue=AFTER_TRAINING)
    except IllegalName as error:
        reason = error.reason
    else:
        rest = setting.epochs, setting.run, setting.shared
        if len(setting.tricks) == 1 and rest == (type(setting)().epochs, 1, False):
            return setting.tricks[0]
        reason = "it must be one trick with its parameters, and nothing else"
    raise ValueError(
        f"'{word}' is no trick for trained models: {reason}. These are {names}; 'nnunet-tricks show' says more"
    )


def command(trick: Trick, place: str = "") -> tuple[str, ...]:
    """Words after ``nnunet-tricks`` that do it, without the folders.

    Args:
        trick: A trick for trained models.
        place: Classes that a step of post-processing is for; empty for each class.

    Examples:
        >>> command(read("TTA_gtauga_logits"))
        ('predict', '--tta', 'gtaug-a', '--average', 'logits')
        >>> command(read("KeepLargest_count2"), "kidney")
        ('postprocess', '--steps', 'kidney:KeepLargest_count2')
    """
    verb, option, value = trick.info.command.split()
    if verb == PREDICT:
        views, average = str(trick.settings["views"]), str(trick.settings["average"])
        averaged = () if average == "usual" else ("--average", average)
        return (verb, option, VIEWS.get(views, views), *averaged)
    if verb == POSTPROCESS:
        return verb, option, f"{place}:{trick}" if place else str(trick)
    return verb, option, value


def example(trick: Trick, places: Sequence[str] = ()) -> str:
    """A whole line for a shell.

    Args:
        trick: A trick for trained models.
        places: Classes that a step of post-processing is for; none for each class.

    Examples:
        >>> example(read("EnsembleVote"))
        'nnunet-tricks ensemble -i FOLDER FOLDER -o OUT --method vote'
        >>> example(read("KeepLargest"), ["liver", "left kidney"])
        "nnunet-tricks postprocess IN OUT --steps liver:KeepLargest 'left kidney:KeepLargest'"
    """
    verb, *options = command(trick)
    if places:
        options = [options[0], *(shlex.quote(f"{place}:{trick}") for place in places)]
    folders = {
        PREDICT: "-d 501 -c 3d_fullres -i IMAGES -o OUT",
        ENSEMBLE: "-i FOLDER FOLDER -o OUT",
        POSTPROCESS: "IN OUT",
    }
    learned = ("--with", "FILE") if trick.info.name in LEARNED else ()
    return " ".join(("nnunet-tricks", verb, folders[verb], *options, *learned))


def named(trainer: str, *settings: str) -> str:
    """Name in place of a trainer's, for the folder of what was done with its models.

    Examples:
        >>> named("nnUNetTrainer_run2", "TTA_mirror", "1+2:KeepLargest")
        'nnUNetTrainer_run2+TTA_mirror+1-2-KeepLargest'
    """
    # No two underscores: they separate trainer, plans and configuration.
    parts = (re.sub(r"_{2,}", "_", re.sub(r"[^\w.-]", "-", setting, flags=re.ASCII)) for setting in settings)
    return MARK.join((trainer, *parts))


def trained(name: str) -> str:
    """The trainer whose models something was done with; the name itself if nothing was.

    Examples:
        >>> trained("nnUNetTrainer_run2+TTA_mirror")
        'nnUNetTrainer_run2'
    """
    return name.partition(MARK)[0]


def papers(setting: str) -> tuple[Paper, ...]:
    """Papers of a part that ``named`` put into a name, as far as it tells.

    Examples:
        >>> [paper.short for paper in papers("1-2-KeepLargest_count2")]
        ['Zhang et al. 2022']
    """
    words = re.split("[_-]", setting)
    return tuple(info.paper for info in AFTER_TRAINING if info.name in words)
