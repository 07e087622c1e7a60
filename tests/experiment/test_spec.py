import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.keys import FILE_KEYS, KEYS
from nnunet_tricks.experiment.spec import read_experiment

LEAST = "datasets: [901]\nconfigurations: [3d_fullres]\n"
LOSSES = [info.name for info in CATALOGUE if info.hooks == ("loss",)]


def arms(file) -> dict[str, str]:
    (comparison,) = read_experiment(file).comparisons
    return {arm.label: arm.name for arm in comparison.arms}


def test_the_least_file(spec) -> None:
    experiment = read_experiment(spec(LEAST + "trainers: [nnUNetTrainer, nnUNetTrainerTversky]\n"))
    (comparison,) = experiment.comparisons
    assert experiment.name == "experiment"
    assert (comparison.folds, comparison.runs, comparison.parts) == (("0", "1", "2", "3", "4"), (1,), ("validation",))
    assert comparison.baseline.name == "nnUNetTrainer"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "tricks: [Tversky, NoDeepSupervision]",
            {
                "baseline": "nnUNetTrainer",
                "Tversky": "nnUNetTrainerTversky",
                "NoDeepSupervision": "nnUNetTrainerNoDeepSupervision",
            },
        ),
        (
            "tricks: [NoDeepSupervision, OHEM_fraction0p5]\ndesign: leave-one-out\nepochs: 20",
            {
                "baseline": "nnUNetTrainerOHEM_fraction0p5_NoDeepSupervision_20epochs",
                "without NoDeepSupervision": "nnUNetTrainerOHEM_fraction0p5_20epochs",
                "without OHEM_fraction0p5": "nnUNetTrainerNoDeepSupervision_20epochs",
            },
        ),
        (
            "tricks: [[Dice, Tversky], NoDeepSupervision]\ndesign: factorial",
            {
                "baseline": "nnUNetTrainer",
                "NoDeepSupervision": "nnUNetTrainerNoDeepSupervision",
                "Dice": "nnUNetTrainerDice",
                "Dice + NoDeepSupervision": "nnUNetTrainerDice_NoDeepSupervision",
                "Tversky": "nnUNetTrainerTversky",
                "Tversky + NoDeepSupervision": "nnUNetTrainerTversky_NoDeepSupervision",
            },
        ),
        (
            "tricks: [CE]\nbaseline: nnUNetTrainerNoDeepSupervision",
            {"baseline": "nnUNetTrainerNoDeepSupervision", "CE": "nnUNetTrainerCE_NoDeepSupervision"},
        ),
        (
            "trainers: [nnUNetTrainerTopk10Loss, nnUNetTrainer]\nbaseline: nnUNetTrainer",
            {"baseline": "nnUNetTrainer", "nnUNetTrainerTopk10Loss": "nnUNetTrainerTopk10Loss"},
        ),
    ],
)
def test_designs(spec, text, expected) -> None:
    assert arms(spec(LEAST + text)) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tricks=st.lists(st.sampled_from(LOSSES), min_size=1, max_size=4, unique=True),
    epochs=st.integers(1, 2000),
    runs=st.integers(1, 3),
)
def test_baseline_and_tricks_share_everything_but_the_trick(spec, tricks, epochs, runs) -> None:
    content = {"datasets": [901], "configurations": ["2d"], "tricks": tricks, "epochs": epochs, "runs": runs}
    (comparison,) = read_experiment(spec(yaml.safe_dump(content))).comparisons
    for arm in comparison.arms:
        for run in comparison.runs:
            name = parse(arm.trainer(run))  # canonical, or it raises
            assert (name.epochs, name.run) == (epochs, run)
            assert [trick.info.name for trick in name.tricks] == ([] if arm is comparison.baseline else [arm.label])


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("tricks: [Tversky]\nepoch: 5", 4, "has no key 'epoch'; did you mean 'epochs'?"),
        ("tricks: [Tverski]", 3, "Nearest: nnUNetTrainerTversky"),
        ("tricks:\n- CE\n- Tversky_alpha1p7", 5, "from 0 to 1, got 1p7"),
        ("trainers: [nnUNetTrainer, nnUNetTrainerTverski]", 3, "Nearest: nnUNetTrainerTversky"),
        ("trainers: [nnUNetTrainer_Tversky]", 3, "exactly one name"),
        ("tricks: [Dice, CE]\ndesign: leave-one-out", 3, "both set the loss"),
        ("tricks: [[Dice, CE]]", 3, "alternatives in brackets are for design 'factorial'"),
        ("tricks: [CE]\ndesign: add", 4, "must be one of list, add-one, leave-one-out, factorial, got 'add'"),
        ("tricks: [CE]\ndesign: list", 4, "design 'list' needs 'trainers'"),
        ("tricks: [CE]\ntrainers: [nnUNetTrainer]", 3, "takes 'trainers', not 'tricks'"),
        ("tricks: [CE]\nepochs: 0", 4, "must be a whole number from 1 on, got 0"),
        ("tricks: [CE]\nepochs: many", 4, "got 'many'"),
        ("tricks: [CE]\nfolds: [0, 1, 1]", 4, "'1' appears twice"),
        ("tricks: [CE]\nfolds: [one]", 4, "from 0 on, got 'one'"),
        ("tricks: [CE]\non: tests", 4, "did you mean 'test'?"),
        ("tricks: [CE]\ncheckpoint: latest", 4, "must be one of final, best"),
        ("tricks: [CE]\nneeds: [CE]", 4, "CE exists: take it out of 'needs'"),
        ("tricks: [CE]\nneeds: [Telepathy]", 4, "nothing in the file uses Telepathy"),
        ("tricks: [CE]\nneeds: [telepathy]", 4, "a capital first"),
        ("tricks: [CE]\nplans: [a__b]", 4, "single '_'"),
        ("tricks: [CE]\nregions: {kidney: all}", 4, "must be a union of labels such as 1+2"),
        ("tricks: [CE]\nsmall: {3d_fullres: {patch: [8]}}", 4, "needs 'from'"),
        ("tricks: [CE]\nsmall: {tiny: {from: 2d}}", 4, "'configurations' does not list it"),
        ("tricks: [CE]\nname: a b", 4, "must consist of letters, digits"),
        ("tricks: []", 3, "is empty"),
        ("tricks: [CE, CE]", 3, "twice"),
        ("trainers: [nnUNetTrainer_10epochs]\nepochs: 20", 3, "contradicts 'epochs: 20': leave one"),
        ("trainers: [nnUNetTrainer_run2]", 3, "set 'runs' instead"),
        ("trainers: [nnUNetTrainerCE]\nruns: 4000000000", 4, "'runs' must be at most 1000, got 4000000000"),
        ("trainers: [nnUNetTrainerTopk10Loss]\nruns: 2", 4, "can have one run only"),
        ("comparisons:\n- tricks: [CE]", 4, "needs a 'name'"),
        (
            "comparisons:\n- {name: a, tricks: [CE]}\n- {name: a, tricks: [CE]}",
            5,
            "two of 'comparisons' have the name 'a'",
        ),
    ],
)
def test_every_fault_has_its_line(spec, text, line, complaint) -> None:
    file = spec(LEAST + text)
    with pytest.raises(SpecError) as caught:
        read_experiment(file)
    assert str(caught.value).startswith(f"{file}, line {line}: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("key", ["datasets", "configurations"])
def test_what_must_be_there(spec, key) -> None:
    kept = "".join(line + "\n" for line in LEAST.splitlines() if not line.startswith(key))
    with pytest.raises(SpecError, match=f"needs '{key}'"):
        read_experiment(spec(kept + "tricks: [CE]"))


@pytest.mark.parametrize("dataset", ["0", "1234", "Dataset12_x", "Dataset123", "Dataset123_a__b", "kits"])
def test_no_data_sets(spec, dataset) -> None:
    with pytest.raises(SpecError, match="is not a data set"):
        read_experiment(spec(f"datasets: [{dataset}]\nconfigurations: [2d]\ntricks: [CE]"))


@given(key=st.sampled_from(sorted(KEYS)), typo=st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12))
def test_no_key_is_overlooked(tmp_path_factory, key, typo) -> None:
    if typo in (*KEYS, *FILE_KEYS):
        return
    file = tmp_path_factory.mktemp("spec") / "x.yaml"
    file.write_text(f"{LEAST}tricks: [CE]\n{typo}: 1\n")
    with pytest.raises(SpecError, match=f"line 4: the file has no key '{typo}'"):
        read_experiment(file)


