"""Augmentation of a patch in three ways."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.gpu.settings import CLASSES, Settings
from benchmarks.gpu.steps import QUICK_STAGES
from benchmarks.gpu.targets import logits_and_target


def augmentation(settings: Settings) -> dict[str, Any]:
    """Milliseconds of a patch in nnU-Net's default augmentation, in ours to the last bit, and in FastDA.

    It runs in loading processes on the CPU, so these are CPU times of one thread. The rate that a GPU needs is that of
    its steps, which stand in the other parts.
    """
    import numpy as np
    import torch
    from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    from nnunet_tricks.nnunet.sandbox import seed_everything
    from nnunet_tricks.training.resampling.exact_augmentation import WithExactLabels
    from nnunet_tricks.tricks.augmentation.fast_da import fast

    torch.set_num_threads(1)
    results = {}
    for dimension, (_, _, *patch) in settings.shapes.items():
        angle = float(np.pi) if len(patch) == 2 else float(np.pi) / 6
        stock = nnUNetTrainer.get_training_transforms
        exact = WithExactLabels(stock, print)
        settings_of_transforms: dict[str, Any] = {
            "patch_size": tuple(patch),
            "rotation_for_DA": (-angle, angle),
            "deep_supervision_scales": [[1 / 2**level] * len(patch) for level in range(QUICK_STAGES - 1)],
            "mirror_axes": tuple(range(len(patch))),
            "do_dummy_2d_data_aug": False,
            "use_mask_for_norm": [False] * (3 if len(patch) == 2 else 1),
            "foreground_labels": list(range(1, CLASSES)),
        }
        ways = {
            "nnU-Net": stock(**settings_of_transforms),
            "exact": exact(**settings_of_transforms),
            "FastDA": fast(exact(**settings_of_transforms)),
        }
        read = tuple(map(int, get_patch_size(patch, *[(-angle, angle)] * 3, (0.85, 1.25))))
        image = torch.rand(3 if len(patch) == 2 else 1, *read)
        _, target = logits_and_target((1, CLASSES, *(side // 16 * 16 for side in read)), torch.device("cpu"))
        labels = torch.zeros(1, *read, dtype=torch.int16)
        inside = (slice(None), *(slice(0, side) for side in target.shape[2:]))
        labels[inside] = target[0]
        times: dict[str, list[float]] = {name: [] for name in ways}
        for draw in range(3 if settings.quick else 20):
            for name, transform in ways.items():
                if settings.budget.over(f"draw {draw} of {name} in {dimension}"):
                    continue
                seed_everything(draw)
                began = time.process_time()
                transform(image=image.clone(), segmentation=labels.clone())
                times[name].append(time.process_time() - began)
        known = {name: 1000 * sum(values) / len(values) for name, values in times.items() if values}
        results[dimension] = {
            name: {"milliseconds": round(value, 1), "ratio": round(value / known["nnU-Net"], 3)}
            for name, value in known.items()
        }
        for name, row in results[dimension].items():
            print(f"  {dimension} {name:20} {row['milliseconds']:10.1f} ms  x {row['ratio']:6.3f}", flush=True)
    return results
