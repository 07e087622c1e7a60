"""The demo: its stages, one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from nnunet_tricks.catalogue.naming import parse
from nnunet_tricks.demo import nnunet
from nnunet_tricks.demo.epochs import EpochWatch
from nnunet_tricks.demo.progress import StageDisplay
from nnunet_tricks.demo.raw_data import write_phantoms
from nnunet_tricks.demo.setting import FOLD, DemoSetting
from nnunet_tricks.demo.source import DemoCases, adopt, select
from nnunet_tricks.demo.stages import DemoState, Stage
from nnunet_tricks.door.commands import command as find_command
from nnunet_tricks.nnunet import plans_file
from nnunet_tricks.planning.small import small_configuration
from nnunet_tricks.utilities.files import write_atomically

VOXELS = {2: 128**2, 3: 32**3}
"""Voxels of a patch, fewer than with ``plan --small``: more steps in the time of a demo."""

PICTURE = "comparison.png"
RESULT = "result.json"

Watch = Callable[[float | None], None]


def run(setting: DemoSetting, *, restart: bool = False) -> dict[str, Any]:
    """Do everything that is not done yet, and compare.

    Args:
        setting: Settings of the demo.
        restart: Whether to remove what an earlier demo left.

    Returns:
        Scores by trainer, class and score, and paths of the results.

    Raises:
        ValueError: If the folder has other content, the source is not suitable, or a command of nnU-Net fails.
    """
    # Before anything is written.
    selection = _select(setting)
    state = DemoState(setting.out, setting.decisive, restart=restart)
    todo = [stage for stage in _stages(setting, selection) if not state.is_done(stage)]
    with StageDisplay({stage.name: stage.seconds for stage in todo}) as display:
        for stage in todo:
            state.begin(stage)
            display.start(stage.name)
            stage.work(display.tell)
            state.finish(stage, display.finish())
    return _compare(setting, state)


def _stages(setting: DemoSetting, selection: DemoCases | None) -> list[Stage]:
    data = [
        Stage(
            name="link the files of the source" if setting.source else "make phantoms",
            seconds=2,
            work=lambda _: _make_raw(setting, selection),
            made=(setting.raw,),
        ),
        Stage(
            name="plan and preprocess",
            seconds=20,
            work=_command(
                setting,
                "plan_and_preprocess",
                ["nnUNetv2_plan_and_preprocess", "-d", setting.number, "-c", setting.configuration, "--no_pbar"],
                ["-npfp", str(setting.processes), "-np", str(setting.processes)],
            ),
            made=(setting.preprocessed,),
        ),
        Stage(name=f"add {setting.small} to the plans", seconds=0.1, work=lambda _: _add_small(setting)),
    ]
    return data + [stage for trainer in setting.trainers for stage in _train_and_predict(setting, trainer)]


def _train_and_predict(setting: DemoSetting, trainer: str) -> list[Stage]:
    epochs = parse(trainer).epochs
    train = ["nnUNetv2_train", setting.dataset, setting.small, FOLD, "-tr", trainer, "-device", setting.device]
    predict = ["nnUNetv2_predict", "-d", setting.dataset, "-c", setting.small, "-f", FOLD, "-tr", trainer]
    files = ["-i", str(setting.raw / "imagesTs"), "-o", str(setting.predictions(trainer))]
    # Without extra processes: starting them takes longer than predicting a few small cases.
    how = ["-npp", "0", "-nps", "0", "-device", setting.device, "--disable_progress_bar"]
    return [
        Stage(
            name=f"train {trainer}",
            seconds=20 + 18 * epochs,
            work=_command(setting, f"train_{trainer}", train, epochs=epochs),
            made=(setting.model(trainer),),
        ),
        Stage(
            name=f"predict with {trainer}",
            seconds=20,
            work=_command(setting, f"predict_{trainer}", predict, files, how),
            made=(setting.predictions(trainer),),
        ),
    ]


def _command(setting: DemoSetting, name: str, *words: Sequence[str], epochs: int = 0) -> Callable[[Watch], None]:
    """The work of a stage that runs a command of nnU-Net."""
    command, *arguments = [word for part in words for word in part]
    log = setting.out / "logs" / f"{name}.txt"

    def work(watch: Watch) -> None:
        training = EpochWatch(log, epochs) if epochs else None
        nnunet.run(
            [find_command(command), *arguments],
            variables=nnunet.environment(setting.out, processes=setting.processes),
            log=log,
            watch=lambda: watch(training.share() if training else None),
        )

    return work


def _select(setting: DemoSetting) -> DemoCases | None:
    if setting.source in (setting.out, *setting.out.parents):
        raise ValueError(f"--out {setting.out} is inside the source, which is only read: choose another folder")
    return select(setting.source, train=setting.train, unseen=setting.unseen) if setting.source else None


def _make_raw(setting: DemoSetting, selection: DemoCases | None) -> None:
    setting.raw.parent.mkdir(parents=True, exist_ok=True)
    if selection:
        adopt(selection, setting.raw)
    else:
        write_phantoms(setting.raw, train=setting.train, unseen=setting.unseen)


def _add_small(setting: DemoSetting) -> None:
    plans = plans_file.read(setting.plans)
    small = small_configuration(plans, setting.configuration, patch_size=setting.patch or None, voxels=VOXELS)
    plans_file.add(setting.plans, setting.small, small)


def _compare(setting: DemoSetting, state: DemoState) -> dict[str, Any]:
    # Both imports take long, and a demo that fails earlier should not wait for them.
    from nnunet_tricks.demo import picture, results

    comparison = results.read(setting)
    picture.draw(comparison, setting.out / PICTURE)
    result = {
        "folder": str(setting.out),
        "data": setting.dataset,
        "configuration": setting.small,
        "device": setting.device,
        "unseen": [case.case for case in comparison.slices],
        "scores": comparison.scores,
        "picture": str(setting.out / PICTURE),
        "seconds": state.seconds,
    }
    write_atomically(setting.out / RESULT, json.dumps(result, indent=2))
    return result
