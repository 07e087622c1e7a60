from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from scipy.stats import binomtest, chisquare

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers
from nnunet_tricks.tricks.augmentation.copy_paste import Donors, NotedCases, PasteObjects, fitting
from nnunet_tricks.tricks.sampling.case_objects import of_cases
from tests.tricks.sampling.planted import IGNORING, LABELS, REGIONS, PlantedCases, loader_of
from tests.tricks.sampling.test_sampling import emptied, started

SIZE = (6, 12, 12)
DRAWS = 10_000


def _cases(manager: LabelManager, *, flat: bool = False) -> PlantedCases:
    """Four cases: one is empty, one has an object of two labels, one has two, one has one that is too large."""
    empty, joined, two, large = (np.zeros((1 if flat else 8, 20, 20), np.int16) for _ in range(4))
    joined[:5, 2:7, 2:7], joined[:3, 3:5, 3:5] = 1, 2
    two[:2, 1:3, 1:3], two[:3, 10:13, 10:14] = 1, 2
    large[:, 1:19, 1:19] = 1
    return PlantedCases({"empty": empty, "joined": joined, "two": two, "large": large}, manager)


def _paste(cases: PlantedCases, folder: Path, size: tuple[int, ...] = SIZE, **settings: Any) -> PasteObjects:
    cases.write(folder)
    manager = cases.manager
    found = of_cases(cases, cases.identifiers, folder, (-1, *manager.all_labels), manager.ignore_label, [].append)
    fits = {case: fitting(objects, size) for case, objects in found.items()}
    mine = {case: objects for case, objects in fits.items() if objects}
    donors = Donors(cases, mine, manager.ignore_label, current="empty")
    return PasteObjects(donors, size, **{"p": 1.0, "most": 1, **settings})


def _patch(value: float = 0, labels: int = 0, size: tuple[int, ...] = SIZE) -> dict[str, torch.Tensor]:
    return {
        "image": torch.full((1, *size), float(value)),
        "segmentation": torch.full((1, *size), labels, dtype=torch.int16),
    }


