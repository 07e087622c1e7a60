"""Odd tables and MATLAB files: lists of users, info.csv of Lizard, patch_info.csv and counts.csv of CoNIC.

Those of Lizard and CoNIC come with a source of two images (or eight patches); `TABLES` are for ``--metadata``.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from tests.odd_files.odd_file import OddFile, OddSource
from tests.odd_files.sources import conic, isic, lizard, nuclei_map

CASES = tuple(f"ISIC_000000{number}" for number in range(1, 9))


@dataclass(frozen=True, kw_only=True)
class OddTable:
    """A csv for ``--metadata`` beside eight sound cases.

    Attributes:
        name: What is odd, as words joined by hyphens.
        data: The file.
        code: Expected exit code.
        says: A part of the error or of a warning.
        together: Numbers of cases that must be one group each.
    """

    name: str
    data: bytes
    code: int = 0
    says: str = ""
    together: tuple[tuple[int, ...], ...] = ()


def rows(header: str, lines: Mapping[int, str], ending: str = "", separator: str = ",") -> str:
    """A table with the cases of some numbers."""
    return "\n".join([header, *[f"ISIC_000000{number}{ending}{separator}{line}" for number, line in lines.items()]])


GROUPS = rows("id,group", {1: "a", 2: "a", 3: "b", 4: "b"})
PAIRS = ((1, 2), (3, 4))

TABLES = [
    OddTable(name="sound", data=GROUPS.encode(), together=PAIRS),
    OddTable(name="utf-8-with-mark", data=GROUPS.encode("utf-8-sig"), together=PAIRS),
    OddTable(name="utf-16-of-powershell", data=GROUPS.encode("utf-16"), together=PAIRS),
    OddTable(name="utf-16-without-mark", data=GROUPS.encode("utf-16-le"), code=2, says="zero bytes"),
    OddTable(name="latin-1", data=GROUPS.replace("b", "Köln").encode("latin-1"), code=2, says="not in UTF-8 (line 4"),
    OddTable(name="gbk", data=GROUPS.replace("b", "病").encode("gbk"), code=2, says="not in UTF-8"),
    OddTable(name="excel", data=b"PK\x03\x04 and more", code=2, says="a zip or Excel file"),
    OddTable(name="semicolons", data=GROUPS.replace(",", ";").encode(), together=PAIRS),
    OddTable(name="tabs", data=GROUPS.replace(",", "\t").encode(), together=PAIRS),
    OddTable(name="windows-lines-and-blank-ones", data=GROUPS.replace("\n", "\r\n\r\n").encode(), together=PAIRS),
    OddTable(name="capital-columns", data=GROUPS.replace("id,group", "ID, Group").encode(), together=PAIRS),
    OddTable(name="small-ids", data=GROUPS.lower().encode(), together=PAIRS),
    OddTable(name="file-names", data=rows("image,group", {1: "a", 2: "a"}, ".jpg").encode(), together=((1, 2),)),
    OddTable(name="paths", data=GROUPS.replace("ISIC", "images/train/ISIC").encode(), together=PAIRS),
    OddTable(
        name="other-words-for-nothing",
        data=rows("image_name,group", {1: "a", 2: "a", 3: "missing", 4: "Missing", 5: "-1", 6: "-1"}).encode(),
        says="'-1', 'Missing', 'missing' in 4 cells counts as no group",
        together=((1, 2),),
    ),
    OddTable(name="empty", data=b"", code=2, says="is empty"),
    OddTable(name="no-such-column", data=b"id,colour\nISIC_0000001,red", code=2, says="needs a column 'id'"),
    OddTable(name="one-column-twice", data=b"id,group,group\nISIC_0000001,a,b", code=2, says="two columns"),
    OddTable(name="too-many-cells", data=GROUPS.encode() + b",c,d", code=2, says="line 5 has 4 cells"),
    OddTable(name="ids-of-another-set", data=b"id,group\ncase_1,a\ncase_2,a", code=2, says="nothing new"),
    OddTable(
        name="some-strangers",
        data=GROUPS.encode() + b"\nISIC_9999999,b",
        says="rows that match no case: 1 of 5",
        together=PAIRS,
    ),
    OddTable(name="cases-without-a-row", data=GROUPS.encode(), says="cases without a row: 4 of 8", together=PAIRS),
    OddTable(
        name="two-groups-of-one-case", data=GROUPS.encode() + b"\nISIC_0000001,b", code=2, says="line 6 says group 'b'"
    ),
    OddTable(name="the-same-row-twice", data=GROUPS.encode() + b"\nISIC_0000001,a", together=PAIRS),
    OddTable(name="a-shorter-row-later", data=GROUPS.encode() + b"\nISIC_0000001", together=PAIRS),
    OddTable(
        name="nan",
        data=rows("id,group", {1: "a", 2: "a", 3: "nan", 4: "nan"}).encode(),
        says="counts as no group",
        together=((1, 2), (3,), (4,)),
    ),
    OddTable(
        name="patients-of-some-lesions-of-all",
        data=rows(
            "isic_id,patient_id,lesion_id", {1: "p,l1", 2: "p,l2", 3: ",l1", 4: ",l2", 5: ",l5", 6: "q,l6", 7: ",l6"}
        ).encode(),
        together=((1, 2, 3, 4), (5,), (6, 7)),
    ),
    OddTable(
        name="a-patient-and-a-lesion-of-one-number",
        data=rows("isic_id,patient_id,lesion_id", {1: "7,", 2: "7,", 3: ",7", 4: ",7"}).encode(),
        together=PAIRS,
    ),
]


def mat(**changes: Any) -> Callable[[Path, np.random.Generator], None]:
    """Writes the sound file with some entries changed; None leaves one out."""

    def write(path: Path, _: np.random.Generator) -> None:
        numbers = np.unique(nuclei_map())[1:].astype(np.uint16)[:, None]
        content = {"inst_map": nuclei_map(), "id": numbers, "class": np.full_like(numbers, 2)} | changes
        savemat(path, {name: value for name, value in content.items() if value is not None})

    return write


def mat_bytes(change: Callable[[bytes], bytes]) -> Callable[[Path, np.random.Generator], None]:
    def write(path: Path, generator: np.random.Generator) -> None:
        mat()(path, generator)
        path.write_bytes(change(path.read_bytes()))

    return write


def classes(value: Any) -> np.ndarray:
    changed = np.full((4, 1), 2, dtype=np.float64 if isinstance(value, float) else np.int64)
    changed[1] = value
    return changed


def broken_map() -> np.ndarray:
    changed = nuclei_map().astype(np.float64)
    changed[changed == 2] = 2.5
    return changed


def as_npy(_: bytes) -> bytes:
    stream = io.BytesIO()
    np.save(stream, nuclei_map())
    return stream.getvalue()


def mat_file(name: str, make: Callable[[Path, np.random.Generator], None], says: str = "") -> OddFile:
    outcome = "refused" if says else "converted"
    return OddFile(name=name, role="label", make=make, outcome=outcome, says=says, ending=".mat")


MATS = [
    mat_file("sound", mat()),
    mat_file("floats", mat(inst_map=nuclei_map().astype(np.float64))),
    mat_file("classes-as-floats", mat(**{"class": np.full((4, 1), 2.0)})),
    mat_file("classes-in-a-row", mat(**{"class": np.full((1, 4), 2)})),
    mat_file("more-classes-than-nuclei-used", mat(id=np.arange(1, 9)[:, None], **{"class": np.full((8, 1), 2)})),
    mat_file("class-300", mat(**{"class": classes(300)}), "the class(es) 300"),
    mat_file("class-0", mat(**{"class": classes(0)}), "the class(es) 0"),
    mat_file("class-minus-1", mat(**{"class": classes(-1)}), "the class(es) -1"),
    mat_file("class-nan", mat(**{"class": classes(float("nan"))}), "nan in its entry class"),
    mat_file("class-2.5", mat(**{"class": classes(2.5)}), "2.5 in its entry class"),
    mat_file("classes-as-text", mat(**{"class": np.array(["epithelial"] * 4)}), "numbers are needed"),
    mat_file("empty-map", mat(inst_map=np.zeros((0, 0), np.int32)), "the instance map is 0 x 0"),
    mat_file("map-of-three-dimensions", mat(inst_map=np.zeros((8, 8, 3), np.int32)), "the instance map is 8 x 8 x 3"),
    mat_file("map-with-broken-numbers", mat(inst_map=broken_map()), "whole numbers from 0 to 65535"),
    mat_file(
        "map-with-negative-numbers", mat(inst_map=-nuclei_map().astype(np.int32)), "whole numbers from 0 to 65535"
    ),
    mat_file("map-turned", mat(inst_map=nuclei_map().T[:, :-2]), "picture is"),
    mat_file("no-map", mat(inst_map=None), "no entry inst_map"),
    mat_file("fewer-classes-than-nuclei", mat(**{"class": np.full((3, 1), 2)}), "4 nuclei and 3 classes"),
    mat_file(
        "a-nucleus-with-two-classes",
        mat(id=np.array([[1], [2], [3], [1]]), **{"class": np.array([[1], [2], [3], [4]])}),
        "nucleus 1 twice",
    ),
    mat_file(
        "a-nucleus-without-a-class",
        mat(id=np.array([[1], [2], [3]]), **{"class": np.array([[1], [2], [3]])}),
        "without a class: 1",
    ),
    mat_file("cut-in-its-head", mat_bytes(lambda data: data[:60]), "cannot be read as a MATLAB file"),
    mat_file("cut-behind-its-head", mat_bytes(lambda data: data[:140]), "cannot be read as a MATLAB file"),
    mat_file("cut-in-the-middle", mat_bytes(lambda data: data[: len(data) // 2]), "cannot be read as a MATLAB file"),
    mat_file("hdf5", mat_bytes(lambda data: b"MATLAB 7.3 MAT-file" + data), "save it with -v7"),
    mat_file("web-page", mat_bytes(lambda _: b"<html>404</html>"), "web page"),
    mat_file("numpy", mat_bytes(as_npy), "a NumPy array"),
    mat_file("empty", mat_bytes(lambda _: b""), "is empty"),
]


def info(text: str, encoding: str = "utf-8") -> Callable[[Path, np.random.Generator], None]:
    def make(folder: Path, generator: np.random.Generator) -> None:
        lizard(folder, generator)
        (folder / "info.csv").write_bytes(text.encode(encoding))

    return make


def changed_conic(**changes: Callable[[Any], Any]) -> Callable[[Path, np.random.Generator], None]:
    """A sound CoNIC source with a file changed: ``labels`` as an array, ``patch_info`` and ``counts`` as text."""

    def make(folder: Path, generator: np.random.Generator) -> None:
        conic(folder, generator)
        for name, change in changes.items():
            if name == "labels":
                np.save(folder / "labels.npy", change(np.load(folder / "labels.npy")))
            else:
                path = folder / f"{name}.csv"
                path.write_text(change(path.read_text()))

    return make


def swapped(labels: np.ndarray) -> np.ndarray:
    changed = labels.copy()
    changed[..., 1] = np.array([0, 2, 1, 3, 4, 5, 6])[labels[..., 1]]
    return changed


def sorted_columns(text: str) -> str:
    table = [line.split(",") for line in text.split()]
    order = sorted(range(6), key=lambda column: table[0][column])
    return "\n".join(",".join(line[column] for column in order) for line in table)


def with_index(text: str) -> str:
    lines = text.split()
    return "\n".join([f",{lines[0]}", *[f"{number},{line}" for number, line in enumerate(lines[1:])]])


LIZARD = ("lizard_consep_1", "lizard_glas_2")
CONIC = tuple(f"conic_0000{number}_consep_{number // 2 + 1}-000{number % 2}" for number in range(8))
INFO = "Filename,Source,Split\nconsep_1,consep,1\nglas_2,glas,2\n"

SOURCES = [
    OddSource(name="info", data_set="lizard", make=info(INFO), code=0, cases=LIZARD, words=("--split", "thirds")),
    OddSource(name="info-in-utf-16", data_set="lizard", make=info(INFO, "utf-16"), code=0, cases=LIZARD),
    OddSource(
        name="info-with-endings",
        data_set="lizard",
        make=info(INFO.replace("_1,", "_1.png,").replace("_2,", "_2.png,")),
        code=0,
        cases=LIZARD,
    ),
    OddSource(name="info-with-a-short-row", data_set="lizard", make=info(INFO + "consep_3"), code=0, cases=LIZARD),
    OddSource(
        name="info-without-one-image",
        data_set="lizard",
        make=info(INFO.replace("glas_2", "glas_3")),
        code=0,
        says="does not name 1 of 2 images",
        cases=LIZARD,
    ),
    OddSource(
        name="info-of-other-images",
        data_set="lizard",
        make=info("Filename,Source,Split\nx,y,1"),
        code=2,
        says="names none of the 2 images",
    ),
    OddSource(
        name="info-with-two-splits-of-one-image",
        data_set="lizard",
        make=info(INFO + "glas_2,glas,3"),
        code=2,
        says="of 'glas_2', an earlier line",
    ),
    OddSource(
        name="info-with-split-7",
        data_set="lizard",
        make=info(INFO.replace("glas,2", "glas,7")),
        code=2,
        says="the split '7'",
    ),
    OddSource(
        name="info-without-columns", data_set="lizard", make=info("a,b\n1,2"), code=2, says="no column 'filename'"
    ),
    OddSource(name="counts", data_set="conic", make=changed_conic(), code=0, cases=CONIC, words=("--task", "classes")),
    OddSource(
        name="counts-with-sorted-columns",
        data_set="conic",
        make=changed_conic(counts=sorted_columns),
        code=0,
        cases=CONIC,
        words=("--task", "classes"),
    ),
    OddSource(name="counts-with-index", data_set="conic", make=changed_conic(counts=with_index), code=0, cases=CONIC),
    OddSource(
        name="counts-cut-off",
        data_set="conic",
        make=changed_conic(counts=lambda text: "\n".join(text.split()[:5])),
        code=2,
        says="has 4 rows",
    ),
    OddSource(
        name="counts-of-text",
        data_set="conic",
        make=changed_conic(counts=lambda text: text.replace(",0,", ",many,", 1)),
        code=2,
        says="does not hold counts",
    ),
    OddSource(
        name="classes-in-another-order",
        data_set="conic",
        make=changed_conic(labels=swapped),
        code=2,
        says="1 epithelial, 2 neutrophil",
        words=("--task", "classes"),
    ),
    OddSource(
        name="classes-in-another-order-that-do-not-matter",
        data_set="conic",
        make=changed_conic(labels=swapped),
        code=0,
        says="in another order",
        cases=CONIC,
    ),
    OddSource(
        name="channels-the-other-way-round",
        data_set="conic",
        make=changed_conic(labels=lambda labels: labels[..., ::-1]),
        code=2,
        says="has its channels swapped",
    ),
    OddSource(
        name="patches-without-hyphen",
        data_set="conic",
        make=changed_conic(patch_info=lambda text: text.replace("-", "_")),
        code=2,
        says="names must be <image>-<number>",
    ),
    OddSource(
        name="patches-without-name",
        data_set="conic",
        make=changed_conic(patch_info=lambda text: text.replace("consep_2-0000", ",")),
        code=2,
        says="names 7 patches",
    ),
    OddSource(
        name="patches-cut-off",
        data_set="conic",
        make=changed_conic(patch_info=lambda text: text.rpartition("consep")[0]),
        code=2,
        says="names 7 patches",
    ),
]


def metadata_source(folder: Path, generator: np.random.Generator) -> None:
    """Eight sound cases for the tables above."""
    isic(folder, generator, CASES)
