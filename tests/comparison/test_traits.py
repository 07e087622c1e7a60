import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from nnunet_tricks.comparison.traits import TraitSource, measure, of_object
from nnunet_tricks.nnunet.classes import Classes

CLASSES = Classes.of({"labels": {"background": 0, "ball": 1, "rare": 2}})


def write(file: Path, values: np.ndarray) -> Path:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing([0.5, 1.0, 3.0])
    sitk.WriteImage(image, str(file))
    return file


@pytest.fixture
def case(tmp_path: Path) -> TraitSource:
    truth = np.zeros((6, 20, 20), np.uint8)
    truth[1:3, 2:6, 2:6] = 1
    truth[4, 15:17, 15:17] = 1
    image = np.where(truth == 1, 50.0, 10.0).astype(np.float32)
    return TraitSource("a", write(tmp_path / "a.nii.gz", truth), (write(tmp_path / "a_0000.nii.gz", image),))


def test_a_case(case: TraitSource, tmp_path: Path) -> None:
    traits = measure([case], CLASSES, tmp_path / "state" / "traits.json")["a"]
    assert traits["ball"]["size"] == pytest.approx((2 * 16 + 4) * 1.5)
    assert (traits["ball"]["count"], traits["ball"]["spacing"]) == (2, 3)
    # Two values alone: the difference is at least twice their standard deviation.
    assert traits["ball"]["contrast"] >= 2
    assert traits["rare"]["count"] == 0
    assert np.isnan([traits["rare"]["size"], traits["rare"]["contrast"]]).all()


def test_contrast_has_a_sign_and_no_scale() -> None:
    generator = np.random.default_rng(0)
    mask = np.zeros((30, 30), bool)
    mask[10:20, 10:20] = True
    image = generator.normal(size=(1, 30, 30)).astype(np.float32) + mask
    bright = of_object(mask, (1, 1), image)["contrast"]
    assert bright > 0.3
    assert of_object(mask, (1, 1), 7 - 100 * image)["contrast"] == pytest.approx(-bright, rel=1e-4)
    assert np.isnan(of_object(mask, (1, 1), np.ones_like(image))["contrast"])
    # A channel of noise beside it does not hide it.
    noise = generator.normal(size=(1, 30, 30)).astype(np.float32)
    assert of_object(mask, (1, 1), np.concatenate([noise, image]))["contrast"] == bright


def test_what_nobody_annotated_is_no_surroundings(tmp_path: Path) -> None:
    truth = np.full((6, 20, 20), 3, np.uint8)
    truth[2, 4:16, 4:16] = 0
    truth[2, 8:12, 8:12] = 1
    image = np.where(truth == 1, 50.0, 10.0).astype(np.float32)
    image[3] = 50.0  # the object goes on where nobody annotated it
    source = TraitSource("a", write(tmp_path / "a.nii.gz", truth), (write(tmp_path / "a_0000.nii.gz", image),))
    sparse = Classes.of({"labels": {"background": 0, "ball": 1, "rare": 2, "ignore": 3}})
    traits = measure([source], sparse)["a"]["ball"]
    annotated = of_object(truth[2] == 1, (1, 1), image[None, 2])["contrast"]
    assert of_object(truth == 1, (3, 1, 0.5), image[None])["contrast"] < 0.8 * traits["contrast"]
    assert 0.8 * annotated < traits["contrast"] < 1.2 * annotated


def test_measured_once_while_the_files_stay(case: TraitSource, tmp_path: Path) -> None:
    cache = tmp_path / "traits.json"
    first = measure([case], CLASSES, cache)
    content = json.loads(cache.read_text())
    content["cases"]["a"]["values"]["1"]["count"] = 77
    cache.write_text(json.dumps(content))
    assert measure([case], CLASSES, cache)["a"]["ball"]["count"] == 77
    write(case.truth, np.ones((6, 20, 20), np.uint8))
    assert measure([case], CLASSES, cache)["a"]["ball"]["count"] == 1
    assert first["a"]["ball"]["count"] == 2


def test_an_image_of_another_shape_is_refused(case: TraitSource) -> None:
    write(case.channels[0], np.zeros((6, 20, 21), np.float32))
    with pytest.raises(ValueError, match="a: the image has shape"):
        measure([case], CLASSES)
