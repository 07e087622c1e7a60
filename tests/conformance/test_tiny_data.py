"""The tiny data are real nnU-Net data, and have in them what breaks trainers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import LABEL_MODES
from nnunet_tricks.conformance.tiny_data import TRAINING_CASES, TinyData
from nnunet_tricks.conformance.tiny_images import CORE, IGNORED
from nnunet_tricks.nnunet.sandbox import sandbox


@pytest.fixture(params=[(labels, flat) for labels in LABEL_MODES for flat in (True, False)], ids=str)
def data(request: pytest.FixtureRequest, bench: Bench) -> TinyData:
    labels, flat = request.param
    return bench.data(labels, flat=flat)


def preprocessed(data: TinyData, configuration: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    folder = str(data.preprocessed / PlansManager(data.plans).get_configuration(configuration).data_identifier)
    loaded = infer_dataset_class(folder)(folder, list(TRAINING_CASES))
    return {case: tuple(array[:] for array in loaded.load_case(case)[:2]) for case in TRAINING_CASES}


def test_nnunet_finds_the_raw_data_in_order(data: TinyData, bench: Bench) -> None:
    with sandbox(raw=data.raw.parent, preprocessed=data.preprocessed.parent, results=bench.folder / "none"):
        verify_dataset_integrity(str(data.raw), num_processes=1)


def test_images_differ_in_size_and_one_is_smaller_than_the_patch(data: TinyData) -> None:
    for name in data.plans["configurations"]:
        patch = PlansManager(data.plans).get_configuration(name).patch_size
        shapes = [array.shape[-len(patch) :] for array, _ in preprocessed(data, name).values()]
        assert len(set(shapes)) > 1
        if name != "3d_lowres":
            assert any(np.less(shape, patch).any() for shape in shapes)


def test_validation_images_hold_a_whole_patch(data: TinyData) -> None:
    """So that a patch without annotation has none: padding becomes background."""
    for name in data.plans["configurations"]:
        patch = PlansManager(data.plans).get_configuration(name).patch_size
        image, _ = preprocessed(data, name)[TRAINING_CASES[2]]
        assert np.greater_equal(image.shape[-len(patch) :], patch).all()


def test_labels_are_those_of_the_mode(data: TinyData) -> None:
    manager = PlansManager(data.plans).get_label_manager(data.dataset_json)
    labels = set().union(
        *(np.unique(labels) for _, labels in preprocessed(data, next(iter(data.plans["configurations"]))).values())
    )
    assert labels - {-1} == set(manager.all_labels) | ({IGNORED} if manager.has_ignore_label else set())
    assert manager.num_segmentation_heads == (2 if manager.has_regions else 3)


def test_a_class_is_missing_in_one_case(data: TinyData) -> None:
    configuration = PlansManager(data.plans).get_configuration(next(iter(data.plans["configurations"])))
    empty = []
    for case in TRAINING_CASES:
        properties = pickle.loads((data.preprocessed / configuration.data_identifier / f"{case}.pkl").read_bytes())
        empty += [key for key, places in properties["class_locations"].items() if len(places) == 0]
    assert empty in ([CORE], [(CORE,)])


def test_3d_spacings_differ_and_are_anisotropic(bench: Bench) -> None:
    fingerprint = bench.data("labels", flat=False).preprocessed / "dataset_fingerprint.json"
    assert "2.5" in fingerprint.read_text()
    configuration = PlansManager(bench.data("labels", flat=False).plans).get_configuration("3d_fullres")
    assert configuration.spacing[0] == 3 * configuration.spacing[1]
