"""Views of an image at prediction: the image is changed, predicted, and the prediction is changed back.

Zhang D. et al., "Deep Learning for Medical Image Segmentation: Tricks, Challenges and Future Directions",
section 3.5.1.

A view is written as its changes joined by ``+``, in the order in which they are made: ``flip0+turn1``. Axes count the
spatial axes of the patch from 0, in the order in which the network sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

IDENTITY = "identity"
_SPATIAL = 2
"""Batch and channels come first."""


@dataclass(frozen=True)
class Flip:
    """Mirrors one axis.

    Attributes:
        axis: Spatial axis.
    """

    axis: int

    def there(self, image: Tensor) -> Tensor:
        """The image as the network gets it."""
        return torch.flip(image, (self.axis + _SPATIAL,))

    def back(self, prediction: Tensor) -> Tensor:
        """The prediction at the places of the original."""
        return self.there(prediction)


@dataclass(frozen=True)
class QuarterTurn:
    """Turns a plane by 90, 180 or 270 degrees.

    Attributes:
        quarters: Number of quarter turns, 1 to 3.
        plane: The two spatial axes that are turned into each other.
    """

    quarters: int
    plane: tuple[int, int]

    def there(self, image: Tensor) -> Tensor:
        """The image as the network gets it."""
        return torch.rot90(image, self.quarters, self._dimensions)

    def back(self, prediction: Tensor) -> Tensor:
        """The prediction at the places of the original."""
        return torch.rot90(prediction, -self.quarters, self._dimensions)

    @property
    def _dimensions(self) -> tuple[int, int]:
        return self.plane[0] + _SPATIAL, self.plane[1] + _SPATIAL


@dataclass(frozen=True)
class Magnify:
    """Shows objects larger or smaller about the middle of the patch, by linear interpolation.

    The border is repeated where a smaller image leaves room. Where a larger one does not fit, the view has no vote.

    Attributes:
        factor: Size of objects against the original, above 0.
        axes: The spatial axes that are scaled.
    """

    factor: float
    axes: tuple[int, ...]

    def there(self, image: Tensor) -> Tensor:
        """The image as the network gets it."""
        return self._sampled(image, 1 / self.factor)

    def back(self, prediction: Tensor) -> Tensor:
        """The prediction at the places of the original."""
        return self._sampled(prediction, self.factor)

    def seen(self, shape: Sequence[int]) -> Tensor:
        """1 where the view shows the voxels of a patch of this spatial shape, else 0."""
        mask = torch.ones(tuple(shape))
        for axis in self.axes:
            side = shape[axis]
            middle = (torch.arange(side) + 0.5) / side * 2 - 1
            line = ((middle * self.factor).abs() <= 1).float()
            mask *= line.reshape([-1 if position == axis else 1 for position in range(len(shape))])
        return mask

    def _sampled(self, image: Tensor, step: float) -> Tensor:
        dimensions = image.ndim - _SPATIAL
        # grid_sample counts axes from the last.
        steps = [step if dimensions - 1 - axis in self.axes else 1.0 for axis in range(dimensions)]
        matrix = torch.diag(torch.tensor(steps, device=image.device))
        matrix = torch.cat([matrix, torch.zeros(dimensions, 1, device=image.device)], 1)
        grid = affine_grid(matrix.expand(image.shape[0], -1, -1), list(image.shape), align_corners=False)
        return grid_sample(image.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


@dataclass(frozen=True)
class GreyValues:
    """Changes grey values and leaves everything at its place.

    Attributes:
        change: From a patch to a patch of the same shape.
    """

    change: Callable[[Tensor], Tensor]

    def there(self, image: Tensor) -> Tensor:
        """The image as the network gets it."""
        return self.change(image)

    def back(self, prediction: Tensor) -> Tensor:
        """The prediction, since nothing has moved."""
        return prediction


Change = Flip | QuarterTurn | Magnify | GreyValues


@dataclass(frozen=True)
class View:
    """One way to look at a patch.

    Attributes:
        name: As it is written.
        changes: What is done to the image, first to last.

    Examples:
        >>> view = View("flip0+turn1", (Flip(0), QuarterTurn(1, (0, 1))))
        >>> image = torch.arange(6.0).reshape(1, 1, 2, 3)
        >>> view.there(image)[0, 0].tolist()
        [[5.0, 2.0], [4.0, 1.0], [3.0, 0.0]]
        >>> torch.equal(view.back(view.there(image)), image)
        True
    """

    name: str
    changes: tuple[Change, ...] = ()

    def there(self, image: Tensor) -> Tensor:
        """The image as the network gets it; batch and channels first."""
        for change in self.changes:
            image = change.there(image)
        return image

    def back(self, prediction: Tensor) -> Tensor:
        """The prediction at the places of the original; batch and classes first."""
        for change in reversed(self.changes):
            prediction = change.back(prediction)
        return prediction

    def seen(self, shape: Sequence[int]) -> Tensor | None:
        """1 where the view shows a voxel of a patch of this spatial shape, else 0; ``None`` where it shows all."""
        larger = [change for change in self.changes if isinstance(change, Magnify) and change.factor > 1]
        if not larger:
            return None
        mask = torch.ones((1, 1, *shape))
        for change in reversed(self.changes):
            if isinstance(change, Magnify):
                mask = mask * change.seen(mask.shape[_SPATIAL:])
            elif not isinstance(change, GreyValues):
                mask = change.back(mask)
        return mask[0, 0]


_NUMBER = r"\d+(?:p\d+)?"
_WORDS = {
    "flip": re.compile(r"flip([0-2])"),
    "turn": re.compile(r"turn([1-3])(?:x([0-2])x([0-2]))?"),
    "zoom": re.compile(rf"zoom({_NUMBER})"),
    "gamma": re.compile(rf"gamma({_NUMBER})"),
    "contrast": re.compile(rf"contrast({_NUMBER})"),
    "brighter": re.compile(rf"brighter({_NUMBER})"),
    "darker": re.compile(rf"darker({_NUMBER})"),
    "noise": re.compile(rf"noise({_NUMBER})"),
}


def as_word(number: float) -> str:
    """A number as views spell it.

    Examples:
        >>> as_word(0.85), as_word(2.0)
        ('0p85', '2')
    """
    return f"{number:.4g}".replace(".", "p")


def view_of(name: str, *, plane: tuple[int, int] | None, zoomed: tuple[int, ...]) -> View:
    """Read a view.

    Args:
        name: ``identity``, or changes joined by ``+``: ``flip0``, ``turn1`` (quarter turns of the plane; ``turn1x0x2``
            of two other axes), ``zoom0p9``, ``gamma1p5``, ``contrast0p8``, ``brighter0p2`` and ``darker0p2`` (shares of
            the range), ``noise0p1`` (standard deviation as a share of the range, always the same noise).
        plane: The two axes that quarter turns may exchange, ``None`` where there are none.
        zoomed: The axes that are scaled.

    Returns:
        The view.

    Raises:
        ValueError: If there is no such change, or the patch allows no quarter turn.

    Examples:
        >>> view_of("flip1+turn2", plane=(0, 1), zoomed=(0, 1)).changes
        (Flip(axis=1), QuarterTurn(quarters=2, plane=(0, 1)))
    """
    if name == IDENTITY:
        return View(IDENTITY)
    return View(name, tuple(_change(word, name, plane, zoomed) for word in name.split("+")))


def _change(word: str, view: str, plane: tuple[int, int] | None, zoomed: tuple[int, ...]) -> Change:
    kind, match = next(
        ((kind, match) for kind, pattern in _WORDS.items() if (match := pattern.fullmatch(word))), ("", None)
    )
    if match is None:
        raise ValueError(
            f"view '{view}' has the part '{word}', and must be {IDENTITY} or parts such as flip0, turn1, zoom0p9, "
            "gamma1p5, contrast0p8, brighter0p2, darker0p2, noise0p1, joined by +"
        )
    if kind == "flip":
        return Flip(int(match[1]))
    if kind == "turn":
        axes = (int(match[2]), int(match[3])) if match[2] else plane
        if axes is None:
            raise ValueError(
                f"view '{view}' turns the patch, but no two of its axes have the same side and the same voxel edge"
            )
        return QuarterTurn(int(match[1]), axes)
    number = float(match[1].replace("p", "."))
    if kind == "zoom":
        if not 0.25 <= number <= 4:
            raise ValueError(f"view '{view}' scales by {number:g}, and a factor from 0.25 to 4 is allowed")
        return Magnify(number, zoomed)
    if kind in ("gamma", "contrast") and number == 0:
        raise ValueError(f"view '{view}' has {kind} 0, which leaves nothing of the image: give a number above 0")
    return GreyValues(_grey(kind, number))


def _grey(kind: str, number: float) -> Callable[[Tensor], Tensor]:
    def change(image: Tensor) -> Tensor:
        axes = tuple(range(_SPATIAL, image.ndim))
        low, high = image.amin(axes, keepdim=True), image.amax(axes, keepdim=True)
        extent = (high - low).clamp(min=1e-8)
        if kind == "gamma":
            return ((image - low) / extent) ** number * extent + low
        if kind == "contrast":
            mean = image.mean(axes, keepdim=True)
            return torch.minimum(torch.maximum((image - mean) * number + mean, low), high)
        if kind == "noise":
            generator = torch.Generator().manual_seed(0)
            noise = torch.randn(image.shape[1:], generator=generator).to(image)
            return image + noise * number * extent
        shift = number * extent
        return torch.minimum(torch.maximum(image + (shift if kind == "brighter" else -shift), low), high)

    return change
