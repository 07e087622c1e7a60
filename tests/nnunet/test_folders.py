"""nnU-Net's folders."""

import json
from pathlib import Path

import pytest

from nnunet_tricks.nnunet.folders import Folders


def test_a_description_without_the_ending_of_files_is_refused(tmp_path: Path) -> None:
    folders = Folders(tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "results")
    (folders.raw / "Dataset001_Toy").mkdir(parents=True)
    file = folders.raw / "Dataset001_Toy" / "dataset.json"
    file.write_text(json.dumps({"labels": {"background": 0}}))
    with pytest.raises(ValueError, match=r"Dataset001_Toy/dataset\.json has no 'file_ending': add"):
        folders.cases("Dataset001_Toy", "Tr")


@pytest.mark.parametrize(("place", "fix"), [("raw", "write it"), ("preprocessed", "copy it from the raw data set")])
def test_a_missing_description_is_named(tmp_path: Path, place: str, fix: str) -> None:
    folders = Folders(tmp_path / "raw", tmp_path / "preprocessed", tmp_path / "results")
    (tmp_path / place / "Dataset001_Toy").mkdir(parents=True)
    with pytest.raises(ValueError, match=rf"{place}/Dataset001_Toy/dataset\.json is not there: {fix}"):
        folders.description("Dataset001_Toy")
