"""What can go wrong: one case is refused, or the whole conversion cannot continue."""

from __future__ import annotations


class Refused(Exception):
    """One case cannot be converted, but the others can. The message is the reason that the report prints."""


class ConversionError(ValueError):
    """The conversion cannot start or continue. The message says why, and what to do."""
