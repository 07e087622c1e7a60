"""Preprocessed cases are read as nnU-Net wrote them; files that would run something are refused."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2, nnUNetDatasetNumpy

from nnunet_tricks.nnunet import case_file


class Harmful:
    """Unpickled, it makes a folder."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.made),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_properties_are_read_as_they_were(tmp_path: Path, protocol: int) -> None:
    content = {
        "class_locations": {1: np.arange(8).reshape(2, 4), (1, 2): [], (-1, 0, 1): np.zeros((3, 4), int)},
        "sitk_stuff": {"spacing": (1.0, 1.0), "direction": np.eye(3)},
        "spacing": [np.float64(2), np.float32(1)],
        "shape_before_cropping": (np.int64(3), 4),
        "more": OrderedDict(a=b"bytes"),
    }
    file = tmp_path / "case.pkl"
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    read = case_file.properties(file)
    assert str(read) == str(content)
    np.testing.assert_array_equal(read["class_locations"][1], content["class_locations"][1])


def test_what_would_run_is_refused_and_does_not_run(tmp_path: Path) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(pickle.dumps({"class_locations": {}, "harm": Harmful(tmp_path / "made")}))
    with pytest.raises(ValueError, match=r"case.pkl holds more than values or is damaged: it holds (posix|nt).mkdir"):
        case_file.properties(file)
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("content", [b"", b"text", pickle.dumps({"a": 1})[:5], pickle.dumps([1])])
def test_what_is_no_file_of_properties(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "case.pkl"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"case.pkl (holds more|does not hold)"):
        case_file.properties(file)


def test_images_are_those_that_nnunet_wrote(tmp_path: Path) -> None:
    image = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype(np.float32)
    labels = np.random.default_rng(1).integers(-1, 3, size=(1, 5, 6, 7)).astype(np.int16)
    nnUNetDatasetBlosc2.save_case(image, labels, {}, str(tmp_path / "new"))
    nnUNetDatasetNumpy.save_case(image, labels, {}, str(tmp_path / "old"))
    for case in ("new", "old"):
        read = case_file.image_and_labels(tmp_path, case)
        np.testing.assert_array_equal(read[0], image)
        np.testing.assert_array_equal(read[1], labels[0])
    with pytest.raises(ValueError, match=r"none in .* cannot be read"):
        case_file.image_and_labels(tmp_path, "none")
