"""Deliberately odd tables and MATLAB files: none stops a conversion, none is silently wrong."""

from __future__ import annotations

import numpy as np
import pytest
from skimage import io

from tests.odd_files.sources import conic, isic, lizard, nuclei_map
from tests.odd_files.tables import CASES, MATS, SOURCES, TABLES, metadata_source


def test_the_sample_is_large_and_its_names_are_its_own():
    assert len(TABLES) + len(MATS) + len(SOURCES) >= 60
    for files in (TABLES, MATS, SOURCES):
        assert len({file.name for file in files}) == len(files)


@pytest.mark.parametrize("odd", TABLES, ids=lambda odd: odd.name)
def test_odd_table_of_the_user(convert, tmp_path, odd):
    metadata_source(tmp_path / "source", np.random.default_rng(0))
    table = tmp_path / "table.csv"
    table.write_bytes(odd.data)
    done = convert("isic2018", tmp_path / "source", "--metadata", table)
    assert done.code == odd.code, done.summary
    printed = str(done.summary)
    assert odd.says in printed
    if odd.code:
        # Which of the user's files it is.
        assert "table.csv" in printed
        return
    groups = {case: done.case(case).get("group", case) for case in CASES}
    expected = [{CASES[number - 1] for number in numbers} for numbers in odd.together]
    named = set().union(*expected)
    for members in [*expected, *[{case} for case in CASES if case not in named]]:
        assert {case for case in CASES if groups[case] == groups[min(members)]} == members
    for fold in done.json("splits_final.json"):
        assert not {groups[case] for case in fold["train"]} & {groups[case] for case in fold["val"]}


def test_a_group_of_many_cases_is_said(convert, tmp_path):
    """Its word may mean that nothing is known."""
    names = [f"ISIC_{number:07d}" for number in range(30)]
    isic(tmp_path / "source", np.random.default_rng(0), names)
    rows = [f"{name},{'x' if number < 12 else number}" for number, name in enumerate(names)]
    (tmp_path / "table.csv").write_text("\n".join(["id,group", *rows]))
    done = convert("isic2018", tmp_path / "source", "--metadata", tmp_path / "table.csv")
    assert any("12 of 30 cases have the group 'x'" in warning for warning in done.summary["warnings"])


def test_what_conic_cannot_compare_is_said(convert, tmp_path):
    conic(tmp_path, np.random.default_rng(0))
    (tmp_path / "counts.csv").unlink()
    names = [f"consep_1_{patch}-0" for patch in range(8)]
    (tmp_path / "patch_info.csv").write_text("\n".join(["patch_info", *names]))
    warnings = convert("conic", tmp_path, "--task", "classes").summary["warnings"]
    assert any("counts.csv is missing, so the order of the classes" in warning for warning in warnings)
    assert any("each of the 8 patches comes from an image of its own" in warning for warning in warnings)


@pytest.mark.parametrize("odd", MATS, ids=lambda odd: odd.name)
def test_odd_matlab_file(convert, tmp_path, odd):
    source = tmp_path / "source"
    source.mkdir()
    lizard(source, np.random.default_rng(0))
    odd.make(source / "glas_2.mat", np.random.default_rng(0))
    done = convert("lizard", source, "--task", "classes")
    assert done.code == (0 if odd.outcome == "converted" else 1), done.summary
    names = ["lizard_consep_1", *(["lizard_glas_2"] if odd.outcome == "converted" else [])]
    assert sorted(path.stem for path in (done.folder / "labelsTr").iterdir()) == names
    for name in names:
        np.testing.assert_array_equal(io.imread(done.folder / f"labelsTr/{name}.png"), (nuclei_map() > 0) * 2)
        np.testing.assert_array_equal(io.imread(done.folder / f"instancesTr/{name}.png"), nuclei_map())
    if odd.says:
        assert odd.says in done.reason("lizard_glas_2")


@pytest.mark.parametrize("odd", SOURCES, ids=lambda odd: odd.name)
def test_odd_table_of_the_data_set(convert, tmp_path, odd):
    source = tmp_path / "source"
    source.mkdir()
    odd.make(source, np.random.default_rng(0))
    done = convert(odd.data_set, source, *odd.words)
    assert done.code == odd.code, done.summary
    assert odd.says in str(done.summary)
    if odd.cases is None:
        assert not list(tmp_path.glob("raw/*"))
        return
    assert sorted(path.stem for path in (done.folder / "labelsTr").iterdir()) == sorted(odd.cases)
    if not odd.says:
        # There is no false warning about classes or rows.
        assert not [warning for warning in done.summary["warnings"] if "csv" in warning or "class" in warning]
