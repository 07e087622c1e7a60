"""Odd layouts of ISIC 2018, Cosmos55k, CoNIC, Lizard and of raw data sets for cosmos-style."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from tests.odd_files.odd_file import OddSource
from tests.odd_files.sources import conic, disk, isic, lizard, pair, texture

Maker = Callable[[Path, np.random.Generator], None]

ONE, TWO, THREE = "ISIC_0000001", "ISIC_0000002", "ISIC_0000003"


def isic_at(*pattern: str, names: Sequence[str] = (ONE, TWO), top: str = "") -> Maker:
    """Pictures and masks where two patterns say, perhaps below a folder."""
    return lambda folder, generator: isic(folder / top, generator, names, pattern or ("", ""))


def several(*makers: Maker) -> Maker:
    def make(folder: Path, generator: np.random.Generator) -> None:
        for maker in makers:
            maker(folder, generator)

    return make


def copied(source: str, target: str) -> Maker:
    def make(folder: Path, _: np.random.Generator) -> None:
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / source, folder / target)

    return make


def written(name: str, text: str, encoding: str = "utf-8") -> Maker:
    def make(folder: Path, _: np.random.Generator) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode(encoding))

    return make


def pictures(pattern: str, mask: str, names: Sequence[str] = ("a", "b", "c", "d")) -> Maker:
    def make(folder: Path, generator: np.random.Generator) -> None:
        for name in names:
            pair(folder / pattern.format(name), folder / mask.format(name), generator)

    return make


def lists(train: str, test: str, names: tuple[str, str] = ("train.txt", "test.txt"), encoding: str = "utf-8") -> Maker:
    """Four pictures, and two lists of two of them each; ``{}`` stands for the picture's name."""

    def make(folder: Path, generator: np.random.Generator) -> None:
        pictures("{}.png", "{}_mask.png")(folder, generator)
        for name, text, members in zip(names, (train, test), ("ab", "cd"), strict=True):
            written(name, "\n".join(text.format(member) for member in members), encoding)(folder, generator)

    return make


