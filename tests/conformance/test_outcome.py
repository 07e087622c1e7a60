from __future__ import annotations

import pytest

from nnunet_tricks.conformance.outcome import ConformanceReport, Status, StepOutcome, ViolationError, one_line


def reason_for(error: Exception) -> str:
    with pytest.raises(type(error)) as caught:
        raise error
    return one_line(caught.value)


def test_only_the_first_line_of_a_message_is_told() -> None:
    assert reason_for(ValueError("\n  this broke\nand a page of advice")).startswith("ValueError: this broke (")


def test_terminal_escapes_are_dropped() -> None:
    assert "\x1b" not in reason_for(ValueError("\x1b[1mbold\x1b[0m"))


def test_an_assertion_without_message_is_told_by_its_code() -> None:
    with pytest.raises(AssertionError) as caught:
        exec(compile("assert 1 == 2", __file__, "exec"))
    assert one_line(caught.value).startswith("AssertionError: ")
    assert "test_outcome.py" in one_line(caught.value)


def test_a_violation_speaks_for_itself() -> None:
    assert reason_for(ViolationError("no checkpoint was written")) == "no checkpoint was written"


def test_steps_that_broke_for_one_reason_are_told_together() -> None:
    fail = Status.FAIL
    report = ConformanceReport(
        "nnUNetTrainerX",
        "here",
        (
            StepOutcome("a", fail, "this"),
            StepOutcome("b", Status.PASS),
            StepOutcome("c", fail, "this"),
            StepOutcome("d", fail, "that"),
        ),
    )
    assert report.explain() == ["nnUNetTrainerX, here: a, c: this", "nnUNetTrainerX, here: d: that"]
    assert not report.passed
