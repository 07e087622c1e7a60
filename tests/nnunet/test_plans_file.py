import json
import stat
from pathlib import Path

import pytest

from nnunet_tricks.nnunet import plans_file

PLANS = {
    "plans_name": "nnUNetPlans",
    "note": "naïve",
    "spacing": 0.1 + 0.2,
    "configurations": {"2d": {"batch_size": 12}, "3d_fullres": {"batch_size": 2}},
}


@pytest.fixture
def preprocessed(tmp_path: Path) -> Path:
    folder = tmp_path / "Dataset501_Hippocampus"
    folder.mkdir()
    (folder / "nnUNetPlans.json").write_text(json.dumps(PLANS, indent=4))
    (folder / "dataset.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("dataset", ["501", "Dataset501_Hippocampus", "0501"])
def test_a_data_set_is_found_by_number_or_name(preprocessed: Path, dataset: str) -> None:
    found = plans_file.find(dataset, preprocessed=preprocessed)
    assert found == preprocessed / "Dataset501_Hippocampus" / "nnUNetPlans.json"


def test_the_folder_comes_from_the_environment(preprocessed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(plans_file.VARIABLE, str(preprocessed))
    assert plans_file.find("501").is_file()
    monkeypatch.delenv(plans_file.VARIABLE)
    with pytest.raises(ValueError, match="nnUNet_preprocessed is not set"):
        plans_file.find("501")


def test_what_is_missing_is_named(preprocessed: Path) -> None:
    with pytest.raises(ValueError, match=r"502.*nnUNetv2_plan_and_preprocess -d 502"):
        plans_file.find("502", preprocessed=preprocessed)
    with pytest.raises(ValueError, match=r"no nnUNetResEncUNetMPlans\.json: its plans are nnUNetPlans"):
        plans_file.find("501", plans_name="nnUNetResEncUNetMPlans", preprocessed=preprocessed)
    (preprocessed / "Dataset501_Again").mkdir()
    with pytest.raises(ValueError, match="ambiguous"):
        plans_file.find("501", preprocessed=preprocessed)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"configurations": 3}', '{"configurations": {"2d": 3}}'])
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "nnUNetPlans.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"nnUNetPlans\.json"):
        plans_file.read(file)


@pytest.mark.parametrize("place", ["top", "configuration"])
def test_plans_for_pretrained_weights_are_refused(tmp_path: Path, place: str) -> None:
    """No trainer here loads them: all would train from scratch without a word."""
    info = {"pretrain_info": {"checkpoint_path": "weights.pth"}}
    plans = {**PLANS, **info} if place == "top" else {**PLANS, "configurations": {"2d": {"batch_size": 12, **info}}}
    file = tmp_path / "ptPlans.json"
    file.write_text(json.dumps(plans))
    with pytest.raises(ValueError, match=r"ptPlans\.json has 'pretrain_info': .*cannot be loaded here yet"):
        plans_file.read(file)
    assert not plans_file.is_plans(file)
    file.write_text(json.dumps({**PLANS, "pretrain_info": None}))
    assert plans_file.read(file)


def test_everything_else_stays(preprocessed: Path) -> None:
    file = plans_file.find("501", preprocessed=preprocessed)
    file.chmod(0o640)
    before = file.read_text()
    new = {"inherits_from": "3d_fullres", "batch_size": 1}
    assert plans_file.add(file, "mini", new, dry_run=True) == "added"
    assert file.read_text() == before
    assert plans_file.add(file, "mini", new) == "added"
    after = json.loads(file.read_text())
    assert after["configurations"].pop("mini") == new
    assert after == PLANS
    assert list(after) == list(PLANS)
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert len(list(file.parent.iterdir())) == 2


def test_twice_is_once(preprocessed: Path) -> None:
    file = plans_file.find("501", preprocessed=preprocessed)
    plans_file.add(file, "mini", {"batch_size": 1})
    written = file.stat().st_mtime_ns
    assert plans_file.add(file, "mini", {"batch_size": 1}) == "unchanged"
    assert file.stat().st_mtime_ns == written


def test_another_configuration_is_not_overwritten(preprocessed: Path) -> None:
    file = plans_file.find("501", preprocessed=preprocessed)
    with pytest.raises(ValueError, match=r"another configuration '2d' \(it differs in batch_size\).*--name"):
        plans_file.add(file, "2d", {"batch_size": 1})
    assert json.loads(file.read_text()) == PLANS


def test_all_are_added_or_none(preprocessed: Path) -> None:
    file = plans_file.find("501", preprocessed=preprocessed)
    with pytest.raises(ValueError, match="another configuration '2d'"):
        plans_file.add_all(file, {"new": {"batch_size": 1}, "2d": {"batch_size": 1}})
    assert json.loads(file.read_text()) == PLANS
    assert plans_file.add_all(file, {"2d": {"batch_size": 12}, "new": {}}) == {"2d": "unchanged", "new": "added"}


@pytest.mark.parametrize(
    ("configurations", "complaint"),
    [
        ({"a": {"inherits_from": "b"}, "b": {"inherits_from": "a"}}, "a from b from a"),
        ({"a": {"inherits_from": "gone"}}, "'gone' is not in the plans"),
        ({"3d_fullres": {}}, "'a' is not in the plans, which have 3d_fullres"),
        ({"aa": {}}, "did you mean 'aa'"),
    ],
)
def test_broken_inheritance(configurations: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        plans_file.resolve({"configurations": configurations}, "a")
