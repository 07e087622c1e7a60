"""Whether two figures show the same, though another matplotlib or processor has drawn one of them.

Both must have the same elements in the same order, with the same words, colours and references; only places may differ
a little. What counts is how a browser reads the text, so whatever is not written as our figures are is no figure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from itertools import zip_longest

ELEMENTS = frozenset({"svg", "g", "defs", "path", "use", "text", "tspan", "clipPath", "rect", "circle", "image"})
"""Elements of figures. None of them runs, loads, or changes anything outside its figure."""

PLACES = frozenset({"d", "x", "y", "width", "height", "cx", "cy", "r", "points", "transform", "viewBox"})
ATTRIBUTES = PLACES | {
    *("id", "href", "style", "clip-path", "role", "aria-label", "preserveAspectRatio"),
    *("stroke-linejoin", "stroke-linecap"),
}
FRAME = frozenset({"viewBox", "style", "role", "stroke-linejoin", "stroke-linecap", "aria-label"})
"""Attributes of a figure's first tag."""

STYLES = frozenset(
    {
        *("fill", "fill-opacity", "fill-rule", "opacity", "stroke", "stroke-opacity", "stroke-width"),
        *("stroke-dasharray", "stroke-dashoffset", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit"),
        *("font", "font-size", "font-family", "font-weight", "font-style", "font-stretch", "text-anchor", "width"),
        *("image-rendering",),
    }
)
NEAR = 0.5
"""Distance in points within which two places count as the same: half the width of a line."""

TURNED = 1e-3
"""Difference within which two angles or scales count as the same."""

TOKEN = re.compile(r"""<(/?)([A-Za-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(/?)>|([^<]+)""")
ATTRIBUTE = re.compile(r'([\w:-]+)="([^"<]*)"')
NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
FUNCTION = re.compile(r"([a-zA-Z]+)\(([^()]*)\)")


@dataclass(frozen=True)
class _Piece:
    """A tag, or the text between two.

    Attributes:
        kind: Name of the element with ``/`` before or behind it as it is written; empty for text.
        attributes: Names and values as they are written.
        text: Words of the text.
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
    """The words in a figure, and how often; numbers do not count, as other versions may place other ticks."""
    counts = Counter[str]()
    for piece in _pieces(figure):
        if piece is not None:
            counts.update(text for text in (piece.text, dict(piece.attributes).get("aria-label", "")) if text)
    return Counter({text: count for text, count in counts.items() if not NUMBER.fullmatch(text)})


def apart(stored: str, made: str) -> float | None:
    """How far the same things lie apart in two figures, at most.

    Args:
        stored: Figure of the report.
        made: Figure that is drawn here.

    Returns:
        Distance in points; None if elements, words or looks differ, or something is more than half a point away.

    Examples:
        >>> apart('<svg><text x="1.2">a</text></svg>', '<svg><text x="1.3">a</text></svg>')
        0.1...
        >>> apart('<svg><text x="1.2">a</text></svg>', '<svg><text x="1.2">b</text></svg>') is None
        True
    """
    most = 0.0
    for piece, expected_piece in zip_longest(_pieces(stored), _pieces(made)):
        if piece is None or expected_piece is None:
            return None
        if (piece.kind, piece.text) != (expected_piece.kind, expected_piece.text):
            return None
        if [name for name, _ in piece.attributes] != [name for name, _ in expected_piece.attributes]:
            return None
        for (name, value), (_, expected) in zip(piece.attributes, expected_piece.attributes, strict=True):
            if value == expected:
                continue
            distance = _distance(name, value, expected) if name in PLACES else None
            if distance is None:
                return None
            most = max(most, distance)
    return most


def _distance(name: str, value: str, expected: str) -> float | None:
    """The distance between two values of an attribute that says where something is; None if they are not near."""
    if name != "transform":
        return _between(value, expected, [NEAR] * len(NUMBER.findall(value)))
    calls, expected_calls = FUNCTION.findall(value), FUNCTION.findall(expected)
    if len(calls) != len(expected_calls) or FUNCTION.sub("", value).split() != FUNCTION.sub("", expected).split():
        return None
    most = 0.0
    for (function, numbers), (expected_function, expected_numbers) in zip(calls, expected_calls, strict=True):
        count = len(NUMBER.findall(numbers))
        turning = {"translate": 0, "rotate": 1, "matrix": 4}.get(function, count)
        distance = _between(numbers, expected_numbers, [TURNED] * turning + [NEAR] * max(0, count - turning))
        if function != expected_function or distance is None:
            return None
        most = max(most, distance)
    return most


def _between(value: str, expected: str, limits: list[float]) -> float | None:
    if NUMBER.sub("", value).split() != NUMBER.sub("", expected).split():
        return None
    numbers, expected_numbers = (list(map(float, NUMBER.findall(text))) for text in (value, expected))
    distances = [abs(left - right) for left, right in zip(numbers, expected_numbers, strict=False)]
    too_far = any(distance > limit for distance, limit in zip(distances, limits, strict=False))
    if len(numbers) != len(expected_numbers) or too_far:
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
