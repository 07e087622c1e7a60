"""Intervals cover the truth as often as they say, and words are not given for nothing: by simulation."""

import json
from pathlib import Path

import pytest

from benchmarks.coverage import HOLD, World, simulated, worlds

COMMITTED = Path(__file__).resolve().parents[3] / "benchmarks" / "results" / "coverage.json"
NOISE = 0.014
"""Two standard errors of a share of 5 % in 1,000 draws."""


@pytest.mark.parametrize("runs", [(3, 2), (2, 1)])
def test_a_few_draws_are_covered(runs) -> None:
    shares = simulated(World(cases=50, runs=runs), 150)
    # 95 % less four standard errors.
    assert shares["covered"] > 0.88
    assert shares["false_claims"] < 0.12
    assert shares["power"] > 0.3
    assert shares["wrong_side"] == 0


def test_without_reruns_no_draw_is_claimed() -> None:
    shares = simulated(World(cases=50, runs=(1, 1)), 100)
    assert shares["false_claims"] == shares["power"] == 0
    assert shares["covered_of_these_models"] > 0.86


@pytest.mark.parametrize(
    "world",
    [
        World.of_folds(5, 5, 5, 5, 180, runs=(2, 1)),
        World.of_patients(40, 40, *(1, 2, 3) * 6, runs=(3, 2)),
        World(cases=60, runs=(10, 2), of_trick=0.03),
        World(cases=60, runs=(3, 2), healthy=0.4, alarms=(0.4, 0.4)),
        World(cases=60, runs=(2, 2), rare=(10, 1, 1, 0, 0)),
    ],
    ids=str,
)
def test_unequal_designs_make_no_words(world) -> None:
    shares = simulated(world, 150)
    assert shares["covered"] > 0.88
    assert shares["false_claims"] < 0.12


def test_what_was_measured() -> None:
    content = json.loads(COMMITTED.read_text())
    assert content["draws"] >= 1000
    assert [setting["setting"] for setting in content["settings"]] == [name for name, _ in worlds()]
    for setting in content["settings"]:
        if setting["setting"] in HOLD:
            judge(setting)
    for pattern in content["patterns"]:
        if pattern["gains"] != "lopsided, small cases vary more":
            assert pattern["found"] <= 0.05 + NOISE, pattern


@pytest.mark.slow
@pytest.mark.parametrize(("name", "world"), [pair for pair in worlds() if pair[0] in HOLD], ids=str)
def test_coverage_and_false_claims(name: str, world: World) -> None:
    judge({"setting": name, **simulated(world, 2000, seed=1)})


def judge(shares: dict) -> None:
    covered = shares["covered_of_these_models" if shares["setting"] == "no rerun" else "covered"]
    if covered is None:
        # There is a real difference.
        assert shares["wrong_side"] == 0
        return
    # Without reruns it rests on the bootstrap alone, whose draws some experiments share.
    assert covered >= 0.95 - NOISE * (2 if shares["setting"] == "no rerun" else 1), shares
    assert shares["false_claims"] <= 0.05 + NOISE, shares
    if shares["setting"] == "no rerun":
        assert shares["false_claims"] == 0
    elif shares["setting"] in ("reruns", "one fold", "unequal folds", "patients"):
        assert shares["pairs_within_noise_floor"] >= 0.95 - 2 * NOISE, shares
