import inspect
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.door import trainers
from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.training.trainer import TrickTrainer

CELL = Situation("labels", "3d", True)


def _trainer(name: str) -> type[nnUNetTrainer]:
    found = trainers.find(name)
    assert found is not None
    return found


@pytest.mark.parametrize("ddp", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_levels_of_deep_supervision_weigh_as_in_nnunet(bench: Bench, ddp: bool, compiled: bool) -> None:
    """The last level has weight 0, but 1e-6 under uncompiled DDP, which wants a gradient for every parameter."""
    weights = []
    for cls in (nnUNetTrainer, _trainer("nnUNetTrainerTversky")):
        with bench.room(cls, CELL) as run:
            trainer = run.build()
            trainer.is_ddp, trainer._do_i_compile = ddp, lambda: compiled
            loss = trainer._build_loss()
            assert isinstance(loss, DeepSupervisionWrapper)
            weights.append(loss.weight_factors)
    assert weights[0] == weights[1]
    assert (weights[0][-1] > 0) == (ddp and not compiled)
    assert isinstance(loss.loss, Criterion)


def test_without_deep_supervision_the_criterion_stands_alone(bench: Bench) -> None:
    with bench.room(_trainer("nnUNetTrainerDiceOHEM_NoDeepSupervision"), replace(CELL, deep_supervision=False)) as run:
        trainer = run.build(untouched=True)
    assert not trainer.enable_deep_supervision
    assert isinstance(trainer.loss, Criterion)


def test_what_a_run_used_is_in_its_log_and_debug_json(bench: Bench) -> None:
    with bench.room(_trainer("nnUNetTrainerTversky_alpha0p2_7epochs_run2"), CELL) as run:
        trainer = run.build()
        trainer.on_train_start()
        folder = Path(trainer.output_folder)
        log = next(folder.glob("training_log_*.txt")).read_text()
        debug = json.loads((folder / "debug.json").read_text())
    assert trainer.num_epochs == 7
    assert "Tversky (alpha 0.2, beta 0.7, cb 0.0, mediseg False); 7 epochs; run 2" in log
    assert "alpha=0.2, beta=0.7" in debug["parameters"]
    assert "Criterion" in debug["loss"]
    assert debug["nnunet_tricks_version"]


def test_only_the_common_base_has_an_init_and_it_takes_nnunets_parameters() -> None:
    nnunets = inspect.signature(nnUNetTrainer.__init__).parameters
    assert list(inspect.signature(TrickTrainer.__init__).parameters) == list(nnunets)
    for info in CATALOGUE:
        written = [cls for cls in _trainer(info.trainer).__mro__ if cls.__module__.startswith("nnunet_tricks.")]
        assert all("__init__" not in vars(cls) for cls in written if cls is not TrickTrainer)


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_every_hook_that_we_override_has_the_signature_of_the_installed_nnunet(info) -> None:
    overridden = 0
    for cls in _trainer(info.trainer).__mro__:
        for name in vars(cls) if cls.__module__.startswith("nnunet_tricks.") else ():
            nnunets = inspect.getattr_static(nnUNetTrainer, name, None)
            if callable(nnunets) and not name.startswith("__"):
                overridden += 1
                # What callers see of both: ours may be a class method where nnU-Net's is static.
                ours, theirs = inspect.signature(getattr(cls, name)), inspect.signature(getattr(nnUNetTrainer, name))
                assert list(ours.parameters) == list(theirs.parameters)
    assert overridden or info.module.startswith("nnunetv2.")


def _refusal(
    bench: Bench, *, fold: int | str = 0, configuration: str = "", cell: Situation = CELL, trainer: str = "Tversky"
):
    """The error of a trainer that is refused, and what it left on disk."""
    with bench.room(_trainer(f"nnUNetTrainer{trainer}"), cell) as run:
        with pytest.raises(ValueError, match=r"\w") as refused:
            run.build(fold=fold, configuration=configuration)
        return str(refused.value), list((run.folder / "results").rglob("*"))


@pytest.mark.parametrize("fold", [5, 17, -1])
def test_a_fold_beyond_the_split_is_refused_and_leaves_nothing(bench: Bench, fold: int) -> None:
    """nnU-Net would train on a random 80:20 split."""
    message, left = _refusal(bench, fold=fold)
    assert f"fold {fold} is not in the split" in message
    assert "folds 0 to" in message
    assert left == []


@contextmanager
def _split_file(bench: Bench, run: Run, text: str) -> Iterator[None]:
    split = bench.folder / "preprocessed" / run.data.name / "splits_final.json"
    before = split.read_bytes() if split.is_file() else None
    split.write_text(text)
    try:
        yield
    finally:
        split.unlink() if before is None else split.write_bytes(before)


def test_a_fold_beyond_one_official_split_is_refused(bench: Bench) -> None:
    with bench.room(_trainer("nnUNetTrainerTversky"), CELL) as run:
        cases = [path.name.split(".")[0] for path in sorted(Path(run.data.raw, "labelsTr").iterdir())]
        with _split_file(bench, run, json.dumps([{"train": cases[1:], "val": cases[:1]}])):
            with pytest.raises(ValueError, match=r"fold 1 is not in the split: .*splits_final.json has folds 0 to 0"):
                run.build(fold=1)
            assert run.build(fold=0).do_split() == (cases[1:], cases[:1])


def test_a_configuration_that_is_not_planned_is_refused_and_leaves_nothing(bench: Bench) -> None:
    message, left = _refusal(bench, configuration="3d_hires")
    assert "configuration '3d_hires' is not in" in message
    assert "3d_fullres" in message
    assert left == []


def test_plans_for_pretrained_weights_are_refused(bench: Bench) -> None:
    """The trainer would begin from scratch without a word."""
    with bench.room(_trainer("nnUNetTrainerTversky"), CELL) as run:
        plans = json.loads((run.data.preprocessed / "nnUNetPlans.json").read_text()) | {"pretrain_info": {"path": "x"}}
        with pytest.raises(ValueError, match=r"nnUNetPlans\.json has 'pretrain_info'"):
            _trainer("nnUNetTrainerTversky")(plans, "3d_fullres", 0, {"labels": {}})


def test_a_cascade_without_its_first_stage_is_refused_with_the_command(bench: Bench) -> None:
    message, left = _refusal(bench, cell=Situation("labels", "cascade", True))
    # The tiny split has one fold, so that nothing predicts its training cases that has not learned from them.
    assert "No fold of the split keeps case_0 for validation (2 such cases)" in message
    assert left == []


@pytest.mark.parametrize(
    ("fold", "there", "said", "unsaid"),
    [
        (0, [], "nothing for any case. First train it on each fold", "all -tr"),
        (1, [], "3d_lowres 0 -tr nnUNetTrainerTversky -p nnUNetPlans', and so for folds 1, 2", "all -tr"),
        (2, ["case_0", "case_2"], "1 of 3 cases (case_1, ...)", "and so for"),
        (2, ["case_0", "case_2"], "3d_lowres 1 -tr nnUNetTrainerTversky", "3d_lowres 0"),
        ("all", ["case_0"], "First train it on all cases: 'nnUNetv2_train", "each fold"),
        ("all", ["case_0"], "3d_lowres all -tr nnUNetTrainerTversky", "3d_lowres 0"),
    ],
)
def test_a_first_stage_is_trained_on_what_does_not_leak(
    bench: Bench, fold: int | str, there: list[str], said: str, unsaid: str
) -> None:
    """Predictions of cases that the first stage learned from are too good, and so is the second stage's validation."""
    cases = ["case_0", "case_1", "case_2"]
    folds = [{"train": [other for other in cases if other != case], "val": [case]} for case in cases]
    with (
        bench.room(_trainer("nnUNetTrainerTversky"), Situation("labels", "cascade", True)) as run,
        _split_file(bench, run, json.dumps(folds)),
    ):
        predictions = run.model_folder("3d_lowres") / "predicted_next_stage" / "3d_cascade_fullres"
        predictions.mkdir(parents=True)
        for case in there:
            (predictions / f"{case}.b2nd").touch()
        with pytest.raises(ValueError, match="holds nothing for") as refused:
            run.build(fold=fold)
    assert said in str(refused.value)
    assert unsaid not in str(refused.value)


def test_a_base_of_a_paper_says_where_its_images_have_other_dimensions(bench: Bench) -> None:
    for name, cell, said in (
        ("nnUNetTrainerMedISeg2D", replace(CELL, deep_supervision=False), True),
        ("nnUNetTrainerIFE2D", replace(CELL, deep_supervision=False), True),
        ("nnUNetTrainerMedISeg3D", replace(CELL, deep_supervision=False), False),
        ("nnUNetTrainerMedISeg3D", Situation("labels", "2d", False), True),
    ):
        with bench.room(_trainer(name), cell) as run:
            run.build(untouched=True).on_train_start()
            log = next(run.folder.rglob("training_log_*.txt")).read_text()
        assert ("is how the paper trained in" in log) == said


def test_a_name_that_is_too_long_for_ensembles_is_told_before_it_trains(bench: Bench) -> None:
    """nnU-Net calls the folder of an ensemble by both models' folders."""
    from nnunetv2.utilities.file_path_utilities import get_ensemble_name

    long = "nnUNetTrainerTversky_alpha0p123456_beta0p765432_NoDeepSupervision_MixUp_alpha0p123_p0p25_20epochs"
    for name in (long, "nnUNetTrainerTversky"):
        with bench.room(_trainer(name), replace(CELL, deep_supervision=False)) as run:
            built = run.build()
            built.on_train_start()
            log = next(run.folder.rglob("training_log_*.txt")).read_text()
            ensemble = get_ensemble_name(str(run.model_folder()), str(run.model_folder()), (0, 1, 2, 3, 4))
        assert ("--disable_ensembling" in log) == (len(ensemble) > 255)
        assert (name == long) == (len(ensemble) > 255)


@pytest.mark.parametrize("value", ["", None])
def test_a_results_folder_that_is_not_set_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch, value) -> None:
    with bench.room(_trainer("nnUNetTrainerTversky"), CELL) as run, monkeypatch.context() as unset:
        unset.setattr("nnunetv2.paths.nnUNet_results", value)
        with pytest.raises(ValueError, match="nnUNet_results is not set: 'export nnUNet_results=FOLDER'"):
            run.build()


