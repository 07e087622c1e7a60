"""Trainer names and the lists of tricks that they stand for. Standard library only.

The class name is the name of nnU-Net's result folder and stands in every checkpoint, so it carries the whole setting:

``nnUNetTrainer`` [Base ``_``] [Trick [``_parameter``...]] [``_``Trick [``_parameter``...]]... [``_<N>epochs``]
[``_shared``] [``_run<K>``]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from functools import cache
from itertools import islice

from nnunet_tricks.catalogue import AFTER_TRAINING, CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, Parameter, TrickInfo, Value
from nnunet_tricks.catalogue.papers import Paper

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

_NUMBER = r"\d{1,15}(?:p\d{1,15})?(?:em\d{1,2})?"
_RESERVED = re.compile(
    r"(?P<epochs>\d{1,9})epochs?|epochs?(?P<epochs_after>\d{1,9})|run(?P<run>\d{1,9})|(?P<shared>shared)", re.IGNORECASE
)


class IllegalName(ValueError):
    """A name that is no trainer or planner: the message says why, and which legal names are near.

    Attributes:
        reason: What is wrong with the name.
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


class _Flaw(Exception):
    """What is wrong with a list of tokens, and token lists that lack this flaw."""

    def __init__(self, reason: str, repairs: Sequence[Sequence[str]] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.repairs = tuple(tuple(repair) for repair in repairs)


@dataclass(frozen=True)
class Trick:
    """A trick with its settings.

    Attributes:
        info: Its entry in the catalogue.
        changed: The parameters that differ from their default.
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
        there = {p.name for p in changed} | {value for value in self.settings.values() if isinstance(value, str)}
        for parameter in self.info.parameters:
            if parameter.needs and not there.intersection(parameter.needs):
                idle.add(parameter.name)
                there -= {parameter.name, self.settings[parameter.name]}
        return {name: value for name, value in self.settings.items() if name not in idle}

    @property
    def papers(self) -> tuple[Paper, ...]:
        """What to cite: the trick's paper and those of the parameters that were changed."""
        changed = dict(self.changed)
        return self.info.paper, *(p.paper for p in self.info.parameters if p.paper and p.name in changed)

    def __str__(self) -> str:
        """The trick's tokens in a trainer's name."""
        changed = dict(self.changed)
        return "_".join(
            [self.info.name, *(_spell(p, changed[p.name]) for p in self.info.parameters if p.name in changed)]
        )


@dataclass(frozen=True)
class TrainerName:
    """What a legal trainer name says.

    Attributes:
        tricks: In canonical order.
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
        return tuple(sorted((*kept, *tricks), key=lambda trick: _position(trick.info)))

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
    reader = _Reader(tuple(catalogue))
    if not is_ours(name):
        raise IllegalName(name, f"trainers of nnU-Net begin with {PREFIX}")
    tokens = tuple(name[len(PREFIX) :].split("_"))
    try:
        read = reader.read(tuple(filter(None, tokens)))
        if len(str(read)) > MAX_LENGTH:
            listed = any(name == "weights" for trick in read.tricks for name, _ in trick.changed)
            advice = (
                "; weights of many classes need not be listed: cb makes them of the fold's voxels" if listed else ""
            )
            raise _Flaw(f"it has {len(name)} characters, a result folder leaves room for {MAX_LENGTH}{advice}")
    except _Flaw as flaw:
        raise IllegalName(name, flaw.reason, reader.nearest(flaw)) from None
    former = {alias: info.name for info in catalogue for alias in info.aliases}
    prefix, given = name[: len(PREFIX)], [former.get(token, token) for token in tokens]
    if prefix + "_".join(given) != str(read):
        wanted = str(read)[len(PREFIX) :].split("_")
        raise IllegalName(
            name, f"every setting has exactly one name, and {_broken_rule(prefix, given, wanted)}", [str(read)]
        )
    return read


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
    tokens = tuple(token for name in names for token in name.removeprefix(PREFIX).split("_") if token)
    reader = _Reader(tuple(catalogue))
    try:
        return reader.read(tokens)
    except _Flaw as flaw:
        raise IllegalName(PREFIX + "_".join(tokens), flaw.reason, reader.nearest(flaw)) from None


class _Reader:
    """Reads tokens leniently, in any order and spelling; ``parse`` then insists on the canonical one."""

    def __init__(self, catalogue: tuple[TrickInfo, ...]) -> None:
        self.infos = {token.casefold(): info for info in catalogue for token in (info.name, *info.aliases)}

    def read(self, tokens: tuple[str, ...]) -> TrainerName:
        """The setting that ``tokens`` describe, or a ``_Flaw``."""
        tricks: list[tuple[TrickInfo, dict[str, Value]]] = []
        reserved: dict[str, int] = {}
        for position, token in enumerate(tokens):
            if word := _RESERVED.fullmatch(token):
                kind = str(word.lastgroup)
                number = 1 if kind == "shared" else int(word[kind])
                self._reserve(reserved, kind.removesuffix("_after"), number, tokens, position)
            elif token[0].isupper() or token.casefold() in self.infos:
                info = self._trick(tokens, position)
                self._refuse_clash(info, [earlier for earlier, _ in tricks], tokens, position)
                tricks.append((info, {}))
            elif not tricks:
                raise _Flaw(f"parameter '{token}' stands before any trick", _later(tokens, position))
            else:
                info, changed = tricks[-1]
                self._set(info, changed, tokens, position)
        self._refuse_what_the_base_has(tricks, tokens)
        return TrainerName(
            tuple(_trick(*trick) for trick in sorted(tricks, key=lambda trick: _position(trick[0]))),
            epochs=reserved.get("epochs", DEFAULT_EPOCHS),
            run=reserved.get("run", 1),
            shared="shared" in reserved,
        )

    def nearest(self, flaw: _Flaw, count: int = 3) -> list[str]:
        """Up to ``count`` legal names that repair ``flaw``, without repetition."""
        return list(islice(dict.fromkeys(self._repaired(flaw, depth=4)), count))

    def _repaired(self, flaw: _Flaw, depth: int) -> Iterator[str]:
        for tokens in flaw.repairs:
            try:
                yield str(self.read(tokens))
            except _Flaw as next_flaw:
                if depth:
                    yield from self._repaired(next_flaw, depth - 1)

    def _trick(self, tokens: tuple[str, ...], position: int) -> TrickInfo:
        token = tokens[position]
        if info := self.infos.get(token.casefold()):
            return info
        for info in AFTER_TRAINING:
            if info.name.casefold() == token.casefold():
                raise _Flaw(
                    f"{info.name} is no part of a training; 'nnunet-tricks {info.command}' does it with trained models",
                    [self._without_trick(tokens, position)],
                )
        near = get_close_matches(token.casefold(), self.infos, n=3, cutoff=0.4)
        repairs = [_replaced(tokens, position, self.infos[word].name) for word in near]
        raise _Flaw(f"there is no trick '{token}'", [*repairs, _without(tokens, position)])

    def _reserve(
        self, reserved: dict[str, int], kind: str, number: int, tokens: tuple[str, ...], position: int
    ) -> None:
        if kind in reserved:
            raise _Flaw(f"{kind} stands twice", [_without(tokens, position)])
        if number < 1:
            raise _Flaw(f"{kind} must be at least 1, got {number}", [_without(tokens, position)])
        reserved[kind] = number

    def _set(self, info: TrickInfo, changed: dict[str, Value], tokens: tuple[str, ...], position: int) -> None:
        # As other programs write numbers; the canonical spelling is insisted on at the end.
        token = tokens[position].replace(".", "p").replace("e-", "em")
        parameter = _parameter_of(info, token)
        if parameter is None:
            self._refuse_parameter(info, token, tokens, position)
            return
        if parameter.name in changed:
            raise _Flaw(f"{parameter.name} of {info.name} stands twice", [_without(tokens, position)])
        value = _value_of(parameter, token)
        if bound := _bound(parameter, value):
            raise _Flaw(
                f"{parameter.name} of {info.name} must be {parameter.allowed}, got {token[len(parameter.name) :]}",
                [_replaced(tokens, position, _spell(parameter, bound))],
            )
        self._refuse_excluded(info, parameter, changed, tokens, position)
        if value != parameter.default:
            changed[parameter.name] = value

    def _refuse_excluded(
        self,
        info: TrickInfo,
        parameter: Parameter,
        changed: dict[str, Value],
        tokens: tuple[str, ...],
        position: int,
    ) -> None:
        for other in info.parameters:
            if other.name in changed and (other.name in parameter.excludes or parameter.name in other.excludes):
                raise _Flaw(
                    f"{other.name} and {parameter.name} of {info.name} exclude each other",
                    [_without(tokens, position)],
                )

    def _refuse_parameter(self, info: TrickInfo, token: str, tokens: tuple[str, ...], position: int) -> None:
        written = (re.match(r"[a-z]*", token) or [""])[0]
        negative = re.fullmatch(rf"([a-z]+?)[m-]({_NUMBER})", token)
        for parameter in info.parameters:
            if (
                negative
                and negative[1] == parameter.name
                and (bound := _bound(parameter, -_number(negative[2]))) is not None
            ):
                raise _Flaw(
                    f"{parameter.name} of {info.name} must be {parameter.allowed}, got -{negative[2]}",
                    [_replaced(tokens, position, _spell(parameter, bound))],
                )
            if parameter.name == written:
                example = _spell(parameter, _example(parameter))
                raise _Flaw(
                    f"{parameter.name} of {info.name} is written like {example}, not '{tokens[position]}'",
                    [_without(tokens, position)],
                )
        words = [word for parameter in info.parameters for word in (parameter.choices or (parameter.name,))]
        near = get_close_matches(written, words, n=2, cutoff=0.5)
        repairs = [_replaced(tokens, position, word + token[len(written) :]) for word in near]
        known = ", ".join(parameter.name for parameter in info.parameters) or "none"
        raise _Flaw(
            f"{info.name} has no parameter '{tokens[position]}' (it has: {known})",
            [*repairs, _without(tokens, position)],
        )

    def _refuse_clash(self, info: TrickInfo, earlier: list[TrickInfo], tokens: tuple[str, ...], position: int) -> None:
        if info.base and earlier:
            raise _Flaw(f"{info.name} is a base and must stand first", [self._without_trick(tokens, position)])
        for other in earlier:
            if info is other:
                raise _Flaw(f"{info.name} stands twice", [self._without_trick(tokens, position)])
            if not other.base and (hook := info.clashes_with(other)):
                where = next(i for i, token in enumerate(tokens) if self.infos.get(token.casefold()) is other)
                repairs = [self._without_trick(tokens, place) for place in (position, where)]
                raise _Flaw(f"{other.name} and {info.name} both set the {hook}", repairs)

    def _refuse_what_the_base_has(
        self, tricks: list[tuple[TrickInfo, dict[str, Value]]], tokens: tuple[str, ...]
    ) -> None:
        parts = {part: info.name for info, _ in tricks for part in info.parts}
        for info, changed in tricks:
            if (trick := str(_trick(info, changed))) in parts:
                where = next(i for i, token in enumerate(tokens) if self.infos.get(token.casefold()) is info)
                raise _Flaw(f"{parts[trick]} has {trick} already", [self._without_trick(tokens, where)])

    def _without_trick(self, tokens: tuple[str, ...], position: int) -> tuple[str, ...]:
        """The tokens without the trick at ``position`` and its parameters."""
        end = position + 1
        while end < len(tokens) and not (tokens[end][0].isupper() or _RESERVED.fullmatch(tokens[end])):
            end += 1
        return tokens[:position] + tokens[end:]


def _broken_rule(prefix: str, given: Sequence[str], wanted: Sequence[str]) -> str:
    """Why the words of a name, which mean ``wanted``, are not those: the first rule that they break."""
    if prefix != PREFIX:
        return f"names begin with '{PREFIX}', with these capitals"
    if given.count("") > wanted.count(""):
        return "one underscore stands between two words, none before the first trick or at the end"
    if given.count("") < wanted.count(""):
        return f"an underscore stands before '{wanted[1]}'"
    for token in given:
        if token in wanted:
            continue
        for other in (word for word in wanted if word not in given):
            if other.casefold() == token.casefold():
                return f"'{token}' is written '{other}', with these capitals"
            if _letters(other) == _letters(token):
                return f"'{token}' is written '{other}'" + (", with p as the decimal point" if "." in token else "")
        return f"'{token}' is the default, which is left out"
    first, second = next(pair for pair in zip(given, wanted, strict=False) if pair[0] != pair[1])
    if _RESERVED.fullmatch(first) or _RESERVED.fullmatch(second):
        order = "epochs, shared and run stand last, in this order"
    elif second[:1].isupper():
        order = "tricks stand in the order of 'nnunet-tricks list --help', those of one part of nnU-Net by name"
    else:
        order = "parameters stand in the order of 'nnunet-tricks show'"
    return f"'{second}' stands before '{first}': {order}"


def _letters(token: str) -> str:
    """The first word in a token, ``epoch`` in all of its forms."""
    found = re.search(r"[a-z]+", token, re.IGNORECASE)
    return found[0].casefold().removesuffix("s") if found else ""


def _trick(info: TrickInfo, changed: Mapping[str, Value]) -> Trick:
    return Trick(info, tuple((p.name, changed[p.name]) for p in info.parameters if p.name in changed))


def _position(info: TrickInfo) -> tuple[bool, int, str]:
    return not info.base, min(HOOKS.index(hook.partition(".")[0]) for hook in info.hooks), info.name


def _without(tokens: tuple[str, ...], position: int) -> tuple[str, ...]:
    return tokens[:position] + tokens[position + 1 :]


def _later(tokens: tuple[str, ...], position: int) -> list[tuple[str, ...]]:
    """The tokens with the one at ``position`` behind its successor, or without it."""
    without = _without(tokens, position)
    moved = (*without[: position + 1], tokens[position], *without[position + 1 :])
    return [moved, without] if moved != tokens else [without]


def _replaced(tokens: tuple[str, ...], position: int, token: str) -> tuple[str, ...]:
    return (*tokens[:position], token, *tokens[position + 1 :])


def _pattern(parameter: Parameter) -> str:
    if isinstance(parameter.default, bool):
        return parameter.name
    if isinstance(parameter.default, str):
        return "|".join(parameter.choices)
    if isinstance(parameter.default, tuple):
        return f"{parameter.name}{_NUMBER}(?:x{_NUMBER})*"
    return parameter.name + _NUMBER


@cache
def _patterns(info: TrickInfo) -> Mapping[Parameter, re.Pattern[str]]:
    return {parameter: re.compile(_pattern(parameter)) for parameter in info.parameters}


def _parameter_of(info: TrickInfo, token: str) -> Parameter | None:
    return next((parameter for parameter, pattern in _patterns(info).items() if pattern.fullmatch(token)), None)


def _value_of(parameter: Parameter, token: str) -> Value:
    if isinstance(parameter.default, bool):
        return True
    if isinstance(parameter.default, str):
        return token
    numbers = tuple(_number(word) for word in token[len(parameter.name) :].split("x"))
    if isinstance(parameter.default, tuple):
        return numbers
    return int(numbers[0]) if isinstance(parameter.default, int) and numbers[0].is_integer() else numbers[0]


def _bound(parameter: Parameter, value: Value) -> Value | None:
    """The allowed value nearest to ``value`` where that is another one."""
    if isinstance(parameter.default, (bool, str)):
        return None
    if isinstance(value, tuple):
        clipped: Value = tuple(_clip(parameter, number) for number in value)
    else:
        clipped = _clip(parameter, float(value))
        clipped = round(clipped) if isinstance(parameter.default, int) else clipped
    return clipped if clipped != value else None


def _clip(parameter: Parameter, number: float) -> float:
    number = max(number, float(parameter.low))
    return number if parameter.high is None else min(number, float(parameter.high))


def _spell(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool):
        return parameter.name
    if isinstance(value, str):
        return value
    numbers = value if isinstance(value, tuple) else (value,)
    return parameter.name + "x".join(map(_spell_number, numbers))


def _example(parameter: Parameter) -> Value:
    if isinstance(parameter.default, bool):
        return True
    return parameter.default or (0.5, 2.0) if isinstance(parameter.default, tuple) else parameter.default


def _number(word: str) -> float:
    return float(word.replace("em", "e-").replace("p", "."))


def _spell_number(number: float) -> str:
    """``0.2`` is ``0p2``; below a thousandth ``0.0003`` is ``3em4``."""
    decimal = Decimal(repr(float(number))).normalize()
    if 0 < decimal < Decimal("0.001"):
        exponent = decimal.adjusted()
        return f"{decimal.scaleb(-exponent):f}em{-exponent}".replace(".", "p")
    return f"{decimal:f}".replace(".", "p")
