"""The stages that are done, so that an interrupted demo goes on where it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_tricks.utilities.files import write_atomically

STATE = "demo.json"

FOLDERS = ("raw", "preprocessed", "results", "predictions", "logs")
"""Folders that a demo fills; nothing else in its folder is ever removed."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of the demo.

    Attributes:
        name: Name, unique among the stages.
        seconds: Rough duration on two CPU cores.
        work: Function that does it. Its argument is a function to call a few times per second with the share that is
            done, or None.
        made: Folders that it makes; removed before it starts, in case an earlier attempt was interrupted.
    """

    name: str
    seconds: float
    work: Callable[[Callable[[float | None], None]], None]
    made: tuple[Path, ...] = ()


class DemoState:
    """A demo's folder and the stages finished in it.

    Args:
        folder: Folder of the demo; made if it does not exist.
        settings: Settings that affect results; a demo cannot go on with other ones.
        restart: Whether to remove what an earlier demo left.

    Raises:
        ValueError: If the folder has other content, or a demo with other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any], *, restart: bool = False) -> None:
        """Read the state of an earlier demo, or start a new one."""
        self.file = folder / STATE
        if restart and self.file.exists():
            for name in FOLDERS:
                shutil.rmtree(folder / name, ignore_errors=True)
            self.file.unlink()
        elif folder.exists() and not self.file.exists() and any(folder.iterdir()):
            raise ValueError(f"{folder} is not empty and has no demo in it: choose another folder with --out")
        content = {"settings": dict(settings), "seconds": {}}
        if self.file.exists():
            content = self._read()
            begun = content["settings"]
            changed = sorted(key for key in {*begun, *settings} if begun.get(key) != settings.get(key))
            if changed:
                raise ValueError(
                    f"{folder} was started with another {', '.join(changed)}: repeat the arguments, or give "
                    "another folder with --out, or --restart to remove it"
                )
        self.settings = content["settings"]
        self.seconds: dict[str, float] = content["seconds"]
        folder.mkdir(parents=True, exist_ok=True)
        self._write()

    def is_done(self, stage: Stage) -> bool:
        """Whether a stage was finished and its folders still exist."""
        return stage.name in self.seconds and all(path.exists() for path in stage.made)

    def begin(self, stage: Stage) -> None:
        """Remove what an earlier attempt left."""
        self.seconds.pop(stage.name, None)
        for path in stage.made:
            if path.is_dir():
                shutil.rmtree(path)

    def finish(self, stage: Stage, seconds: float) -> None:
        """Note that a stage is done."""
        self.seconds[stage.name] = round(seconds, 1)
        self._write()

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            return {"settings": content["settings"], "seconds": content["seconds"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.file} cannot be read ({error}): start again with --restart") from error

    def _write(self) -> None:
        write_atomically(self.file, json.dumps({"settings": self.settings, "seconds": self.seconds}, indent=2))
