"""Formulas between dollars, as MathML that browsers typeset by themselves: no script, nothing is loaded."""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, fromstring

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

_FORMULA = r"(?<![\w$\\])\$(?!\s)([^$]+?)(?<!\s)\$(?![\w$])"
_BEHIND_CODE = 185
"""Priority: after code in backticks, and before backslashes mean anything."""


class FormulaProcessor(InlineProcessor):
    """Replaces a formula between dollars."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str | Element, int, int]:  # noqa: N802
        """The formula as MathML, kept from further Markdown."""
        return self.md.htmlStash.store(mathml(m.group(1))), m.start(0), m.end(0)


class FormulaExtension(Extension):
    """Markdown with formulas."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Add the pattern."""
        md.inlinePatterns.register(FormulaProcessor(_FORMULA, md), "formula", _BEHIND_CODE)


def mathml(latex: str) -> str:
    r"""A formula as MathML.

    Examples:
        >>> mathml(r"\\frac{a}{b}").startswith("<math")
        True
    """
    text: Any = convert(re.sub(r"\s+", " ", latex))
    fromstring(text)
    return str(text)
