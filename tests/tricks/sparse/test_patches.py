"""What the loss gets to see of sparse data, by nnU-Net and by us."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chisquare

from nnunet_tricks.nnunet.sandbox import seed_everything
from nnunet_tricks.tricks.sparse.centres import NEAR, TABLES, PatchCentres, rows_of
from nnunet_tricks.tricks.sparse.padding import WithIgnoredPadding
from tests.tricks.sparse.volumes import IGNORE, STOCK, Volumes, loader, moving_only, ours

FLAT = (16, 48, 48)
DRAWS = 600


@pytest.fixture(autouse=True)
def _seed() -> None:
    seed_everything(0)


def counted(batches: Iterator[dict[str, Any]], number: int = 12) -> tuple[int, int]:
    """Voxels that the loss counts, and how many of them lie outside of the image."""
    voxels = padding = 0
    for _ in range(number):
        batch = next(batches)
        known = (batch["target"] != IGNORE).numpy()
        voxels += int(known.sum())
        padding += int((known & (batch["data"].numpy() < 0.01)).sum())
    return voxels, padding


def test_nnunet_learns_from_padding_and_we_do_not() -> None:
    volumes = Volumes([(20, 40, 40), (12, 60, 60)], density=0.1)
    stock = loader(volumes, FLAT, transforms=moving_only(STOCK, FLAT))
    mine, _ = ours(volumes, FLAT, transforms=moving_only(WithIgnoredPadding(STOCK, IGNORE), FLAT))
    voxels, padding = counted(stock)
    assert padding / voxels > 0.5
    voxels, padding = counted(mine)
    assert voxels > 10_000
    assert padding == 0


def test_zeros_of_the_image_are_background_in_annotated_slices_only() -> None:
    volumes = Volumes([(10, 20, 20)], density=0.2)
    mine, _ = ours(volumes, (10, 20, 20), transforms=None)
    for case in mine._data.cases.dense:
        mine._data.cases.labels[case][:, :5] = -1  # as nnU-Net marks what its mask leaves out
    keep_all = WithIgnoredPadding(STOCK, IGNORE)((10, 20, 20), (0, 0), None, (), False, ignore_label=IGNORE)
    relabel = keep_all.transforms[-1]
    _, labels, _, _ = mine._data.load_case("case_0")
    shown = relabel._apply_to_segmentation(torch.from_numpy(labels[(slice(None),) * 4]))[0].numpy()
    annotated = list(volumes.slices("case_0"))
    assert (shown[annotated][:, :5] == 0).all()
    others = [at for at in range(10) if at not in annotated]
    assert (shown[others] == IGNORE).all()


@pytest.mark.parametrize("table", TABLES)
def test_patches_are_centred_as_the_table_says(table: str) -> None:
    volumes = Volumes([(40, 40, 40)], density=0.2)
    mine, centres = ours(volumes, (8, 8, 8), table)
    site = mine._data.load_case("case_0")[-1]["class_locations"]
    dense, annotated = volumes.dense["case_0"], volumes.slices("case_0")
    kinds: Counter[Any] = Counter()
    for _ in range(DRAWS):
        low, high = mine.get_bbox((40, 40, 40), False, site)
        kinds[centres.kind] += 1
        at = tuple(centres.voxel)
        if isinstance(centres.kind, int):
            assert dense[at] == centres.kind
        assert (at[0] in annotated) == (centres.kind != "unannotated") or centres.kind == "uniform"
        # In the plane nothing moves a patch away from its voxel but the borders of the volume.
        assert all(begin <= voxel < end for begin, voxel, end in zip(low[1:], at[1:], high[1:], strict=True))
    for row in rows_of(table, list(site.survey.places), [1, 2]):
        drawn = sum(kinds[kind] for kind in row.kinds)
        assert binomtest(drawn, DRAWS, row.share).pvalue > 0.005


def test_what_a_case_lacks_goes_to_the_rest_of_the_table() -> None:
    volumes = Volumes([(40, 40, 40)], density=0.2)
    volumes.dense["case_0"][volumes.dense["case_0"] == 2] = 1
    rows = {row.kinds: row.share for row in rows_of("lits", [1, "background", "unannotated"], [1, 2])}
    assert rows == {(1,): pytest.approx(5 / 7), ("background", "unannotated"): pytest.approx(2 / 7)}


def test_nnunet_always_has_the_annotated_slice_in_the_middle_and_we_do_not() -> None:
    volumes = Volumes([(60, 40, 40)], density=0.05)
    stock, (mine, _) = loader(volumes, (16, 16, 16)), ours(volumes, (16, 16, 16))
    slices = np.array(volumes.slices("case_0"))
    places: dict[str, list[int]] = {"stock": [], "ours": []}
    for name, drawing in (("stock", stock), ("ours", mine)):
        site = drawing._data.load_case("case_0")[-1]["class_locations"]
        for _ in range(200):
            low, _ = drawing.get_bbox((60, 40, 40), False, site)
            places[name].append(int(np.abs(slices - low[0] - 8).min()))
    assert max(places["stock"]) == 0
    assert np.std(places["ours"]) > 1
    assert max(places["ours"]) <= 6


@given(
    st.tuples(st.integers(1, 40), st.integers(3, 20), st.integers(3, 20)),
    st.tuples(st.integers(1, 32), st.integers(2, 16), st.integers(2, 16)),
    st.integers(0, 8),
    st.sampled_from(sorted(TABLES)),
    st.floats(0.02, 1),
)
def test_an_annotated_slice_is_always_near_the_middle(
    shape: tuple[int, int, int], patch: tuple[int, int, int], margin: int, table: str, density: float
) -> None:
    mine, _ = ours(Volumes([shape], density), patch, table, initial=[side + margin for side in patch])
    site = mine._data.load_case("case_0")[-1]["class_locations"]
    for _ in range(5):
        low, high = mine.get_bbox(shape, False, site)
        middle = (low[0] + high[0]) / 2
        assert (np.abs(site.survey.slices + 0.5 - middle) <= max(NEAR * patch[0], 1)).any()
        assert np.subtract(high, low).tolist() == mine.patch_size
        # A crop that misses its image altogether is an error of nnU-Net's.
        assert all(begin < side and end > 0 for begin, end, side in zip(low, high, shape, strict=True))


def test_slice_by_slice_all_annotated_slices_are_drawn_alike_and_by_nnunet_they_are_not() -> None:
    volumes = Volumes([(10, 16, 16), (20, 16, 16), (40, 16, 16)], density=0.2)
    everything = [(case, at) for case in volumes.identifiers for at in volumes.slices(case)]
    assert len(everything) == 14

    def drawn(drawing: Any) -> list[int]:
        times: Counter[tuple[str, int]] = Counter()
        for _ in range(DRAWS // 4):
            for number, case in enumerate(drawing.get_indices()):
                force = drawing.get_do_oversample(number)
                low, _ = drawing.get_bbox(volumes.dense[case].shape, force, sites[case])
                times[case, low[0]] += 1
        assert set(times) <= set(everything)
        return [times[place] for place in everything]

    mine, _ = ours(volumes, (12, 12), batch=8)
    sites = {case: mine._data.load_case(case)[-1]["class_locations"] for case in volumes.identifiers}
    assert chisquare(drawn(mine)).pvalue > 0.005
    stock = loader(volumes, (12, 12), batch=8)
    sites = {case: stock._data.load_case(case)[-1]["class_locations"] for case in volumes.identifiers}
    assert chisquare(drawn(stock)).pvalue < 1e-6


@pytest.mark.parametrize("table", TABLES)
def test_slice_by_slice_the_table_holds_within_the_slice(table: str) -> None:
    volumes = Volumes([(10, 40, 40)], density=0.1)
    mine, centres = ours(volumes, (8, 8), table)
    site = mine._data.load_case("case_0")[-1]["class_locations"]
    voxels = Counter(volumes.dense["case_0"][5].ravel().tolist())
    assert set(voxels) == {0, 1, 2}
    kinds: Counter[Any] = Counter()
    for _ in range(DRAWS):
        mine.get_indices()
        mine.get_do_oversample(0)
        mine.get_bbox((10, 40, 40), False, site)
        assert centres.voxel[0] == 5
        if isinstance(centres.kind, int):
            assert volumes.dense["case_0"][tuple(centres.voxel)] == centres.kind
        kinds[centres.kind] += 1
    for row in rows_of(table, [1, 2, "background", "annotated"], [1, 2]):
        assert binomtest(sum(kinds[kind] for kind in row.kinds), DRAWS, row.share).pvalue > 0.005


def test_loaders_can_be_sent_to_other_processes() -> None:
    mine, _ = ours(Volumes([(10, 16, 16)], density=0.2), (4, 8, 8))
    again = pickle.loads(pickle.dumps(mine))
    assert isinstance(again.get_bbox.__self__, PatchCentres)
    assert next(again)["data"].shape == (2, 1, 4, 8, 8)
