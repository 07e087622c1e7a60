from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from monai.transforms import RandCoarseDropout

from nnunet_tricks.tricks.pretraining.pretext.chance import Chance
from nnunet_tricks.tricks.pretraining.pretext.painting import MOST, painted, painted_over, random_windows

CPU = torch.device("cpu")


@pytest.mark.parametrize("shape", [(3, 20, 30), (1, 6, 24, 24)])
@pytest.mark.parametrize("outside", [False, True])
def test_painting_is_monais_coarse_dropout(shape, outside) -> None:
    image = torch.rand(shape)
    monai = RandCoarseDropout(holes=3, spatial_size=5, dropout_holes=not outside, fill_value=9.0, prob=1.0)
    theirs = torch.as_tensor(monai.set_random_state(2)(image.clone()))
    windows = [window[1:] for window in monai.hole_coords]
    assert torch.equal(painted(image, windows, 9.0, outside=outside), theirs)
    assert bool((theirs == 9).any())


@given(st.lists(st.integers(1, 60), min_size=2, max_size=3), st.integers(0, 500), st.booleans())
def test_windows_lie_in_the_patch(shape, seed, outside) -> None:
    windows = random_windows(shape, Chance(seed, CPU), outside=outside)
    assert int(outside) <= len(windows) <= MOST
    for window in windows:
        for place, length in zip(window, shape, strict=True):
            assert 0 <= place.start < place.stop <= length
            if not outside:
                assert place.stop - place.start <= max(1, length // 3)


@pytest.mark.parametrize("outside", [False, True])
def test_paint_is_in_the_range_of_each_channel(outside) -> None:
    image = torch.stack((torch.rand(24, 24), torch.rand(24, 24) * 100 + 500))
    changed = painted_over(image, Chance(7, CPU), outside=outside)
    assert not torch.equal(changed, image)
    for before, after in zip(image, changed, strict=True):
        assert before.min() <= after.min()
        assert after.max() <= before.max()
    kept = (changed == image).all(0).float().mean()
    assert (0.15 < kept < 0.7) if outside else (kept > 0.4)
