"""What nnU-Net's training was called with, told from the functions that make its trainer."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from nnunetv2.run import run_training as nnunets

from nnunet_tricks.nnunet import training_call


@pytest.mark.parametrize("function", ["run_training", "run_ddp"])
def test_nnunets_functions_have_these_arguments(function: str) -> None:
    arguments = set(inspect.signature(getattr(nnunets, function)).parameters)
    assert training_call._FILE in arguments
    assert len(arguments & set(training_call._GOING_ON)) == 2


@pytest.mark.parametrize(
    ("given", "anew"),
    [({}, True), ({"continue_training": True}, False), ({"only_run_validation": True}, False), ({"val": True}, False)],
)
def test_a_training_begins_anew_unless_it_is_told_to_go_on(given: dict[str, Any], anew: bool) -> None:
    defaults = {"pretrained_weights": None, "continue_training": False, "only_run_validation": False} | given
    source = f"def run_training({', '.join(defaults)}):\n    return ask()\n"
    place: dict[str, Any] = {"ask": training_call.training_call}
    exec(compile(source, "/site-packages/nnunetv2/run/run_training.py", "exec"), place)
    call = place["run_training"](**defaults)
    assert call.anew is anew
