"""What variants change is what nnU-Net's own preprocessing then does."""

from copy import deepcopy
from typing import Any

import nnunetv2
import numpy as np
import pytest
from nnunetv2.preprocessing.normalization.map_channel_name_to_normalization import get_normalization_scheme
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.planning.variants import CT_WINDOW, IMAGENET, VARIANTS, varied
from tests.planning.conftest import Planned

COLOURS = {"min": 0.0, "max": 255.0}


def _normalized(plans: dict[str, Any], image: np.ndarray) -> np.ndarray:
    """Images as nnU-Net's preprocessor normalises them."""
    manager = PlansManager(plans)
    name = next(iter(plans["configurations"]))
    return DefaultPreprocessor(verbose=False)._normalize(
        image.astype(np.float32),
        np.zeros(image.shape, np.int8),
        manager.get_configuration(name),
        manager.foreground_intensity_properties_per_channel,
    )


def test_resampling_off_leaves_voxels_alone() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    assert {"3d_lowres", "3d_cascade_fullres"} < set(plans["configurations"])
    plans["configurations"]["3d_fullres_patch64"] = {"inherits_from": "3d_fullres", "batch_size": 1}
    off = varied(plans, ["NoResampling"], {}, "Off")
    assert list(off["configurations"]) == ["3d_fullres", "3d_fullres_patch64"]
    for name in off["configurations"]:
        manager = PlansManager(off).get_configuration(name)
        data = np.random.default_rng(0).random((1, 5, 6, 7))
        for resample in (manager.resampling_fn_data, manager.resampling_fn_seg, manager.resampling_fn_probabilities):
            assert resample(data, (10, 12, 14), [2.0] * 3, [1.0] * 3) is data
        assert manager.next_stage_names is None


@pytest.mark.parametrize(
    ("variant", "channels", "expected"),
    [
        ("NoIntensityNorm", ("CT", "MRI"), lambda image: image),
        (
            "MinMax",
            ("MRI",),
            lambda image: (image - image.min()) / (image.max() - image.min()),
        ),
        ("ZScore", ("CT",), lambda image: (image - image.mean()) / image.std()),
        ("CTWindow", ("CT",), lambda image: (np.clip(image, *CT_WINDOW) - 60) / 40),
        (
            "ImageNet",
            ("R", "G", "B"),
            lambda image: (
                (image / 255 - np.reshape(IMAGENET["mean"], (3, 1, 1, 1))) / np.reshape(IMAGENET["std"], (3, 1, 1, 1))
            ),
        ),
    ],
)
def test_intensities(planned: Planned, variant: str, channels: tuple[str, ...], expected: Any) -> None:
    colours = variant == "ImageNet"
    plans = planned.plan([40, 60, 60], [1.0] * 3, channels=channels, properties=COLOURS if colours else None)
    image = np.random.default_rng(0).uniform(*((0, 255) if colours else (-900, 900)), (len(channels), 4, 8, 8))
    fingerprint = {**planned.fingerprint(), "median_relative_size_after_cropping": 1.0}
    changed = varied(plans, [variant], fingerprint, "Changed")
    np.testing.assert_allclose(_normalized(changed, image), expected(image), rtol=1e-4, atol=1e-4)
    assert np.abs(_normalized(plans, image) - expected(image)).max() > 0.1


def test_zscore_leaves_the_outside_at_zero_where_nnunet_would(planned: Planned) -> None:
    """The images of this fingerprint were cropped to half, so nnU-Net's planner uses the mask for MRI."""
    theirs = planned.plan([40, 60, 60], [1.0] * 3, channels=("MRI",))
    ours = varied(planned.plan([40, 60, 60], [1.0] * 3, channels=("CT",)), ["ZScore"], planned.fingerprint(), "Z")
    for key in ("normalization_schemes", "use_mask_for_norm"):
        assert ours["configurations"]["3d_fullres"][key] == theirs["configurations"]["3d_fullres"][key]
    assert theirs["configurations"]["3d_fullres"]["use_mask_for_norm"] == [True]


@pytest.mark.parametrize("variant", [variant.name for variant in VARIANTS])
def test_plans_have_data_of_their_own_and_name_only_what_nnunet_has(planned: Planned, variant: str) -> None:
    channels = ("R", "G", "B") if variant == "ImageNet" else ("CT",)
    plans = planned.plan([40, 60, 60], [1.0] * 3, channels=channels, properties=COLOURS if len(channels) == 3 else None)
    before = deepcopy(plans)
    changed = varied(plans, [variant], planned.fingerprint(), f"nnUNetPlans{variant}")
    assert plans == before
    assert changed["plans_name"] == f"nnUNetPlans{variant}"
    for name in changed["configurations"]:
        manager = PlansManager(changed).get_configuration(name)
        assert manager.data_identifier == f"nnUNetPlans{variant}_{name}"
        for scheme in manager.normalization_schemes:
            found = recursive_find_python_class(
                f"{nnunetv2.__path__[0]}/preprocessing/normalization", scheme, "nnunetv2.preprocessing.normalization"
            )
            assert found.__module__.startswith("nnunetv2.")


