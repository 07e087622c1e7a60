"""Trainer names and the lists of tricks that they stand for. Standard library only.

The class name is the name of nnU-Net's result folder and stands in every checkpoint, so it carries the whole setting:

``nnUNetTrainer`` [Base ``_``] [Trick [``_parameter``...]] [``_``Trick [``_parameter``...]]... [``_<N>epochs``]
[``_shared``] [``_run<K>``]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, TrickInfo, Value
from nnunet_tricks.catalogue.papers import Paper
from nnunet_tricks.catalogue.reading import TokenReader
from nnunet_tricks.catalogue.repair import Flaw, broken_rule, nearest
from nnunet_tricks.catalogue.spelling import spell_trick

PREFIX = "nnUNetTrainer"
DEFAULT_EPOCHS = 1000
LONGEST_FOLDER = 255
"""Bytes in the name of a folder, on all file systems in use."""
MAX_LENGTH = 205
"""nnU-Net's folder is ``<trainer>__<plans>__<configuration>``: this leaves 50 for the others, as many as the longest
names need that nnU-Net itself gives (``nnUNetResEncUNetPlans_XLPlans`` aside). Ensembles of two models have folders of
their own, ``ensemble_note`` says which names are too long for those."""
ENSEMBLE = "ensemble___{}___{}___0_1_2_3_4"
"""How nnUNetv2_find_best_configuration calls the folder of two models' mean."""


class IllegalName(ValueError):
    """A name that is no trainer or planner: the message says why, and which legal names are near.

    Attributes:
        reason: Sentence that says what is wrong with the name.
        nearest: Legal names near it, best first.
    """

    def __init__(self, name: str, reason: str, nearest: Sequence[str] = (), what: str = "trainer") -> None:
        """Make the message of ``reason`` and ``nearest``; ``what`` it is no name of."""
        hint = f" Nearest: {', '.join(nearest)}." if nearest else " See 'nnunet-tricks list'."
        super().__init__(f"'{name}' is not a {what} of nnunet_tricks: {reason}.{hint}")
        self.name = name
        self.reason = reason
        self.nearest = tuple(nearest)
        self.what = what

    def __reduce__(self) -> tuple[type[IllegalName], tuple[str, str, tuple[str, ...], str]]:
        """Let it travel between processes."""
        return IllegalName, (self.name, self.reason, self.nearest, self.what)


@dataclass(frozen=True)
class Trick:
    """A trick with its settings.

    Attributes:
        info: Entry in the catalogue.
        changed: Parameters that differ from their default, in the order of the catalogue.
    """

    info: TrickInfo
    changed: tuple[tuple[str, Value], ...] = ()

    @property
    def settings(self) -> dict[str, Value]:
        """Every parameter with its value, defaults included."""
        return {p.name: p.default for p in self.info.parameters} | dict(self.changed)

    @property
    def in_effect(self) -> dict[str, Value]:
        """The settings without those that mean nothing beside the others.

        Examples:
            >>> parse("nnUNetTrainerDiceWCE_weights0p2x0p8").tricks[0].in_effect
            {'weights': (0.2, 0.8), 'plain': False}
            >>> list(parse("nnUNetTrainerSparseSlices_ual").tricks[0].in_effect)
            ['density', 'volumes', 'mi', 'centres']
        """
        changed = [p for p in self.info.parameters if p.name in dict(self.changed)]
        idle = {name for p in changed for name in p.excludes}
        chosen = {p.name for p in changed} | {value for value in self.settings.values() if isinstance(value, str)}
        for parameter in self.info.parameters:
            if parameter.needs and not chosen.intersection(parameter.needs):
                idle.add(parameter.name)
                chosen -= {parameter.name, self.settings[parameter.name]}
        return {name: value for name, value in self.settings.items() if name not in idle}

    @property
    def papers(self) -> tuple[Paper, ...]:
        """What to cite: the trick's paper and those of the parameters that were changed."""
        changed = dict(self.changed)
        return self.info.paper, *(p.paper for p in self.info.parameters if p.paper and p.name in changed)

    def __str__(self) -> str:
        """The trick's tokens in a trainer's name."""
        return spell_trick(self.info, dict(self.changed))


