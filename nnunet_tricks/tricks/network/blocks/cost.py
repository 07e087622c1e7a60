"""What a network costs: parameters, multiply-adds and activations, told from shapes, before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from nnunet_tricks.training.shared_randomness import seeded
from nnunet_tricks.training.without_values import without_values

if TYPE_CHECKING:
    from nnunet_tricks.training.trainer import TrickTrainer

GIB = 2**30


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs in training.

    Attributes:
        parameters: Number of learned values.
        multiply_adds: Multiplications, each with an addition, of one patch on its way forward. Convolutions and
            matrix products are counted. Norm layers, nonlinearities, gates and sums are not: they cost time on memory.
        activations: Bytes of the features of a batch that are kept for the way back, without parameters. Under
            autocast they are up to half as many.
    """

    parameters: int
    multiply_adds: int
    activations: int

    def against(self, planned: NetworkCost) -> str:
        """All three in words, and how much more or less they are than those of another network.

        Args:
            planned: Cost of the network to compare with.

        Examples:
            >>> NetworkCost(3_120_000, 8 * 10**9, 6 * 2**30).against(NetworkCost(3_000_000, 8 * 10**9, 5 * 2**30))
            '3.12 million parameters (+4.0 %), 8 billion multiply-adds a patch (+0.0 %), 6 GiB of activations (+20.0 %)'
        """
        return (
            f"{_counted(self.parameters)} parameters ({_change(self.parameters, planned.parameters)}), "
            f"{_counted(self.multiply_adds)} multiply-adds a patch "
            f"({_change(self.multiply_adds, planned.multiply_adds)}), "
            f"{_bytes(self.activations)} of activations ({_change(self.activations, planned.activations)})"
        )


def cost_of(network: nn.Module, shape: Sequence[int]) -> NetworkCost:
    """Count what a network costs.

    The network sees a batch of the shape once. On torch's meta device nothing is computed and no memory is needed,
    whatever the size.

    Args:
        network: Network on any device, in the mode in which it is to be counted; see ``without_values``.
        shape: (B, C, *spatial) of a batch.

    Returns:
        Its cost. Tensors that several layers keep are counted once.

    Raises:
        NotImplementedError: If a layer cannot work without values, and the network has none.

    Examples:
        >>> network = without_values(lambda: nn.Conv2d(3, 8, kernel_size=3, padding=1))
        >>> cost_of(network, (2, 3, 16, 16))
        NetworkCost(parameters=224, multiply_adds=55296, activations=6144)
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes half a second, and predictions count nothing

    parameters = dict.fromkeys(network.parameters())
    device = next(iter(parameters)).device
    # Their storages, which must live until the end: another one could get the address of one that is gone.
    own = {_address(parameter) for parameter in parameters}
    kept: dict[int, tuple[Tensor, int]] = {}

    def keep(tensor: Tensor) -> Tensor:
        address = _address(tensor)
        if address not in own:
            kept[address] = tensor, tensor.untyped_storage().nbytes()
        return tensor

    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        FlopCounterMode(display=False) as counter,
    ):
        network(torch.empty(tuple(shape), device=device))
    return NetworkCost(
        parameters=sum(parameter.numel() for parameter in parameters),
        multiply_adds=counter.get_total_flops() // 2 // shape[0],
        activations=sum(size for _, size in kept.values()),
    )


def log_cost(trainer: TrickTrainer, changes: type[TrickTrainer], trick: str) -> None:
    """Write into the log what a trick's network costs against the network without the trick.

    Tricks that change the network before this one are in both. Beside no other trick, the network without it is the
    planned one.

    Args:
        trainer: Trainer, after ``initialize``.
        changes: Class that has the trick's ``build_network_architecture`` in its own body.
        trick: Name of the trick in the catalogue, for the line.
    """
    if trainer.local_rank != 0:
        return
    configuration = trainer.configuration_manager
    arguments = (
        trainer.plans_manager,
        configuration,
        trainer.num_input_channels,
        trainer.label_manager.num_segmentation_heads,
        trainer.enable_deep_supervision,
    )
    shape = (configuration.batch_size, trainer.num_input_channels, *configuration.patch_size)
    try:
        mine, planned = (_cost_without_values(partial(make, *arguments), shape) for make in _makers(trainer, changes))
    except NotImplementedError:
        return  # another trick's layers need values, and computing a whole batch is too much for a line in the log
    trainer.print_to_log_file(
        f"{trick}: {mine.against(planned)} of a batch in float32, compared with the network without it",
        add_timestamp=False,
    )


def _makers(trainer: TrickTrainer, changes: type[TrickTrainer]) -> list[Callable[..., nn.Module]]:
    """What builds the network with a trick, and what builds the one that the trick changes."""
    kind, name = type(trainer), "build_network_architecture"
    order = kind.__mro__[kind.__mro__.index(changes) :]
    with_and_without = [vars(base)[name] for base in order if name in vars(base)][:2]
    return [method.__get__(None, kind) for method in with_and_without]


def _cost_without_values(make: Callable[[], nn.Module], shape: Sequence[int]) -> NetworkCost:
    network = without_values(make).to("meta")
    with seeded():  # layers that draw, such as dropout, must not shift what the training draws
        return cost_of(network, shape)


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _counted(number: int) -> str:
    for unit, word in ((10**9, "billion"), (10**6, "million")):
        if number >= unit:
            return f"{number / unit:.3g} {word}"
    return str(number)


def _bytes(number: int) -> str:
    for unit, word in ((GIB, "GiB"), (2**20, "MiB")):
        if number >= unit:
            return f"{number / unit:.3g} {word}"
    return f"{number / 2**10:.3g} KiB"


def _change(mine: int, planned: int) -> str:
    return f"{100 * (mine / planned - 1):+.1f} %"
