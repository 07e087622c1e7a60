"""Which training without labels a trainer starts from, by its name. Standard library only."""

from __future__ import annotations

from dataclasses import replace

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.naming import TrainerName, Trick, combine

AFTER = "after"
"""Parameter with the length of that training in epochs."""


def pretext_of(name: TrainerName) -> TrainerName | None:
    """The pretext training that a trainer starts from; None if it starts from none.

    It has the same network, and the parameters that the weights trick shares with it. Repeated runs start from the same
    one.

    Args:
        name: What the trainer's name says.

    Examples:
        >>> from nnunet_tricks.catalogue.naming import parse
        >>> str(pretext_of(parse("nnUNetTrainerTversky_BN_Genesis_after100_noskips_50epochs_run2")))
        'nnUNetTrainerPretextGenesis_noskips_BN_100epochs'
        >>> pretext_of(parse("nnUNetTrainerTversky")) is None
        True
    """
    for trick in name.switched:
        if trick.info.pretext:
            task = next(info for info in CATALOGUE if info.name == trick.info.pretext)
            changed = tuple((key, value) for key, value in trick.changed if key != AFTER)
            networks = [other for other in name.switched if other.info.place == "network"]
            whole = combine(*map(str, (Trick(task, changed), *networks)))
            return replace(whole, epochs=int(str(trick.settings[AFTER])))
    return None
