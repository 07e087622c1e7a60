"""Where plans do not resample, distances are in the voxels of each case."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import blosc2
import numpy as np
import pytest
from batchgenerators.utilities.file_and_folder_operations import load_pickle, write_pickle

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.run import Run
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES
from nnunet_tricks.door import trainers
from nnunet_tricks.nnunet.plans_file import NO_RESAMPLING, NOT_TO_ONE_SPACING
from nnunet_tricks.training.voxel_sizes import CurrentEdges, MeasuredCases
from nnunet_tricks.tricks.sparse import simulate
from nnunet_tricks.tricks.targets.distance import signed_distance_in_voxels
from nnunet_tricks.tricks.targets.maps import AppendMaps, Layout
from nnunet_tricks.tricks.targets.pieces import map_of_annotated
from nnunet_tricks.tricks.targets.trainer import MappedLossTrainer

EDGES = {case: (1.0 + number, 1.0, 0.5) for number, case in enumerate(TRAINING_CASES)}


@pytest.fixture(scope="module")
def varied_bench() -> Iterator[Bench]:
    """The voxels of each case have other edges."""
    with Bench() as made:
        for labels in ("labels", "labels+ignore"):
            folder = made.data(labels, flat=False).preprocessed
            for case, edges in EDGES.items():
                for file in folder.glob(f"*/{case}.pkl"):
                    shape = blosc2.open(str(file.with_suffix(".b2nd")), mode="r").shape[1:]
                    own = {"spacing": list(edges), "shape_after_cropping_and_before_resampling": shape}
                    write_pickle(load_pickle(file) | own, str(file))
        yield made


def _not_resampled(run: Run, function: str = NO_RESAMPLING) -> Any:
    plans = deepcopy(run.data.plans)
    for configuration in plans["configurations"].values():
        configuration["resampling_fn_data"] = function
    run.data = replace(run.data, plans=plans)
    return run.build()


@pytest.mark.parametrize("name", ["nnUNetTrainerBoundary", "nnUNetTrainerBoundary_SparseSlices"])
def test_each_patch_is_measured_in_the_voxels_of_its_case(varied_bench: Bench, name: str) -> None:
    found = trainers.find(name)
    assert found is not None
    with varied_bench.room(found, Situation("labels+ignore", "3d", False)) as run:
        trainer = _not_resampled(run)
        assert isinstance(trainer, MappedLossTrainer)
        trainer.on_train_start()
        seen = set()
        for _ in range(4):
            batch = next(trainer.dataloader_train)
            target = trainer._without_maps(batch)["target"]
            maps = trainer.criterion.maps
            assert maps is not None
            for case, sample, found_maps in zip(batch["keys"], target, maps, strict=True):
                seen.add(case)
                known = trainer.layout.annotated(sample)
                for mask, found_map in zip(trainer.layout.kinds(sample), found_maps, strict=True):
                    made = map_of_annotated(signed_distance_in_voxels, mask, EDGES[case], known)
                    np.testing.assert_allclose(found_map, made, rtol=1e-5)
        assert len(seen) > 1
        assert "distances are measured in the voxels of each case" in Path(trainer.log_file).read_text()


def test_where_plans_resample_all_have_the_planned_voxel(varied_bench: Bench) -> None:
    found = trainers.find("nnUNetTrainerBoundary")
    assert found is not None
    with varied_bench.room(found, Situation("labels", "3d", False)) as run:
        trainer = run.build()
        planned = tuple(trainer.configuration_manager.spacing)
        trainer.on_train_start()
        next(trainer.dataloader_train)
        assert trainer.maps_of_truth.spacing == planned
        assert "voxels of each case" not in Path(trainer.log_file).read_text()


@pytest.mark.parametrize("function", NOT_TO_ONE_SPACING)
def test_distances_of_predictions_are_refused_there(varied_bench: Bench, function: str) -> None:
    found = trainers.find("nnUNetTrainerHausdorff_both")
    assert found is not None
    refused = pytest.raises(ValueError, match=r"Hausdorff_both .* does not resample images to it")
    with varied_bench.room(found, Situation("labels", "3d", False)) as run, refused:
        _not_resampled(run, function)


def test_masks_in_between_are_made_in_the_voxels_of_each_case(
    varied_bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    original = simulate.interpolate

    def watched(*arguments: Any, spacing: tuple[float, float], **settings: Any) -> Any:
        used.append(spacing)
        return original(*arguments, spacing=spacing, **settings)

    monkeypatch.setattr(simulate, "interpolate", watched)
    found = trainers.find("nnUNetTrainerSparseSlices_density0p4_mi")
    assert found is not None
    with varied_bench.room(found, Situation("labels", "3d", False)) as run:
        _not_resampled(run).on_train_start()
    assert set(used) <= {edges[1:] for edges in EDGES.values()}
    assert used


def test_a_worker_gets_cases_and_transforms_that_belong_together() -> None:
    class Cases:
        identifiers = ("a", "b")

        def load_case(self, identifier: str) -> tuple[Any, ...]:
            edge = 1.0 if identifier == "a" else 4.0
            stored = {"spacing": [edge, 2, 2], "shape_after_cropping_and_before_resampling": (4, 8, 8)}
            return np.zeros((1, 4, 4, 8)), None, None, stored

    current = CurrentEdges((1, 1, 1))
    cases, append = MeasuredCases(Cases(), current, (0, 1, 2)), AppendMaps(len, Layout(1, False, False), current)
    assert append.spacing == (1, 1, 1)
    cases.load_case("b")
    assert append.spacing == (4, 4, 2)
    again = pickle.loads(pickle.dumps((current, append)))
    again[0].edges = (9, 9, 9)
    assert again[1].spacing == (9, 9, 9)
