"""Which planned cases remain: names that work on every system, and exclusions of cases that exist, or could."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset_conversion import selection
from dataset_conversion.errors import ConversionError
from dataset_conversion.model import ConversionPlan, PlannedCase, Unused
from dataset_conversion.registry import load


def plan(*names, unused=()):
    return ConversionPlan(cases=[PlannedCase(id=name, image=Path(f"{name}.nii.gz")) for name in names], unused=unused)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("case (1)", "' ', '(', ')'"),
        ("_case", "'_'"),
        ("", "''"),
        ("x" * 246, "246 letters, and 238 are possible"),
        ("CASE", "capitals"),
        ("käse", "'ä'"),
    ],
)
def test_a_name_that_no_file_should_have_refuses_its_case_only(name, reason):
    checked = selection.without_bad_names(plan("case", name, "other"), ".nii.gz")
    assert [case.id for case in checked.cases] == ["case", "other"]
    (refused,) = checked.unused
    assert (refused.id, refused.status) == (name, "refused")
    assert reason in refused.reason


def test_the_longest_name_can_be_written(tmp_path):
    name = "x" * 238
    assert not selection.name_fault(name, ".nii.gz")
    (tmp_path / f".{name}_0000.nii.gz.tmp").write_text("")


def test_excluded_are_only_those_that_are_there():
    kits = load("kits19")
    done = selection.without_excluded(plan("case_00000", "case_00015"), kits, ["mediseg", "case_00068"])
    assert [case.id for case in done.cases] == ["case_00000"]
    assert set(done.extra["excluded"]) == {"case_00015"}
    assert done.warnings == ["--exclude case_00068: the source has no such case"]
    for word in ("case_68", "68", "mediseq", "case_00068.nii.gz"):
        with pytest.raises(ConversionError, match=f"a whole case id or one of none, mediseg; got '{word}'"):
            selection.without_excluded(plan("case_00000"), kits, [word])


def test_a_refused_case_can_be_excluded():
    refused = Unused(id="case_00001", path="x", status="refused", reason="2 files claim to be the image")
    done = selection.without_excluded(plan("case_00000", unused=[refused]), load("kits19"), ["case_00001"])
    assert [(file.id, file.status) for file in done.unused] == [("case_00001", "excluded")]
    assert "2 files" in done.unused[0].reason


@pytest.mark.parametrize(
    ("name", "contents", "hint"),
    [
        ("a.zip", b"", "archives"),
        ("a.zip.001", b"", "archives"),
        ("a.z01", b"", "archives"),
        ("a.tar.xz", b"", "archives"),
        ("volume-0.nii.zst", b"", "archives"),
        ("IM0001", b"\0" * 128 + b"DICM", "dcm2niix"),
        ("1.2.840.113619", b"\0" * 128 + b"DICM", "dcm2niix"),
        ("IM0001.dicom", b"", "dcm2niix"),
        ("DICOMDIR", b"", "dcm2niix"),
        ("README", b"text", ""),
        ("zip", b"", ""),
    ],
)
def test_hints_say_what_is_there_instead(tmp_path, name, contents, hint):
    (tmp_path / name).write_bytes(contents)
    sentence = selection.hint([tmp_path])
    assert (hint in sentence) if hint else not sentence
