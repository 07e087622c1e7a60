"""Batch norm whose statistics several GPUs share, for networks with layers of timm.

timm has layers that normalise and activate in one. Torch's conversion replaces them by layers without the activation:
the network has the same weights then and computes something else. timm's own conversion keeps the activation, but drops
it if it meets a layer twice, and nnU-Net's decoder holds its encoder a second time.
"""

# mypy: untyped-calls-exclude="timm"
from __future__ import annotations

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def with_shared_statistics(network: nn.Module, process_group: Any = None) -> nn.Module:
    """Replace the batch norm layers of a network, each once, by layers with the same weights.

    Args:
        network: The network; it is changed.
        process_group: Processes that share statistics; all if ``None``.

    Returns:
        The network, or its replacement where it is itself such a layer.

    Examples:
        >>> with_shared_statistics(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)))[1]
        SyncBatchNorm(4, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)
    """
    return _replaced(network, process_group, {})


def _replaced(module: nn.Module, group: Any, known: dict[nn.Module, nn.Module]) -> nn.Module:
    if module not in known:
        known[module] = module
        if isinstance(module, nn.SyncBatchNorm):
            pass
        elif isinstance(module, _BatchNorm):
            from timm.layers.norm_act import convert_sync_batchnorm

            known[module] = convert_sync_batchnorm(module, group)
        else:
            # named_children would leave out what is there under two names.
            for name, child in list(module._modules.items()):
                if child is not None:
                    module._modules[name] = _replaced(child, group, known)
    return known[module]