@dataclass(frozen=True)
class TrainerName:
    """What a legal trainer name says.

    Attributes:
        tricks: Tricks in canonical order.
        epochs: Length of the training.
        run: Number of the repetition, from 1.
        shared: Whether it shares first weights, patches and augmentations with other trainers' run of that number.

    Examples:
        >>> name = parse("nnUNetTrainerTversky_alpha0p2_100epochs")
        >>> name.epochs, name.tricks[0].settings["alpha"], name.tricks[0].settings["beta"]
        (100, 0.2, 0.7)
        >>> str(name)
        'nnUNetTrainerTversky_alpha0p2_100epochs'
    """

    tricks: tuple[Trick, ...] = ()
    epochs: int = DEFAULT_EPOCHS
    run: int = 1
    shared: bool = False

    @property
    def switched(self) -> tuple[Trick, ...]:
        """What it trains with: the tricks, and of a base's parts those that none of them replaces.

        Examples:
            >>> [str(trick) for trick in parse("nnUNetTrainerMedISeg3D_OHEM_PolyLR").switched]
            ['OHEM', 'NoDeepSupervision', 'NoDA', 'Oversample_fraction0', 'BN', 'SGD', 'PolyLR']
        """
        tricks = [trick for trick in self.tricks if not trick.info.base]
        given = (part for trick in self.tricks for part in combine(*trick.info.parts).tricks)
        kept = [part for part in given if not any(part.info.clashes_with(trick.info) for trick in tricks)]
        return tuple(sorted((*kept, *tricks), key=lambda trick: _order(trick.info)))

    def __str__(self) -> str:
        """The one name of this setting."""
        tail = [f"{self.epochs}epochs"] if self.epochs != DEFAULT_EPOCHS else []
        tail += ["shared"] if self.shared else []
        tail += [f"run{self.run}"] if self.run != 1 else []
        return PREFIX + "_".join(map(str, self.tricks)) + "".join(f"_{token}" for token in tail)


def is_ours(name: str) -> bool:
    """Whether ``name`` looks like a trainer's name at all, legal or not."""
    return name.casefold().startswith(PREFIX.casefold())


def parse(name: str, *, catalogue: Sequence[TrickInfo] = CATALOGUE) -> TrainerName:
    """Read a trainer's name.

    Args:
        name: The name, as it follows ``-tr``.
        catalogue: The tricks that names can hold.

    Returns:
        Its tricks, epochs, run, and whether it shares its randomness.

    Raises:
        IllegalName: With the reason and the nearest legal names.

    Examples:
        >>> [str(trick) for trick in parse("nnUNetTrainerDiceOHEM_fraction0p5_NoDeepSupervision").tricks]
        ['DiceOHEM_fraction0p5', 'NoDeepSupervision']
        >>> parse("nnUNetTrainerTversky_alpha1p7")
        Traceback (most recent call last):
        nnunet_tricks.catalogue.naming.IllegalName: ...alpha of Tversky must be a number from 0 to 1, got 1p7...
    """
    if not is_ours(name):
        raise IllegalName(name, f"trainers of nnU-Net begin with {PREFIX}")
    read = partial(_read, TokenReader(catalogue))
    prefix, tokens = name[: len(PREFIX)], name[len(PREFIX) :].split("_")
    try:
        parsed = read(list(filter(None, tokens)))
        if len(str(parsed)) > MAX_LENGTH:
            listed = any(name == "weights" for trick in parsed.tricks for name, _ in trick.changed)
            advice = (
                "; weights of many classes need not be listed: cb makes them of the fold's voxels" if listed else ""
            )
            raise Flaw(f"it has {len(name)} characters, a result folder leaves room for {MAX_LENGTH}{advice}")
    except Flaw as flaw:
        raise IllegalName(name, flaw.reason, nearest(flaw, read)) from None
    former = {alias: info.name for info in catalogue for alias in info.aliases}
    given = [former.get(token, token) for token in tokens]
    if prefix + "_".join(given) != str(parsed):
        wanted = str(parsed)[len(PREFIX) :].split("_")
        rule = broken_rule(given, wanted) if prefix == PREFIX else f"names begin with '{PREFIX}', with these capitals"
        raise IllegalName(name, f"every setting has exactly one name, and {rule}", [str(parsed)])
    return parsed


