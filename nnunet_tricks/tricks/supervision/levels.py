"""Which outputs of the decoder are trained, and with what weight."""

from __future__ import annotations

from collections.abc import Sequence


def equal_weights(nnunets: Sequence[float], levels: int) -> tuple[float, ...]:
    """Equal weights for the last levels of the decoder, none for the others.

    Args:
        nnunets: nnU-Net's weights, full size first. Its last one is what a level gets that is not to be trained: 0, or
            next to it where DDP insists that every output takes part.
        levels: How many levels to train; where the network has fewer, all of them.

    Returns:
        One weight for each level, with a sum of 1.

    Examples:
        >>> equal_weights([0.57, 0.29, 0.14, 0.0], levels=2)
        (0.5, 0.5, 0.0, 0.0)
    """
    trained = min(levels, len(nnunets))
    weights = [1.0 if level < trained else float(nnunets[-1]) for level in range(len(nnunets))]
    return tuple(weight / sum(weights) for weight in weights)
