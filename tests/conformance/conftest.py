from __future__ import annotations

from collections.abc import Iterator

import pytest

from nnunet_tricks.conformance.ranks import RankPair


@pytest.fixture(scope="session")
def pair() -> Iterator[RankPair]:
    """Two processes that serve all tests, since importing torch takes them seconds."""
    with RankPair() as started:
        yield started
