"""Random logits, and labels for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def logits_and_target(shape: Sequence[int], device: Any) -> tuple[Any, Any]:
    """Random logits, and blobs of each class in nnU-Net's target layout."""
    import torch
    import torch.nn.functional as F  # noqa: N812, its standard name

    torch.manual_seed(0)
    logits = torch.randn(tuple(shape))
    coarse = torch.randn(*shape[:2], *(side // 16 for side in shape[2:]))
    target = F.interpolate(coarse, size=tuple(shape[2:])).argmax(1, keepdim=True).to(torch.int16)
    return logits.to(device).requires_grad_(), target.to(device)
