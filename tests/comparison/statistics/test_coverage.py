"""Intervals cover the truth as often as they say, and words are not given for nothing: by simulation."""

import json
from pathlib import Path

import pytest

from benchmarks.coverage import World, simulated, worlds

COMMITTED = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "coverage.json"
HELD = ("reruns", "no rerun", "one fold", "skewed")
"""Settings in which what the statistics assume is so."""

NOISE = 0.01
"""Two standard errors of a share of 5 % in 2,000 draws."""


@pytest.mark.parametrize("runs", [(3, 2), (2, 1)])
def test_a_few_draws_are_covered(runs) -> None:
    found = simulated(World(cases=50, runs=runs), 150)
    # 95 % less four standard errors.
    assert found["covered"] > 0.88
    assert found["false_claims"] < 0.12
    assert found["power"] > 0.3
    assert found["wrong_side"] == 0


def test_without_reruns_no_draw_is_claimed() -> None:
    found = simulated(World(cases=50, runs=(1, 1)), 100)
    assert found["false_claims"] == found["power"] == 0
    assert found["covered_of_these_models"] > 0.86


def test_what_was_measured() -> None:
    content = json.loads(COMMITTED.read_text())
    assert content["draws"] >= 10_000
    assert len(content["settings"]) == len(list(worlds()))
    for one in content["settings"]:
        if one["setting"] in HELD:
            judge(one, slack=0.0)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "world"), [pair for pair in worlds() if pair[0] in HELD], ids=str)
def test_coverage_and_false_claims(name: str, world: World) -> None:
    judge({"setting": name, **simulated(world, 2000, seed=1)}, slack=NOISE)


def judge(found: dict, *, slack: float) -> None:
    covered = found["covered_of_these_models" if found["setting"] == "no rerun" else "covered"]
    assert 0.93 - slack <= covered <= 0.97 + slack, found
    assert found["false_claims"] <= 0.05 + slack, found
    if found["setting"] == "no rerun":
        assert found["false_claims"] == 0
