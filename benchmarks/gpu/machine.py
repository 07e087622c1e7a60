"""The machine that a run is measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("nnunet_tricks", "nnunetv2", "torch", "numpy", "batchgeneratorsv2", "timm")


def machine(device: Any) -> dict[str, Any]:
    """Card, driver's CUDA, processor and versions."""
    import torch

    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = ""
    known: dict[str, Any] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions,
        "card": "none (CPU)",
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(device)
        known |= {
            "card": card.name,
            "memory_gib": round(card.total_memory / 2**30, 1),
            "capability": f"{card.major}.{card.minor}",
            "cuda": torch.version.cuda,
        }
    return known
