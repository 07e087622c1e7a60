"""The demo: its stages, one after the other."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_tricks.demo import nnunet
from nnunet_tricks.demo.progress import Display
from nnunet_tricks.demo.raw_data import NAME, write_phantoms
from nnunet_tricks.demo.scores import Classes, mean_scores
from nnunet_tricks.demo.stages import Stage, State, clear
from nnunet_tricks.naming import parse
from nnunet_tricks.planning import plans_file
from nnunet_tricks.planning.small import small_configuration

FOLD = "0"
Watch = Callable[[float | None], None]


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What is done, and where.

    Attributes:
        out: Folder for everything.
        trainers: The baseline first.
        epochs: Of each training.
        patch: Of the small configuration, in voxels; our choice if empty.
        train: Number of phantoms to train on.
        unseen: Number of phantoms to predict.
        device: nnU-Net's ``-device``.
    """

    out: Path
    trainers: tuple[str, ...] = ("nnUNetTrainer", "nnUNetTrainerTversky")
    epochs: int = 3
    patch: tuple[int, ...] = (16, 48, 48)
    train: int = 10
    unseen: int = 4
    device: str = "cpu"
    dataset: str = field(default=NAME, init=False)
    source: str = field(default="3d_fullres", init=False)

    @property
    def names(self) -> list[str]:
        """The trainers' full names."""
        return [str(replace(parse(name), epochs=self.epochs)) for name in self.trainers]

    @property
    def raw(self) -> Path:
        """The raw data set."""
        return self.out / "raw" / self.dataset

    @property
    def configuration(self) -> str:
        """That is trained."""
        return f"{self.source}_small"

    def predictions(self, trainer: str) -> Path:
        """Where a trainer's predictions of the unseen cases are."""
        return self.out / "predictions" / trainer

    def model(self, trainer: str) -> Path:
        """Where nnU-Net puts a trainer's model."""
        return self.out / "results" / self.dataset / f"{trainer}__{plans_file.DEFAULT_PLANS}__{self.configuration}"


def run(demo: Demo, *, restart: bool = False) -> dict[str, Any]:
    """Do all that is not done yet.

    Args:
        demo: What to do.
        restart: Throw away what is there.

    Returns:
        Scores per trainer, class and score, and where things are.
    """
    settings = {"trainers": demo.names, "patch": list(demo.patch), "train": demo.train, "unseen": demo.unseen}
    state = State(demo.out, settings, restart=restart)
    todo = [stage for stage in _stages(demo) if stage.name not in state.seconds]
    with Display({stage.name: stage.seconds for stage in todo}) as display:
        for stage in todo:
            clear(stage.made)
            display.start(stage.name)
            stage.work(display.tell)
            state.finish(stage.name, display.finish())
    return {
        "folder": str(demo.out),
        "device": demo.device,
        "configuration": demo.configuration,
        "epochs": demo.epochs,
        "seconds": state.seconds,
        "scores": _scores(demo),
    }


def _stages(demo: Demo) -> list[Stage]:
    command = partial(_command, demo)
    number = demo.dataset[len("Dataset") :].partition("_")[0]
    stages = [
        Stage(name="make phantoms", seconds=2, work=lambda _: _make(demo), made=(demo.raw,)),
        Stage(
            name="plan and preprocess",
            seconds=25,
            work=command(
                "plan_and_preprocess",
                [
                    "nnUNetv2_plan_and_preprocess",
                    "-d",
                    number,
                    "-c",
                    demo.source,
                    "-npfp",
                    "1",
                    "-np",
                    "1",
                    "--no_pbar",
                ],
            ),
            made=(demo.out / "preprocessed",),
        ),
        Stage(name="add the small configuration", seconds=0.1, work=lambda _: _plan_small(demo)),
    ]
    for name in demo.names:
        which = [demo.dataset, demo.configuration, FOLD, "-tr", name]
        stages += [
            Stage(
                name=f"train {name}",
                seconds=20 + 32 * demo.epochs,
                work=command(f"train_{name}", ["nnUNetv2_train", *which, "-device", demo.device], epochs=demo.epochs),
                made=(demo.model(name),),
            ),
            Stage(
                name=f"predict with {name}",
                seconds=12,
                work=command(
                    f"predict_{name}",
                    [
                        *("nnUNetv2_predict", "-i", str(demo.raw / "imagesTs"), "-o", str(demo.predictions(name))),
                        *("-d", demo.dataset, "-c", demo.configuration, "-f", FOLD, "-tr", name),
                        *("-npp", "0", "-nps", "0", "-device", demo.device, "--disable_progress_bar"),
                    ],
                ),
                made=(demo.predictions(name),),
            ),
        ]
    return stages


def _make(demo: Demo) -> None:
    demo.raw.parent.mkdir(parents=True, exist_ok=True)
    write_phantoms(demo.raw, train=demo.train, unseen=demo.unseen)


def _plan_small(demo: Demo) -> None:
    file = plans_file.find(demo.dataset, preprocessed=demo.out / "preprocessed")
    plans = plans_file.read(file)
    plans_file.add(file, demo.configuration, small_configuration(plans, demo.source, patch_size=demo.patch or None))


def _command(demo: Demo, log: str, words: Sequence[str], *, epochs: int = 0) -> Callable[[Watch], None]:
    """The work of a stage that is one of nnU-Net's commands."""

    def work(watch: Watch) -> None:
        folders = {name: demo.out / name for name in ("raw", "preprocessed", "results")}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        cores = os.cpu_count() or 1
        processes = 1 if demo.device == "cpu" else min(cores, 12)
        file = demo.out / "logs" / f"{log}.txt"
        nnunet.run(
            [nnunet.command(words[0]), *words[1:]],
            variables=nnunet.environment(**folders, processes=processes),
            log=file,
            watch=_training_watch(file, epochs, watch) if epochs else lambda: watch(None),
        )

    return work


def _training_watch(log: Path, epochs: int, watch: Watch) -> Callable[[], None]:
    """Tells how far a training is, from what nnU-Net logs after each epoch and the time since."""
    ended: list[float] = [time.monotonic()]

    def look() -> None:
        seen = len(re.findall(r"Epoch time: ", log.read_text(encoding="utf-8", errors="replace")))
        while len(ended) <= seen:
            ended.append(time.monotonic())
        if not seen:
            watch(None)
            return
        each = (ended[-1] - ended[0]) / seen
        under_way = min((time.monotonic() - ended[-1]) / each, 0.95) if seen < epochs else 0.0
        watch(min((seen + under_way) / (epochs + 0.2), 0.99))

    return look


def _scores(demo: Demo) -> dict[str, dict[str, dict[str, float]]]:
    import SimpleITK

    dataset = json.loads((demo.raw / "dataset.json").read_text(encoding="utf-8"))
    classes = Classes.of(dataset)

    def read(file: Path) -> Any:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))

    truths = sorted((demo.raw / "labelsTs").glob(f"*{dataset['file_ending']}"))
    return {
        name: mean_scores([classes.count(read(demo.predictions(name) / file.name), read(file)) for file in truths])
        for name in demo.names
    }
