"""Weights of the decoder's outputs in the loss."""

from __future__ import annotations

from collections.abc import Sequence


def equal_weights(nnunets: Sequence[float], levels: int) -> tuple[float, ...]:
    """Equal weights for the last levels of the decoder, none for the others.

    Args:
        nnunets: nnU-Net's weights, full size first. A level that is not trained gets the last of them: 0, or next to 0
            where DDP insists that every output takes part.
        levels: Number of levels to train; all where the network has fewer.

    Returns:
        One weight for each level; their sum is 1.

    Examples:
        >>> equal_weights([0.57, 0.29, 0.14, 0.0], levels=2)
        (0.5, 0.5, 0.0, 0.0)
    """
    trained = min(levels, len(nnunets))
    weights = [1.0 if level < trained else float(nnunets[-1]) for level in range(len(nnunets))]
    return tuple(weight / sum(weights) for weight in weights)
