"""KiTS19: 300 abdominal CTs in the late arterial phase, kidneys (1) and kidney tumours (2); 210 have labels.

Source: github.com/neheller/kits19. Layouts: the repository after ``get_imaging`` (``data/case_00000/imaging.nii.gz``);
the flat imaging folder of the Hugging Face copy (``images/case_00000.nii.gz``), given beside a clone with the labels;
one folder with ``case_00000_imaging.nii.gz`` and ``case_00000_segmentation.nii.gz``; and ``imagesTr`` with
``labelsTr``. Voxels are stored as (z, y, x); nnU-Net's reader with reorientation takes care of that. KiTS21 and KiTS23
look similar, but have a cyst label.
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
    Unused,
)
from dataset_conversion.nifti_layout import common_ending, trained_from_test_folders
from dataset_conversion.schemes import FOLDS, MEDISEG
from dataset_conversion.staging import Workplace, prefixes

FIRST_TEST_CASE = 210
LAST_CASE = 299

_FOLDERS = (
    r"(?P<other>pred|result|output)|(?P<label>label|seg|mask|gt|ground_?truth)|(?P<image>imag|img|ct|volume|scan)"
)
_MEDISEG = "left out by the tricks paper"
_REPLACED = f"{_MEDISEG}; its label was corrected on 2019-12-20"


class Kits19(DataSet):
    """The Kidney Tumor Segmentation challenge of 2019."""

    name = "kits19"
    title = "KiTS19"
    number = 519
    folder_name = "KiTS2019"
    channel_names: ClassVar[Mapping[str, str]] = {"0": "CT"}
    reader = "NibabelIOWithReorient"
    reference = "Heller et al., The KiTS19 Challenge Data, arXiv:1904.00445"
    licence = "CC BY-NC-SA 4.0"
    megabytes_per_second = 80.0
    tasks = (
        LabelTask(
            name="native",
            summary="kidney 1, tumor 2",
            labels={"kidney": 1, "tumor": 2},
            mapping={1: 1, 2: 2},
        ),
        LabelTask(name="kidney", summary="kidney with its tumor", labels={"kidney": 1}, mapping={1: 1, 2: 1}),
        LabelTask(name="kidney_only", summary="kidney without its tumor", labels={"kidney": 1}, mapping={1: 1, 2: 0}),
        LabelTask(name="tumor", summary="tumor", labels={"tumor": 1}, mapping={1: 0, 2: 1}),
        LabelTask(
            name="regions",
            summary="regions: kidney with its tumor, tumor",
            labels={"kidney": (1, 2), "tumor": 2},
            mapping={1: 1, 2: 2},
            values={1: "kidney", 2: "tumor"},
            regions_class_order=(1, 2),
        ),
    )
    splits: ClassVar[Mapping[str, str]] = {"folds": FOLDS, "mediseg": MEDISEG}
    exclusions: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "mediseg": {
            "case_00015": _REPLACED,
            "case_00023": _REPLACED,
            "case_00037": _REPLACED,
            "case_00068": _MEDISEG,
            "case_00125": _REPLACED,
            "case_00133": _MEDISEG,
        }
    }

    def plan(self, sources: Sequence[Path], settings: ConversionSettings) -> ConversionPlan:
        """Pair by case number; cases from 210 on have no public label and become test cases."""
        files = list(walk(sources, (".nii", ".nii.gz")))
        pairs, unused = pair(files, _key)
        unused = [_with_roles(entry, files, sources) for entry in unused]
        cases = []
        for scan in pairs:
            if scan.image is None:
                if scan.label is not None:
                    unused.append(orphan(scan.key, scan.label, "image"))
            elif scan.label is None and not _is_test(scan.image) and int(scan.key.rpartition("_")[2]) < FIRST_TEST_CASE:
                unused.append(orphan(scan.key, scan.image, "label"))
            else:
                cases.append(
                    PlannedCase(
                        id=scan.key,
                        image=scan.image.path,
                        label=scan.label.path if scan.label else None,
                        part=TRAIN if scan.label and not _is_test(scan.image) else TEST,
                        group=scan.key,
                        modality="CT",
                        structure="kidney",
                    )
                )
        ending, warnings = common_ending(cases)
        trained = {case.image for case in cases if case.part == TRAIN}
        warnings += trained_from_test_folders(file for file in files if file.path in trained)
        return ConversionPlan(
            cases=cases, unused=unused, warnings=[*warnings, *_other_years(cases)], file_ending=ending
        )

    def output_bytes(self, plan: ConversionPlan, settings: ConversionSettings) -> int:
        """Estimate the written bytes, see `volume_room.written_bytes`."""
        from dataset_conversion.volume_room import written_bytes

        return written_bytes(plan, settings)

    def convert(self, case: PlannedCase, record: CaseRecord, work: Workplace) -> None:
        """Convert one CT, see `ct.convert_ct`."""
        from dataset_conversion.ct import CtRules, Plausible, convert_ct

        rules = CtRules(
            organ=Plausible(name="kidney", low=0.0, high=300.0, spread=100.0),
            unknown_label="label 3 is the cyst of KiTS21 and KiTS23: this is not KiTS19",
        )
        convert_ct(case, record, work, rules)


def _is_test(image: FoundFile) -> bool:
    """Whether an image is in nnU-Net's folder for test cases, which may still have labels."""
    return "imagests" in image.folders


