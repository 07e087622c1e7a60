"""What is done with trained models in an experiment: cells, their order, and what a file may say."""

import json
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.commands.compare import _of_spec
from nnunet_tricks.experiment.arm import Arm
from nnunet_tricks.experiment.cells import inferred, make
from nnunet_tricks.experiment.cluster.cell_file import as_data, of_data
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.inference import read_setting
from nnunet_tricks.experiment.inference_cells import RECORD, Ensemble, Postprocess, PredictViews
from nnunet_tricks.experiment.job_lines import chains
from nnunet_tricks.experiment.nnunet_cells import Train
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import CASES, DATASET
from tests.experiment.test_cells import checkpoint

BASE = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky]
epochs: 5
folds: [0, 1]
baseline_runs: 2
"""
ARMS = [Arm(label="baseline", name="nnUNetTrainer"), Arm(label="A + B", name="nnUNetTrainerA_B")]
PLACE = "__nnUNetPlans__3d_fullres"


def cells_of(file: Path, folders, **how):
    return make(read_experiment(file), folders, **how)


def test_a_setting_can_name_the_way_to_train_that_it_is_for() -> None:
    setting = read_setting("A + B + TTA_mirror + EnsembleVote + 1+2:KeepLargest_face + FillHoles", ARMS)
    assert (setting.arm, setting.views, setting.ensemble) == (ARMS[1], "TTA_mirror", "EnsembleVote")
    assert setting.steps == ("1+2:KeepLargest_face", "FillHoles")
    assert read_setting("TTA", ARMS).arm == read_setting("baseline + TTA", ARMS).arm == ARMS[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Tversky + TTA", "'Tversky' in 'Tversky . TTA' is neither"),
        ("A + B", "there is no trick 'B'"),
        ("KeepLargest + TTA", "at most one TTA, then"),
        ("TTA + TTA_mirror", "at most one TTA, then"),
        ("EnsembleVote + EnsembleAverage", "at most one TTA, then"),
        ("EnsembleStack", "needs weights that 'ensemble --learn' finds"),
        ("kidney:TTA", "only post-processing is done to some classes"),
        ("TTA_upsidedown", "has no parameter 'upsidedown'"),
        ("kidney:KeepLargst", "there is no trick 'KeepLargst'"),
    ],
)
def test_what_cannot_be_done_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_setting(text, ARMS)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BASE.replace("baseline_runs: 2\n", "") + "inference: [EnsembleVote]", "write 'baseline_runs: 5'"),
        (BASE + "inference: [Tversky + EnsembleVote]", "write 'runs: 5'"),
        (BASE + "inference: [TTA, TTA_mediseg]", "stands twice"),
        (BASE + "inference: ['1+2:FillHoles', '1-2:FillHoles']", "would share the folder"),
        (BASE + "inference: [TTA_foo]", "line 7: 'TTA_foo' is no trick"),
        (BASE.replace("[Tversky]", "[Tversky, TTA]"), "under 'inference'"),
        (BASE + "needs: [KeepLargest]", "KeepLargest exists"),
    ],
)
def test_an_error_names_the_line_and_the_way_out(text: str, reason: str, spec) -> None:
    with pytest.raises(SpecError, match=reason):
        read_experiment(spec(text))


def test_settings_share_trainings_and_come_behind_them(spec, preprocessed) -> None:
    text = BASE + "inference: [TTA, EnsembleAverage, TTA + EnsembleVote + FillHoles, KeepLargest]\n"
    cells, plain = cells_of(spec(text), preprocessed), cells_of(spec(BASE), preprocessed)
    trains = [cell.key for cell in cells if isinstance(cell, Train)]
    assert trains == [cell.key for cell in plain if isinstance(cell, Train)]
    keys = [cell.key for cell in cells]
    assert len(keys) == len(set(keys))
    for cell in cells:
        assert all(keys.index(needed) < keys.index(cell.key) for needed in cell.after)
    views = [(cell.model.trainer, cell.probabilities) for cell in cells if isinstance(cell, PredictViews)]
    runs = ("nnUNetTrainer_5epochs", "nnUNetTrainer_5epochs_run2")
    # A vote needs no probabilities, an average those of nnU-Net's own views, and both tables of TTA the same files.
    wanted = [(f"{run}+TTA{word}", bool(word)) for word in ("", "_mirror") for run in runs]
    assert sorted(set(views)) == sorted(wanted)
    assert len(views) == len(set(views)) * 2
    ensembles = {cell.model.trainer for cell in cells if isinstance(cell, Ensemble)}
    assert ensembles == {f"{runs[0]}+EnsembleAverage_of2", f"{runs[0]}+TTA+EnsembleVote_of2"}
    steps = {(cell.model.trainer, cell.source.parent.parent.name) for cell in cells if isinstance(cell, Postprocess)}
    assert steps == {
        (f"{runs[0]}+TTA+EnsembleVote_of2+FillHoles", f"{runs[0]}+TTA+EnsembleVote_of2{PLACE}"),
        *((f"{run}+KeepLargest", f"{run}{PLACE}") for run in runs),
    }


def test_each_is_one_command_of_ours(spec, preprocessed) -> None:
    text = BASE + "inference: [TTA_mirror + EnsembleAverage + '1:RemoveSmall_voxels5']\n".replace("'", "")
    cells = cells_of(spec(text), preprocessed, device="cpu")
    lines = {type(cell).__name__: " ".join(cell.words()) for cell in cells if cell.key.endswith("_validation")}
    results = preprocessed.results / DATASET
    ours = results / f"nnUNetTrainer_5epochs_run2+TTA_mirror{PLACE}" / "fold_1" / "validation"
    model = results / f"nnUNetTrainer_5epochs_run2{PLACE}"
    assert f"-o {ours} -m {model} -f 1 -chk checkpoint_final.pth --tta mirror" in lines["PredictViews"]
    assert "--save_probabilities" in lines["PredictViews"]
    assert f"{ours} -o {results}" in lines["Ensemble"]
    assert "--method average" in lines["Ensemble"]
    assert lines["Postprocess"].endswith("--steps 1:RemoveSmall_voxels5")
    assert lines["Evaluate"].startswith("nnUNetv2_evaluate_folder")
    printed = [chain.line for chain in chains(cells)]
    assert any("nnunet-tricks postprocess" in line and "nnUNetv2_evaluate_folder" in line for line in printed)


def finished(cell, settings: dict[str, object], *, probabilities: bool = False) -> None:
    """What our command leaves."""
    out = cell.model.predictions(cell.part.name, cell.checkpoint)
    out.mkdir(parents=True, exist_ok=True)
    for case in cell.part.cases():
        (out / f"{case}.nii.gz").write_text(case)
        if probabilities:
            (out / f"{case}.npz").write_text(case)
    (out / RECORD).write_text(json.dumps({"settings": settings}))


def test_what_is_done_is_skipped_and_the_rest_goes_on(spec, preprocessed) -> None:
    cells = cells_of(spec(BASE + "inference: [TTA, TTA + EnsembleVote, KeepLargest]\n"), preprocessed)
    views, vote, keep = (
        next(cell for cell in cells if isinstance(cell, kind)) for kind in (PredictViews, Ensemble, Postprocess)
    )
    assert {cell.state for cell in (views, vote, keep)} == {"open"}
    checkpoint(views.source, "final")
    finished(views, {"probabilities": False})
    assert views.is_done()
    (views.model.predictions("validation", "final") / f"{CASES[0]}.nii.gz").unlink()
    assert views.state == "started"
    assert views.words()[-1] == "--continue_prediction"
    finished(vote, {"members": [str(member.resolve()) for member in vote.members]})
    assert vote.is_done()
    finished(vote, {"members": ["others"]})
    assert vote.words()[-1] == "--overwrite"
    finished(keep, {"of": str(keep.source.resolve()), "steps": ["KeepLargest"]})
    assert keep.is_done()
    finished(keep, {"of": str(keep.source.resolve()), "steps": ["FillHoles"]})
    assert "--overwrite" in keep.words()


def test_predictions_without_probabilities_are_made_again_for_an_average(spec, preprocessed) -> None:
    cells = cells_of(spec(BASE + "inference: [TTA, TTA + EnsembleAverage]\n"), preprocessed)
    views = next(cell for cell in cells if isinstance(cell, PredictViews))
    checkpoint(views.source, "final")
    finished(views, {"probabilities": False})
    assert not views.is_done()
    assert views.words()[-1] == "--overwrite"
    finished(views, {"probabilities": True}, probabilities=True)
    assert views.is_done()


def test_cells_travel_to_nodes_as_json(spec, preprocessed) -> None:
    text = BASE + "on: test\ninference: [TTA + EnsembleAverage + FillHoles]\n"
    cells = [cell for cell in cells_of(spec(text), preprocessed) if "+" in cell.key]
    assert {type(cell) for cell in cells} >= {PredictViews, Ensemble, Postprocess}
    for cell in cells:
        assert of_data(json.loads(json.dumps(as_data(cell)))) == cell


@pytest.mark.parametrize("step", ["--overwrite", "-o", "FillHoles --with x", "x"])
def test_only_a_step_becomes_a_word_of_the_command(step: str, spec, preprocessed) -> None:
    cells = cells_of(spec(BASE + "inference: [KeepLargest]\n"), preprocessed)
    data = as_data(next(cell for cell in cells if isinstance(cell, Postprocess))) | {"steps": [step]}
    with pytest.raises(ValueError, match="is no trick for trained models"):
        of_data(data).words()


def test_a_single_trainer_is_trained_before_anything_is_done_with_it(spec, folders) -> None:
    text = BASE.replace("tricks: [Tversky]", "trainers: [nnUNetTrainer]").replace("baseline_runs", "runs")
    keys = []
    for cell in cells_of(spec(text + "inference: [TTA_none, TTA_none + EnsembleVote + FillHoles]\n"), folders):
        assert set(cell.after) <= set(keys)
        keys.append(cell.key)
    trains = [place for place, key in enumerate(keys) if key.endswith("/train")]
    assert max(trains) < min(place for place, key in enumerate(keys) if "+" in key)


def test_before_there_is_a_split_everything_is_open(spec, folders, capsys) -> None:
    file = spec(BASE + "inference: [TTA, EnsembleAverage, KeepLargest]\n")
    assert {cell.state for cell in cells_of(file, folders)} == {"open"}
    assert main(["run", str(file), "--runner", "print", "--device", "cpu"]) == 0
    printed = capsys.readouterr()
    assert printed.out.count("nnunet-tricks ensemble") == 2
    assert "has no split yet" in printed.err


def test_compare_takes_them_as_ways_of_their_own(spec, preprocessed) -> None:
    file = spec(BASE + "inference: [TTA, EnsembleVote, Tversky + KeepLargest]\n")
    (selection,) = _of_spec(file, None)
    found = {(prediction.trainer, prediction.run, prediction.fold) for prediction in selection.predictions}
    runs = {(1, "nnUNetTrainer_5epochs"), (2, "nnUNetTrainer_5epochs_run2")}
    for fold in ("0", "1"):
        assert {(f"{name}+TTA", run, fold) for run, name in runs} <= found
        assert ("nnUNetTrainer_5epochs+EnsembleVote_of2", 1, fold) in found
        assert ("nnUNetTrainerTversky_5epochs+KeepLargest", 1, fold) in found
    assert all("+" not in prediction.trained.trainer for prediction in selection.predictions)
    assert list(read_experiment(file).comparisons[0].ways) == [
        "baseline",
        "Tversky",
        "TTA",
        "EnsembleVote",
        "Tversky + KeepLargest",
    ]


def test_settings_of_tricks_that_do_not_exist_wait_with_them(spec, preprocessed) -> None:
    text = BASE.replace("[Tversky]", "[Tversky, Future]") + "needs: [Future]\ninference: [Future + TTA, TTA]\n"
    settings = {result.setting.label for _, result in inferred(read_experiment(spec(text)), preprocessed)}
    assert settings == {"TTA"}
