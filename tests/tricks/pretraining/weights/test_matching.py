"""The weights of each published format arrive in an encoder, all of them, and give the same features."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from timm.models import adapt_input_conv
from torch import nn

from nnunet_tricks.training.without_values import without_values
from nnunet_tricks.tricks.network.architecture.genesis_unet import GenesisUNet3D
from nnunet_tricks.tricks.pretraining.weights import adapting, matching, reading
from nnunet_tricks.tricks.pretraining.weights.encoder import Encoder, of_library, of_network
from nnunet_tricks.tricks.pretraining.weights.matching import match, require
from tests.tricks.pretraining.weights import published
from tests.tricks.pretraining.weights.published import FORMATS, content, filled, resnet, source, vit, written

ORIGINS = {
    "moco": "state_dict, module.encoder_q.",
    "moco_v3": "state_dict, module.base_encoder.",
    "simclr_sthalles": "state_dict, backbone.",
    "simclr_vissl": "classy_state_dict.base_model.model.trunk, _feature_blocks.",
    "dino_training": "teacher, backbone.",
    "medsam_training": "model, module.image_encoder.",
    "nnunet_plain": "network_weights, encoder.",
    "nnunet_compiled": "network_weights, module._orig_mod.encoder.",
}


def encoder_of(network: nn.Module) -> Encoder:
    """What of a network starts from weights: an nnU-Net's encoder, or all but the classifier."""
    if isinstance(network, GenesisUNet3D):
        known = of_network(network)
        assert known
        return known
    inner = getattr(network, "encoder", network)
    if isinstance(inner, nn.Module) and hasattr(inner, "reset_classifier"):
        inner.reset_classifier(0)
    assert isinstance(inner, nn.Module)
    return Encoder.of(inner, "test")


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_tensor_of_every_format_arrives(kind: str, channels: int) -> None:
    encoder = encoder_of(filled(FORMATS[kind][0](channels), seed=1))
    matched = match(content(kind), encoder)
    assert matched.missing == ()
    assert matched.origin == ORIGINS.get(kind, matched.origin)
    adapting.put(matched.weights, encoder)
    original = encoder_of(source(kind)).tensors
    for name, tensor in encoder.tensors.items():
        wanted = original[name]
        if name == encoder.stem and channels != wanted.shape[1]:
            wanted = adapting.for_channels(wanted, channels)
        assert torch.allclose(tensor, wanted, rtol=0, atol=1e-7), name


@pytest.mark.parametrize("kind", ["torchvision_v1", "moco", "mae", "sam", "dinov2_with_registers", "efficientnet_lite"])
def test_features_are_those_of_the_source(kind: str) -> None:
    network = filled(FORMATS[kind][0](), seed=1)
    encoder = encoder_of(network)
    adapting.put(match(content(kind), encoder).weights, encoder)
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(network.forward_features(image), source(kind).forward_features(image), atol=1e-6)


