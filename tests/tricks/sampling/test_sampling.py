from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as module
from scipy.stats import binomtest, fisher_exact

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.tiny_images import CORE, ORGAN
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.sandbox import seed_everything

CELL = Situation("labels", "3d", True)
DRAWS = 400


@contextmanager
def started(bench: Bench, name: str, cell: Situation = CELL) -> Iterator[Any]:
    """A trainer with loaders, from a seed."""
    cls = trainers.find(f"nnUNetTrainer{name}")
    assert cls is not None
    with bench.room(cls, cell) as run:
        trainer = run.build()
        trainer.on_train_start()
        trainer.log_text = "".join(file.read_text() for file in (run.folder / "results").rglob("training_log*.txt"))
        seed_everything(0)
        yield trainer


def oversampled(loader: Any) -> list[list[bool]]:
    return [[bool(loader.get_do_oversample(number)) for number in range(loader.batch_size)] for _ in range(DRAWS)]


@pytest.mark.parametrize("fraction", [0, 0.3, 1])
def test_each_patch_is_oversampled_with_the_probability_of_the_name(bench: Bench, fraction: float) -> None:
    spelled = {0: "_fraction0", 0.3: "", 1: "_fraction1"}[fraction]
    with started(bench, f"Oversample{spelled}") as trainer:
        drawn = np.array(oversampled(trainer.dataloader_train.data_loader))
    for patch in drawn.T:
        assert binomtest(int(patch.sum()), DRAWS, fraction).pvalue > 0.01
    assert (drawn[:, 0] != drawn[:, 1]).any() == (fraction == 0.3)


@pytest.mark.parametrize(("fraction", "expected"), [("0", [False, False]), ("0p3", [False, True]), ("1", [True, True])])
def test_the_fixed_rule_is_nnunets(bench: Bench, fraction: str, expected: list[bool]) -> None:
    token = "" if fraction == "0p3" else f"_fraction{fraction}"
    with started(bench, f"Oversample{token}_fixed") as trainer:
        assert oversampled(trainer.dataloader_train.data_loader)[0] == expected
        assert f"{sum(expected)} of the 2 patches of a batch are centred on foreground" in trainer.log_text


