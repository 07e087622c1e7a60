"""Whole networks, from libraries or our own, where nnU-Net expects its U-Net.

A network of one output has no deep supervision: with a single output nnU-Net would divide its weight of 0 by 0. Other
layers, as a norm trick would set them, have no place in it: such a network has its own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn

from nnunet_tricks.tricks.network.architecture.fitting import cropped, padded, padded_size
from nnunet_tricks.tricks.network.architecture.trainer import ArchitectureTrainer, Interface
from nnunet_tricks.tricks.network.enhancement.places import Place


class WholeNetwork(nn.Module):
    """A network of one output, for images of any size: padded for it, and its output cropped.

    Attributes:
        body: The network itself.
        deep_supervision: Switch that nnU-Net sets on decoders; it changes nothing.

    Examples:
        >>> import torch
        >>> WholeNetwork(nn.MaxPool2d(2, stride=1, padding=1), multiple=8)(torch.zeros(1, 1, 20, 33)).shape
        torch.Size([1, 1, 20, 33])
    """

    def __init__(
        self, body: nn.Module, *, multiple: int = 1, deepest: int = 1, fixed: Sequence[int] | None = None
    ) -> None:
        """Take a network.

        Args:
            body: Network from images (B, C, *spatial) to logits of the same size.
            multiple: Number that the sides of its images must be multiples of.
            deepest: Fewest voxels that its deepest stage must have.
            fixed: Only size that it takes, where there is one.
        """
        super().__init__()
        self.body = body
        self.multiple = multiple
        self.deepest = deepest
        self.fixed = None if fixed is None else tuple(fixed)
        self.deep_supervision = False

    @property
    def decoder(self) -> WholeNetwork:
        """Itself: nnU-Net switches deep supervision on and off here."""
        return self

    def inside(self, size: Sequence[int]) -> tuple[int, ...]:
        """Size to which images are padded.

        Raises:
            ValueError: If an image is larger than the network takes.
        """
        if self.fixed is None:
            return padded_size(size, self.multiple, deepest=self.deepest)
        if any(side > whole for side, whole in zip(size, self.fixed, strict=True)):
            got, most = ("x".join(map(str, sides)) for sides in (size, self.fixed))
            raise ValueError(
                f"this network was built for the patch size of its plans: it takes {most} voxels, not {got}"
            )
        return self.fixed

    def ife_places(self) -> Sequence[Place]:
        """The places that the network itself declares, none where it does not."""
        return getattr(self.body, "ife_places", tuple)()

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, *spatial) -> logits of the same size."""
        size = image.shape[2:]
        return cropped(self.body(padded(image, self.inside(size))), size)


class WholeNetworkTrainer(ArchitectureTrainer):
    """A trainer with a whole network. The catalogue says to which multiples images are padded for it.

    Attributes:
        deepest: Fewest voxels that the deepest stage must have.
        fixed_size: Whether the network only takes patches of the plans' size, which learned positions are for.
    """

    has_side_outputs = False
    deepest: ClassVar[int] = 1
    fixed_size: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def make_body(cls, interface: Interface, **size: Any) -> nn.Module:
        """The network itself, with random weights.

        Args:
            interface: What goes in and comes out.
            size: Entry of ``sizes``.
        """

    @classmethod
    def check_given_patch(cls, theirs: tuple[int, ...], mine: tuple[int, ...], file: Path) -> None:
        """Refuse a file whose positions were learned for another patch size."""
        if cls.fixed_size and cls._grid(theirs) != cls._grid(mine):
            cls._refuse_patch(theirs, mine, file)
        super().check_given_patch(theirs, mine, file)

    @classmethod
    def _grid(cls, patch: tuple[int, ...]) -> tuple[int, ...]:
        """A patch as the network sees it, to which its pieces are in proportion."""
        return padded_size(patch, cls.architecture_info().multiple)

    @classmethod
    def _refuse_patch(cls, theirs: tuple[int, ...], mine: tuple[int, ...], file: Path) -> None:
        got, needed = ("x".join(map(str, size)) for size in (theirs, mine))
        raise ValueError(
            f"-pretrained_weights {file} was trained with patches of {got}, and the configuration has {needed}: "
            f"{cls.architecture} learns where things are in a patch of one size; make a configuration with "
            f"'nnunet-tricks plan --patch {' '.join(map(str, theirs))}', or begin with random weights"
        )

    @classmethod
    def make_network(cls, interface: Interface, **size: Any) -> nn.Module:
        """The network, for images of any size."""
        info, patch = cls.architecture_info(), interface.patch_size
        return WholeNetwork(
            cls.make_body(interface, **size),
            multiple=info.multiple,
            deepest=cls.deepest,
            fixed=padded_size(patch, info.multiple) if cls.fixed_size else None,
        )
