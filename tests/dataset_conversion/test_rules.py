"""The rules of CONTRIBUTING for all converters, tested with each of them."""

from __future__ import annotations

import pytest

from dataset_conversion.lock import NumberLock
from dataset_conversion.registry import MODULES, load

# cosmos-style reads raw data sets, not downloads.
WITH_SAMPLES = [name for name in MODULES if name != "cosmos-style"]


@pytest.mark.parametrize("name", MODULES)
def test_two_processes_never_share_a_number(convert, raw, tmp_path, name):
    with NumberLock(raw, load(name).number, "Dataset_of_another"):
        done = convert(name, tmp_path)
    assert done.code == 2
    assert "Dataset_of_another" in done.summary["error"]
    assert not list(raw.iterdir())


@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_an_unforeseen_failure_of_a_reader_refuses_that_case_and_goes_on(convert, data, monkeypatch, name):
    data_set = load(name)
    whole = convert(name, data / name, "--dry-run").summary
    convert_case = type(data_set).convert
    failed = []

    def failing(self, case, record, work):
        if not failed and case.part == "train":
            failed.append(case.id)
            raise ZeroDivisionError("not foreseen")
        convert_case(self, case, record, work)

    monkeypatch.setattr(type(data_set), "convert", failing)
    done = convert(name, data / name)
    assert done.code == 1
    assert "ZeroDivisionError: not foreseen" in done.reason(failed[0])
    assert done.summary["training"] == whole["training"] - 1
    assert done.json("dataset.json")["numTraining"] == whole["training"] - 1


@pytest.mark.parametrize("name", WITH_SAMPLES)
def test_a_list_that_names_what_is_not_there_is_refused(convert, data, raw, name):
    done = convert(name, data / name, "--exclude", "no such case")
    assert done.code == 2
    assert "'no such case'" in done.summary["error"]
    assert not list(raw.iterdir())
