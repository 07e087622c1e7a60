"""What the decoder gets to see of the encoder."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_CHALLENGES = ("blurred borders",)
_STAGES = Parameter(
    name="stages",
    default="middle",
    choices=("middle", "shallow"),
    help="skip connections of the middle, or the second and following ones, as in the paper's U-Net",
)


def _ratios(*default: float) -> Parameter:
    return Parameter(
        name="r",
        default=default,
        high=1,
        help="share of the channels that is shown twice, one number per stage, from shallow to deep",
    )


ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="IFECurvature",
        hooks=("network.skips",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.enhancement.curvature",
        summary="skip connections show the channels with the most edges twice",
        formula="[F, F of the r C channels with the highest sum |K * F|]; K by planes in 3D",
        parameters=(_ratios(0.75, 0.5), _STAGES),
        paper=cited("liu2023instructive"),
        challenges=_CHALLENGES,
        use_when="for images with many fine edges, with a control by IFERandom",
        avoid_when="where the network is large already: it makes the decoder wider, and a gain may come from that "
        "alone",
    ),
    TrickInfo(
        name="IFEEntropy",
        hooks=("network.skips",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.enhancement.entropy",
        summary="skip connections show the channels with the most texture twice",
        formula="[F, F of the r C channels with the highest -sum P log2 P]; P joint histogram of voxels and "
        "the mean of their neighbours",
        parameters=(
            _ratios(0.5, 0.5),
            _STAGES,
            Parameter(
                name="bins",
                default=256,
                low=2,
                high=65536,
                help="cells of the histogram, not used by unique; a square number (voxel times neighbours) for paper",
                needs=("paper", "reference"),
            ),
            Parameter(
                name="mode",
                default="paper",
                choices=("paper", "reference", "unique"),
                help="reference is what the published code computes for U-Nets: one number of both, and a histogram "
                "whose range depends on the whole batch; unique that for other networks: how many such numbers differ",
            ),
        ),
        paper=cited("liu2023instructive"),
        challenges=_CHALLENGES,
        use_when="for images with much texture, with a control by IFERandom",
        avoid_when="where time counts: the histograms cost more than curvature",
    ),
    TrickInfo(
        name="IFERandom",
        hooks=("network.skips",),
        phase=MODEL,
        module="nnunet_tricks.tricks.network.enhancement.random_channels",
        summary="skip connections show random channels twice: the control for the two above",
        formula="[F, F of r C channels that were drawn before the training]",
        parameters=(_ratios(0.75, 0.5), _STAGES),
        paper=cited("liu2023instructive"),
        challenges=("control experiments",),
        use_when="as the control of the other IFE tricks: the same width, without a choice",
        avoid_when="as a trick of its own",
    ),
)