def test_features_are_torchvisions() -> None:
    from torchvision.models import resnet50

    theirs = resnet50()
    theirs(torch.rand(2, 3, 64, 64))  # its running statistics are not those of a new network any more
    theirs.eval()
    mine = timm.create_model("resnet50", features_only=True).eval()
    encoder = Encoder.of(mine, "resnet50")
    matched = match({"state_dict": theirs.state_dict()}, encoder)
    assert (matched.missing, set(matched.unexpected)) == ((), {"fc.weight", "fc.bias"})
    adapting.put(matched.weights, encoder)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        level = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(image))))
        for layer, features in zip(("layer1", "layer2", "layer3", "layer4"), mine(image)[1:], strict=True):
            level = theirs.get_submodule(layer)(level)
            assert torch.allclose(features, level, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_the_first_convolution_is_adapted_as_timm_does(channels: int) -> None:
    weight = torch.rand(4, 3, 7, 7)
    assert torch.allclose(adapting.for_channels(weight, channels), adapt_input_conv(channels, weight))


def test_one_channel_is_repeated_as_nnunet_does() -> None:
    weight = torch.rand(4, 1, 3, 3, 3)
    assert torch.allclose(adapting.for_channels(weight, 4), weight.repeat(1, 4, 1, 1, 1) / 4)


@pytest.mark.parametrize("kind", ["mae", "dinov2_with_registers", "sam"])
def test_positions_of_another_image_size_are_resampled(kind: str) -> None:
    encoder = encoder_of(filled(FORMATS[kind][0](size=64), seed=1))
    matched = match(content(kind), encoder)
    # SAM's relative positions have the length of its grid and are part of what it learned.
    assert [name for name in matched.missing if "rel_pos" not in name] == []
    adapting.put(matched.weights, encoder)
    name = next(name for name in encoder.tensors if name.endswith("pos_embed"))
    before = encoder_of(source(kind)).tensors[name]
    after = encoder.tensors[name]
    assert after.shape != before.shape
    assert abs(float((after.mean() - before.mean()).detach())) < 0.01


def test_counters_are_no_weights() -> None:
    encoder = Encoder.of(resnet(num_classes=0), "resnet50")
    assert len(encoder.tensors) == 265
    assert match(content("torchvision_v1"), encoder).share == 1


@pytest.mark.parametrize(
    ("kind", "looks_like"),
    [
        ("mae", "the file looks like a transformer of width 24 with 2 blocks"),
        ("sam", "SAM or MedSAM"),
        ("dinov2", "a DINOv2 transformer"),
        ("efficientnet_lite", "an EfficientNet as Google's code names it"),
        ("nnunet_plain", "a network of nnU-Net, for --for nnunet"),
    ],
)
def test_files_of_other_networks_are_refused_by_name(kind: str, looks_like: str) -> None:
    encoder = of_library("resnet50")
    matched = match(content(kind), encoder)
    with pytest.raises(ValueError, match=rf"x\.pth has \d+ of 265 tensors .* at least 90% are needed.*{looks_like}"):
        require(matched, content(kind), encoder, "x.pth")


def test_a_smaller_network_of_the_family_is_refused_by_name() -> None:
    encoder = of_library("resnet50")
    file = timm.create_model("resnet18").state_dict()
    matched = match(file, encoder)
    assert 0 < matched.share < matching.LEAST
    with pytest.raises(ValueError, match="looks like resnet18, for --for resnet18"):
        require(matched, file, encoder, "r18.pth")


def test_a_file_without_weights_is_refused() -> None:
    encoder = of_library("resnet50")
    with pytest.raises(ValueError, match=r"0 of 265 .*holds no weights at all"):
        require(match({"epoch": 3}, encoder), {"epoch": 3}, encoder, "x.pth")


def test_architectures_of_timm_are_known_by_name() -> None:
    with pytest.raises(ValueError, match=r"or an architecture of timm, got 'resnet5o'; did you mean"):
        of_library("resnet5o")


def test_files_for_patches_of_16_are_resampled_for_those_of_32() -> None:
    encoder = Encoder.of(vit(size=64, patch_size=16, num_classes=0), "vit")
    matched = match(content("mae"), encoder)
    assert matched.missing == ()
    adapting.put(matched.weights, encoder)


def test_models_genesis_is_an_architecture_of_the_store() -> None:
    encoder = of_library("GenesisUNet3D")
    assert not any(name.startswith("out_tr.") for name in encoder.tensors)
    assert len(encoder.tensors) == 90


def test_an_encoder_of_nnunet_is_found_whatever_it_looks_like(tmp_path: Path) -> None:
    for kind in ("nnunet_plain", "nnunet_compiled", "nnssl"):
        weights = matching.planned(reading.read(written(kind, tmp_path)), kind).weights
        assert set(weights) == set(encoder_of(source(kind)).tensors)
    with pytest.raises(ValueError, match=r"no encoder of nnU-Net.*looks like"):
        matching.planned(published.content("moco"), "moco.pth")


def test_encoders_of_other_libraries_are_known_by_their_layers() -> None:
    library = pytest.importorskip("segmentation_models_pytorch")
    encoder = of_network(library.DeepLabV3Plus("resnet18", encoder_weights=None, classes=2))
    assert encoder
    assert (encoder.architecture, encoder.stem) == ("resnet18", "conv1.weight")
    assert encoder.tensors.keys() == of_library("resnet18").tensors.keys()


def test_a_network_without_such_an_encoder_has_none() -> None:
    assert of_network(nn.Sequential(nn.Conv2d(3, 4, 3))) is None


@pytest.mark.parametrize(
    "name", ["convnext_atto", "vgg11_bn", "densenet121", "pvt_v2_b0", "mobilevit_xxs", "resnetv2_18", "regnetx_002"]
)
def test_an_encoder_has_the_names_of_its_architecture(name: str) -> None:
    """timm's features_only takes the parts of a sequence out of it and gives them other names."""
    encoder = of_network(nn.Sequential(without_values(lambda: timm.create_model(name, features_only=True))))
    assert encoder
    assert match(of_library(name).tensors, encoder).missing == ()
    assert encoder.stem in encoder.tensors


def test_most_tensors_with_few_numbers_are_not_enough() -> None:
    encoder = of_library("resnet50")
    largest = sorted(encoder.tensors, key=lambda name: encoder.tensors[name].numel())
    matched = match({name: encoder.tensors[name] for name in largest[:-26]}, encoder)
    assert len(matched.weights) > 0.9 * matched.total
    with pytest.raises(ValueError, match=r"has 239 of 265 tensors of the encoder of resnet50 \(9 % of its numbers\)"):
        require(matched, {}, encoder, "thin.pth")


def test_without_the_first_convolution_it_is_another_network() -> None:
    encoder = of_library("resnet50")
    small = {**encoder.tensors, encoder.stem: torch.empty(64, 3, 3, 3, device="meta")}
    with pytest.raises(ValueError, match=r"264 of 265 .*, but not conv1\.weight, .*64x3x3x3 in the file and 64x3x7x7"):
        require(match(small, encoder), small, encoder, "cifar.pth")


def test_positions_of_a_square_become_those_of_as_many_pieces_in_a_row() -> None:
    """16 positions of 4 x 4 pieces are not those of 2 x 8."""
    size = {"img_size": (32, 128), "embed_dim": 12, "depth": 1, "num_heads": 1, "num_classes": 0}
    encoder = Encoder.of(timm.create_model("vit_base_patch16_224", **size), "test")
    rows = torch.arange(4.0).repeat_interleave(4)[None, :, None].expand(1, 16, 12)
    positions = torch.cat([torch.zeros(1, 1, 12), rows], dim=1)
    grid = adapting.for_positions(positions, encoder)[0, 1:, 0].reshape(2, 8)
    assert torch.allclose(grid, grid[:, :1].expand(2, 8), atol=1e-4)
    assert grid[0, 0] < grid[1, 0]
    weights = {"pos_embed": positions}
    assert adapting.adapted(weights, encoder, same_patches=True)["pos_embed"] is positions
    with pytest.raises(ValueError, match="24 positions, which are not those of a square"):
        adapting.for_positions(torch.zeros(1, 25, 12), encoder)
