"""Images of another spacing or size."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_tricks.conformance.tiny_plans import tiny_plans
from nnunet_tricks.planning.geometry import SPACINGS, shape_of, spacing_name, spacing_of
from nnunet_tricks.planning.variants import varied


def _preprocessed(plans: dict[str, Any], configuration: str, shape: tuple[int, ...], channels: int) -> Any:
    """What nnU-Net makes of an image with a label, both brighter along the last axis."""
    ramp = np.broadcast_to(np.linspace(10, 200, shape[-1]), shape).astype(np.float32)
    image, label = np.stack([ramp] * channels), (ramp > 105)[None].astype(np.int16)
    manager = PlansManager(plans)
    dataset = {"labels": {"background": 0, "organ": 1}, "channel_names": {str(at): "MRI" for at in range(channels)}}
    properties = {"spacing": [1.0] * len(shape)}
    return DefaultPreprocessor(verbose=False).run_case_npy(
        image, label, properties, manager, manager.get_configuration(configuration), dataset
    )[:2]


def _labelled(plans: dict[str, Any]) -> dict[str, Any]:
    properties = {str(channel): {"mean": 100.0, "std": 50.0} for channel in range(3)}
    return {
        **plans,
        "foreground_intensity_properties_per_channel": properties,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
    }


@pytest.mark.usefixtures("linked")
@pytest.mark.parametrize("size", [(40, 64), (131, 97), (20, 20)])
def test_every_picture_gets_the_size(size: tuple[int, int]) -> None:
    plans = _labelled(tiny_plans("Dataset501_Test", flat=True, intensities={}))
    channels = len(plans["configurations"]["2d"]["normalization_schemes"])
    image, label = _preprocessed(varied(plans, ["Resize32x48"], {}, "R"), "2d", (1, *size), channels)
    assert image.shape == (channels, 1, 32, 48)
    assert label.shape == (1, 1, 32, 48)
    assert set(np.unique(label)) == {0, 1}
    # The right half is labelled, as before; image and label move together.
    assert label[..., 26:].all()
    assert not label[..., :22].any()
    assert (np.diff(image.mean((0, 1, 2))) >= -1e-4).all()


@pytest.mark.usefixtures("linked")
def test_a_volume_gets_the_size_and_the_spacing() -> None:
    plans = _labelled(tiny_plans("Dataset501_Test", flat=False, intensities={}))
    image, _ = _preprocessed(varied(plans, ["Resize16x24x32"], {}, "R"), "3d_fullres", (20, 30, 50), 1)
    assert image.shape == (1, 16, 24, 32)
    image, _ = _preprocessed(varied(plans, ["Spacing2x1p25x0p5"], {}, "S"), "3d_fullres", (20, 30, 50), 1)
    assert image.shape == (1, 10, 24, 100)


@pytest.mark.parametrize(("flat", "variant"), [(True, "Resize200x200"), (False, "Spacing3p22x1p62x1p62")])
def test_the_network_is_what_nnunet_plans_for_it(flat: bool, variant: str) -> None:
    from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

    plans = tiny_plans("Dataset501_Test", flat=flat, intensities={})
    before = deepcopy(plans)
    changed = varied(plans, [variant], {}, "G")
    assert plans == before
    (configuration,) = changed["configurations"].values()
    _, strides, kernels, patch, _ = get_pool_and_conv_props(
        configuration["spacing"], configuration["patch_size"], 4, 999999
    )
    assert list(patch) == configuration["patch_size"]
    assert [list(step) for step in strides] == configuration["architecture"]["arch_kwargs"]["strides"]
    assert [list(step) for step in kernels] == configuration["architecture"]["arch_kwargs"]["kernel_sizes"]
    assert ("needs" in changed) == flat


def test_axes_that_no_configuration_has() -> None:
    with pytest.raises(ValueError, match=r"2 numbers were given, .* have 3 axes"):
        varied(tiny_plans("Dataset501_Test", flat=False, intensities={}), ["Resize32x32"], {}, "R")


@given(st.lists(st.floats(*SPACINGS), min_size=2, max_size=3))
def test_names_hold_every_digit(spacing: list[float]) -> None:
    said = spacing_of(spacing_name(spacing)) or []
    assert said == pytest.approx(spacing, rel=1e-14)
    assert spacing_name(said) == spacing_name(spacing)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Spacing0x1x1", "from 0.0001 to 10000 mm"),
        ("Spacing1x1x20000", "from 0.0001 to 10000 mm"),
        ("Spacing03p220x1p6x1p6", "is written 'Spacing3p22x1p6x1p6'"),
        ("Spacing1p0x1", "is written 'Spacing1x1'"),
    ],
)
def test_names_that_plans_do_not_have(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spacing_of(name)


@pytest.mark.parametrize(
    "name", ["Resize", "Resize1", "Resize0x3", "Resize3x", "Spacing1", "Spacing.5x1", "Spacing1xx2"]
)
def test_names_that_say_nothing(name: str) -> None:
    assert shape_of(name) is None
    assert spacing_of(name) is None
