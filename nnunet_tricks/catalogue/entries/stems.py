"""What a network sees and begins with, how wide it is, and a path that learns edges."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Wider",
        hooks=("network.width",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.blocks.wider",
        summary="the planned network, wider: the control for all blocks",
        formula="channels of each stage times w, as multiples of 8; w so that the number of parameters is nearest",
        parameters=(
            Parameter(
                name="x",
                default=1.5,
                low=0.1,
                high=16,
                help="parameters, as a multiple of the planned network's; below 1 it is narrower",
                excludes=("params",),
            ),
            Parameter(
                name="params",
                default=0.0,
                high=10000,
                help="parameters in millions, in place of x",
                excludes=("x",),
            ),
        ),
        paper=cited("zagoruyko2016wide"),
        challenges=("control experiments",),
        use_when="as the control of a block: with as many parameters, a gain from mere size shows here as well",
        avoid_when="in the hope of a gain: nnU-Net's widths are rarely what limits a result",
    ),
    TrickInfo(
        name="TwoPointFiveD",
        hooks=("network.input",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.slices.two_point_five_d",
        summary="neighbouring slices as channels of the 2D network",
        formula="slices z - n to z + n as (2n + 1) C channels in, logits of slice z out; the ends are repeated",
        parameters=(Parameter(name="slices", default=1, low=1, high=10, help="number of neighbours on each side, n"),),
        paper=cited("han2017liver"),
        challenges=("thick slices",),
        use_when="with volumes of thick slices, where the 2D configuration is the better one",
        avoid_when="for pictures, which have no neighbours, or where a 3D configuration fits",
        dimensions=2,
    ),
    TrickInfo(
        name="DeepStem",
        hooks=("network.stem",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.blocks.deep_stem",
        summary="three small convolutions begin a ResNet, in place of a large one (2D)",
        formula="3 x 3 convolutions with 32, 32 and 64 channels, the first with stride 2, in place of 7 x 7 with 64",
        paper=cited("he2019bag"),
        challenges=("other networks",),
        use_when="beside ResNet50UNet from scratch; the trick paper's first example of a trick",
        avoid_when="with pretrained weights, which have no such stem: TimmUNet_resnet50d has one and weights for it",
        dimensions=2,
        beside=("ResNet50UNet",),
    ),
    TrickInfo(
        name="ShapeStream",
        hooks=("network.shape",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.blocks.shape_stream",
        summary="a second path that learns edges, gated by the encoder's stages; its map can be looked at",
        formula="S' = Residual(S (1 + sigmoid(conv(S, conv(T))))) for three stages T; edges added to the first skip "
        "connection; loss + edge * balanced cross-entropy of edges",
        parameters=(
            Parameter(name="edge", default=1.0, high=100, help="weight of the edges in the loss; 0 tells it nothing"),
        ),
        paper=cited("sun2020saunet"),
        challenges=("blurred borders", "interpretability"),
        use_when="where borders matter and you want to see what the network takes for one",
        avoid_when="where memory is short: the path has full resolution",
    ),
)