def test_objects_of_all_other_cases_are_pasted_alike(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = _paste(_cases(LABELS), tmp_path / "data")
    assert set(paste.donors.objects) == {"joined", "two"}
    kinds = {}
    for _ in range(DRAWS):
        made = paste(**_patch())
        key = int(made["image"].max()), int(made["segmentation"].max()), int((made["segmentation"] > 0).sum())
        kinds[key] = kinds.get(key, 0) + 1
    # An image holds the number of its case: label 1 without the voxels of label 2 in it, label 2, and the two others.
    assert set(kinds) == {(2, 1, 113), (2, 2, 12), (3, 1, 8), (3, 2, 36)}
    assert chisquare(list(kinds.values())).pvalue > 0.01


def test_a_case_gets_no_object_of_its_own(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = _paste(_cases(LABELS), tmp_path / "data")
    noted = NotedCases(paste.donors.cases, paste.donors)
    for case, other in (("two", 2), ("joined", 3)):
        noted.load_case(case)
        assert {int(paste(**_patch())["image"].max()) for _ in range(200)} == {other}


@pytest.mark.parametrize(("p", "most"), [(0.3, 1), (1.0, 3)])
def test_as_many_patches_get_as_many_objects_as_the_name_says(p: float, most: int, tmp_path: Path) -> None:
    np.random.seed(0)
    paste, drawn = _paste(_cases(LABELS), tmp_path / "data", p=p, most=most), []
    draw = paste.donors.draw

    def counted() -> Any:
        drawn[-1] += 1
        return draw()

    paste.donors.draw = counted  # type: ignore[method-assign]
    for _ in range(2000):
        drawn.append(0)
        paste(**_patch())
    times = np.bincount(drawn, minlength=most + 1)
    assert binomtest(int(times[1:].sum()), len(drawn), p).pvalue > 0.01
    assert most == 1 or chisquare(times[1:]).pvalue > 0.01


def test_image_and_labels_are_those_of_the_object(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = _paste(_cases(REGIONS), tmp_path / "data")
    sizes = set()
    for _ in range(300):
        made = paste(**_patch(value=9))
        labels, pasted = made["segmentation"][0], made["image"][0] != 9
        assert torch.equal(labels > 0, pasted)
        sizes.add((int((labels == 1).sum()), int((labels == 2).sum())))
    # A region with all its labels, and the core alone.
    assert sizes == {(113, 12), (0, 12), (8, 0), (0, 36)}


def test_what_nobody_annotated_and_what_is_outside_stays_so(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = _paste(_cases(IGNORING), tmp_path / "data", most=3)
    covered = 0
    for _ in range(200):
        before = _patch(value=9)
        before["segmentation"][..., 4:7], before["segmentation"][..., 9:] = 3, -1
        made = paste(**{key: tensor.clone() for key, tensor in before.items()})
        assert torch.equal(made["segmentation"] == 3, before["segmentation"] == 3)
        assert torch.equal(made["segmentation"] == -1, before["segmentation"] == -1)
        assert (made["image"][..., 9:] == 9).all()
        covered += int((made["image"][..., 4:7] != 9).sum())
    assert covered > 0


def test_voxels_of_a_donor_that_nobody_annotated_are_not_pasted(tmp_path: Path) -> None:
    np.random.seed(0)
    labels = np.zeros((8, 20, 20), np.int16)
    labels[:4, 2:6, 2:8] = 1
    labels[:4, 2:6, 4:6] = 3
    paste = _paste(PlantedCases({"donor": labels, "empty": np.zeros_like(labels)}, IGNORING), tmp_path / "data")
    made = paste(**_patch(value=9))
    assert set(made["segmentation"].unique().tolist()) == {0, 1}
    assert int((made["image"] != 9).sum()) == int((made["segmentation"] == 1).sum()) == 4 * 4 * 4


def test_in_2d_a_slice_is_pasted(tmp_path: Path) -> None:
    np.random.seed(0)
    for flat in (True, False):
        paste = _paste(_cases(LABELS, flat=flat), tmp_path / f"data {flat}", SIZE[1:])
        sizes = {int((paste(**_patch(size=SIZE[1:]))["segmentation"] > 0).sum()) for _ in range(300)}
        assert sizes == ({21, 4, 12} if flat else {21, 25, 4, 12})


def test_what_is_stored_does_not_change_and_the_first_stage_sees_the_object(tmp_path: Path) -> None:
    np.random.seed(0)
    paste = _paste(_cases(LABELS), tmp_path / "data")
    patch = _patch()
    patch["segmentation"] = patch["segmentation"].repeat(2, 1, 1, 1)
    made = paste(**patch)
    assert not patch["image"].any()
    assert not patch["segmentation"].any()
    assert made["segmentation"][0].any()
    assert torch.equal(made["segmentation"][0], made["segmentation"][1])


def test_it_knows_the_case_in_another_process_too(tmp_path: Path) -> None:
    paste = _paste(_cases(LABELS), tmp_path / "data")
    loader = loader_of(NotedCases(paste.donors.cases, paste.donors), SIZE, LABELS, transforms=paste)
    copy = pickle.loads(pickle.dumps(loader))
    for _ in range(30):
        batch = copy.generate_train_batch()
        own = 1 + copy._data.cases.identifiers.index(batch["keys"][0])
        # The case itself, and one other; only two have objects to paste.
        assert set(batch["data"].unique().tolist()) - {0.0, float(own)} <= {2.0, 3.0}
        assert copy._data.donors.current == batch["keys"][0]
        assert copy.transforms.donors is copy._data.donors


@pytest.mark.parametrize("left", [(), ("case_0",)])
def test_without_donors_it_is_refused_before_a_folder_is_made(left: tuple[str, ...]) -> None:
    cls = trainers.find("nnUNetTrainerCopyPaste")
    assert cls is not None
    with Bench() as own:
        emptied(own, "labels", {"case_0", "case_1"} - set(left))
        with own.room(cls, Situation("labels", "3d", True)) as run:
            if left:
                run.build()
                return
            with pytest.raises(ValueError, match=r"0 of the 2 training cases of .* have foreground: at least two"):
                run.build()
            assert not list((run.folder / "results").rglob("fold_*"))


def test_validation_patches_stay_as_they_are(bench: Bench) -> None:
    with started(bench, "CopyPaste_p1") as trainer:
        assert "fit into a patch, from 2 of 2 cases" in trainer.log_text
        assert "PasteObjects" in str(type(trainer.dataloader_train.data_loader.transforms.transforms[0]))
        assert not isinstance(trainer.dataloader_val.data_loader._data, NotedCases)