def _other_years(cases: Sequence[PlannedCase]) -> list[str]:
    """A warning where numbers and labels are those of KiTS21 or KiTS23, which cases without a cyst do not show."""
    numbers = {int(case.id.rpartition("_")[2]): case for case in cases}
    beyond = sorted(number for number in numbers if number > LAST_CASE)
    labelled = sorted(number for number, case in numbers.items() if case.label and number >= FIRST_TEST_CASE)
    signs = []
    if beyond:
        signs.append(f"KiTS19 ends at case {LAST_CASE}, and case {beyond[0]} is here ({len(beyond)} such cases)")
    if labelled:
        signs.append(
            f"cases from {FIRST_TEST_CASE} on have no public label in KiTS19, and {len(labelled)} have one here"
        )
    if not signs:
        return []
    return [
        f"{'; '.join(signs)}: this looks like KiTS21 or KiTS23, of which only the cases without a cyst (label 3) pass"
    ]


def _with_roles(refused: Unused, files: Sequence[FoundFile], sources: Sequence[Path]) -> Unused:
    """A better reason where the two files of a case may be its image and its label, and nothing tells them apart."""
    if refused.status != "refused":
        return refused
    same = [file for file in files if (key := _key(file)) and key[0] == refused.id]
    if len(same) != 2 or {key[1] for file in same if (key := _key(file))} != {"image"}:
        return refused
    below = dict(zip(sources, prefixes(sources), strict=True))
    names = " and ".join(f"{below[file.root]}{file.relative}" for file in same)
    reason = (
        f"{names} both claim to be its image; if one of them is the label, call its folder labels or the file "
        f"{refused.id}_segmentation.nii.gz"
    )
    return replace(refused, reason=reason)


def _key(file: FoundFile) -> tuple[str, str] | None:
    """Case and role, from the file's name and, if that does not tell, the folders above it."""
    stem = stem_of(file.path.name).lower()
    number = re.match(r"case_?(\d{1,5})(?:_0000)?(?=$|[_-])", stem)
    number = number or next((m for f in reversed(file.folders) if (m := re.fullmatch(r"case_?(\d{1,5})", f))), None)
    if number is None:
        return None
    rest = re.sub(r"^case_?\d{1,5}(_0000)?[_-]?", "", stem)
    role = {"imaging": "image", "image": "image", "segmentation": "label", "seg": "label", "label": "label"}.get(rest)
    if not rest:
        # The nearest folder that tells: labels/batch1 holds labels, labelled/images holds images.
        kinds = (re.match(_FOLDERS, folder) for folder in reversed(file.folders))
        kind = next((match.lastgroup for match in kinds if match), "image")
        role = None if kind == "other" else kind
    # Annotations of single readers and the like carry other names.
    return (f"case_{int(number[1]):05d}", role) if role else None


DATA_SET = Kits19()

if __name__ == "__main__":
    from dataset_conversion.command import main

    raise SystemExit(main("kits19"))
