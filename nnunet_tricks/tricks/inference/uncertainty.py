"""How sure a prediction is, voxel by voxel and case by case, in bits.

The entropy of the mean prediction is high where the model is unsure for any reason. The mutual information, entropy of
the mean minus mean of the entropies, is high where the models of several folds disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

ENTROPY = "entropy"
DISAGREEMENT = "disagreement"


def entropy(probabilities: Tensor, *, regions: bool) -> Tensor:
    """Entropy of each voxel in bits.

    Args:
        probabilities: (classes, *spatial).
        regions: Whether each output is a question of its own; then it is the mean of their entropies.

    Returns:
        (*spatial), from 0 to log2 of the number of classes, with regions to 1.

    Examples:
        >>> entropy(torch.tensor([[0.5, 1.0], [0.5, 0.0]]), regions=False).tolist()
        [1.0, 0.0]
    """
    bits = torch.special.entr(probabilities) / torch.log(torch.tensor(2.0))
    if not regions:
        return bits.sum(0)
    return (bits + torch.special.entr(1 - probabilities) / torch.log(torch.tensor(2.0))).mean(0)


def uncertainty_maps(members: Sequence[Tensor], *, regions: bool) -> dict[str, Tensor]:
    """Entropy of the members' mean, and where there are several, their disagreement.

    Args:
        members: Logits of each model, (classes, *spatial).
        regions: Whether the outputs are regions.

    Returns:
        Maps (*spatial) in bits, by name.

    Examples:
        >>> sure, other = torch.tensor([[20.0], [-20.0]]), torch.tensor([[-20.0], [20.0]])
        >>> maps = uncertainty_maps([sure, other], regions=False)
        >>> [round(float(maps[name]), 2) for name in (ENTROPY, DISAGREEMENT)]
        [1.0, 1.0]
    """
    return maps_of_probabilities([_probabilities(logits, regions) for logits in members], regions=regions)


def maps_of_probabilities(probabilities: Sequence[Tensor], *, regions: bool) -> dict[str, Tensor]:
    """The same maps, of each member's probabilities (classes, *spatial)."""
    mean = torch.stack(list(probabilities)).mean(0) if len(probabilities) > 1 else probabilities[0]
    total = entropy(mean, regions=regions)
    maps = {ENTROPY: total}
    if len(probabilities) > 1:
        within = torch.stack([entropy(each, regions=regions) for each in probabilities]).mean(0)
        maps[DISAGREEMENT] = (total - within).clamp(min=0)
    return maps


def _probabilities(logits: Tensor, regions: bool) -> Tensor:
    return torch.sigmoid(logits.float()) if regions else torch.softmax(logits.float(), 0)
