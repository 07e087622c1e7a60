"""Errors that are noted where a result would stand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def noted(rows: dict[str, Any], name: str) -> Iterator[None]:
    """Note an error as the row of this name, so that it costs no other row."""
    try:
        yield
    except Exception as error:
        rows[name] = {"error": in_words(error)}
        print(f"  {name:40} {rows[name]['error']}", flush=True)


def in_words(error: Exception) -> str:
    """The kind of an error and its message."""
    return f"{type(error).__name__}: {error}".strip()