def is_legal(name: str) -> bool:
    """Whether it is a trainer's name, told without a search for names near it.

    Examples:
        >>> is_legal("nnUNetTrainerTversky_alpha0p2"), is_legal("nnUNetTrainerTversky_alpha0p3")
        (True, False)
    """
    tokens = name.removeprefix(PREFIX).split("_")
    try:
        return len(name) <= MAX_LENGTH and str(_read(TokenReader(CATALOGUE), list(filter(None, tokens)))) == name
    except Flaw:
        return False


def model_folder(trainer: str, plans: str, configuration: str) -> str:
    """How nnU-Net calls the folder of a model.

    Examples:
        >>> model_folder("nnUNetTrainerTversky", "nnUNetPlans", "2d")
        'nnUNetTrainerTversky__nnUNetPlans__2d'
    """
    return f"{trainer}__{plans}__{configuration}"


def ensemble_note(trainer: str, plans: str = "nnUNetPlans", configuration: str = "3d_fullres") -> str:
    """What a name's length means for ensembles; empty where two names like this fit into the name of a folder.

    Args:
        trainer: The name.
        plans: Name of the plans.
        configuration: One of theirs.

    Examples:
        >>> ensemble_note("nnUNetTrainerTversky")
        ''
        >>> ensemble_note("nnUNetTrainer" + "x" * 100)[:60]
        'the name has 113 characters: nnUNetv2_find_best_configuratio'
    """
    model = model_folder(trainer, plans, configuration)
    over = len(ENSEMBLE.format(model, model)) - LONGEST_FOLDER
    if over <= 0:
        return ""
    room = len(trainer) - -(-over // 2)
    return (
        f"the name has {len(trainer)} characters: nnUNetv2_find_best_configuration cannot make an ensemble of two "
        f"models with such names, as the folder's name would be too long; up to {room} fit beside {plans} and "
        f"{configuration}. Everything else works; call it with --disable_ensembling"
    )


def combine(*names: str, catalogue: Sequence[TrickInfo] = CATALOGUE) -> TrainerName:
    """The setting that several names describe together, whatever order they come in.

    Args:
        names: Tricks with or without parameters, or whole trainers.
        catalogue: The tricks that names can hold.

    Returns:
        All their tricks, in canonical order.

    Raises:
        IllegalName: If one is not known, or two cannot stand together.

    Examples:
        >>> str(combine("NoDeepSupervision", "Tversky_alpha0p2"))
        'nnUNetTrainerTversky_alpha0p2_NoDeepSupervision'
    """
    tokens = [token for name in names for token in name.removeprefix(PREFIX).split("_") if token]
    read = partial(_read, TokenReader(catalogue))
    try:
        return read(tokens)
    except Flaw as flaw:
        raise IllegalName(PREFIX + "_".join(tokens), flaw.reason, nearest(flaw, read)) from None


def _read(reader: TokenReader, tokens: Sequence[str]) -> TrainerName:
    """The setting that tokens describe, in any order and spelling, or a ``Flaw``."""
    read = reader.read(tuple(tokens))
    tricks = sorted(read.tricks, key=lambda trick: _order(trick.info))
    return TrainerName(
        tuple(Trick(trick.info, trick.ordered) for trick in tricks),
        epochs=read.reserved.get("epochs", DEFAULT_EPOCHS),
        run=read.reserved.get("run", 1),
        shared="shared" in read.reserved,
    )


def _order(info: TrickInfo) -> tuple[bool, int, str]:
    return not info.base, min(HOOKS.index(hook.partition(".")[0]) for hook in info.hooks), info.name
