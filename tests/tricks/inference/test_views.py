"""What views promise: they can be undone, and do nothing to a network that does not care about orientation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nnunet_tricks.tricks.inference.averaging import mean_over_views
from nnunet_tricks.tricks.inference.view_sets import NAMES, PatchGeometry, view_set
from nnunet_tricks.tricks.inference.views import Flip, Magnify, QuarterTurn, View, view_of

CUBE = PatchGeometry((8, 8, 8), (1.0, 1.0, 1.0), (0, 1, 2))
SQUARE = PatchGeometry((8, 8), (1.0, 1.0), (0, 1))
FLAT = PatchGeometry((4, 8, 8), (5.0, 1.0, 1.0), (0, 1, 2))


class Pointwise(nn.Module):
    """A network that sees single voxels, so that it commutes with everything that moves them."""

    def forward(self, image: Tensor) -> Tensor:
        first = image[:, :1]
        return torch.cat([first * 2, first**2 - 1, -first], 1)


def image_of(patch: PatchGeometry, seed: int = 0) -> Tensor:
    return torch.randn((1, 2, *patch.size), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("patch", [CUBE, SQUARE, FLAT], ids=["cube", "square", "flat"])
@pytest.mark.parametrize("name", ["none", "mirror", "mediseg", "rotate90"])
@pytest.mark.parametrize("average", ["logits", "probabilities"])
@pytest.mark.parametrize("regions", [False, True])
def test_views_do_not_change_an_equivariant_network(
    patch: PatchGeometry, name: str, average: str, regions: bool
) -> None:
    image, network = image_of(patch), Pointwise()
    mean = mean_over_views(network, image, view_set(name, patch).views, average=average, regions=regions)
    expected = network(image)
    if average == "probabilities":
        mean, expected = (torch.sigmoid(x) if regions else torch.softmax(x, 1) for x in (mean, expected))
    assert torch.allclose(mean, expected, atol=1e-5)


@given(
    st.lists(st.sampled_from(["flip0", "flip1", "flip2", "turn1", "turn2x0x2", "turn3x1x2"]), min_size=1, max_size=4),
    st.integers(0, 5),
)
def test_views_that_only_move_voxels_are_undone_exactly(words: list[str], seed: int) -> None:
    view = view_of("+".join(words), plane=(0, 1), zoomed=(0, 1, 2))
    image = image_of(CUBE, seed)
    assert torch.equal(view.back(view.there(image)), image)


def test_mirror_is_the_mean_over_all_combinations_of_the_axes() -> None:
    image, network = image_of(CUBE), nn.Conv3d(2, 3, 3, padding=1)
    with torch.inference_mode():
        total = network(image)
        for axes in ([2], [3], [4], [2, 3], [2, 4], [3, 4], [2, 3, 4]):
            total += torch.flip(network(torch.flip(image, axes)), axes)
        mean = mean_over_views(network, image, view_set("mirror", CUBE).views)
    assert torch.allclose(mean, total / 8, atol=1e-6)


@pytest.mark.parametrize("batch", [2, 3, 100])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("patch", [CUBE, SQUARE, FLAT], ids=["cube", "square", "flat"])
def test_batches_of_views_give_the_same(patch: PatchGeometry, name: str, batch: int) -> None:
    image = image_of(patch)
    network = nn.Conv3d(2, 3, 3, padding=1) if len(patch.size) == 3 else nn.Conv2d(2, 3, 3, padding=1)
    views = view_set(name, patch)
    with torch.inference_mode():
        alone = mean_over_views(network, image, views.views, average=views.average)
        together = mean_over_views(network, image, views.views, average=views.average, batch=batch)
    assert torch.allclose(alone, together, atol=1e-5)


def test_zoom_shows_objects_larger_and_puts_them_back() -> None:
    image = torch.zeros(1, 1, 16, 16)
    image[..., 6:10, 6:10] = 1
    larger = Magnify(2.0, (0, 1))
    assert larger.there(image).sum() == pytest.approx(4 * image.sum().item(), rel=0.2)
    assert torch.allclose(larger.back(larger.there(image))[..., 4:12, 4:12], image[..., 4:12, 4:12], atol=0.6)
    along_one = Magnify(2.0, (1,))
    assert along_one.there(image).sum() == pytest.approx(2 * image.sum().item(), rel=0.2)


def test_a_zoomed_view_votes_only_where_it_shows_something() -> None:
    class ByView(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, image: Tensor) -> Tensor:
            self.calls += 1
            return torch.full((1, 1, *image.shape[2:]), 0.0 if self.calls == 1 else 4.0)

    views = [View("identity"), View("zoom2", (Magnify(2.0, (0, 1)),))]
    mean = mean_over_views(ByView(), torch.zeros(1, 1, 8, 8), views)
    expected = torch.zeros(8, 8)
    expected[2:6, 2:6] = 2.0
    assert torch.equal(mean[0, 0], expected)


def test_where_a_zoomed_and_turned_view_shows_something() -> None:
    view = View("zoom2+turn1", (Magnify(2.0, (0,)), QuarterTurn(1, (0, 1))))
    seen = view.seen((8, 8))
    assert seen is not None
    assert seen.any(1).sum() == 4
    assert seen.any(0).sum() == 8


def test_quarter_turns_need_axes_that_are_alike() -> None:
    assert [view.name for view in view_set("rotate90", CUBE).views] == ["identity", "turn1", "turn2", "turn3"]
    flat = view_set("rotate90", FLAT)
    assert all(
        change.plane == (1, 2) for view in flat.views for change in view.changes if isinstance(change, QuarterTurn)
    )
    assert flat.notes == ("rotate90 turns the plane of axes 1 and 2",)
    none = view_set("mediseg", PatchGeometry((4, 8, 6), (1.0, 1.0, 1.0), ()))
    assert [view.name for view in none.views] == ["identity", "flip0", "flip1", "flip2"]
    assert "no quarter turns here" in none.notes[0]


def test_mirror_uses_the_axes_that_the_model_allows() -> None:
    left_right = PatchGeometry((8, 8, 8), (1.0, 1.0, 1.0), (0, 1))
    assert [view.changes for view in view_set("mirror", left_right).views] == [
        (),
        (Flip(0),),
        (Flip(1),),
        (Flip(0), Flip(1)),
    ]
    without = view_set("mirror", PatchGeometry((8, 8), (1.0, 1.0), ()))
    assert [view.name for view in without.views] == ["identity"]
    assert "trained without mirroring" in without.notes[0]


@pytest.mark.parametrize("name", ["gtaug-a", "gtaug-b"])
@pytest.mark.parametrize("patch", [CUBE, SQUARE, FLAT], ids=["cube", "square", "flat"])
def test_drawn_views_are_always_the_same(name: str, patch: PatchGeometry) -> None:
    first, again = view_set(name, patch), view_set(name, patch)
    assert [view.name for view in first.views] == [view.name for view in again.views]
    assert len({view.name for view in first.views}) == 5
    image = image_of(patch)
    for view, again_view in zip(first.views, again.views, strict=True):
        assert torch.equal(view.there(image), again_view.there(image))
        assert view.name == "identity" or not torch.equal(view.there(image), image)


@pytest.mark.parametrize("word", ["gamma1", "contrast1", "brighter0", "noise0"])
def test_grey_values_that_change_nothing(word: str) -> None:
    image = image_of(SQUARE)
    assert torch.allclose(view_of(word, plane=None, zoomed=()).there(image), image, atol=1e-5)


@pytest.mark.parametrize("word", ["gamma0p7", "contrast1p3", "brighter0p2", "darker0p2"])
def test_grey_values_stay_in_their_range_and_channels_apart(word: str) -> None:
    image = image_of(SQUARE)
    changed = view_of(word, plane=None, zoomed=()).there(image)
    axes = (2, 3)
    assert bool((changed.amin(axes) >= image.amin(axes) - 1e-5).all())
    assert bool((changed.amax(axes) <= image.amax(axes) + 1e-5).all())
    alone = view_of(word, plane=None, zoomed=()).there(image[:, :1])
    assert torch.equal(alone, changed[:, :1])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mirrored", "has the part 'mirrored', and must be identity or"),
        ("identity,flip", "has the part 'flip'"),
        ("flip2", "needs axis 2, and the patch has 2 axes"),
        ("turn1x0x2", "needs axis 2, and the patch has 2 axes"),
        ("zoom9", "scales by 9, and a factor from 0.25 to 4 is allowed"),
        ("", "has the part ''"),
    ],
)
def test_views_that_are_none_are_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        view_set(name, SQUARE)


def test_turns_of_a_patch_without_equal_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="no two of its axes have the same side"):
        view_set("identity,turn1", PatchGeometry((8, 6), (1.0, 1.0), ()))
