"""Augmentation of a patch in three ways."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from statistics import mean
from typing import Any

from benchmarks.gpu.failures import noted
from benchmarks.gpu.settings import CLASSES, Measurements, Settings
from benchmarks.gpu.steps import QUICK_STAGES
from benchmarks.gpu.targets import logits_and_target

NNUNET = "nnU-Net"


def augmentation(settings: Settings) -> Measurements:
    """Milliseconds of a patch in nnU-Net's default augmentation, in ours to the last bit, and in FastDA.

    It runs in loading processes on the CPU, so these are CPU times of one thread. The rate that a GPU needs is that of
    its steps, which stand in the other parts.
    """
    import torch

    torch.set_num_threads(1)
    for dimension in settings.shapes:
        if not settings.budget.over(f"augmentation in {dimension}"):
            yield dimension, partial(augmentation_in, dimension, settings)


def augmentation_in(dimension: str, settings: Settings) -> dict[str, Any]:
    """The three ways beside each other in one dimension. A way that fails has an error in place of numbers."""
    from nnunet_tricks.nnunet.sandbox import seed_everything

    _, _, *patch = settings.shapes[dimension]
    ways = transforms_of(patch)
    image, labels = image_and_labels(patch)
    rows: dict[str, dict[str, Any]] = {}
    times: dict[str, list[float]] = {name: [] for name in ways}
    draws = 3 if settings.quick else 20
    for draw in range(draws):
        if settings.budget.over(f"{draws - draw} of {draws} draws of augmentation in {dimension}"):
            break
        for name in [name for name in ways if name not in rows]:
            with noted(rows, name):
                seed_everything(draw)
                began = time.process_time()
                ways[name](image=image.clone(), segmentation=labels.clone())
                times[name].append(time.process_time() - began)
    known = {name: 1000 * mean(values) for name, values in times.items() if values and name not in rows}
    for name, milliseconds in known.items():
        rows[name] = {"milliseconds": round(milliseconds, 1)}
        if NNUNET in known:
            rows[name]["ratio"] = round(milliseconds / known[NNUNET], 3)
        print(f"  {dimension} {name:20} {milliseconds:10.1f} ms  x {rows[name].get('ratio', '?')}", flush=True)
    return rows


def transforms_of(patch: Sequence[int]) -> dict[str, Any]:
    """Training transforms for a patch, by the way that they are made."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels
    from nnunet_tricks.tricks.augmentation.fast_da import fast

    angle = angle_of(patch)
    stock = nnUNetTrainer.get_training_transforms
    exact = WithExactLabels(stock, print)
    arguments: dict[str, Any] = {
        "patch_size": tuple(patch),
        "rotation_for_DA": (-angle, angle),
        "deep_supervision_scales": [[1 / 2**level] * len(patch) for level in range(QUICK_STAGES - 1)],
        "mirror_axes": tuple(range(len(patch))),
        "do_dummy_2d_data_aug": False,
        "use_mask_for_norm": [False] * (3 if len(patch) == 2 else 1),
        "foreground_labels": list(range(1, CLASSES)),
    }
    return {
        NNUNET: stock(**arguments),
        "exact": exact(**arguments),
        "FastDA": fast(exact(**arguments)),
    }


def image_and_labels(patch: Sequence[int]) -> tuple[Any, Any]:
    """Random image and labels of the size that nnU-Net reads to rotate and scale a patch."""
    import torch
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size

    angle = angle_of(patch)
    read = tuple(map(int, get_patch_size(patch, *[(-angle, angle)] * 3, (0.85, 1.25))))
    image = torch.rand(3 if len(patch) == 2 else 1, *read)
    _, target = logits_and_target((1, CLASSES, *(side // 16 * 16 for side in read)), torch.device("cpu"))
    labels = torch.zeros(1, *read, dtype=torch.int16)
    inside = (slice(None), *(slice(0, side) for side in target.shape[2:]))
    labels[inside] = target[0]
    return image, labels


def angle_of(patch: Sequence[int]) -> float:
    """The largest rotation in nnU-Net's augmentation, in radians."""
    return math.pi if len(patch) == 2 else math.pi / 6