def test_numbers_of_data_sets_are_decimal(spec) -> None:
    (comparison,) = read_experiment(spec("datasets: [027, 010]\nconfigurations: [2d]\ntricks: [CE]")).comparisons
    assert [int(dataset) for dataset in comparison.datasets] == [27, 10]


def test_comparisons_inherit_and_replace(spec) -> None:
    text = (
        LEAST + "tricks: [CE]\nepochs: 7\ncomparisons:\n- {name: added}\n- {name: out, trainers: [nnUNetTrainerDice]}\n"
    )
    added, out = read_experiment(spec(text)).comparisons
    assert [arm.name for arm in added.arms] == ["nnUNetTrainer_7epochs", "nnUNetTrainerCE_7epochs"]
    assert [arm.name for arm in out.arms] == ["nnUNetTrainerDice_7epochs"]


def test_a_trick_that_does_not_exist_yet(spec) -> None:
    text = LEAST + "tricks: [CE, Telepathy_strong]\nneeds: [Telepathy]\nepochs: 9\n"
    (comparison,) = read_experiment(spec(text)).comparisons
    assert comparison.missing == ("Telepathy",)
    assert [arm.missing for arm in comparison.arms] == [(), (), ("Telepathy",)]
    assert comparison.arms[2].name == "nnUNetTrainerTelepathy_strong_9epochs"


