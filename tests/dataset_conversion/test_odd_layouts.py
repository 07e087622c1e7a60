"""Deliberately odd folders of pictures: none is silently wrong, and each of their files is in the report."""

from __future__ import annotations

import os
from collections import Counter

import numpy as np
import pytest

from tests.odd_files.layouts import SOURCES


def test_the_sample_is_large_and_its_names_are_its_own():
    assert len(SOURCES) >= 50
    assert len({odd.name for odd in SOURCES}) == len(SOURCES)


def reported(done):
    """Every path in the report, without the numbers of rows."""
    report = done.json("conversion_report.json")
    files = [file["path"].partition("[")[0] for case in report["cases"] for file in case["files"]]
    return Counter([*files, *[file["path"] for file in report["unused"]]])


@pytest.mark.parametrize("odd", SOURCES, ids=lambda odd: f"{odd.data_set}-{odd.name}")
def test_odd_layout(convert, tmp_path, odd):
    # The names of the folders above are not part of the download.
    top = tmp_path / "test masks"
    top.mkdir()
    odd.make(top, np.random.default_rng(0))
    sources = sorted(top.iterdir()) if odd.data_set == "cosmos-style" else [top]
    before = {path: path.read_bytes() for path in top.rglob("*") if path.is_file()}
    done = convert(odd.data_set, *sources, *odd.words)
    assert done.code == odd.code, done.summary
    assert odd.says in str(done.summary)
    assert {path: path.read_bytes() for path in top.rglob("*") if path.is_file()} == before
    if odd.cases is None:
        assert not list(tmp_path.glob("raw/*"))
        return
    assert sorted(path.stem for path in (done.folder / "labelsTr").iterdir()) == sorted(odd.cases)
    # Folders that are not part of a download are listed as one entry.
    paths = reported(done)
    for path in before:
        names = {path.relative_to(source).as_posix() for source in sources if path.is_relative_to(source)}
        names |= {f"{folder.as_posix()}/" for name in names for folder in type(path)(name).parents}
        names |= {path.relative_to(top).as_posix(), path.name}
        assert names & set(paths), path


@pytest.mark.parametrize("name", ["isic2018_labeled", "isic_with_masks", "isic_test", "isic2018-validation-run"])
def test_the_name_of_the_source_folder_decides_nothing(convert, tmp_path, name):
    from tests.odd_files.sources import isic

    source = tmp_path / name
    numbers = [f"ISIC_000000{number}" for number in range(4)]
    isic(source, np.random.default_rng(0), numbers[:2], ("{}.png", "{}_segmentation.png"))
    isic(source, np.random.default_rng(1), numbers[2:])
    done = convert("isic2018", source)
    assert (done.code, done.summary["training"], done.summary["refused"]) == (0, 4, 0)
    assert {case["fold_part"] for case in done.json("conversion_report.json")["cases"]} == {"train"}


def test_two_sources_with_one_name(convert, tmp_path):
    from tests.odd_files.sources import pair

    generator = np.random.default_rng(0)
    for top in ("a", "b"):
        for name in ("pic0", "pic1"):
            pair(tmp_path / top / f"data/{name}.png", tmp_path / top / f"data/{name}_mask.png", generator)
    done = convert("cosmos55k", tmp_path / "a/data", tmp_path / "b/data")
    assert (done.code, done.summary["training"], done.summary["refused"]) == (0, 4, 0)


def test_images_and_masks_as_two_sources(convert, tmp_path):
    from tests.odd_files.sources import pair

    for name in ("one", "two"):
        pair(tmp_path / f"images/{name}.png", tmp_path / f"masks/{name}.png", np.random.default_rng(len(name)))
    done = convert("cosmos55k", tmp_path / "images", tmp_path / "masks")
    assert (done.code, done.summary["training"], done.summary["orphans"]) == (0, 2, 0)


def test_files_of_two_sources_with_one_path_are_told_apart(convert, tmp_path):
    from tests.odd_files.sources import isic

    for top in ("first", "second"):
        isic(tmp_path / top, np.random.default_rng(0), ["ISIC_0000001"])
    isic(tmp_path / "first", np.random.default_rng(1), ["ISIC_0000002"])
    done = convert("isic2018", tmp_path / "first", tmp_path / "second")
    reason = done.reason("ISIC_0000001")
    assert "'first/images/ISIC_0000001.png' and 'second/images/ISIC_0000001.png'" in reason


def test_a_folder_that_cannot_be_listed_is_refused(convert, tmp_path):
    from tests.odd_files.sources import isic

    source = tmp_path / "source"
    isic(source, np.random.default_rng(0), ["ISIC_0000001", "ISIC_0000002"])
    # Deeper than the longest path: that fails even for root, who may read everything.
    here = os.getcwd()
    try:
        os.chdir(source)
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    finally:
        os.chdir(here)
    try:
        done = convert("isic2018", source)
        assert (done.code, done.summary["training"], done.summary["refused"]) == (1, 2, 1)
        assert "cannot be looked into" in done.summary["refusals"][0]["reason"]
    finally:
        os.chdir(source)
        try:
            for _ in range(19):
                os.chdir("d" * 250)
            for _ in range(20):
                os.rmdir("d" * 250)
                os.chdir("..")
        finally:
            os.chdir(here)
