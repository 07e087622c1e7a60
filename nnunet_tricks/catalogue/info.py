"""What the catalogue says about a trick: its hooks, its parameters, its paper. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_tricks.catalogue.papers import Paper

Value = bool | int | float | str | tuple[float, ...]
"""What a parameter can hold: a flag, a whole number, a number, a choice, or a list of numbers."""

PHASES = (
    "pre-training model",
    "data pre-processing",
    "data augmentation",
    "model implementation",
    "model inference",
    "result post-processing",
)
"""The six phases of the trick paper (Zhang D. et al.), in its order."""

HOOKS = (
    "task",
    "loss",
    "targets",
    "supervision",
    "augmentation",
    "mirroring",
    "sampling",
    "labels",
    "semisupervised",
    "network",
    "weights",
    "optimizer",
    "schedule",
    "stopping",
    "inference",
    "postprocessing",
)
"""The parts of nnU-Net's shared configuration that a trick can claim. A trainer's name lists its tricks in this
order."""


OF_LABELS = ("loss", "targets", "supervision", "augmentation", "sampling", "labels", "weights")
"""Hooks that have no meaning beside a trick that claims ``task``: it learns something else than labels, and is what
others start from."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One setting of a trick, as it can stand in a trainer's name.

    The type of ``default`` tells the kind: ``False`` is a flag, an ``int`` a whole number, a ``float`` a number, a
    ``str`` one of ``choices`` or any word, a ``tuple`` a list of numbers.

    Attributes:
        name: Word in trainer names, small letters only.
        default: Value where the name does not say otherwise; the only place where this default stands.
        help: Line for ``nnunet-tricks show``.
        low: Smallest allowed number.
        high: Largest allowed number, ``None`` for no limit.
        choices: Allowed words of a choice.
        word: Whether it holds any word: parts of small letters and digits with underscores between them. A trick has
            one such parameter at most.
        excludes: Parameters that would mean nothing beside this one; no name holds both.
        needs: Parameters that are changed, or words that a choice holds, without any of which this one means nothing.
            Names that hold it without them are legal, since there may be checkpoints, and do the same without it.
        paper: Paper that the parameter comes from, where that is not the trick's own paper.
    """

    name: str
    default: Value
    help: str
    low: float = 0
    high: float | None = None
    choices: tuple[str, ...] = ()
    word: bool = False
    excludes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    paper: Paper | None = None

    @property
    def allowed(self) -> str:
        """The allowed values in words.

        Examples:
            >>> Parameter(name="alpha", default=0.3, high=1, help="weight of false positives").allowed
            'a number from 0 to 1'
        """
        if isinstance(self.default, bool):
            return "on when named"
        if self.word:
            return f"a word of small letters, digits and underscores, such as {self.default}"
        if isinstance(self.default, str):
            return "one of " + ", ".join(self.choices)
        kind = "a whole number" if isinstance(self.default, int) else "a number"
        if isinstance(self.default, tuple):
            kind = "numbers"
        return (
            f"{kind} from {self.low:g} to {self.high:g}" if self.high is not None else f"{kind}, at least {self.low:g}"
        )


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A difference to the baseline that a paper printed.

    Attributes:
        source: Paper and table.
        row: Name of the trick there; CBL losses are balanced by class.
        dataset: Data set, as the paper calls it.
        baseline: Dice of the paper's baseline in percent.
        delta: Printed difference in points of Dice.
    """

    source: str
    row: str
    dataset: str
    baseline: float
    delta: float


@dataclass(frozen=True, kw_only=True)
class TrickInfo:
    """What can be known about a trick without importing it.

    Attributes:
        name: Token in trainer names; starts with a capital. Never changes, since checkpoints hold it.
        hooks: Parts that it claims of the shared configuration: ``"hook"`` or ``"hook.slot"``.
        phase: Phase of the trick paper, one of ``PHASES``.
        summary: Line for lists, without a full stop.
        formula: Formula of what it computes, in plain text.
        parameters: Settings, in the order in which names spell them.
        paper: Paper that it comes from.
        challenges: Problems it is for, as ``list --for`` takes them.
        use_when: End of a sentence that begins with "Use it", without a full stop.
        avoid_when: End of a sentence that begins with "Better not", without a full stop.
        measured: Changes of Dice that papers report for it.
        base: Whether it is a base: it stands first, and tricks after it replace what it set.
        dimensions: Number of axes of the images that it is for, 2 or 3; 0 for any. A base only warns where images have
            another number, and a network is refused.
        packages: Packages that it imports and that nnU-Net does not bring, as they are imported.
        extra: Extra of this package that installs them.
        multiple: Number to whose multiples a network pads each side of a patch; 1 where it takes any size.
        minimum: Voxels that a patch must have along its longest side.
        licence: Licence of a part that is not free for all uses, and what it allows, in one sentence.
        beside: Tricks that a name needs beside it, or others of their kind: without them it is refused.
        parts: Tricks that a base is made of, as they stand in names.
        pretext: Trick whose training it starts from, with the parameters that both have; empty if it starts from none.
        own: Whether nnU-Net does it anyway, so that it says something beside a base only.
        aliases: Former names, still understood because checkpoints hold them.
        module: Module of its trainer class, ``trainer``; empty for a base, whose class is made of its parts.
        command: Command of ours that does it to trained models, at its defaults; empty for a trick of trainers.
        stand_in: Module and class, ``"module:class"``, in place of one of nnU-Net's own trainers where the name says
            more than that trainer alone.
    """

    name: str
    hooks: tuple[str, ...]
    phase: str
    summary: str
    formula: str
    paper: Paper
    parameters: tuple[Parameter, ...] = ()
    challenges: tuple[str, ...] = ()
    use_when: str = ""
    avoid_when: str = ""
    measured: tuple[Measurement, ...] = ()
    base: bool = False
    dimensions: int = 0
    packages: tuple[str, ...] = ()
    extra: str = ""
    multiple: int = 1
    minimum: int = 1
    licence: str = ""
    beside: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    pretext: str = ""
    own: bool = False
    aliases: tuple[str, ...] = ()
    module: str = ""
    stand_in: str = ""
    command: str = ""

    @property
    def trainer(self) -> str:
        """Name of the trainer that switches this trick alone, at its defaults; its class in ``module`` has it too."""
        return f"nnUNetTrainer{self.name}"

    @property
    def place(self) -> str:
        """Hook that it stands under in names and tables: the first of its hooks, but the network where it sets one.

        Examples:
            >>> from nnunet_tricks.catalogue import CATALOGUE
            >>> {info.place for info in CATALOGUE if "network.backbone" in info.hooks}
            {'network'}
        """
        hooks = {hook.partition(".")[0] for hook in self.hooks}
        return "network" if "network" in hooks else min(hooks, key=HOOKS.index)

    @property
    def claims(self) -> tuple[str, ...]:
        """Hooks that no other trick of a name can claim: its own, and those that mean nothing beside it."""
        return (*self.hooks, *OF_LABELS) if "task" in self.hooks else self.hooks

    def clashes_with(self, other: TrickInfo) -> str:
        """The hook that both tricks claim, or an empty string.

        A claim of a whole hook clashes with a claim of any of its slots.
        """
        for own in self.claims:
            for others in other.claims:
                if own == others or own.startswith(f"{others}.") or others.startswith(f"{own}."):
                    return own
        return ""
