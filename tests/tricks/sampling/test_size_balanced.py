from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from scipy.ndimage import label
from scipy.stats import chisquare

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.tricks.sampling.case_objects import of_cases
from nnunet_tricks.tricks.sampling.size_balanced import BalancedCases
from tests.tricks.sampling.planted import IGNORING, LABELS, REGIONS, PlantedCases, loader_of
from tests.tricks.sampling.test_sampling import started

SIDES = (1, 2, 4, 8)
DRAWS = 10_000


def _squares(manager: LabelManager) -> PlantedCases:
    """Cubes of several sizes of label 2, and one large one of label 1."""
    labels = np.zeros((10, 20, 64), np.int16)
    for number, side in enumerate(SIDES):
        labels[1 : 1 + side, 1 : 1 + side, 2 + 16 * number : 2 + 16 * number + side] = 2
    labels[1:9, 11:19, 2:30] = 1
    if manager.has_ignore_label:
        labels[:, :, -3:] = manager.ignore_label
    return PlantedCases({"only": labels}, manager)


def _balanced(cases: PlantedCases, folder: Path, lines: list[str] | None = None) -> BalancedCases:
    cases.write(folder)
    key = (-1, *cases.manager.all_labels)
    log = [] if lines is None else lines
    return BalancedCases(cases, of_cases(cases, cases.identifiers, folder, key, cases.manager.ignore_label, log.append))


@pytest.mark.parametrize("manager", [LABELS, IGNORING, REGIONS], ids=["labels", "ignore", "regions"])
def test_each_object_of_a_class_is_drawn_as_often_as_any_other(manager: LabelManager, tmp_path: Path) -> None:
    np.random.seed(0)
    cases = _squares(manager)
    labels = cases.labels["only"]
    class_2 = 2 if not manager.has_regions else (2,)
    found = label(labels == 2)[0]
    drawn = {}
    for name, source in (("stock", cases), ("balanced", _balanced(cases, tmp_path / "data"))):
        loader = loader_of(source, (1, 1, 1), manager)
        properties = source.load_case("only")[-1]
        keys = [key for key in properties["class_locations"] if key in (2, (2,), class_2)]
        corners = [loader.get_bbox(labels.shape, True, properties["class_locations"], keys[0])[0] for _ in range(DRAWS)]
        drawn[name] = np.bincount(found[tuple(np.array(corners).T)], minlength=len(SIDES) + 1)
    assert drawn["balanced"][0] == drawn["stock"][0] == 0
    assert chisquare(drawn["balanced"][1:]).pvalue > 0.01
    voxels = np.array([side**3 for side in SIDES])
    assert chisquare(drawn["stock"][1:], voxels / voxels.sum() * DRAWS).pvalue > 0.01


def test_classes_are_drawn_as_before(tmp_path: Path) -> None:
    np.random.seed(0)
    cases = _squares(LABELS)
    loader = loader_of(_balanced(cases, tmp_path / "data"), (1, 1, 1), LABELS)
    locations = loader._data.load_case("only")[-1]["class_locations"]
    corners = [loader.get_bbox(cases.labels["only"].shape, True, locations)[0] for _ in range(DRAWS)]
    of_class = np.bincount(cases.labels["only"][tuple(np.array(corners).T)], minlength=3)
    assert chisquare(of_class[1:]).pvalue > 0.01


def test_all_voxels_of_an_object_are_drawn_alike(tmp_path: Path) -> None:
    np.random.seed(0)
    objects = _balanced(_squares(LABELS), tmp_path / "data").objects["only"][2]
    assert list(objects.sizes) == [side**3 for side in SIDES]
    for places, box, size in zip(objects.places, objects.boxes, objects.sizes, strict=True):
        assert (places >= box[:, 0]).all()
        assert (places < box[:, 1]).all()
        times = np.unique(places, axis=0, return_counts=True)[1]
        assert len(times) == min(size, len(places))
        assert times.max() - times.min() <= 1


def test_parts_that_may_be_connected_through_voxels_that_nobody_annotated_are_one(tmp_path: Path) -> None:
    labels = np.zeros((1, 3, 30), np.int16)
    labels[..., 5:8], labels[..., 8:12], labels[..., 12:14], labels[..., 20:22] = 1, 3, 1, 1
    found = _balanced(PlantedCases({"only": labels}, IGNORING), tmp_path / "data").objects["only"][1]
    assert sorted(found.sizes) == [6, 15]


def test_objects_are_found_once_and_again_when_a_case_is_newer(tmp_path: Path) -> None:
    cases, folder, lines = _squares(REGIONS), tmp_path / "data", []
    first = _balanced(cases, folder, lines).objects["only"]
    again = _balanced(cases, folder, lines)
    os.utime(folder / "only.pkl", (1, 1))
    again = of_cases(cases, ["only"], folder, (), None, lines.append)["only"]
    for key, of_class in first.items():
        for part, same in zip(vars(of_class).values(), vars(again[key]).values(), strict=True):
            np.testing.assert_array_equal(part, same)
    assert len(lines) == 2  # the second call has written the case anew, so it is newer


def test_without_two_objects_of_a_class_the_log_says_that_nothing_changes(bench: Bench) -> None:
    with started(bench, "SizeBalancedSampling") as trainer:
        assert "SizeBalancedSampling changes nothing: no case has two objects of a class" in trainer.log_text
        assert not isinstance(trainer.dataloader_val.data_loader._data, BalancedCases)
        assert isinstance(trainer.dataloader_train.data_loader._data, BalancedCases)