@pytest.mark.parametrize("value", ["", None])
def test_an_environment_without_the_variable_or_with_an_empty_one_is_the_same(value: str | None) -> None:
    code = "from nnunet_tricks.training.preconditions import check; check('T', {}, '2d', 0)"
    environment = {**os.environ, "nnUNet_preprocessed": "somewhere", "nnUNet_results": value or ""}
    if value is None:
        del environment["nnUNet_results"]
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "ValueError: nnUNet_results is not set" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "is no JSON"), ("[]", "must hold a list of folds"), ('[{"train": []}]', "each with 'train' and 'val'")],
)
def test_a_broken_split_file_is_named(bench: Bench, text: str, reason: str) -> None:
    refused = pytest.raises(ValueError, match=rf"splits_final.json .*{reason}")
    with bench.room(_trainer("nnUNetTrainerTversky"), CELL) as run, _split_file(bench, run, text), refused:
        run.build()


def test_the_plans_that_nnunet_passes_are_not_changed_but_for_its_own_key(bench: Bench) -> None:
    with bench.room(_trainer("nnUNetTrainerTversky"), CELL) as run:
        plans = {**deepcopy(run.data.plans), "continue_training": False}
        before = deepcopy(plans)
        run.trainer(plans, "3d_fullres", 0, deepcopy(run.data.dataset_json), torch.device("cpu"))
    del before["continue_training"]
    assert plans == before