def raw(name: str, cases: Mapping[str, str], **changes: object) -> Maker:
    """A raw data set of pictures; each case has a group, which ``cases.csv`` has if it is not empty."""

    def make(folder: Path, generator: np.random.Generator) -> None:
        place = folder / name
        for case in cases:
            pair(place / f"imagesTr/{case}_0000.png", place / f"labelsTr/{case}.png", generator)
            Image.fromarray(disk().astype(np.uint8)).save(place / f"labelsTr/{case}.png")
        described = {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": {"background": 0, "object": 1}}
        (place / "dataset.json").write_text(json.dumps({**described, "file_ending": ".png", **changes}))
        if any(cases.values()):
            lines = ["id,group", *[f"{case},{group}" for case, group in cases.items()]]
            (place / "cases.csv").write_text("\n".join(lines))

    return make


def arrays(folder: Path, generator: np.random.Generator) -> None:
    """Packed pictures from 0 to 255 as floats, one of them dark; masks of 0 and 2, one of them empty."""
    values = np.stack([texture(generator) for _ in range(3)]).astype(np.float32)
    values[1] = generator.integers(0, 2, values[1].shape)
    masks = np.repeat(disk()[None].astype(np.uint8) * 2, 3, axis=0)
    masks[2] = 0
    np.save(folder / "data_train.npy", values)
    np.save(folder / "mask_train.npy", masks)


def objects(folder: Path, generator: np.random.Generator) -> None:
    arrays(folder, generator)
    np.save(folder / "data_val.npy", np.array([texture(generator), None], dtype=object))
    np.save(folder / "mask_val.npy", np.zeros((2, 64, 64)))


def two_parts(folder: Path, generator: np.random.Generator) -> None:
    """One picture in two folders of Cosmos55k with one name."""
    for part in ("a/data", "b/data"):
        pictures("{}.png", "{}_mask.png", ("pic0", "pic1"))(folder / part, generator)


def source(
    name: str, data_set: str, make: Maker, code: int = 0, says: str = "", cases: str | None = None, words: str = ""
) -> OddSource:
    ids = None if cases is None else tuple(cases.split())
    return OddSource(
        name=name, data_set=data_set, make=make, code=code, says=says, cases=ids, words=tuple(words.split())
    )


BOTH = f"{ONE} {TWO}"
FLAT = ("{}.jpg", "{}_segmentation.png")

ISIC = [
    source("flat-in-a-folder-with-masks-in-its-name", "isic2018", isic_at(*FLAT, top="isic_with_masks"), cases=BOTH),
    source("flat-in-annotations", "isic2018", isic_at(*FLAT, top="annotations"), cases=BOTH),
    source("flat-in-labeled", "isic2018", isic_at(*FLAT, top="isic2018_labeled"), cases=BOTH),
    source("capital-endings", "isic2018", isic_at("images/{}.JPG", "masks/{}_Segmentation.PNG"), cases=BOTH),
    source(
        "masks-among-masked-pictures", "isic2018", isic_at("masked/{}.jpg", "truth/{}_segmentation.png"), cases=BOTH
    ),
    source(
        "parts-of-the-user",
        "isic2018",
        several(isic_at(names=[ONE, TWO]), isic_at(names=[THREE], top="my validation run")),
        says="'my validation run' count as the part val: 1",
        cases=f"{BOTH} {THREE}",
    ),
    source(
        "predictions-beside",
        "isic2018",
        several(isic_at(), copied(f"masks/{ONE}.png", f"predictions/{ONE}.png")),
        says="1 file",
        cases=BOTH,
    ),
    source(
        "misnamed",
        "isic2018",
        several(isic_at(), copied(f"images/{ONE}.png", f"images/{ONE}_downsampled.png")),
        says="1 file: images/ISIC_0000001_downsampled.png",
        cases=BOTH,
    ),
    source(
        "two-masks",
        "isic2018",
        several(isic_at(), copied(f"masks/{ONE}.png", f"masks/{ONE}_segmentation.png")),
        1,
        "2 files claim to be the label",
        TWO,
    ),
    source(
        "two-copies",
        "isic2018",
        several(isic_at(top="a/data"), isic_at(top="b/data", names=[ONE])),
        1,
        "2 files claim",
        TWO,
    ),
    source(
        "in-two-parts",
        "isic2018",
        several(isic_at(names=[ONE, TWO]), isic_at(names=[ONE], top="test")),
        1,
        "is also in the test part",
        TWO,
    ),
    source(
        "only-masks",
        "isic2018",
        several(isic_at("images/{}.png", "masks/{}.png"), lambda folder, _: shutil.rmtree(folder / "images")),
        2,
        "no image with the key",
    ),
    source(
        "arrays-of-one-scale",
        "isic2018",
        arrays,
        says="mask is empty",
        cases="isic2018_train_00000 isic2018_train_00001 isic2018_train_00002",
    ),
    source(
        "arrays-of-objects",
        "isic2018",
        objects,
        1,
        "Python objects",
        "isic2018_train_00000 isic2018_train_00001 isic2018_train_00002",
    ),
    source(
        "hidden-and-foreign-folders",
        "isic2018",
        several(isic_at(), isic_at(top=".cache"), isic_at(top="__MACOSX")),
        says="2 files, such as",
        cases=BOTH,
    ),
]

ABCD = "a b c d"
COSMOS = [
    source("masks-beside-in-images", "cosmos55k", pictures("images/{}.png", "images/{}_mask.png"), cases=ABCD),
    source(
        "masks-beside-in-images-with-lists",
        "cosmos55k",
        several(
            pictures("img/{}.png", "img/{}_mask.png"),
            written("train.lst", "img/a.png\nimg/b.png"),
            written("test.lst", "img/c.png"),
        ),
        says="is in none of the lists",
        cases="a b",
    ),
    source("masks-beside-in-labels", "cosmos55k", pictures("labels/{}.png", "labels/{}_mask.png"), cases=ABCD),
    source(
        "pictures-with-the-suffix",
        "cosmos55k",
        several(pictures("images/{}.png", "masks/{}.png"), pictures("images/{}_mask.png", "masks/{}_mask.png")),
        cases="a a_mask b b_mask c c_mask d d_mask",
    ),
    source(
        "two-masks-of-one-picture",
        "cosmos55k",
        several(pictures("{}.png", "{}_mask.png"), copied("b_mask.png", "a_mask_1.png")),
        1,
        "masks of the same picture; join them",
        "b c d",
    ),
    source(
        "two-pictures-of-one-name",
        "cosmos55k",
        several(pictures("{}.png", "{}_mask.png"), copied("b.png", "a.bmp")),
        1,
        "claim to be the same picture",
        "b c d",
    ),
    source("list", "cosmos55k", lists("{}.png", "{}.png"), cases="a b"),
    source("list-without-endings", "cosmos55k", lists("{}", "{}"), cases="a b"),
    source("list-in-quotes", "cosmos55k", lists("'{}.png'", '"{}.png"'), cases="a b"),
    source("list-of-two-columns", "cosmos55k", lists("{0}.png {0}_mask.png", "{0}.png\t{0}_mask.png"), cases="a b"),
    source("list-of-masks", "cosmos55k", lists("{}_mask.png", "{}_mask.png"), cases="a b"),
    source("list-of-another-machine", "cosmos55k", lists("C:\\data\\{}.png", "/mnt/data/{}.png"), cases="a b"),
    source(
        "list-called-otherwise",
        "cosmos55k",
        lists("{}.png", "{}.png", ("train_list.txt", "list-test.lst")),
        cases="a b",
    ),
    source(
        "list-in-a-folder",
        "cosmos55k",
        lists("{}.png", "{}.png", ("lists/train/list.txt", "lists/test/list.txt")),
        cases="a b",
    ),
    source("list-in-utf-16", "cosmos55k", lists("{}.png", "{}.png", encoding="utf-16"), cases="a b"),
    source(
        "list-in-gbk",
        "cosmos55k",
        several(lists("{}.png", "{}.png"), written("val.txt", "病.png", "gbk")),
        2,
        "val.txt is not in UTF-8",
    ),
    source(
        "list-of-nothing",
        "cosmos55k",
        lists("{}.png", "x{}.png"),
        2,
        "test.txt lists 2 pictures; 2 of them are not",
    ),
    source(
        "list-with-one-line-too-many",
        "cosmos55k",
        several(lists("{}.png", "{}.png"), written("train.txt", "a.png\nb.png\nz.png")),
        says="train.txt, line 3: z.png",
        cases="a b",
    ),
    source(
        "list-of-no-part",
        "cosmos55k",
        several(pictures("{}.png", "{}_mask.png"), written("fold0.txt", "a.png\nb.png")),
        2,
        "its name does not say whether",
    ),
    source(
        "readme",
        "cosmos55k",
        several(pictures("{}.png", "{}_mask.png"), written("readme.txt", "What is in here:\npictures")),
        says="a text file whose name is not that of a list",
        cases=ABCD,
    ),
    source("two-folders-of-one-name", "cosmos55k", two_parts, cases="a-data-pic0 a-data-pic1 b-data-pic0 b-data-pic1"),
    source(
        "year-in-the-name",
        "cosmos55k",
        pictures("DSB2018_{}.png", "DSB2018_{}_mask.png", ("1", "2", "3")),
        says="'folds': 3",
        cases="DSB2018_1 DSB2018_2 DSB2018_3",
        words="--split folds --folds 3",
    ),
    source(
        "number-of-the-data-set-in-the-name",
        "cosmos55k",
        pictures("KiTS19_{}.png", "KiTS19_{}_mask.png", ("1", "2", "3")),
        says="19 was read as part of the data set's name KiTS19",
        cases="KiTS19_1 KiTS19_2 KiTS19_3",
    ),
    source(
        "slices-with-hyphens",
        "cosmos55k",
        pictures("vol-{}.png", "vol-{}_mask.png", ("1-01", "1-02", "2-01", "2-02")),
        says="'folds': 2",
        cases="vol-1-01 vol-1-02 vol-2-01 vol-2-02",
    ),
]

RAW = [
    source(
        "groups-of-a-raw-data-set",
        "cosmos-style",
        raw("Dataset501_A", {"x": "g", "y": "g", "z": "h"}),
        says="'folds': 2",
        cases="Dataset501-A_object_x_0000 Dataset501-A_object_y_0000 Dataset501-A_object_z_0000",
    ),
    source(
        "groups-of-other-cases",
        "cosmos-style",
        several(raw("Dataset501_A", {"x": "g", "y": "g"}), written("Dataset501_A/cases.csv", "id,group\np,1\nq,2")),
        2,
        "names none of the 2 training cases",
    ),
    source(
        "a-picture-in-two-data-sets",
        "cosmos-style",
        several(
            raw("Dataset501_A", {"x": "", "y": ""}),
            raw("Dataset502_B", {"z": ""}),
            copied("Dataset501_A/imagesTr/x_0000.png", "Dataset502_B/imagesTr/z_0000.png"),
        ),
        says="1 identical",
        cases="Dataset501-A_object_x_0000 Dataset501-A_object_y_0000 Dataset502-B_object_z_0000",
    ),
    source(
        "a-value-that-is-not-in-the-description",
        "cosmos-style",
        several(
            raw("Dataset501_A", {"x": "", "y": ""}),
            lambda folder, _: Image.fromarray(disk().astype(np.uint8) * 7).save(folder / "Dataset501_A/labelsTr/x.png"),
        ),
        1,
        "has the value(s) 7",
        "Dataset501-A_object_y_0000",
    ),
    source(
        "an-object-that-is-too-small",
        "cosmos-style",
        raw("Dataset501_A", {"x": "", "y": ""}),
        2,
        "no object has 5000 pixels",
        words="--min-pixels 5000",
    ),
    source(
        "a-colour-label",
        "cosmos-style",
        several(
            raw("Dataset501_A", {"x": "", "y": ""}),
            copied("Dataset501_A/imagesTr/y_0000.png", "Dataset501_A/labelsTr/x.png"),
        ),
        1,
        "a label is a grey picture",
        "Dataset501-A_object_y_0000",
    ),
]

NUCLEI = [
    source(
        "copies-by-a-browser",
        "lizard",
        lambda folder, generator: lizard(folder, generator, ["consep_9", "consep_9 (1)"]),
        cases="lizard_consep_9 lizard_consep_9-1-",
    ),
    source(
        "beside-conic",
        "lizard",
        several(lizard, conic, written("info.csv", "Filename,Source,Split\nconsep_1,a,1\nglas_2,b,2")),
        says="'folds': 2",
        cases="lizard_consep_1 lizard_glas_2",
        words="--split source",
    ),
    source(
        "mat-without-picture",
        "lizard",
        several(lizard, copied("glas_2.mat", "glas_3.mat")),
        says="'glas_3.mat'",
        cases="lizard_consep_1 lizard_glas_2",
    ),
    source(
        "two-downloads",
        "conic",
        several(lambda folder, generator: [conic(_made(folder / name), generator) for name in ("one", "two")]),
        2,
        "give the folder of one of them",
    ),
    source(
        "bitmaps-with-instances",
        "conic",
        conic,
        cases=" ".join(f"conic_0000{number}_consep_{number // 2 + 1}-000{number % 2}" for number in range(8)),
        words="--format bmp",
    ),
    source(
        "no-labels",
        "conic",
        several(conic, lambda folder, _: (folder / "labels.npy").unlink()),
        2,
        "labels.npy not found",
    ),
    source(
        "labels-of-objects",
        "conic",
        several(conic, lambda folder, _: np.save(folder / "labels.npy", np.array([{}, None], dtype=object))),
        2,
        "Python objects",
    ),
    source(
        "labels-in-an-archive",
        "conic",
        several(conic, lambda folder, _: _archived(folder / "labels.npy")),
        2,
        "an archive of several arrays",
    ),
]

SOURCES = [*ISIC, *COSMOS, *RAW, *NUCLEI]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _archived(path: Path) -> None:
    values = np.load(path)
    with path.open("wb") as file:
        np.savez(file, values)
