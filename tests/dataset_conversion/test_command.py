"""The command line of the converters: which options are shared, and which are a data set's own."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from dataset_conversion.command import add_arguments, request_of
from dataset_conversion.engine import ConversionRequest
from dataset_conversion.registry import MODULES, load

OWN = {
    "isic2018": {"max_size", "any_colour"},
    "cosmos55k": {"max_size", "any_colour"},
    "cosmos-style": {"slices", "min_pixels", "window"},
}


def parsed(name: str, *words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser, load(name))
    return parser.parse_args(["source", "--raw", "raw", *words])


def request(name: str, *words: str) -> ConversionRequest:
    return request_of(parsed(name, *words), load(name))


@pytest.mark.parametrize("name", MODULES)
def test_only_a_data_sets_own_options_are_in_its_settings(name: str) -> None:
    """Options are part of ``job.json``: a shared option among them would keep ``--resume`` from another value of it."""
    arguments = parsed(name)
    arguments.added_later = "a shared option that nobody lists anywhere"
    assert set(request_of(arguments, load(name)).settings.options) == OWN.get(name, set())


def test_each_shared_option_reaches_the_conversion() -> None:
    words = "--number 7 --name Seven --task tumor --split mediseg --folds 3 --seed 8 --link copy --exclude case_00001"
    flags = "--metadata table.csv --workers 2 --dry-run --resume --preview --no-space-check --json"
    wanted = request("kits19", *words.split(), *flags.split())
    assert (wanted.sources, wanted.raw, wanted.number, wanted.folder_name) == (
        [Path("source")],
        Path("raw"),
        7,
        "Seven",
    )
    assert (wanted.exclude, wanted.metadata, wanted.workers) == (["case_00001"], Path("table.csv"), 2)
    assert (wanted.dry_run, wanted.resume, wanted.restart, wanted.preview) == (True, True, False, True)
    assert (wanted.space_check, wanted.quiet) == (False, True)
    settings = wanted.settings
    assert (settings.task.name, settings.split, settings.folds, settings.seed) == ("tumor", "mediseg", 3, 8)
    assert (settings.link, settings.file_ending, settings.options) == ("copy", "", {})
    assert request("kits19", "--restart").restart


def test_names_and_formats_follow_the_task_and_the_data_set() -> None:
    assert request("kits19", "--task", "kidney_only").folder_name == "KiTS2019KidneyOnly"
    assert request("kits19").folder_name == "KiTS2019"
    assert request("isic2018", "--format", "tif", "--max-size", "512").settings.file_ending == ".tif"
    assert request("isic2018", "--max-size", "512").settings.options["max_size"] == 512


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--workers", "0"], "--workers must be at least 1, got 0"),
        (["--folds", "1"], "--folds must be at least 2, got 1"),
        (["--resume", "--restart"], "--resume and --restart exclude each other"),
    ],
)
def test_arguments_that_cannot_be_are_refused(words: list[str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        request("lits", *words)
