import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.demo.epochs import AFTERWARDS, MARK, EpochWatch
from nnunet_tricks.demo.progress import Clock, StageDisplay


class Time:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=6), st.floats(0.1, 10))
def test_at_a_steady_pace_the_forecast_comes_true(expected: list[float], pace: float) -> None:
    time = Time()
    stages = {str(index): seconds for index, seconds in enumerate(expected)}
    clock = Clock(stages, now=time)
    shares = [clock.share]
    for name, seconds in stages.items():
        clock.start(name)
        time.now += seconds * pace / 2
        clock.tell(0.5)
        shares.append(clock.share)
        time.now += seconds * pace / 2
        assert clock.finish() == pytest.approx(seconds * pace)
        shares.append(clock.share)
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert clock.left == pytest.approx(0, abs=1e-6)


def test_a_slow_machine_is_noticed() -> None:
    time = Time()
    clock = Clock({"short": 100, "long": 200}, now=time)
    assert clock.left == pytest.approx(300)
    clock.start("short")
    time.now += 1000
    clock.finish()
    assert 1500 < clock.left < 2000


def test_a_silent_stage_is_not_done_before_it_says_so() -> None:
    time = Time()
    clock = Clock({"only": 10}, now=time)
    clock.start("only")
    time.now += 1e6
    assert 0.9 < clock.share < 1


def test_a_training_knows_its_share_from_the_log(tmp_path) -> None:
    log, time = tmp_path / "log.txt", Time()
    log.write_text("starting\n")
    watch = EpochWatch(log, 2, now=time)
    assert watch.share() is None
    shares = []
    for _ in range(2):
        time.now += 10
        log.write_text(log.read_text() + f"{MARK}10 s\n")
        shares.append(watch.share())
        time.now += 5
        shares.append(watch.share())
    whole = 2 + AFTERWARDS
    assert shares == pytest.approx([1 / whole, 1.5 / whole, 2 / whole, (2 + 0.4 * AFTERWARDS) / whole], rel=0.05)


def test_without_a_terminal_there_is_a_line_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    with StageDisplay({"one": 1, "two": 1}) as display:
        for stage in ("one", "two"):
            display.start(stage)
            display.tell(0.5)
            display.finish()
    out, err = capsys.readouterr()
    assert out == ""
    lines = iter(err.splitlines())
    assert next(lines) == "[1/2] one ..."
    assert "left" in next(lines)
    assert next(lines) == "[2/2] two ..."
    assert "left" not in next(lines)
