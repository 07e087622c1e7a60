"""The page says what the benchmark has measured."""

import json

from benchmarks.default_augmentation import page
from tests.checkout import ROOT


def test_the_page_has_the_tables_of_the_benchmark() -> None:
    measured = json.loads((ROOT / "benchmarks/results/default_augmentation.json").read_text())
    assert page(measured["results"]) in (ROOT / "docs/waiting.md").read_text()
