"""From the tokens of a name to tricks and numbers. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches

from nnunet_tricks.catalogue import AFTER_TRAINING
from nnunet_tricks.catalogue.info import Parameter, TrickInfo, Value
from nnunet_tricks.catalogue.repair import RESERVED, At, Flaw, Tokens
from nnunet_tricks.catalogue.spelling import NUMBER, bound, example, number, parameter_of, spell, spell_trick, value_of


@dataclass
class ReadTrick:
    """A trick in a name.

    Attributes:
        info: Entry in the catalogue.
        at: Place of its token.
        changed: Values of the parameters that are not at their default.
    """

    info: TrickInfo
    at: At
    changed: dict[str, Value] = field(default_factory=dict)

    @property
    def ordered(self) -> tuple[tuple[str, Value], ...]:
        """The changed parameters in the order of the catalogue."""
        changed = ((p, self.changed[p.name]) for p in self.info.parameters if p.name in self.changed)
        return tuple((p.name, value) for p, value in changed if value != p.default)

    def takes_as_word(self, token: str) -> bool:
        """Whether a token is a part of its word, even if it reads like a trick in small letters."""
        parameter = parameter_of(self.info, token)
        return parameter is not None and parameter.word


@dataclass
class ReadTokens:
    """What tokens say, in their order.

    Attributes:
        tricks: Tricks with their parameters.
        reserved: Numbers of ``epochs`` and ``run``, and 1 for ``shared``, as far as they stand there.
    """

    tricks: list[ReadTrick] = field(default_factory=list)
    reserved: dict[str, int] = field(default_factory=dict)


class TokenReader:
    """Reads tokens leniently, in any order and spelling; ``naming.parse`` then insists on the canonical one."""

    def __init__(self, catalogue: Iterable[TrickInfo]) -> None:
        """Index the tricks that names can hold by all their names."""
        self._infos = {token.casefold(): info for info in catalogue for token in (info.name, *info.aliases)}

    def read(self, tokens: Tokens) -> ReadTokens:
        """What tokens say.

        Raises:
            Flaw: If they are no legal name in any order or spelling.
        """
        read = ReadTokens()
        for position, token in enumerate(tokens):
            at = At(tokens, position)
            if word := RESERVED.fullmatch(token):
                kind = str(word.lastgroup)
                count = 1 if kind == "shared" else int(word[kind])
                _reserve(read.reserved, kind.removesuffix("_after"), count, at)
            elif read.tricks and read.tricks[-1].takes_as_word(token):
                _set(read.tricks[-1], at)
            elif token[0].isupper() or token.casefold() in self._infos:
                info = self._trick(at)
                _refuse_clash(info, read.tricks, at)
                read.tricks.append(ReadTrick(info, at))
            elif not read.tricks:
                raise Flaw(f"parameter '{token}' stands before any trick", at.moved_or_removed())
            else:
                _set(read.tricks[-1], at)
        _refuse_what_the_base_has(read.tricks)
        return read

    def _trick(self, at: At) -> TrickInfo:
        if info := self._infos.get(at.token.casefold()):
            return info
        for info in AFTER_TRAINING:
            if info.name.casefold() == at.token.casefold():
                raise Flaw(
                    f"{info.name} is no part of a training; 'nnunet-tricks {info.command}' does it with trained models",
                    [at.removed_with_parameters()],
                )
        near = get_close_matches(at.token.casefold(), self._infos, n=3, cutoff=0.4)
        repairs = [at.replaced(self._infos[word].name) for word in near]
        raise Flaw(f"there is no trick '{at.token}'", [*repairs, at.removed()])


def _reserve(reserved: dict[str, int], kind: str, count: int, at: At) -> None:
    if kind in reserved:
        raise Flaw(f"{kind} stands twice", [at.removed()])
    if count < 1:
        raise Flaw(f"{kind} must be at least 1, got {count}", [at.removed()])
    reserved[kind] = count


def _set(trick: ReadTrick, at: At) -> None:
    # As other programs write numbers; the canonical spelling is insisted on at the end.
    token = at.token.replace(".", "p").replace("e-", "em")
    info, parameter = trick.info, parameter_of(trick.info, token)
    if parameter is None:
        raise _unknown_parameter(info, token, at)
    if parameter.word:
        before = trick.changed.get(parameter.name)
        trick.changed[parameter.name] = f"{before}_{token}" if before else token
        return
    if parameter.name in trick.changed:
        raise Flaw(f"{parameter.name} of {info.name} stands twice", [at.removed()])
    value = value_of(parameter, token)
    if nearest := bound(parameter, value):
        raise Flaw(
            f"{parameter.name} of {info.name} must be {parameter.allowed}, got {token[len(parameter.name) :]}",
            [at.replaced(spell(parameter, nearest))],
        )
    _refuse_excluded(trick, parameter, at)
    if value != parameter.default:
        trick.changed[parameter.name] = value


def _refuse_excluded(trick: ReadTrick, parameter: Parameter, at: At) -> None:
    for other in trick.info.parameters:
        if other.name in trick.changed and (other.name in parameter.excludes or parameter.name in other.excludes):
            raise Flaw(f"{other.name} and {parameter.name} of {trick.info.name} exclude each other", [at.removed()])


def _unknown_parameter(info: TrickInfo, token: str, at: At) -> Flaw:
    return next(_badly_written(info, token, at), None) or _unknown_word(info, token, at)


def _badly_written(info: TrickInfo, token: str, at: At) -> Iterator[Flaw]:
    """Flaws of a token that begins like a parameter."""
    written = _word_of(token)
    negative = re.fullmatch(rf"([a-z]+?)[m-]({NUMBER})", token)
    for parameter in info.parameters:
        if (
            negative
            and negative[1] == parameter.name
            and (nearest := bound(parameter, -number(negative[2]))) is not None
        ):
            yield Flaw(
                f"{parameter.name} of {info.name} must be {parameter.allowed}, got -{negative[2]}",
                [at.replaced(spell(parameter, nearest))],
            )
        if parameter.name == written:
            shown = spell(parameter, example(parameter))
            yield Flaw(f"{parameter.name} of {info.name} is written like {shown}, not '{at.token}'", [at.removed()])


def _unknown_word(info: TrickInfo, token: str, at: At) -> Flaw:
    written = _word_of(token)
    words = [word for parameter in info.parameters for word in (parameter.choices or (parameter.name,))]
    near = get_close_matches(written, words, n=2, cutoff=0.5)
    repairs = [at.replaced(word + token[len(written) :]) for word in near]
    known = ", ".join(parameter.name for parameter in info.parameters) or "none"
    return Flaw(f"{info.name} has no parameter '{at.token}' (it has: {known})", [*repairs, at.removed()])


def _word_of(token: str) -> str:
    return (re.match(r"[a-z]*", token) or [""])[0]


def _refuse_clash(info: TrickInfo, earlier: list[ReadTrick], at: At) -> None:
    if info.base and earlier:
        raise Flaw(f"{info.name} is a base and must stand first", [at.removed_with_parameters()])
    for other in earlier:
        if info is other.info:
            raise Flaw(f"{info.name} stands twice", [at.removed_with_parameters()])
        if not other.info.base and (hook := info.clashes_with(other.info)):
            repairs = [place.removed_with_parameters() for place in (at, other.at)]
            raise Flaw(f"{other.info.name} and {info.name} both set the {hook}", repairs)


def _refuse_what_the_base_has(tricks: list[ReadTrick]) -> None:
    parts = {part: trick.info.name for trick in tricks for part in trick.info.parts}
    for trick in tricks:
        if (spelled := spell_trick(trick.info, dict(trick.ordered))) in parts:
            raise Flaw(f"{parts[spelled]} has {spelled} already", [trick.at.removed_with_parameters()])
