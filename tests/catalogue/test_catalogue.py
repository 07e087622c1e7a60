import ast
import csv
import re
from collections.abc import Callable
from importlib import import_module
from itertools import combinations, permutations
from pathlib import Path

import nnunetv2
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.entries.shared import tables_5_and_6, tables_7_and_8
from nnunet_tricks.catalogue.info import HOOKS, PHASES, Measurement, TrickInfo
from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.door import trainers
from nnunet_tricks.training.trainer import TrickTrainer

TABLES = {
    "Zhang D. et al., table 1": ("mediseg_tables.csv", "T1"),
    "Zhang D. et al., table 2": ("mediseg_tables.csv", "T2"),
    "Zhang D. et al., table 3": ("mediseg_tables.csv", "T3"),
    "Zhang D. et al., table 4": ("mediseg_tables.csv", "T4"),
    "Zhang D. et al., table 5": ("mediseg_tables.csv", "T5"),
    "Zhang D. et al., table 6": ("mediseg_tables.csv", "T6"),
    "Zhang D. et al., table 7": ("mediseg_tables.csv", "T7"),
    "Zhang D. et al., table 8": ("mediseg_tables.csv", "T8"),
    "Zhang D. et al., table 9": ("mediseg_tables.csv", "T9"),
}
DATASETS = {
    "ISIC 2018": "ISIC2018",
    "CoNIC": "CoNIC",
    "KiTS19 kidney": "KiTS19-i",
    "KiTS19 tumour": "KiTS19-ii",
    "LiTS": "LiTS",
}
"""Where the papers print what the catalogue says that they measured."""

every_trick = pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)


@every_trick
def test_the_class_is_where_the_entry_says(info: TrickInfo) -> None:
    # Bases are made where names are looked up.
    cls = getattr(import_module(info.module or trainers.__name__), info.trainer)
    assert issubclass(cls, nnUNetTrainer)
    assert cls.__module__ == (info.module or trainers.__name__)
    assert trainers.find(info.trainer) is cls
    assert info.base == (not info.module)


@every_trick
def test_words_are_known(info: TrickInfo) -> None:
    assert info.phase in PHASES
    assert all(hook.partition(".")[0] in HOOKS for hook in info.hooks)
    assert re.fullmatch(r"[A-Z][A-Za-z0-9]*", info.name)
    for parameter in info.parameters:
        for word in (parameter.name, *parameter.choices):
            assert re.fullmatch(r"[a-z]+", word)
        assert parameter.default in parameter.choices or parameter.word or not isinstance(parameter.default, str)
    assert sum(parameter.word for parameter in info.parameters) <= 1
    assert info.summary
    assert not info.summary.endswith(".")


@every_trick
def test_what_papers_measured_is_as_printed_on_every_data_set(info: TrickInfo, oracles: Path) -> None:
    rows = {measured.row for measured in info.measured}
    stated = {
        (measured.source, measured.row, DATASETS[measured.dataset]): (measured.baseline, measured.delta)
        for measured in info.measured
    }
    printed = {}
    for source, (file, table) in TABLES.items():
        with (oracles / "published" / file).open(newline="", encoding="utf-8") as lines:
            dice = [row for row in csv.DictReader(lines) if (row["table"], row["metric"]) == (table, "dice")]
        baselines = {row["dataset"]: float(row["value_percent"]) for row in dice if row["method"] == "baseline"}
        for row in dice:
            method = row["method"].removeprefix("+ ")
            if method in rows:
                printed[source, method, row["dataset"]] = baselines[row["dataset"]], float(row["delta_as_printed"])
    assert stated == printed


@pytest.mark.parametrize("tables", [tables_5_and_6, tables_7_and_8])
def test_figures_of_a_table_go_by_the_names_of_data_sets_and_not_by_their_order(
    tables: Callable[..., tuple[Measurement, ...]],
) -> None:
    printed = {"isic": 0.82, "conic": 1.13, "kidney": -1.33, "tumour": 7.52, "lits": -10.60}
    measured = tables("A", **printed)
    assert {measurement.dataset: measurement.delta for measurement in measured} == dict(
        zip(DATASETS, printed.values(), strict=True)
    )
    assert all(tables("A", **{key: printed[key] for key in order}) == measured for order in permutations(printed))
    with pytest.raises(TypeError):
        tables("A", **printed, liver=0)
    with pytest.raises(TypeError):
        tables("A", isic=0.82)


def test_no_two_tokens_are_equal_when_case_is_ignored() -> None:
    tokens = [token.casefold() for info in CATALOGUE for token in (info.name, *info.aliases)]
    assert len(set(tokens)) == len(tokens)


def test_no_parameter_reads_like_a_trick_or_another_parameter() -> None:
    for info in CATALOGUE:
        words = [(p.name, *p.choices) for p in info.parameters]
        for word, other in combinations(words, 2):
            assert not set(word) & set(other)
        for word in (word for group in words for word in group):
            assert all(word != other.name.casefold() for other in CATALOGUE)


def test_none_of_our_trainers_has_the_name_of_one_of_nnunets() -> None:
    folder = Path(nnunetv2.__path__[0]) / "training" / "nnUNetTrainer"
    built_in = {
        node.name
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ClassDef)
    }
    assert "nnUNetTrainerNoDeepSupervision" in built_in
    for info in CATALOGUE:
        assert (info.trainer in built_in) == info.module.startswith("nnunetv2.")


def test_tricks_in_one_name_are_one_class_made_once() -> None:
    name = "nnUNetTrainerDiceOHEM_fraction0p5_NoDeepSupervision_5epochs_run2"
    trainer = trainers.find(name)
    assert trainer is not None
    assert trainer is trainers.find(name)
    assert trainer.__name__ == name
    assert issubclass(trainer, TrickTrainer)
    assert issubclass(trainer, trainers.find("nnUNetTrainerDiceOHEM") or ())
    assert issubclass(trainer, trainers.find("nnUNetTrainerNoDeepSupervision") or ())
    assert getattr(import_module(trainer.__module__), name) is trainer
    assert trainer.trainer_name == parse(name)
    assert trainer.parameters["DiceOHEM"].fraction == 0.5


def test_a_subclass_with_a_name_of_its_own_keeps_its_parents_settings() -> None:
    parent = trainers.find("nnUNetTrainerTversky_alpha0p2")
    assert parent is not None
    mine = type("MyTrainer", (parent,), {})
    assert mine.parameters["Tversky"].alpha == 0.2  # type: ignore[attr-defined]


def test_names_that_do_not_begin_like_a_trainer_are_not_ours() -> None:
    assert trainers.find("SomebodysTrainer") is None
    with pytest.raises(AttributeError):
        _ = trainers.SomebodysTrainer