def test_resampling_off_leaves_out_all_that_inherits_from_a_stage_that_goes() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    # In any order, as a plans file may have them.
    plans["configurations"] = {
        "of_of_low": {"inherits_from": "of_low"},
        "of_low": {"inherits_from": "3d_lowres", "next_stage": None},
        "of_cascade": {"inherits_from": "3d_cascade_fullres", "previous_stage": None},
        **plans["configurations"],
        "of_full": {"inherits_from": "3d_fullres"},
    }
    assert list(varied(plans, ["NoResampling"], {}, "Off")["configurations"]) == ["3d_fullres", "of_full"]


@pytest.mark.parametrize("first", ["NoResampling", "Resize16x24x32"])
@pytest.mark.parametrize("second", ["NoResampling", "Resize16x16x16", "Spacing2x2x2"])
def test_where_voxels_lie_is_said_once(first: str, second: str) -> None:
    once = varied(tiny_plans("Dataset501_Test", flat=False, intensities={}), [first], {}, "Once")
    with pytest.raises(ValueError, match=r"has '(no_resampling_hack|nnunet_tricks_resize)' .* start with -p from"):
        varied(once, [second], {}, "Twice")
    assert (
        varied(once, ["MinMax"], {}, "Other")["configurations"]["3d_fullres"]["spacing"]
        == (once["configurations"]["3d_fullres"]["spacing"])
    )


def test_a_spacing_can_be_changed_again() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    twice = varied(varied(plans, ["Spacing2x2x2"], {}, "A"), ["Spacing2x1x1"], {}, "B")["configurations"]["3d_fullres"]
    once = varied(plans, ["Spacing2x1x1"], {}, "B")["configurations"]["3d_fullres"]
    assert (twice["spacing"], twice["resampling_fn_data"]) == (once["spacing"], once["resampling_fn_data"])
    with pytest.raises(ValueError, match="'Spacing2x1x1' would change nothing"):
        varied(varied(plans, ["Spacing2x1x1"], {}, "A"), ["Spacing2x1x1"], {}, "B")


@pytest.mark.parametrize(
    ("first", "second", "channels", "message"),
    [
        ("ImageNet", "CTWindow", ("R", "G", "B"), "no channel of these plans is CT"),
        ("ImageNet", "ImageNet", ("R", "G", "B"), "'ImageNet' would change nothing"),
        ("CTWindow", "CTWindow", ("CT",), "'CTWindow' would change nothing"),
        ("NoIntensityNorm", "NoIntensityNorm", ("CT",), "would change nothing"),
        ("MinMax", "CTWindow", ("CT",), "no channel of these plans is CT"),
    ],
)
def test_intensities_on_top_of_others(
    planned: Planned, first: str, second: str, channels: tuple[str, ...], message: str
) -> None:
    properties = COLOURS if len(channels) == 3 else None
    plans = planned.plan([40, 60, 60], [1.0] * 3, channels=channels, properties=properties)
    once = varied(plans, [first], planned.fingerprint(), "Once")
    with pytest.raises(ValueError, match=message):
        varied(once, [second], planned.fingerprint(), "Twice")


def test_intensities_that_plans_lack_are_named(planned: Planned) -> None:
    plans = planned.plan([40, 60, 60], [1.0] * 3, channels=("CT",))
    plans["foreground_intensity_properties_per_channel"] = {}
    with pytest.raises(ValueError, match="'foreground_intensity_properties_per_channel' has no channel 0"):
        varied(plans, ["CTWindow"], planned.fingerprint(), "Changed")


def test_two_variants_at_once() -> None:
    plans = tiny_plans("Dataset501_Test", flat=False, intensities={})
    both = varied(plans, ["NoResampling", "MinMax"], {}, "Both")
    manager = PlansManager(both).get_configuration("3d_fullres")
    assert manager.normalization_schemes == [get_normalization_scheme("rescale_to_0_1").__name__]
    assert manager.resampling_fn_data.func.__name__ == "no_resampling_hack"


@pytest.mark.parametrize(
    ("variant", "channels", "properties", "message"),
    [
        ("ZScore", ("MRI",), {}, "already"),
        ("CTWindow", ("MRI",), {}, "no channel of these plans is CT"),
        ("ImageNet", ("MRI",), {}, "3 colours, and the images have 1"),
        ("ImageNet", ("R", "G", "B"), {}, "from 0 to 255"),
        ("Median", ("MRI",), {}, "'Median' is not known: there are NoResampling"),
        ("Resize64x64x64x64", ("MRI",), {}, "not known"),
        ("Spacing0x1x1", ("MRI",), {}, "from 0.0001 to 10000 mm"),
    ],
)
def test_variants_that_do_not_suit(
    planned: Planned, variant: str, channels: tuple[str, ...], properties: dict[str, float], message: str
) -> None:
    plans = planned.plan([40, 60, 60], [1.0] * 3, channels=channels, properties=properties)
    with pytest.raises(ValueError, match=message):
        varied(plans, [variant], planned.fingerprint(), "Changed")
