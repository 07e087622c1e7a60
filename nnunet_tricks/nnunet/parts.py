"""The parts of a data set that are predicted, and their truth."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nnunet_tricks.nnunet.folders import Case, Folders, read_json
from nnunet_tricks.utilities.files import replacing

TEST_SPLITS = "splits_test.json"


@dataclass(frozen=True)
class Part:
    """Some cases of a data set, for one fold.

    Attributes:
        folders: nnU-Net's folders.
        dataset: Full name of the data set.
        name: ``validation`` or ``test``.
        fold: Fold, as nnU-Net's command takes it.
    """

    folders: Folders
    dataset: str
    name: str
    fold: str

    @property
    def has_test_folds(self) -> bool:
        """Whether each fold has test cases of its own, among the training images."""
        return (self.folders.raw / self.dataset / TEST_SPLITS).is_file()

    @property
    def source(self) -> str:
        """``Tr`` or ``Ts``: the end of the names of its folders of images and labels."""
        return "Tr" if self.name == "validation" or self.has_test_folds else "Ts"

    @property
    def truth(self) -> Path:
        """The folder of its labels, and perhaps of others'."""
        if self.source == "Tr":
            return self.folders.preprocessed / self.dataset / "gt_segmentations"
        return self.folders.raw / self.dataset / "labelsTs"

    def check(self) -> None:
        """Whether there is something to predict and to compare with.

        Raises:
            ValueError: If not.
        """
        if self.name == "validation":
            return
        if self.has_test_folds:
            if not self._test_ids():
                raise ValueError(f"{self.folders.raw / self.dataset / TEST_SPLITS} has no fold {self.fold}")
        elif not self.cases():
            raise ValueError(
                f"{self.dataset} has no test part: neither {TEST_SPLITS} nor images in imagesTs with labels in "
                f"labelsTs of {self.folders.raw / self.dataset}"
            )

    def cases(self) -> dict[str, Case]:
        """Its cases, all with labels.

        Raises:
            ValueError: If one that the split names is not there.
        """
        labelled = {case: files for case, files in self.folders.cases(self.dataset, self.source).items() if files.label}
        if self.name == "test" and not self.has_test_folds:
            return labelled
        ids = self._validation_ids() if self.name == "validation" else self._test_ids()
        absent = sorted(set(ids) - set(labelled))
        if absent:
            raise ValueError(f"{self.dataset} lacks cases that its split names: {', '.join(absent[:5])}")
        return {case: labelled[case] for case in ids}

    def link(self, folder: Path) -> None:
        """Make a folder with its images and nothing else, as nnU-Net's command predicts whole folders."""
        folder.mkdir(parents=True, exist_ok=True)
        ending = self.folders.description(self.dataset)["file_ending"]
        wanted = {
            f"{case}_{channel:04d}{ending}": image
            for case, files in self.cases().items()
            for channel, image in enumerate(files.images)
        }
        for stale in [file for file in folder.iterdir() if file.name not in wanted]:
            stale.unlink()
        for name, image in wanted.items():
            if not (folder / name).exists():
                with suppress(FileExistsError):
                    _link(image, folder / name)

    def _validation_ids(self) -> list[str]:
        splits = self.folders.splits(self.dataset) or []
        if self.fold == "all" or int(self.fold) >= len(splits):
            raise ValueError(f"{self.dataset} has no split with a fold {self.fold}")
        return list(splits[int(self.fold)]["val"])

    def _test_ids(self) -> list[str]:
        return list(read_json(self.folders.raw / self.dataset / TEST_SPLITS).get(self.fold, []))


def _link(image: Path, place: Path) -> None:
    """A link, or a copy where links are not allowed."""
    try:
        os.symlink(image, place)
    except FileExistsError:
        raise
    except OSError:
        with replacing(place) as temporary:
            shutil.copy2(image, temporary)