def test_with_several_gpus_each_process_keeps_the_fraction(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with started(bench, "Oversample") as trainer:
        trainer.is_ddp = True
        monkeypatch.setattr(module.dist, "get_world_size", lambda: 2)
        monkeypatch.setattr(module.dist, "get_rank", lambda: 0)
        trainer._set_batch_size_and_oversample()
        assert (trainer.batch_size, trainer.oversample_foreground_percent) == (1, 0.3)


@pytest.mark.parametrize("name", ["Oversample_fraction1p2", "Oversample_fraction2"])
def test_a_fraction_beyond_one_is_refused(name: str) -> None:
    with pytest.raises(IllegalName, match="fraction of Oversample must be a number from 0 to 1"):
        parse(f"nnUNetTrainer{name}")


def test_cases_are_drawn_in_proportion_to_their_voxels(bench: Bench) -> None:
    with started(bench, "Oversample_size") as trainer:
        loader = trainer.dataloader_train.data_loader
        voxels = [np.prod(loader._data.load_case(case)[0].shape[1:]) for case in loader.indices]
        drawn = np.concatenate([loader.get_indices() for _ in range(DRAWS)])
        assert trainer.dataloader_val.data_loader.sampling_probabilities is None
    share = voxels[0] / sum(voxels)
    assert share != pytest.approx(0.5, abs=0.02)
    assert binomtest(int((drawn == loader.indices[0]).sum()), len(drawn), share).pvalue > 0.01


@pytest.mark.parametrize("labels", ["labels", "labels+ignore", "regions", "regions+ignore"])
def test_classes_are_drawn_alike_however_few_cases_have_them(bench: Bench, labels: str) -> None:
    """One of two training cases has the core: nnU-Net would draw it for a quarter of the foreground patches."""
    with started(bench, "ClassBalancedSampling_Oversample_fraction1", Situation(labels, "3d", True)) as trainer:
        loader = trainer.dataloader_train.data_loader
        draws = loader.get_bbox.__self__
        drawn, cases = [], []
        for _ in range(DRAWS):
            cases += loader.get_indices()
            drawn += draws.drawn
    rare = (CORE,) if labels.startswith("regions") else CORE
    assert set(draws.cases) == ({(ORGAN, CORE), rare} if labels.startswith("regions") else {ORGAN, rare})
    assert draws.cases[rare] == ["case_0"]
    assert binomtest(drawn.count(rare), len(drawn), 0.5).pvalue > 0.01
    assert all(case == "case_0" for case, drawn_class in zip(cases, drawn, strict=True) if drawn_class == rare)
    assert {case for case, drawn_class in zip(cases, drawn, strict=True) if drawn_class != rare} == {"case_0", "case_1"}


def test_a_patch_is_centred_on_the_class_that_was_drawn(bench: Bench) -> None:
    with started(bench, "ClassBalancedSampling_Oversample_fraction1") as trainer:
        loader = trainer.dataloader_train.data_loader
        draws = loader.get_bbox.__self__
        for _ in range(20):
            cases = loader.get_indices()
            for number, case in enumerate(cases):
                image, _, _, properties = loader._data.load_case(case)
                locations, shape = properties["class_locations"], np.array(image.shape[1:])
                low, _ = loader.get_bbox(shape, loader.get_do_oversample(number), locations)
                # nnU-Net lets no patch begin before the border that it pads.
                padded = np.maximum(loader.need_to_pad, np.array(loader.patch_size) - shape)
                corners = locations[draws.drawn[number]][:, 1:] - np.array(loader.patch_size) // 2
                assert (np.maximum(corners, -padded // 2) == low).all(1).any()


def test_other_patches_are_drawn_as_before(bench: Bench) -> None:
    with started(bench, "ClassBalancedSampling_Oversample_fraction0") as trainer:
        loader = trainer.dataloader_train.data_loader
        cases = np.concatenate([loader.get_indices() for _ in range(DRAWS)])
        assert not any(any(batch) for batch in oversampled(loader))
    assert binomtest(int((cases == "case_0").sum()), len(cases), 0.5).pvalue > 0.01


def test_what_there_is_to_draw_is_in_the_log(bench: Bench) -> None:
    with started(bench, "ClassBalancedSampling") as trainer:
        assert f"of 2 training cases have a class: {ORGAN} in 2, {CORE} in 1" in trainer.log_text


def test_beside_a_base_without_oversampling_it_says_that_it_changes_nothing(bench: Bench) -> None:
    note = "ClassBalancedSampling changes nothing: no patch is centred on foreground; add Oversample"
    for name, idle in (("MedISeg3D_ClassBalancedSampling", True), ("ClassBalancedSampling", False)):
        with started(bench, name, Situation("labels", "3d", False)) as trainer:
            assert (note in trainer.log_text) == idle


def test_it_goes_with_shared_randomness(bench: Bench) -> None:
    batches = []
    for _ in range(2):
        with started(bench, "ClassBalancedSampling_shared") as trainer:
            seed_everything(len(batches))
            batches.append(list(next(trainer.dataloader_train)["keys"]))
    assert batches[0] == batches[1]
    assert type(trainer.dataloader_train.data_loader).__name__ == "SharedLoader"


def emptied(bench: Bench, labels: str, cases: set[str]) -> None:
    """Take the foreground away from preprocessed cases in 3D; what is annotated stays."""
    for file in bench.data(labels, flat=False).preprocessed.rglob("*.pkl"):
        if file.stem in cases:
            properties = load_pickle(str(file))
            locations = properties["class_locations"]
            properties["class_locations"] = {
                label: voxels if isinstance(label, tuple) and -1 in label else [] for label, voxels in locations.items()
            }
            write_pickle(properties, str(file))


@pytest.mark.parametrize("labels", ["labels", "labels+ignore", "regions", "regions+ignore"])
@pytest.mark.parametrize("share", [0, 0.1, 0.5])
def test_a_share_of_the_patches_is_from_cases_without_foreground(labels: str, share: float) -> None:
    spelled = f"Oversample_empty{share:g}".replace(".", "p")
    with Bench() as own:
        emptied(own, labels, {"case_1"})
        with started(own, spelled, Situation(labels, "3d", True)) as trainer:
            loader = trainer.dataloader_train.data_loader
            drawn = np.concatenate([loader.get_indices() for _ in range(5000)])
            assert trainer.dataloader_val.data_loader.sampling_probabilities is None
            assert f"1 of 2 training cases have no foreground: {share:.1%} of the patches come from them, 50.0%" in (
                trainer.log_text
            )
            assert (
                f"{0.3 * (1 - share):.1%} of the patches are centred on foreground, 15.0% without" in trainer.log_text
            )
    assert binomtest(int((drawn == "case_1").sum()), len(drawn), share).pvalue > 0.01


def test_the_share_that_there_is_changes_nothing() -> None:
    with Bench() as own:
        emptied(own, "labels", {"case_1"})
        shares = []
        for name in ("Oversample", "Oversample_empty0p5"):
            with started(own, name) as trainer:
                loader = trainer.dataloader_train.data_loader
                shares.append(np.concatenate([loader.get_indices() for _ in range(5000)]))
    first, second = ((drawn == "case_1").sum() for drawn in shares)
    assert fisher_exact([[first, 10000 - first], [second, 10000 - second]]).pvalue > 0.01


@pytest.mark.parametrize(("empty", "which"), [(set(), "all"), ({"case_0", "case_1"}, "none")])
def test_a_share_without_empty_cases_or_others_is_refused_before_a_folder_is_made(empty: set[str], which: str) -> None:
    cls = trainers.find("nnUNetTrainerOversample_empty0p1")
    assert cls is not None
    with Bench() as own:
        emptied(own, "labels", empty)
        with own.room(cls, CELL) as run:
            with pytest.raises(
                ValueError, match=f"{which} of the 2 training cases of .* have foreground: leave it out"
            ):
                run.build()
            assert not list((run.folder / "results").rglob("fold_*"))


def test_beside_a_share_cases_are_drawn_by_their_size() -> None:
    with Bench() as own:
        emptied(own, "labels", {"case_1"})
        with started(own, "Oversample_size_empty0p2") as trainer:
            loader = trainer.dataloader_train.data_loader
    assert dict(zip(loader.indices, loader.sampling_probabilities, strict=True))["case_1"] == pytest.approx(0.2)
