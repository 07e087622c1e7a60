"""What the stages of the planned network are made of, and what comes behind each of them."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_FOLDER = "nnunet_tricks.tricks.network.blocks"


def block(
    name: str,
    *,
    module: str,
    summary: str,
    formula: str,
    paper: Paper,
    challenges: tuple[str, ...],
    use_when: str,
    avoid_when: str,
    parameters: tuple[Parameter, ...] = (),
) -> TrickInfo:
    """Other blocks in place of the planned convolutions.

    Args:
        name: Token in trainer names.
        module: File of its trainer.
        summary: Line for lists.
        formula: Formula of a block.
        paper: Paper of the block.
        challenges: Problems it is for.
        use_when: When to use it.
        avoid_when: When not.
        parameters: Settings, in the order in which names spell them.
    """
    return TrickInfo(
        name=name,
        hooks=("network.block",),
        phase=MODEL,
        module=f"{_FOLDER}.{module}",
        summary=summary,
        formula=formula,
        paper=paper,
        challenges=challenges,
        use_when=use_when,
        avoid_when=avoid_when,
        parameters=parameters,
    )


def attention(
    name: str,
    *,
    module: str,
    summary: str,
    formula: str,
    paper: Paper,
    use_when: str,
    avoid_when: str,
    parameters: tuple[Parameter, ...],
) -> TrickInfo:
    """Attention behind each stage; see ``block``."""
    return TrickInfo(
        name=name,
        hooks=("network.attention",),
        phase=MODEL,
        module=f"{_FOLDER}.{module}",
        summary=summary,
        formula=formula,
        paper=paper,
        challenges=("distracting surroundings", "interpretability"),
        use_when=use_when,
        avoid_when=avoid_when,
        parameters=parameters,
    )


_REDUCTION = Parameter(
    name="reduction",
    default=16,
    low=1,
    high=1024,
    help="how many times fewer values than channels are between the two layers, at least one",
)
_SIZE = Parameter(
    name="size", default=7, low=1, high=31, help="kernel of the weights of voxels along each axis, an odd number"
)

ENTRIES: tuple[TrickInfo, ...] = (
    block(
        "Residual",
        module="residual",
        summary="stages add what they compute to their input",
        formula="y = nonlin(F(x) + W x), with F the planned convolutions; W x = x where channels and size stay",
        paper=cited("he2016residual"),
        challenges=("deep networks",),
        use_when="with deep plans, or in the decoder of residual encoders, whose own stages are residual already",
        avoid_when="in place of nnU-Net's residual encoder plans, which are deeper and tuned to their memory",
    ),
    block(
        "Dense",
        module="dense",
        summary="each layer of a stage sees the results of all layers before it",
        formula="x_l = H_l([x_0, ..., x_(l-1)]), l = 1 to n; y = H([x_0, ..., x_n]) with a kernel of 1",
        paper=cited("huang2017densely"),
        challenges=("small data sets",),
        use_when="with few cases: features are used again, and parameters are fewer",
        avoid_when="where memory is short: joined features are kept beside the single ones",
        parameters=(
            Parameter(
                name="growth",
                default=0.5,
                low=0.05,
                high=2,
                help="channels that a layer adds, as a share of those of the stage",
            ),
        ),
    ),
    block(
        "Inception",
        module="inception",
        summary="stages look at neighbourhoods of four sizes, by convolutions with gaps",
        formula="y = [b1(x), b2(x), b3(x), b4(x)]: convolutions in a row with rates 1; 3; 1, 3; 1, 3, 5",
        paper=cited("gu2019cenet"),
        challenges=("objects of different size",),
        use_when="for objects of very different size",
        avoid_when="for thin structures alone, which wide gaps step over",
    ),
    block(
        "RecurrentResidual",
        module="recurrent_residual",
        summary="convolutions see their own result again, and are added to their input (R2U-Net)",
        formula="x(t) = nonlin(norm(W_f * x + W_r * x(t-1))), t = 1 to steps; y = x + x(steps) of two such layers",
        paper=cited("alom2018recurrent"),
        challenges=("small data sets",),
        use_when="to redo R2U-Net, with time to spare",
        avoid_when="where time or memory count: each step costs what a convolution of the stage does",
        parameters=(
            Parameter(name="steps", default=2, low=1, high=10, help="times that a convolution sees its result again"),
        ),
    ),
    block(
        "DepthwiseSeparable",
        module="depthwise_separable",
        summary="each convolution in two parts: along the axes, then across channels",
        formula="y = P * (D * x): D a kernel for each channel, P a kernel of 1; what reads the image stays whole",
        paper=cited("chollet2017xception"),
        challenges=("small networks",),
        use_when="for small and fast networks: about a tenth of the parameters in 2D, a twentieth in 3D",
        avoid_when="where only Dice counts: it has far fewer weights, and is no faster on every GPU",
    ),
    block(
        "MultiRes",
        module="multi_res",
        summary="three convolutions in a row with all their results side by side (MultiResUNet)",
        formula="y = norm(nonlin(norm([c1, c2, c3]) + norm(W x))), c1 = c1(x), c2 = c2(c1), c3 = c3(c2)",
        paper=cited("ibtehaz2020multiresunet"),
        challenges=("objects of different size",),
        use_when="for objects of different size; ResidualPath is the other half of its paper",
        avoid_when="as the only change if the question is size: it has fewer parameters than the plan",
    ),
    attention(
        "SqueezeExcitation",
        module="channel_attention",
        summary="a weight for each channel behind each stage",
        formula="y_c = sigmoid(W2 relu(W1 mean(x)))_c x_c",
        paper=cited("hu2018squeeze"),
        parameters=(_REDUCTION,),
        use_when="as the cheapest attention: it costs a few percent of time",
        avoid_when="with small patches, whose means say little of the image",
    ),
    attention(
        "SpatialAttention",
        module="spatial_attention",
        summary="a weight for each voxel behind each stage",
        formula="y = sigmoid(f([mean_c(x), max_c(x)])) x, with f a convolution",
        paper=cited("woo2018cbam"),
        parameters=(_SIZE,),
        use_when="for small objects in large surroundings; its maps can be looked at",
        avoid_when="beside AttentionGates without a run of each alone: both weight voxels",
    ),
    attention(
        "CBAM",
        module="cbam",
        summary="a weight for each channel, then one for each voxel, behind each stage",
        formula="x' = sigmoid(W2 relu(W1 mean(x)) + W2 relu(W1 max(x))) x; y = sigmoid(f([mean_c(x'), max_c(x')])) x'",
        paper=cited("woo2018cbam"),
        parameters=(_REDUCTION, _SIZE),
        use_when="where both channels and places may distract",
        avoid_when="before SqueezeExcitation and SpatialAttention have been tried: it is both in one",
    ),
)
