"""Source folders of KiTS19 and LiTS that are odd in one way each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tests.odd_files.nifti import IMAGE, LABEL, as_bytes, save
from tests.odd_files.odd_file import OddSource

Generator = np.random.Generator

_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
_CYST = np.where(LABEL == 2, np.uint8(3), LABEL)


def _files(contents: Mapping[str, str | bytes | np.ndarray]) -> Callable[[Path, Generator], None]:
    """Fill a folder: ``image`` and ``label`` stand for sound ones."""

    def make(folder: Path, _: Generator) -> None:
        for number, (name, content) in enumerate(contents.items()):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            elif isinstance(content, str) and content.startswith("-> "):
                path.symlink_to(content[3:])
            else:
                # No two images are the same: those would be one group.
                voxels = IMAGE + number if isinstance(content, str) and content == "image" else LABEL
                save(path, as_bytes(content if isinstance(content, np.ndarray) else voxels))

    return make


def _kits(*numbers: int, folder: str = "data") -> dict[str, str]:
    """Cases as the repository has them."""
    named = {f"{folder}/case_{number:05d}/imaging.nii.gz": "image" for number in numbers}
    return named | {f"{folder}/case_{number:05d}/segmentation.nii.gz": "label" for number in numbers}


def _lits(*numbers: int, folder: str = "") -> dict[str, str]:
    """Cases as the challenge has them."""
    named = {f"{folder}volume-{number}.nii": "image" for number in numbers}
    return named | {f"{folder}segmentation-{number}.nii": "label" for number in numbers}


_TWO_KITS, _TWO_LITS = ("case_00000", "case_00001"), ("lits_000", "lits_001")

SOURCES = [
    OddSource(
        name="kits-as-cloned",
        data_set="kits19",
        make=_files({**_kits(0, 1), "data/case_00210/imaging.nii.gz": "image", "README.md": b"KiTS19"}),
        code=0,
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-image-and-label-in-folders-that-say-nothing",
        data_set="kits19",
        make=_files({"a/data/case_00001.nii.gz": "image", "b/data/case_00001.nii.gz": "label"}),
        code=2,
        says="call its folder labels",
    ),
    OddSource(
        name="kits-labels-in-batches",
        data_set="kits19",
        make=_files({f"{kind}s/batch{n}/case_0000{n}.nii.gz": kind for n in (0, 1) for kind in ("image", "label")}),
        code=0,
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-below-a-folder-called-segmentation",
        data_set="kits19",
        make=_files({f"segmentation/{kind}s/case_0000{n}.nii.gz": kind for n in (0, 1) for kind in ("image", "label")}),
        code=0,
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-of-2023-by-its-numbers",
        data_set="kits19",
        make=_files(_kits(0, 1, 400)),
        code=0,
        says="KiTS21 or KiTS23",
        cases=(*_TWO_KITS, "case_00400"),
    ),
    OddSource(
        name="kits-of-2021-by-its-labels",
        data_set="kits19",
        make=_files(_kits(0, 1, 215)),
        code=0,
        says="1 have one here",
        cases=(*_TWO_KITS, "case_00215"),
    ),
    OddSource(
        name="kits-with-a-cyst",
        data_set="kits19",
        make=_files({**_kits(0, 1, 2), "data/case_00002/segmentation.nii.gz": _CYST}),
        code=1,
        says="label 3 is the cyst",
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-with-predictions",
        data_set="kits19",
        make=_files({**_kits(0, 1), "predictions/case_00000.nii.gz": "label", "results/x/case_00001.nii.gz": "label"}),
        code=0,
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-image-twice",
        data_set="kits19",
        make=_files({**_kits(0, 1, 2), "data/case_00002/imaging.nii": "image"}),
        code=1,
        says="2 files claim to be the image",
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-files-in-folders-of-their-name",
        data_set="kits19",
        make=_files(
            {f"{kind}sTr/case_0000{n}.nii.gz/case_0000{n}.nii.gz": kind for n in (0, 1) for kind in ("image", "label")}
        ),
        code=0,
        cases=_TWO_KITS,
    ),
    OddSource(
        name="kits-without-an-excluded-case",
        data_set="kits19",
        make=_files(_kits(0, 1)),
        code=0,
        says="the source has no such case",
        cases=_TWO_KITS,
        words=("--exclude", "case_00068"),
    ),
    OddSource(
        name="kits-with-an-exclusion-that-is-no-case",
        data_set="kits19",
        make=_files(_kits(0, 1)),
        code=2,
        says="did you mean case_00001?",
        words=("--exclude", "case_1"),
    ),
    OddSource(
        name="kits-with-a-preset-of-which-one-is-there",
        data_set="kits19",
        make=_files(_kits(0, 1, 15)),
        code=0,
        cases=_TWO_KITS,
        words=("--exclude", "mediseg"),
    ),
    OddSource(
        name="kits-with-a-damaged-case-excluded",
        data_set="kits19",
        make=_files({**_kits(0, 1, 2), "data/case_00002/imaging.nii": "image"}),
        code=0,
        cases=_TWO_KITS,
        words=("--exclude", "case_00002"),
    ),
    OddSource(
        name="kits-without-its-large-files",
        data_set="kits19",
        make=_files({**_kits(0, 1), **{f"data/case_0000{number}/imaging.nii.gz": _POINTER for number in (0, 1)}}),
        code=2,
        says="git lfs pull",
    ),
    OddSource(
        name="kits-by-datalad-half-fetched",
        data_set="kits19",
        make=_files(
            {**_kits(0, 1), "data/case_00002/segmentation.nii.gz": "label"}
            | {"data/case_00002/imaging.nii.gz": "-> ../../.git/annex/objects/x/SHA256E-s9--0.nii.gz"}
        ),
        code=1,
        says="datalad get",
        cases=_TWO_KITS,
    ),
    OddSource(
        name="lits-in-capitals",
        data_set="lits",
        make=_files({"Volume-0.NII": "image", "SEGMENTATION-0.NII": "label", **_lits(1)}),
        code=0,
        cases=_TWO_LITS,
    ),
    OddSource(
        name="lits-of-the-decathlon",
        data_set="lits",
        make=_files(
            {f"{kind}sTr/liver_{n}.nii.gz": kind for n in (0, 1) for kind in ("image", "label")}
            | {"imagesTs/liver_2.nii.gz": "image", "imagesTr/._liver_0.nii.gz": b"x", "dataset.json": b"{}"}
        ),
        code=0,
        cases=_TWO_LITS,
    ),
    OddSource(
        name="lits-with-copies-of-a-browser",
        data_set="lits",
        make=_files({**_lits(0, 1), "volume-1 (1).nii": "image", "volume-1_fixed.nii": "image"}),
        code=0,
        cases=_TWO_LITS,
    ),
    OddSource(
        name="lits-one-number-in-two-spellings",
        data_set="lits",
        make=_files({**_lits(0, 1, 2), "volume-02.nii": "image"}),
        code=1,
        says="2 files claim to be the image",
        cases=_TWO_LITS,
    ),
    OddSource(
        name="lits-of-two-endings",
        data_set="lits",
        make=_files({**_lits(0, 1), "volume-2.nii.gz": "image", "segmentation-2.nii": "label"}),
        code=0,
        says="1 of 3 images are not .nii",
        cases=(*_TWO_LITS, "lits_002"),
    ),
    OddSource(
        name="lits-packed-beside-an-orphan",
        data_set="lits",
        make=_files({"volume-0.nii": "image", "Training Batch 1.zip": b"PK"}),
        code=2,
        says="there are archives, which must be unpacked first: Training Batch 1.zip",
    ),
    OddSource(
        name="lits-in-parts-of-an-archive",
        data_set="lits",
        make=_files({"LiTS.zip.001": b"PK", "LiTS.zip.002": b""}),
        code=2,
        says="there are archives",
    ),
    OddSource(
        name="lits-as-dicom-without-endings",
        data_set="lits",
        make=_files({f"PATIENT/1.2.840.{number}": b"\0" * 128 + b"DICM" for number in range(3)}),
        code=2,
        says="dcm2niix",
    ),
    OddSource(
        name="lits-test-part-alone",
        data_set="lits",
        make=_files({"test-volume-0.nii": "image", "test-volume-1.nii": "image"}),
        code=2,
        says="no pair of image and label",
    ),
    OddSource(
        name="lits-labels-alone",
        data_set="lits",
        make=_files({"segmentation-0.nii": "label", "segmentation-1.nii": "label"}),
        code=2,
        says="no image with the key",
    ),
]
