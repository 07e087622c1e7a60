"""The mean prediction of several views of a patch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from nnunet_tricks.tricks.inference.views import View

SMALLEST = 1e-7
"""Probabilities are kept this far from 0 and 1, so that their logits are finite."""


def mean_over_views(
    network: Callable[[Tensor], Tensor],
    image: Tensor,
    views: Sequence[View],
    *,
    average: str = "logits",
    regions: bool = False,
    batch: int = 1,
) -> Tensor:
    """Predict each view, bring the predictions back, and average them.

    Args:
        network: From a batch of patches to their logits.
        image: One patch, with batch (of 1) and channels first.
        views: At least one.
        average: ``logits``, or ``probabilities``: then the result's softmax (sigmoid with ``regions``) is the mean.
        regions: Whether the outputs are regions, each with a sigmoid of its own, or classes with a softmax.
        batch: Number of views of one shape that the network gets at once.

    Returns:
        Logits, classes along the second axis. Voxels that no view shows are those of the first view.

    Examples:
        >>> from nnunet_tricks.tricks.inference.views import Flip
        >>> image = torch.arange(4.0).reshape(1, 1, 2, 2)
        >>> mean_over_views(lambda x: 2 * x, image, [View("identity"), View("flip0", (Flip(0),))]).flatten().tolist()
        [0.0, 2.0, 4.0, 6.0]
    """
    total: Tensor | None = None
    weight: Tensor | float = 0.0
    for view, logits in _predictions(network, image, views, batch):
        vote = _probabilities(logits, regions) if average == "probabilities" else logits
        vote = view.back(vote)
        seen = view.seen(image.shape[2:])
        if seen is not None:
            seen = seen.to(vote)
            vote = vote * seen
        weight = weight + (1.0 if seen is None else seen)
        # In place where nothing else holds the tensor: a second copy of the logits is what limits the batch.
        total = vote if total is None else total.add_(vote)
        # Else they would stay until the next view has been predicted, when memory is needed most.
        del logits, vote
    if total is None:
        raise ValueError("views is empty, and at least one view is needed")
    mean = total / weight.clamp(min=1) if isinstance(weight, Tensor) else total.div_(weight)
    return _logits(mean, regions) if average == "probabilities" else mean


def _predictions(
    network: Callable[[Tensor], Tensor], image: Tensor, views: Sequence[View], batch: int
) -> Iterator[tuple[View, Tensor]]:
    """Each view with the network's logits of it; views of one shape together, up to ``batch``."""
    if batch == 1:
        for view in views:
            yield view, network(view.there(image))
        return
    waiting: list[tuple[View, Tensor]] = []
    for view in views:
        shown = view.there(image)
        if waiting and (len(waiting) == batch or waiting[0][1].shape != shown.shape):
            yield from _together(network, waiting)
            waiting = []
        waiting.append((view, shown))
    yield from _together(network, waiting)


def _together(
    network: Callable[[Tensor], Tensor], waiting: Sequence[tuple[View, Tensor]]
) -> Iterator[tuple[View, Tensor]]:
    logits = network(torch.cat([shown for _, shown in waiting]))
    for position, (view, _) in enumerate(waiting):
        yield view, logits[position : position + 1]


def _probabilities(logits: Tensor, regions: bool) -> Tensor:
    return torch.sigmoid(logits.float()) if regions else torch.softmax(logits.float(), 1)


def _logits(probabilities: Tensor, regions: bool) -> Tensor:
    bounded = probabilities.clamp(SMALLEST, 1 - SMALLEST)
    return torch.logit(bounded) if regions else torch.log(bounded)