def test_somebody_elses_trainer(spec, tmp_path, monkeypatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "code.py").write_text("class nnUNetTrainerZebra(object):\n    pass\n")
    text = LEAST + "trainers: [nnUNetTrainer, nnUNetTrainerZebra]\n"
    (note,) = read_experiment(spec(text)).notes
    assert "nnUNetTrainerZebra is not known: neither our name" in note
    monkeypatch.setenv("nnUNet_extTrainer", str(tmp_path / "theirs"))
    assert read_experiment(spec(text)).notes == ()
    (note,) = read_experiment(spec(text + "epochs: 5\n")).notes
    assert "has no effect on it" in note


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("", "trained once, which .* write 'baseline_runs: 3', which is 10 more trainings"),
        ("runs: 3\nbaseline_runs: 1\n", "trained once, .* every verdict of 'compare' will be 'undecided'"),
        ("folds: [0]\n", "which is 2 more trainings"),
        ("folds: [0]\nbaseline_runs: 2\n", "trained twice, on a single fold, .* 'baseline_runs: 3', which is 1 more"),
        ("folds: 0\nruns: 2\nshared_randomness: true\n", "trained twice, on a single fold, .* write 'runs: 3'"),
        ("baseline_runs: 2\n", ""),
        ("runs: 2\n", ""),
        ("folds: [0]\nbaseline_runs: 3\n", ""),
        ("folds: [0]\nruns: 2\n", ""),
        ("runs: 2\nshared_randomness: true\n", ""),
    ],
)
def test_an_experiment_that_can_decide_nothing_says_so_before_it_trains(spec, text, advice) -> None:
    notes = " ".join(read_experiment(spec(LEAST + "tricks: [CE]\n" + text)).undecided)
    assert re.search(advice, notes) if advice else not notes


def test_each_comparison_that_can_decide_nothing_is_named(spec) -> None:
    text = LEAST + "tricks: [CE]\ncomparisons:\n- {name: known, baseline_runs: 2}\n- {name: blind}\n"
    (note,) = read_experiment(spec(text)).undecided
    assert note.startswith("blind: the baseline is trained once")
