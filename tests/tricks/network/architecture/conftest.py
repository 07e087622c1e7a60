from __future__ import annotations

import pytest

from nnunet_tricks.training.network_sizes import VARIABLE


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Build networks as small as the conformance harness has them."""
    monkeypatch.setenv(VARIABLE, "small")
