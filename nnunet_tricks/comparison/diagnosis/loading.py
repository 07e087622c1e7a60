"""Whether an epoch waits for the processes that load and augment patches.

nnU-Net's log does not say how long a step waited. Three things tell nevertheless:

- The full validation predicts whole images without loading processes. From its times follows what a patch costs the
  network, on the same machine. If all patches of an epoch cost much less than the epoch took, the rest was waiting.
- It also reads whole cases, and the log says how long that takes. A slow disk is seen there.
- Where there was no validation: what nnU-Net's augmentation takes elsewhere, as ``docs/waiting.md`` measured it.

``doctor --workers`` measures it.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Sequence
from statistics import median, quantiles
from typing import Any

from nnunet_tricks.catalogue.naming import IllegalName, parse
from nnunet_tricks.comparison.diagnosis.finding import Finding
from nnunet_tricks.comparison.diagnosis.training import Training
from nnunet_tricks.nnunet.plans_file import resolve

WAITING = "loading processes are too slow"
SLOW = "my epochs take long"

STEP = 3
"""A training step costs as much as so many predictions: a backward pass takes about twice the time of a forward one."""

OVERLAP = 0.5
"""Part of a patch by which nnU-Net moves its window."""

CHANNEL_TIME = {2: 14e-9, 3: 64e-9}
"""Seconds of nnU-Net's augmentation for a voxel of one channel, by the number of axes."""

LABEL_TIME = {2: 3e-9, 3: 12e-9}
"""The same for each label beside background. Our trainers do not spend it."""

BOUND = 0.7
"""Share of an epoch that loading would fill, from which on the epoch is bound by it."""

SMALL = 2_000_000
"""Voxels of a case that are read at once, however small a part of them is needed."""

IDLE = 1 / 3
"""Share of an epoch below which the network's own work does not explain it."""


def faults(training: Training) -> Iterator[Finding]:
    """Epochs that wait for their patches, as far as an estimate can tell.

    Args:
        training: The training.
    """
    times = [epoch.seconds for epoch in training.epochs[1:] if epoch.seconds > 0]
    if len(times) < 2:
        return
    epoch = median(times)
    working, needed, reading = computing_time(training), loading_time(training), reading_time(training)
    if reading is not None and reading >= BOUND * epoch:
        usual = median(case.reading for case in training.log.predicted)
        seen = (
            f"an epoch takes {epoch:.3g} s, and its loading processes need about {reading:.3g} s for reading alone: a "
            f"case took {usual:.2g} s to be read in the validation after the training"
        )
    elif working is not None and working < IDLE * epoch:
        seen = (
            f"an epoch takes {epoch:.3g} s, and the network needs about {working:.3g} s for its patches, judged by the "
            "time of the validation after the training: so it waits for them"
        )
    elif working is None and needed is not None and needed >= BOUND * epoch:
        seen = (
            f"an epoch takes {epoch:.3g} s, and the loading processes need about {needed:.3g} s for its patches, by "
            "what nnU-Net's augmentation takes elsewhere: so the network waits for them"
        )
    else:
        return
    workers = training.text("dataloader_train.num_processes")
    processes = "loading process" if workers == "1" else "loading processes"
    who = f"{workers} {processes}" if workers else "the training process itself"
    yield Finding(
        WAITING,
        SLOW,
        "likely",
        (seen, f"patches were loaded by {who}"),
        (
            "nnunet-tricks doctor --workers DATASET measures it on this machine, and says which nnUNet_n_proc_DA "
            "keeps the device busy; preprocessed data belong on a fast local disk",
            "trainers of this package load the same patches in less time, such as nnUNetTrainer_run2; the more "
            "labels, the greater the difference",
        ),
        ("FastDA",),
    )


def computing_time(training: Training) -> float | None:
    """Seconds that the network needs for the patches of an epoch, judged by the validation; None if not known.

    Args:
        training: The training.
    """
    batch, steps, checks = (
        training.number(key) for key in ("batch_size", "num_iterations_per_epoch", "num_val_iterations_per_epoch")
    )
    patch, views = _patch(training), _views(training)
    if batch is None or steps is None or checks is None or not patch or views is None:
        return None
    times = [
        case.seconds / (windows(case.shape[1:], patch) * views)
        for case in training.log.predicted
        if case.seconds > 0 and len(case.shape) == 4
    ]
    if len(times) < 4:
        return None
    # Where a case waited for the writing of those before, its time is too long.
    of_patch = quantiles(times, n=4)[0]
    return batch * of_patch * (STEP * steps + checks)


def windows(image: Sequence[int], patch: Sequence[int]) -> int:
    """Number of patches with which nnU-Net covers an image.

    Args:
        image: Voxels along each of three axes.
        patch: Voxels of the patch; with two axes it is moved over each slice.

    Examples:
        >>> windows([1, 256, 256], [128, 128]), windows([40, 40, 40], [64, 64, 64])
        (9, 1)
    """
    slices = math.prod(image[: len(image) - len(patch)])
    steps = [
        math.ceil(max(size - window, 0) / (window * OVERLAP)) + 1
        for size, window in zip(image[len(image) - len(patch) :], patch, strict=True)
    ]
    return slices * math.prod(steps)


def loading_time(training: Training) -> float | None:
    """Seconds that all loading processes together need for the patches of an epoch; None if too little is known.

    Args:
        training: The training.
    """
    workers, batch, steps = (
        training.number(key) for key in ("dataloader_train.num_processes", "batch_size", "num_iterations_per_epoch")
    )
    patch = _patch(training)
    if not workers or batch is None or steps is None or not training.names or len(patch) not in CHANNEL_TIME:
        return None
    channels = len(training.description.get("channel_names", ())) or 1
    labels = 0 if _is_ours(training) else len(training.names)
    of_voxel = CHANNEL_TIME[len(patch)] * channels + LABEL_TIME[len(patch)] * labels
    return steps * batch * math.prod(patch) * of_voxel / workers


def reading_time(training: Training) -> float | None:
    """Seconds that all loading processes together need to read the cases of an epoch's patches; None if not known.

    Args:
        training: The training.
    """
    workers, batch, steps = (
        training.number(key) for key in ("dataloader_train.num_processes", "batch_size", "num_iterations_per_epoch")
    )
    patch, cases = _patch(training), training.log.predicted
    if batch is None or steps is None or not patch or len(cases) < 4:
        return None
    # Of a large case only the part around a patch is read.
    parts = [
        case.reading
        * min(1.0, max(SMALL, math.prod(2 * size for size in patch) * case.shape[0]) / math.prod(case.shape))
        for case in cases
    ]
    return steps * batch * median(parts) / (workers or 1)


def _views(training: Training) -> int | None:
    """Number of mirrored views that the validation predicted."""
    try:
        axes = ast.literal_eval(training.text("inference_allowed_mirroring_axes"))
    except (ValueError, SyntaxError):
        return None
    return 2 ** len(axes) if axes else 1


def _patch(training: Training) -> list[int]:
    configuration = training.text("configuration_name") or training.folder.parent.name.rpartition("__")[2]
    try:
        settings: dict[str, Any] = resolve(training.plans, configuration)
        return [int(size) for size in settings.get("patch_size", ())]
    except (ValueError, KeyError, TypeError):
        return []


def _is_ours(training: Training) -> bool:
    try:
        parse(training.trainer)
    except IllegalName:
        return False
    return bool(training.text("nnunet_tricks_version"))
