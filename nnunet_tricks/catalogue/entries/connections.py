"""What stands between encoder and decoder: on skip connections, and behind the deepest stage."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_FOLDER = "nnunet_tricks.tricks.network.blocks"
_CONTEXT = ("objects of different sizes", "context")
_RATES = Parameter(
    name="rates",
    default=(2.0, 4.0, 6.0),
    low=1,
    high=64,
    help="distance of a kernel's elements in each branch, in voxels of the deepest stage; DeepLab's 6, 12, 18 in "
    "proportion to its maps",
)
_HYBRID = Parameter(
    name="hybrid",
    default=False,
    help="rates 1, 2 and 5, without a common factor, so that neighbours are compared, too",
    excludes=("rates",),
    paper=cited("wang2018understanding"),
)
_TOKENS = Parameter(
    name="tokens",
    default=4096,
    low=16,
    high=65536,
    help="voxels of the deepest stage up to which each looks at all; with more, at means over cells",
)

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="AttentionGates",
        hooks=("network.gates",),
        phase=MODEL,
        module=f"{_FOLDER}.attention_gates",
        summary="the decoder gates the skip connections, voxel by voxel",
        formula="x sigmoid(psi f(W_x x + W_g g)) in place of x; x of the encoder, g of the decoder's stage below",
        parameters=(
            Parameter(
                name="grid",
                default="coarse",
                choices=("coarse", "fine"),
                help="where coefficients are computed: on the grid of the stage below, as in the paper, or with norm "
                "layers on that of the skip connection, as in MONAI",
            ),
            Parameter(name="full", default=False, help="gate the skip connection at full resolution, too"),
        ),
        paper=cited("oktay2018attention"),
        challenges=("small objects", "false positives"),
        use_when="where a small object lies in a large patch, or to see what the decoder looks at",
        avoid_when="with very shallow networks: there is little context below a skip connection that could gate it",
    ),
    TrickInfo(
        name="ResidualPath",
        hooks=("network.path",),
        phase=MODEL,
        module=f"{_FOLDER}.residual_path",
        summary="residual convolutions on the skip connections",
        formula="x + W_3 f(W_2 * f(W_1 x)), n times, in place of x; a quarter of the channels inside",
        parameters=(
            Parameter(
                name="n",
                default=(0.0, 1.0),
                high=8,
                help="residual units of each skip connection, from shallow to deep; the last number is for all deeper "
                "ones",
            ),
            Parameter(
                name="wide",
                default=False,
                help="the paper's units with all channels; its network is n4x3x2x1_wide, and takes much longer",
            ),
        ),
        paper=cited("ibtehaz2020multiresunet"),
        challenges=("blurred borders",),
        use_when="where borders are blurred and shallow features are noisy",
        avoid_when="where time counts, if wide: one such unit at full resolution costs a tenth of a training step",
    ),
    TrickInfo(
        name="DenseSkips",
        hooks=("network.skips", "supervision"),
        phase=MODEL,
        module=f"{_FOLDER}.dense_skips",
        summary="the nested skip connections and the deep supervision of U-Net++",
        formula="X(i,j) = H[X(i,0), ..., X(i,j-1), U(X(i+1,j-1))]; mean of the losses of all X(0,j) at full size",
        parameters=(
            Parameter(
                name="prune",
                default=0,
                high=8,
                help="stages that predictions leave out, deepest first; the training stays the same",
            ),
            Parameter(name="single", default=False, help="one output, without deep supervision", excludes=("prune",)),
        ),
        paper=cited("zhou2018unetplusplus"),
        challenges=("objects of different sizes", "blurred borders"),
        use_when="where objects of very different sizes occur and there is memory, or to predict faster with prune",
        avoid_when="where memory is short: nodes at full resolution make a training step several times as expensive",
    ),
    TrickInfo(
        name="ASPP",
        hooks=("network.bottleneck",),
        phase=MODEL,
        module=f"{_FOLDER}.aspp",
        summary="atrous spatial pyramid pooling behind the deepest stage",
        formula="P[f_1(x), f_r(x) for each rate r, U(mean of x)]; kernels with elements r voxels apart",
        parameters=(_RATES, _HYBRID),
        paper=cited("chen2018deeplab"),
        challenges=_CONTEXT,
        use_when="where objects of different sizes occur and the deepest stage has 8 or more voxels along an axis",
        avoid_when="with deepest stages of 4 voxels: kernels see all of them anyway",
    ),
    TrickInfo(
        name="PyramidPooling",
        hooks=("network.bottleneck",),
        phase=MODEL,
        module=f"{_FOLDER}.pyramid_pooling",
        summary="means over large cells beside the features of the deepest stage",
        formula="f(W * [x, U(f(W_b p_b x)) for each b]); p_b the means over b cells along each axis",
        parameters=(
            Parameter(
                name="bins", default=(1.0, 2.0, 3.0, 6.0), low=1, high=64, help="cells of each pool along an axis"
            ),
        ),
        paper=cited("zhao2017pyramid"),
        challenges=_CONTEXT,
        use_when="where the whole patch says what a region is",
        avoid_when="with small patches, which show too little to be summed up",
    ),
    TrickInfo(
        name="NonLocal",
        hooks=("network.bottleneck",),
        phase=MODEL,
        module=f"{_FOLDER}.non_local",
        summary="each voxel of the deepest stage looks at all others",
        formula="x_i + W_z sum_j softmax_j(theta(x_i) phi(x_j)) g(x_j)",
        parameters=(_TOKENS,),
        paper=cited("wang2018nonlocal"),
        challenges=_CONTEXT,
        use_when="where distant parts of an image belong together, such as both sides of an organ",
        avoid_when="with deepest stages of 4 voxels: the convolutions there see nearly everything",
    ),
    TrickInfo(
        name="NonLocalASPP",
        hooks=("network.bottleneck",),
        phase=MODEL,
        module=f"{_FOLDER}.non_local_aspp",
        summary="non-local attention behind atrous spatial pyramid pooling",
        formula="NonLocal(ASPP(x))",
        parameters=(_RATES, _HYBRID, _TOKENS),
        paper=cited("wang2022medical"),
        challenges=_CONTEXT,
        use_when="where both ASPP and NonLocal have helped",
        avoid_when="before either was tried alone: a gain of both could come from one",
    ),
)
