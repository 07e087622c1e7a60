"""LiTS 2017: 131 abdominal CTs with liver (1) and liver tumours (2), 70 test CTs without labels.

Layouts: the batches of the challenge (also with the long path inside their zip files), the Kaggle copy (``volume_pt1``
..., ``segmentations``), and the Medical Segmentation Decathlon's Task03 (``imagesTr/liver_0.nii.gz``), which holds the
same scans. Some volumes lost their geometry (unit matrix), and some labels differ from their volume: see
`geometry.align`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from dataset_conversion.find import FoundFile, orphan, pair, stem_of, walk
from dataset_conversion.model import (
    TEST,
    TRAIN,
    CaseRecord,
    ConversionPlan,
    ConversionSettings,
    DataSet,
    LabelTask,
    PlannedCase,
)
from dataset_conversion.nifti_layout import common_ending, trained_from_test_folders
from dataset_conversion.schemes import FOLDS, MEDISEG
from dataset_conversion.staging import Workplace

_DECATHLON = ("imagestr", "labelstr", "imagests", "labelsts")


class Lits(DataSet):
    """The Liver Tumor Segmentation challenge of 2017."""

    name = "lits"
    title = "LiTS 2017"
    number = 520
    folder_name = "LiTS2017"
    channel_names: ClassVar[Mapping[str, str]] = {"0": "CT"}
    reader = "NibabelIOWithReorient"
    reference = "Bilic et al., The Liver Tumor Segmentation Benchmark (LiTS), Medical Image Analysis 84, 2023"
    licence = "see the download page"
    megabytes_per_second = 230.0
    tasks = (
        LabelTask(name="native", summary="liver 1, tumor 2", labels={"liver": 1, "tumor": 2}, mapping={1: 1, 2: 2}),
        LabelTask(name="liver", summary="liver with its tumors", labels={"liver": 1}, mapping={1: 1, 2: 1}),
        LabelTask(name="tumor", summary="tumor", labels={"tumor": 1}, mapping={1: 0, 2: 1}),
        LabelTask(
            name="regions",
            summary="regions: liver with its tumors, tumor",
            labels={"liver": (1, 2), "tumor": 2},
            mapping={1: 1, 2: 2},
            values={1: "liver", 2: "tumor"},
            regions_class_order=(1, 2),
        ),
    )
    splits: ClassVar[Mapping[str, str]] = {"folds": FOLDS, "mediseg": MEDISEG}

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair by volume number; training and test cases are numbered separately."""
        files = list(walk(sources, (".nii", ".nii.gz")))
        pairs, unused = pair(files, _key)
        unused = [replace(entry, id=_case_id(entry.id)) for entry in unused]
        cases = []
        for scan in pairs:
            test = scan.key.startswith("test")
            case_id = _case_id(scan.key)
            if scan.image is None:
                if scan.label is not None:
                    unused.append(orphan(case_id, scan.label, "image"))
            elif scan.label is None and not test:
                unused.append(orphan(case_id, scan.image, "label"))
            else:
                cases.append(
                    PlannedCase(
                        id=case_id,
                        image=scan.image.path,
                        label=scan.label.path if scan.label else None,
                        part=TEST if test else TRAIN,
                        group=case_id,
                        modality="CT",
                        structure="liver",
                    )
                )
        ending, warnings = common_ending(cases)
        trained = {case.image for case in cases if case.part == TRAIN}
        warnings += trained_from_test_folders(file for file in files if file.path in trained)
        return ConversionPlan(cases=cases, unused=unused, warnings=warnings, file_ending=ending)

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes, see `volume_room.written_bytes`."""
        from dataset_conversion.volume_room import written_bytes

        return written_bytes(plan, settings)

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Convert one CT, see `ct.convert_ct`."""
        from dataset_conversion.ct import CtRules, Plausible, convert_ct

        rules = CtRules(
            organ=Plausible(name="liver", low=0.0, high=200.0, spread=80.0),
            unknown_label="LiTS has liver 1 and tumor 2",
            real_geometry_expected=(
                "image has no real geometry (spacing 1, 1, 1), like other LiTS volumes from 3D-IRCADb: that data set "
                "has their true spacing"
            ),
        )
        convert_ct(case, record, work, rules)


def _case_id(key: str) -> str:
    """Case id of a key: ``volume-5`` becomes ``lits_005``."""
    prefix, _, number = key.rpartition("-")
    return f"{'lits_test' if prefix.startswith('test') else 'lits'}_{int(number):03d}"


def _key(file: FoundFile) -> tuple[str, str] | None:
    """Key, ``volume-5`` or ``test-volume-5``, and role of a file."""
    stem = stem_of(file.path.name).lower()
    match = re.fullmatch(r"(test[-_])?(volume|segmentation)[-_](\d{1,3})", stem)
    if match:
        prefix = "test-volume" if match[1] else "volume"
        return f"{prefix}-{int(match[3])}", "image" if match[2] == "volume" else "label"
    match = re.fullmatch(r"liver_(\d{1,3})(?:_0000)?", stem)
    # The nearest one that tells: there may be folders below it.
    folder = next((name for name in reversed(file.folders) if name in _DECATHLON), None)
    if match and folder:
        prefix = "test-volume" if folder.endswith("ts") else "volume"
        return f"{prefix}-{int(match[1])}", "image" if folder.startswith("images") else "label"
    return None


DATA_SET = Lits()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("lits"))
