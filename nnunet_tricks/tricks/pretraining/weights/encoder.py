"""What weights are for: the encoder of a network, by the names and shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from dynamic_network_architectures.building_blocks.plain_conv_encoder import PlainConvEncoder
from dynamic_network_architectures.building_blocks.residual_encoders import ResidualEncoder
from torch import Tensor, nn
from torch._dynamo import OptimizedModule
from torch.nn.modules.conv import _ConvNd
from torch.nn.parallel import DistributedDataParallel

from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.architecture.genesis_unet import GenesisUNet3D
from nnunet_tricks.tricks.pretraining.weights.formats import resnet

COUNTER = "num_batches_tracked"
"""Last part of the names of batch norm's counters: no weight, and old files lack them."""

POSITIONS = "pos_embed"
"""Name of the tensor with which transformers tell places apart; its length is that of the image."""

PATCHES = "patch_embed.proj.weight"
"""End of the name of the layer with which transformers read patches."""

PLANNED = "nnunet"
"""Architecture of nnU-Net's own networks, whose shapes each data set plans anew."""


GENESIS = "GenesisUNet3D"
"""Our architecture for Models Genesis, whose weights are of a whole network without its output layer."""

_RESNET = {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
"""Children of a ResNet, whoever has built it."""

_GENESIS_HEAD = "out_tr."


@dataclass(frozen=True)
class Encoder:
    """An encoder that can start from pretrained weights.

    Attributes:
        architecture: Name of the architecture, as timm calls it, or ``nnunet`` for nnU-Net's planned networks.
        module: The encoder itself; its tensors may be on torch's meta device.
        tensors: Parameters and running statistics by name; what it holds twice is there once, counters are left out.
        stem: Name of the first convolution's weight, which sees the image's channels; empty if it has none.
    """

    architecture: str
    module: nn.Module
    tensors: Mapping[str, Tensor]
    stem: str

    @classmethod
    def of(
        cls, module: nn.Module, architecture: str, *, head: str = "", renamed: Mapping[str, str] | None = None
    ) -> Encoder:
        """List an encoder's tensors.

        Args:
            module: The encoder.
            architecture: Name of its architecture.
            head: Beginning of the names of its output layer, which weights are not for; empty if it has none.
            renamed: What its children are called in the architecture, where they have other names here.

        Examples:
            >>> encoder = Encoder.of(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)), "tiny")
            >>> sorted(encoder.tensors)
            ['0.bias', '0.weight', '1.bias', '1.running_mean', '1.running_var', '1.weight']
            >>> encoder.stem
            '0.weight'
        """
        stored = module.state_dict()
        tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        wanted = [name for name in tensors if name in stored and not is_counter(name)]
        kept = {name: tensors[name] for name in wanted if not (head and name.startswith(head))}
        stems = (name for name, layer in module.named_modules() if isinstance(layer, _ConvNd))
        stem = next(stems, None)
        named = {_renamed(name, renamed or {}): tensor for name, tensor in kept.items()}
        first = "" if stem is None else _renamed(f"{stem}.weight".removeprefix("."), renamed or {})
        return cls(architecture, module, named, first)

    def fits(self, name: str, tensor: Tensor) -> bool:
        """Whether a tensor can become the one of this name, as it is or for other channels or positions."""
        mine = self.tensors.get(name)
        if mine is None or mine.ndim != tensor.ndim:
            return False
        if name.rpartition(".")[2] == POSITIONS:
            return mine.shape[-1] == tensor.shape[-1]
        if name == self.stem:
            # Patches of another size can be resampled, kernels of convolutions cannot.
            sizes_fit = name.endswith(PATCHES) or mine.shape[2:] == tensor.shape[2:]
            return mine.shape[0] == tensor.shape[0] and sizes_fit
        return mine.shape == tensor.shape


def _renamed(name: str, children: Mapping[str, str]) -> str:
    child, dot, rest = name.partition(".")
    return f"{children.get(child, child)}{dot}{rest}"


def is_counter(name: str) -> bool:
    """Whether a tensor only counts batches."""
    return name.rpartition(".")[2] == COUNTER


@cache
def of_library(architecture: str) -> Encoder:
    """An architecture of timm without its classifier, with shapes and no values.

    Args:
        architecture: Name, as timm lists it.

    Raises:
        ValueError: If timm has none of this name.
    """
    import timm

    if architecture == GENESIS:
        return Encoder.of(without_values(lambda: GenesisUNet3D(1, 1)), GENESIS, head=_GENESIS_HEAD)
    name = architecture.partition(".")[0]
    if not timm.is_model(name):
        from difflib import get_close_matches

        near = get_close_matches(name, timm.list_models(), n=3)
        raise ValueError(
            f"--for must be '{PLANNED}', '{GENESIS}' or an architecture of timm, got '{architecture}'"
            + (f"; did you mean {', '.join(near)}?" if near else "; timm.list_models() lists them")
        )
    return Encoder.of(without_values(lambda: timm.create_model(name, pretrained=False, num_classes=0)), name)


def _unflattened(features: nn.Module, architecture: str) -> dict[str, str]:
    """Names that children of an encoder have in its architecture, where timm's ``features_only`` has changed them.

    It takes the parts of a sequence out of it: ``stages.0`` becomes ``stages_0``.
    """
    children = [name for name, _ in features.named_children() if "_" in name]
    whole = dict(of_library(architecture).module.named_modules()) if children else {}
    paths = {path.replace(".", "_"): path for path in whole if path.count(".") == 1}
    return {name: paths[name] for name in children if name not in whole and name in paths}


def unwrapped(network: nn.Module) -> nn.Module:
    """A network itself, where DDP or ``torch.compile`` have wrapped it."""
    if isinstance(network, DistributedDataParallel):
        network = network.module
    if isinstance(network, OptimizedModule):
        network = network._orig_mod
    return network


def of_network(network: nn.Module) -> Encoder | None:
    """The encoder of a network that can start from pretrained weights, if it has one.

    It is a part that timm has built, a ResNet, or the encoder of one of nnU-Net's planned networks.

    Args:
        network: A network, also inside DDP or ``torch.compile``.
    """
    network = unwrapped(network)
    for part in network.modules():
        if isinstance(part, GenesisUNet3D):
            return Encoder.of(part, GENESIS, head=_GENESIS_HEAD)
        published = getattr(part, "pretrained_cfg", None)
        if isinstance(published, Mapping) and published.get("architecture"):
            # For transformers features_only puts the model one level down.
            model = getattr(part, "model", part)
            model = model if isinstance(model, nn.Module) else part
            architecture = str(published["architecture"])
            return Encoder.of(model, architecture, renamed=_unflattened(model, architecture))
        # Other libraries have ResNets of their own, with the names that torchvision gave.
        if {name for name, _ in part.named_children()} >= _RESNET and (architecture := resnet(part.state_dict())):
            return Encoder.of(part, architecture, head="fc.")
    encoder = getattr(network, "encoder", None)
    return Encoder.of(encoder, PLANNED) if isinstance(encoder, (PlainConvEncoder, ResidualEncoder)) else None
