"""What can go wrong: one case is refused, or the whole conversion cannot go on."""

from __future__ import annotations


class Refused(Exception):
    """One case cannot be converted, the rest of the data set can; the message is the reason that the report prints."""


class ConversionError(ValueError):
    """The conversion cannot start or go on. The message says why and what to do."""
