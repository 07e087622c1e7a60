"""Whether two figures show the same, though another matplotlib or processor has drawn one of them.

The same elements in the same order, with the same words, colours and references; only where something stands may differ
a little. What is compared is what a browser makes of the text, so anything that is not written as our figures are
written is not taken for a figure at all.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest

ELEMENTS = frozenset({"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "circle", "image"})
"""What figures are made of. Nothing of it runs, loads, or changes what is outside of its figure."""

PLACES = frozenset({"d", "x", "y", "width", "height", "cx", "cy", "r", "points", "transform", "viewBox"})
ATTRIBUTES = PLACES | {
    *("id", "href", "style", "clip-path", "role", "aria-label", "preserveAspectRatio"),
    *("stroke-linejoin", "stroke-linecap"),
}
FRAME = frozenset({"viewBox", "style", "role", "stroke-linejoin", "stroke-linecap", "aria-label"})
"""What stands in a figure's first tag."""

STYLES = frozenset(
    {
        *("fill", "fill-opacity", "fill-rule", "opacity", "stroke", "stroke-opacity", "stroke-width"),
        *("stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit"),
        *("font", "font-size", "font-family", "font-weight", "font-style", "font-stretch", "text-anchor", "width"),
        *("image-rendering",),
    }
)
NEAR = 0.5
"""Points: half the width of a line."""

TURNED = 1e-3
"""Of angles and scales."""

TOKEN = re.compile(r"""<(/?)([A-Za-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(/?)>|([^<]+)""")
ATTRIBUTE = re.compile(r'([\w:-]+)="([^"<]*)"')
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
FUNCTION = re.compile(r"([a-zA-Z]+)\(([^()]*)\)")


@dataclass(frozen=True)
class _Piece:
    """A tag, or the text between two.

    Attributes:
        kind: The element's name with ``/`` before or behind it as it is written, or empty for text.
        attributes: Names and values, as they stand.
        text: Its words.
    """

    kind: str
    attributes: tuple[tuple[str, str], ...] = ()
    text: str = ""


def foreign(figure: str) -> str:
    """What no figure of ours holds; empty if it holds nothing of the kind."""
    for number, piece in enumerate(_pieces(figure)):
        if piece is None:
            return "something that is neither a tag nor text"
        name = piece.kind.strip("/")
        if name and name not in ELEMENTS:
            return f"<{name}>"
        if number and piece.kind in ("svg", "svg/"):
            return "another <svg>"
        if not number and not FRAME.issuperset(dict(piece.attributes)):
            # What moves a whole figure can lay it over the table.
            return f"the attribute '{min(dict(piece.attributes).keys() - FRAME)}' of all of it"
        for attribute, value in piece.attributes:
            if attribute not in ATTRIBUTES:
                return f"the attribute '{attribute}'"
            if attribute == "href" and not re.fullmatch(r"#[\w-]+|data:image/png;base64,[A-Za-z0-9+/=\s]+", value):
                return f"a link to '{value[:20]}'"
            if attribute == "style" and not all(map(_usual, filter(str.strip, value.split(";")))):
                return f"the style '{value[:40]}'"
    return ""


def _usual(declaration: str) -> bool:
    name, _, value = declaration.partition(":")
    without_references = re.sub(r"url\(#[\w-]+\)", "", value)
    return name.strip() in STYLES and not re.search(r"[(\\@]", re.sub(r"rgba?\([\d.,%\s]+\)", "", without_references))


def words(figure: str) -> Counter[str]:
    """The words in a figure, and how often; numbers are none, as other versions may place other ticks."""
    found = Counter[str]()
    for piece in _pieces(figure):
        if piece is not None:
            found.update(text for text in (piece.text, dict(piece.attributes).get("aria-label", "")) if text)
    return Counter({text: count for text, count in found.items() if not NUMBER.fullmatch(text)})


def apart(stored: str, made: str) -> float | None:
    """How far, in points, what stands in one figure is from where it stands in another at most.

    Args:
        stored: One of them.
        made: The other.

    Returns:
        None if they are not the same elements with the same words and looks, or further than half a point apart.

    Examples:
        >>> apart('<svg><text x="1.2">a</text></svg>', '<svg><text x="1.3">a</text></svg>')
        0.1...
        >>> apart('<svg><text x="1.2">a</text></svg>', '<svg><text x="1.2">b</text></svg>') is None
        True
    """
    most = 0.0
    for one, other in zip_longest(_pieces(stored), _pieces(made)):
        if one is None or other is None or (one.kind, one.text) != (other.kind, other.text):
            return None
        if [name for name, _ in one.attributes] != [name for name, _ in other.attributes]:
            return None
        for (name, value), (_, expected) in zip(one.attributes, other.attributes, strict=True):
            if value == expected:
                continue
            distance = _distance(name, value, expected) if name in PLACES else None
            if distance is None:
                return None
            most = max(most, distance)
    return most


def _distance(name: str, value: str, expected: str) -> float | None:
    """Of two values of an attribute that says where something stands; None if they are not near."""
    if name != "transform":
        return _between(value, expected, [NEAR] * len(NUMBER.findall(value)))
    calls, expected_calls = FUNCTION.findall(value), FUNCTION.findall(expected)
    if len(calls) != len(expected_calls) or FUNCTION.sub("", value).split() != FUNCTION.sub("", expected).split():
        return None
    most = 0.0
    for (function, numbers), (other, others) in zip(calls, expected_calls, strict=True):
        count = len(NUMBER.findall(numbers))
        turning = {"translate": 0, "rotate": 1, "matrix": 4}.get(function, count)
        found = _between(numbers, others, [TURNED] * turning + [NEAR] * max(0, count - turning))
        if function != other or found is None:
            return None
        most = max(most, found)
    return most


def _between(value: str, expected: str, limits: list[float]) -> float | None:
    if NUMBER.sub("", value).split() != NUMBER.sub("", expected).split():
        return None
    numbers, others = (list(map(float, NUMBER.findall(text))) for text in (value, expected))
    distances = [abs(one - other) for one, other in zip(numbers, others, strict=False)]
    if len(numbers) != len(others) or any(one > limit for one, limit in zip(distances, limits, strict=False)):
        return None
    return max(distances, default=0.0)


def _pieces(figure: str) -> Iterator[_Piece | None]:
    """Tags and texts in order; None in place of what is neither, with which it ends."""
    place = 0
    while place < len(figure):
        token = TOKEN.match(figure, place)
        if token is None:
            yield None
            return
        place = token.end()
        closes, name, attributes, alone, text = token.groups()
        if name:
            yield _Piece(f"{closes}{name}{alone}", tuple(ATTRIBUTE.findall(attributes)))
        elif text.strip():
            yield _Piece("", text=" ".join(unescape(text).split()))
