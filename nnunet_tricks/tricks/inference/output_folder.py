"""A folder of predictions that were all made alike: what is in it, what is missing, and how it was made."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_tricks import __version__
from nnunet_tricks.tricks.inference.writing import map_file, remove_partial_files
from nnunet_tricks.utilities.files import write_atomically

RECORD = "nnunet_tricks_prediction.json"
"""Beside the predictions: how they were made, and how long each case took."""

NNUNET_RECORD = "predict_from_raw_data_args.json"
"""What ``nnUNetv2_predict`` leaves beside predictions."""


def cases_in(images: Path, ending: str, channels: Sequence[int]) -> dict[str, list[str]]:
    """The cases of a folder of images, in nnU-Net's order, with a file for each channel.

    Args:
        images: Folder of ``CASE_0000.ENDING``.
        ending: Ending of the files, with its dot.
        channels: Numbers of files that a case may have: one for each channel, or one that holds all.

    Raises:
        ValueError: If there are no such files, or a case lacks a channel.
    """
    if not images.is_dir():
        raise ValueError(f"{images} is no folder")
    name = re.compile(r"(.+)_(\d{4})" + re.escape(ending))
    found: dict[str, dict[int, str]] = {}
    for file in sorted(images.iterdir()):
        if match := name.fullmatch(file.name):
            found.setdefault(match[1], {})[int(match[2])] = str(file)
    if not found:
        raise ValueError(f"{images} has no image of the form CASE_0000{ending}, which this model was trained with")
    for case, files in found.items():
        count = next((count for count in channels if count >= len(files)), channels[-1])
        lacking = [channel for channel in range(count) if channel not in files]
        if lacking:
            raise ValueError(f"{images} has no {case}_{lacking[0]:04d}{ending}: the model needs {count} channels")
        if len(files) > count:
            raise ValueError(f"{images} has {len(files)} channels of {case}, and the model takes {count}")
    return {case: [files[channel] for channel in sorted(files)] for case, files in found.items()}


class OutputFolder:
    """Predictions that were made with one and the same settings.

    Attributes:
        folder: Where they are written.
        settings: What decides what is predicted, as JSON holds it.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        ending: str,
        beside: Sequence[str],
        maps: Sequence[str],
        *,
        flag: str,
    ) -> None:
        """Take what belongs to a complete case.

        Args:
            folder: Where predictions are written.
            settings: What decides what is predicted.
            ending: Ending of the segmentations.
            beside: Endings of the other files of a case.
            maps: Names of its maps.
            flag: Flag of the command with which a user keeps complete cases.
        """
        self.folder = folder
        self.settings = dict(settings)
        self._ending = ending
        self._beside = tuple(beside)
        self._maps = tuple(maps)
        self._flag = flag

    def missing(
        self, sources: Mapping[str, Sequence[Path]], *, resume: bool, overwrite: bool, shared: bool = False
    ) -> list[str]:
        """The cases that must be predicted: those that are not complete, or older than what they are made from.

        Args:
            sources: From each case to the files that it is made from.
            resume: Whether complete cases are kept.
            overwrite: Whether older results may be deleted.
            shared: Whether other processes predict other cases into this folder.

        Raises:
            ValueError: If there are results of other settings, or results and neither ``resume`` nor ``overwrite``.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise ValueError(f"{self.folder} is a file, and the results need a folder")
        if overwrite and shared:
            raise ValueError(
                f"--overwrite would delete what the other parts have written: delete {self.folder} and start all parts"
            )
        record = self._record()
        older = sorted(file.name for file in self.folder.glob(f"[!.]*{self._ending}"))
        instead = "give another folder, or --overwrite to delete what is there"
        if older and record is None and not (overwrite and (self.folder / NNUNET_RECORD).is_file()):
            # These can be images or labels, so nothing is deleted that no prediction has left.
            raise ValueError(
                f"{self.folder} has {older[0]} and does not say how it was predicted: "
                + (instead if (self.folder / NNUNET_RECORD).is_file() else "give another folder")
            )
        if overwrite or not older or record is None:
            return list(sources)
        if differing := [name for name, value in self.settings.items() if record["settings"].get(name) != value]:
            name = differing[0]
            raise ValueError(
                f"{self.folder} was made with {name} {record['settings'].get(name)}, and now it is "
                f"{self.settings[name]}: {instead}"
            )
        complete = {case for case, files in sources.items() if self._is_complete(case, files)}
        if complete and not resume:
            raise ValueError(
                f"{self.folder} has {min(complete)}{self._ending} already: continue with {self._flag}, or --overwrite "
                "to delete what is there"
            )
        strangers = sorted({name.removesuffix(self._ending) for name in older} - set(sources))
        if strangers and not shared:
            raise ValueError(f"{self.folder} has {strangers[0]}{self._ending}, which is none of the cases: {instead}")
        return [case for case in sources if case not in complete]

    def begin(self, *, overwrite: bool, only: Sequence[str] | None = None) -> None:
        """Make the folder, delete what is older or half written, and note the settings.

        Args:
            overwrite: Whether older results are deleted.
            only: Cases of this process, where others predict other cases into this folder.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        record = self._record()
        # Without segmentations other settings are no reason to refuse, but other files of a case may be there.
        if overwrite or (record and record["settings"] != self.settings):
            self._delete_results()
        for folder in (self.folder, *(self.folder / name for name in self._maps)):
            remove_partial_files(folder, only)
        self._write(self._seconds())

    def end(self, seconds: Mapping[str, float]) -> None:
        """Note how long the cases took."""
        self._write(self._seconds() | dict(seconds))

    def _is_complete(self, case: str, sources: Sequence[Path]) -> bool:
        segmentation = self.folder / f"{case}{self._ending}"
        files = [segmentation, *(self.folder / f"{case}{ending}" for ending in self._beside)]
        files += [map_file(self.folder / case, name, self._ending) for name in self._maps]
        if not all(file.is_file() for file in files):
            return False
        # It is written last.
        made = segmentation.stat().st_mtime
        return all(source.stat().st_mtime <= made for source in sources)

    def _delete_results(self) -> None:
        record = self._record()
        for pattern in (f"*{self._ending}", "*.npz", "*.pkl", "cases.csv"):
            for file in self.folder.glob(pattern):
                file.unlink()
        for name in record["maps"] if record else ():
            shutil.rmtree(self.folder / name, ignore_errors=True)
        (self.folder / RECORD).unlink(missing_ok=True)

    def _record(self) -> dict[str, Any] | None:
        file = self.folder / RECORD
        if not file.is_file():
            return None
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            return dict(record) if {"settings", "maps", "seconds"} <= set(record) else None
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{file} is damaged: delete it and the predictions beside it, or use --overwrite"
            ) from error

    def _seconds(self) -> dict[str, float]:
        record = self._record()
        return dict(record["seconds"]) if record else {}

    def _write(self, seconds: Mapping[str, float]) -> None:
        content = {
            "nnunet_tricks": __version__,
            "settings": self.settings,
            "maps": list(self._maps),
            "seconds": {case: round(time, 3) for case, time in sorted(seconds.items())},
        }
        write_atomically(self.folder / RECORD, json.dumps(content, indent=1) + "\n")
