"""Against nnU-Net's own planner and networks."""

import json
import re
from typing import Any

import pytest
import torch
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.nnunet.plans_file import resolve
from nnunet_tricks.planning.memory import REFERENCE_GB, estimated_gigabytes
from nnunet_tricks.planning.patch import SWEEP, default_name, padding_note, patch_configuration
from nnunet_tricks.planning.small import small_configuration
from tests.planning.conftest import Planned
from tests.planning.test_small import hand_made

CT = ([48, 224, 224], [3.0, 0.8, 0.8])
CUBE = ([130, 130, 130], [1.0, 1.0, 1.0])
PICTURE = ([1, 500, 600], [999.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("image", "configuration"), [(CT, "3d_fullres"), (CUBE, "3d_fullres"), (CT, "2d"), (PICTURE, "2d")]
)
def test_the_patch_that_nnunet_planned_gives_the_network_that_it_planned(
    planned: Planned, image: tuple[list[int], list[float]], configuration: str
) -> None:
    plans = planned.plan(*image)
    source = plans["configurations"][configuration]
    again = patch_configuration(plans, configuration, source["patch_size"])
    assert again == {
        "inherits_from": configuration,
        "patch_size": source["patch_size"],
        "architecture": source["architecture"],
        **({"next_stage": None} if source.get("next_stage") else {}),
    }


def test_nnunet_itself_plans_the_network_of_another_patch_so(planned: Planned) -> None:
    """Images as small as a patch make nnU-Net plan that patch."""
    plans = planned.plan(*CUBE)
    for edge in (32, 64, 96):
        theirs = planned.plan([edge] * 3, [1.0] * 3)["configurations"]["3d_fullres"]
        assert theirs["patch_size"] == [edge] * 3
        ours = patch_configuration(plans, "3d_fullres", [edge] * 3)
        assert ours["architecture"] == theirs["architecture"]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("edge", [edge for edge in SWEEP if edge < 128])
def test_networks_take_their_patch(edge: int, residual: bool) -> None:
    plans = hand_made([48, 160, 160], [[1, 1, 1], [1, 2, 2], *[[2, 2, 2]] * 3, [1, 2, 2]], residual=residual)
    plans["configurations"]["3d_fullres"] = plans["configurations"].pop("base")
    plans["configurations"]["other"] = patch_configuration(plans, "3d_fullres", [edge] * 3, batch_size=1)
    manager = PlansManager(plans).get_configuration("other")
    assert manager.data_identifier == plans["configurations"]["3d_fullres"]["data_identifier"]
    assert (manager.patch_size, manager.batch_size) == ([edge] * 3, 1)
    kwargs = {**manager.network_arch_init_kwargs, "features_per_stage": [2] * len(manager.pool_op_kernel_sizes)}
    network = get_network_from_plans(
        manager.network_arch_class_name,
        kwargs,
        manager.network_arch_init_kwargs_req_import,
        1,
        2,
        deep_supervision=True,
    )
    with torch.no_grad():
        levels = network(torch.zeros(1, 1, edge, edge, edge))
    assert list(levels[0].shape[2:]) == [edge] * 3
    assert all(side >= 4 for side in levels[-1].shape[2:])


def test_the_first_stage_of_a_cascade_predicts_for_no_second_one() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    assert plans["configurations"]["3d_lowres"]["next_stage"] == "3d_cascade_fullres"
    assert patch_configuration(plans, "3d_lowres", [64, 64, 64])["next_stage"] is None


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ([33, 64, 64], r"\[33, 64, 64\] cannot be pooled.*nearest are \[32, 64, 64\] and \[40, 64, 64\]"),
        ([8, 8, 8], "too small"),
        ([0, 64, 64], "at least 1 voxel"),
        ([64, 64], "2 axes"),
    ],
)
def test_patches_that_cannot_be(planned: Planned, patch: list[int], message: str) -> None:
    plans = planned.plan(*CUBE)
    with pytest.raises(ValueError, match=message):
        patch_configuration(plans, "3d_fullres", patch)


@pytest.mark.parametrize("spacing", [[1.0, 1.0, 1.0], [5.0, 0.8, 0.8], [3.22, 1.62, 1.62]])
@pytest.mark.parametrize("patch", [[15, 15, 15], [33, 64, 64], [13, 50, 97], [100, 100, 100]])
def test_what_is_suggested_can_be(spacing: list[float], patch: list[int]) -> None:
    plans = hand_made([48, 160, 160], [[1, 1, 1], *[[2, 2, 2]] * 4])
    plans["configurations"]["base"]["spacing"] = spacing
    with pytest.raises(ValueError, match="the nearest") as refusal:
        patch_configuration(plans, "base", patch)
    nearest = re.findall(r"\[[\d, ]+\]", str(refusal.value).split("the nearest")[1])
    assert nearest
    for size in map(json.loads, nearest):
        assert patch_configuration(plans, "base", size)["patch_size"] == size


def test_the_second_stage_of_a_cascade_has_no_other_patch() -> None:
    """nnU-Net would read what the first stage predicted for the new name, which is nothing."""
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    plans["configurations"]["derived"] = {"inherits_from": "3d_cascade_fullres"}
    for source in ("3d_cascade_fullres", "derived"):
        for make in (patch_configuration, small_configuration):
            with pytest.raises(
                ValueError, match=rf"'{source}' is the second stage.*'3d_lowres' makes them for 3d_casc"
            ):
                make(plans, source, patch_size=[32, 32, 32])


def test_networks_and_batches_that_cannot_be(planned: Planned) -> None:
    plans = planned.plan(*CUBE)
    with pytest.raises(ValueError, match="batch size must be at least 1, not 0"):
        patch_configuration(plans, "3d_fullres", [64, 64, 64], batch_size=0)
    plans["configurations"]["3d_fullres"]["architecture"]["network_class_name"] = "somebody.nets.Mamba"
    with pytest.raises(ValueError, match=r"'Mamba'.*--from"):
        patch_configuration(plans, "3d_fullres", [64, 64, 64])


def test_a_patch_larger_than_images_is_said(planned: Planned) -> None:
    plans = planned.plan(*CT)
    assert padding_note(plans, "3d_fullres", [48, 160, 160]) == ""
    assert "50 % of a median patch" in padding_note(plans, "3d_fullres", [96, 160, 160])


def test_names() -> None:
    assert default_name("2d", [512, 512]) == "2d_patch512"


@pytest.mark.parametrize(("image", "configuration"), [(CT, "3d_fullres"), (CUBE, "3d_fullres"), (PICTURE, "2d")])
def test_memory_is_what_nnunet_plans_with(
    planned: Planned, image: tuple[list[int], list[float]], configuration: str
) -> None:
    """nnU-Net takes the batch that comes nearest to its 8 GB."""
    resolved: dict[str, Any] = resolve(planned.plan(*image), configuration)
    size = estimated_gigabytes(resolved, 1, 2)
    batch = resolved["batch_size"]
    assert round(REFERENCE_GB / size * batch) == batch
