"""What a job reads of its round: plain JSON, checked, and nothing that could be code."""

import json
import pickle

import pytest

from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.cluster import job
from nnunet_tricks.experiment.cluster.cell_file import FILE, KINDS, as_data, of_data, read_job
from nnunet_tricks.experiment.cluster.profile import read_profile
from nnunet_tricks.experiment.cluster.rounds import PLAN, Round, new_folder
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.generic import counting

SPEC = """datasets: [901]
configurations: [3d_fullres, tiny]
small: {tiny: {from: 3d_fullres, patch: [16, 16, 16]}}
tricks: [Tversky, Genesis_after5]
folds: [0, 1]
runs: 2
on: [validation, test]
inference: [TTA + EnsembleAverage + FillHoles]
"""


class Evil:
    """An object that runs code of its own when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return self.mark.touch, ()


@pytest.fixture(autouse=True)
def _no_cells_of_tests(monkeypatch) -> None:
    """Other tests of this process may have added theirs."""
    monkeypatch.delitem(KINDS, "Shell", raising=False)


@pytest.fixture
def made(spec, folders, tmp_path):
    """A round of all cells of an experiment, written."""
    cells = make(read_experiment(spec(SPEC)), folders)
    written = Round(new_folder(tmp_path / "rounds"), cells, read_profile("slurm"), "cuda", folders, {})
    written.write()
    return written


def changed(made, key, change) -> str:
    """Change the entry of the first cell whose key ends like this, and return the name of its job."""
    name = next(name for cell_key, name in made.names.items() if cell_key.endswith(key))
    content = json.loads((made.folder / FILE).read_text())
    change(content["cells"][name])
    (made.folder / FILE).write_text(json.dumps(content))
    return name


def test_every_kind_of_cell_comes_back_as_it_was(made) -> None:
    assert {type(cell).__name__ for cell in made.cells} == set(KINDS)
    assert [read_job(made.folder, made.names[cell.key]) for cell in made.cells] == list(made.cells)


def test_a_job_that_times_steps_gets_the_cells_of_its_kind(made) -> None:
    name = next(name for name in json.loads((made.folder / PLAN).read_text())["cells"] if name.startswith("timing_"))
    timed = read_job(made.folder, name)
    assert isinstance(timed, dict)
    assert {cell.words()[0] for cell in timed.values()} == {"nnUNetv2_train", "nnUNetv2_predict", "nnunet-tricks"}
    assert {cell.after for cell in timed.values()} == {()}
    assert set(timed) <= set(made.names.values())


def test_no_pickle_is_written_and_none_is_read(made, tmp_path, capsys) -> None:
    """Neither in place of the file, nor beside it, where earlier versions had theirs."""
    name, mark = made.names[made.cells[0].key], tmp_path / "mark"
    assert not list(made.folder.rglob("*.pickle"))
    for file in (FILE, "cells.pickle"):
        (made.folder / file).write_bytes(pickle.dumps({name: pickle.dumps(Evil(mark))}))
    assert job.main([str(made.folder), name, str(tmp_path / "marker")]) == job.FAILED
    assert "is not valid JSON" in capsys.readouterr().err
    assert not mark.exists()


def test_a_round_of_an_earlier_version_is_refused_with_a_sentence(made, tmp_path, capsys) -> None:
    name = made.names[made.cells[0].key]
    (made.folder / FILE).rename(made.folder / "cells.pickle")
    assert job.main([str(made.folder), name, str(tmp_path / "marker")]) == job.FAILED
    assert "another version began this run, so start it again" in capsys.readouterr().err
    plan = json.loads((made.folder / PLAN).read_text())
    (made.folder / PLAN).write_text(json.dumps({**plan, "version": "0.0.1"}))
    assert job.main([str(made.folder), name, str(tmp_path / "marker")]) == job.FAILED
    assert "nnunet_tricks was 0.0.1 when the run began" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not valid JSON"),
        ("[]", "'cells' must be a mapping, got nothing"),
        ('{"cells": {}}', "'timings' must be a mapping, got nothing"),
        ('{"cells": {}, "timings": {}}', "there is no cell 'here'"),
        ('{"cells": {"here": 3}, "timings": {}}', "a cell must be a mapping with a 'kind', got 3"),
        ('{"cells": {}, "timings": {"here": "all"}}', "timings of here must be a list, got 'all'"),
        ('{"cells": {}, "timings": {"here": ["gone"]}}', "there is no cell 'gone'"),
    ],
)
def test_a_file_that_is_broken_is_refused(tmp_path, content, complaint) -> None:
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"cells\.json") as caught:
        read_job(tmp_path, "here")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"kind": "Shell"}, "the kind of a cell must be one of MakePlans, AddConfiguration, Preprocess, Train, "),
        ({"kind": ["Train"]}, "a cell must be a mapping with a 'kind'"),
        ({"line": "rm -rf ~"}, "Train has no field 'line'; its fields are key, states, after, rank, model, device"),
        ({"model": "all"}, "'model' of Train must be a mapping, got 'all'"),
        ({"states": "states"}, "'states' of Train must be an absolute path, got 'states'"),
        ({"states": 3}, "'states' of Train must be an absolute path, got 3"),
        ({"rank": [0, True]}, "an item of 'rank' of Train must be a whole number, got True"),
        ({"after": "plan"}, "'after' of Train must be a list, got 'plan'"),
        ({"device": None}, "'device' of Train must be a word, got nothing"),
        ({"key": "../../home"}, "keys of Train must be paths within the folder of states, got '../../home'"),
        ({"key": ""}, "keys of Train must be paths within the folder of states, got ''"),
        ({"after": ["a/../../home"]}, "keys of Train must be paths within the folder of states, got 'a/../../home'"),
        ({"device": "-pretrained_weights"}, "'device' of Train must be a name without slashes"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_cell_that_is_not_what_it_should_be_is_refused(made, change, complaint) -> None:
    name = changed(made, "/train", lambda cell: cell.update(change))
    with pytest.raises(ValueError, match=r"cells\.json") as caught:
        read_job(made.folder, name)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("word", ["Dataset901_A/../../home", "/home", "..", "--val", "", "a\0"])
@pytest.mark.parametrize("field", ["dataset", "trainer", "plans", "configuration", "fold"])
def test_names_of_a_model_are_neither_paths_nor_flags(made, field, word) -> None:
    """nnU-Net joins them with its folders, and runs what is in the checkpoints there."""
    name = changed(made, "/train", lambda cell: cell["model"].update({field: word}))
    with pytest.raises(ValueError, match=f"cells.json: '{field}' of Model must be a name without slashes"):
        read_job(made.folder, name)


def test_numbers_that_are_none_or_too_large_are_refused(made) -> None:
    for rank, complaint in ((float("nan"), "must be a whole number, got nan"), (1e999, "got inf")):
        name = changed(made, "/train", lambda cell, rank=rank: cell.update(rank=[rank]))
        with pytest.raises(ValueError, match=complaint):
            read_job(made.folder, name)
    (made.folder / FILE).write_text('{"cells": ' + "9" * 5000 + "}")
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_job(made.folder, name)
    (made.folder / FILE).write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is not valid JSON"):
        read_job(made.folder, name)


def test_a_cell_that_lacks_something_is_refused(made) -> None:
    name = changed(made, "/train", lambda cell: cell["model"].pop("fold"))
    with pytest.raises(ValueError, match="'model' of Train lacks 'fold'"):
        read_job(made.folder, name)


def test_a_cell_of_another_kind_is_not_written(tmp_path) -> None:
    with pytest.raises(ValueError, match="a Shell cannot be a job; the kinds are MakePlans"):
        as_data(counting(tmp_path, "c"))
    with pytest.raises(ValueError, match="got 'Shell'"):
        of_data({"kind": "Shell", "key": "c"})
