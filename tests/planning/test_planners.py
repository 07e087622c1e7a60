import pickle

import pytest

from nnunet_tricks.catalogue.naming import IllegalName
from nnunet_tricks.door.kinds import answer
from nnunet_tricks.planning.planners import find, is_known, names
from nnunet_tricks.planning.variants import varied
from tests.planning.conftest import DATASET, Planned

PLACE = "nnunetv2.experiment_planning"


@pytest.mark.parametrize("name", [name for name in names() if not name.endswith(("ImageNet", "CTWindow", "ZScore"))])
def test_planners_write_plans_of_their_own(planned: Planned, name: str) -> None:
    image = [40, 160, 160], [1.0] * 3
    plain = planned.plan(*image)
    found, refusal = answer(PLACE, name)
    assert (found, refusal) == (find(name), "")
    token = name.removeprefix("nnUNetPlanner")
    plans = planned.plan(*image, planner=found)
    assert plans["plans_name"] == f"nnUNetPlans{token}"
    assert plans["experiment_planner_used"] == name
    identifiers = {configuration["data_identifier"] for configuration in plans["configurations"].values()}
    assert identifiers == {f"nnUNetPlans{token}_2d", f"nnUNetPlans{token}_3d_fullres"}
    if token.startswith("Patch"):
        edge = int(token.removeprefix("Patch"))
        assert plans["configurations"]["3d_fullres"]["patch_size"] == [edge] * 3
        assert plans["configurations"]["2d"]["patch_size"] == [edge] * 2
    else:
        expected = varied(plain, [token], planned.fingerprint(), plans["plans_name"])
        assert {**plans, "experiment_planner_used": ""} == {**expected, "experiment_planner_used": ""}


def test_a_planner_that_does_not_suit_writes_nothing(planned: Planned) -> None:
    planner = find("nnUNetPlannerCTWindow")
    assert planner is not None
    with pytest.raises(ValueError, match="no channel of these plans is CT"):
        planned.plan([40, 160, 160], [1.0] * 3, planner=planner)
    assert sorted(file.name for file in (planned.preprocessed / DATASET).iterdir()) == [
        "dataset.json",
        "dataset_fingerprint.json",
    ]


def test_names_that_are_none() -> None:
    assert find("ExperimentPlanner") is None
    with pytest.raises(IllegalName, match=r"not a planner of nnunet_tricks.*nnUNetPlannerNoResampling"):
        find("nnUNetPlannerNoResamplin")
    assert answer(PLACE, "nnUNetPlannerPatch0")[0] is None
    with pytest.raises(IllegalName, match=r"must be from 0\.0001 to 10000 mm"):
        find("nnUNetPlannerSpacing0x1x1")
    with pytest.raises(IllegalName, match="is written 'Spacing3p22x1p6x1p6'"):
        find("nnUNetPlannerSpacing03p220x1p6x1p6")
    assert not is_known("nnUNetPlannerSpacing0x1x1")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Spacing5p0x2x2", "Spacing5x2x2"),
        ("Resize0200x200", "Resize200x200"),
        ("Spacing5xx2", "Spacing3p22x1p62x1p62"),
        ("Patch096", "Patch96"),
        ("MinMx", "MinMax"),
    ],
)
def test_the_nearest_name_is_one_of_the_kind(name: str, nearest: str) -> None:
    with pytest.raises(IllegalName) as refused:
        find(f"nnUNetPlanner{name}")
    assert refused.value.nearest == (f"nnUNetPlanner{nearest}",)
    assert "Patch" in str(refused.value) or "is written" in str(refused.value)


def test_other_places_have_no_planners() -> None:
    assert answer("nnunetv2.imageio", "nnUNetPlannerMinMax") == (None, "")


def test_planners_can_be_pickled() -> None:
    planner = find("nnUNetPlannerPatch48")
    assert pickle.loads(pickle.dumps(planner)) is planner
