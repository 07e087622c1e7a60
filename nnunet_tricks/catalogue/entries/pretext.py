"""Trainings on images without labels, and the tricks that start from them."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import PRETRAINING
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import Paper, cited

_FOLDER = "nnunet_tricks.tricks.pretraining.pretext"
_PROBLEMS = ("few labels", "pretrained encoders")

_NO_SKIPS = Parameter(
    name="noskips",
    default=False,
    help="skip connections carry nothing, so that restoring is more than copying; only the encoder is taken over then",
)
_GENESIS = (
    Parameter(name="grey", default=0.9, high=1, help="probability of other grey values"),
    Parameter(name="shuffle", default=0.5, high=1, help="probability of local shuffling"),
    Parameter(name="paint", default=0.9, high=1, help="probability of in-painting or out-painting"),
    Parameter(name="outside", default=0.8, high=1, help="part of the paintings that are out-paintings"),
    _NO_SKIPS,
)
_MASKED = (
    Parameter(name="ratio", default=0.75, low=0.01, high=0.99, help="share of the blocks that are hidden"),
    Parameter(name="block", default=16, low=1, help="voxels along each side of a block at most"),
    _NO_SKIPS,
)
_CONTRASTIVE = (
    Parameter(
        name="temperature", default=0.5, low=0.01, high=100, help="number that the similarity of views is divided by"
    ),
)


def _pair(
    name: str,
    *,
    task: str,
    summary: str,
    formula: str,
    parameters: tuple[Parameter, ...],
    paper: Paper,
    use_when: str,
    avoid_when: str,
    start_when: str,
    not_start_when: str,
) -> tuple[TrickInfo, TrickInfo]:
    """A training without labels, and the trick that starts from it."""
    pretext = TrickInfo(
        name=f"Pretext{name}",
        hooks=("task",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.{name.lower()}",
        summary=summary,
        formula=formula,
        parameters=parameters,
        paper=paper,
        challenges=_PROBLEMS,
        use_when=use_when,
        avoid_when=avoid_when,
    )
    after = Parameter(
        name="after", default=1000, low=1, help=f"epochs of the training of Pretext{name} that it starts from"
    )
    start = TrickInfo(
        name=name,
        hooks=("weights.start",),
        phase=PRETRAINING,
        module=f"{_FOLDER}.from_{name.lower()}",
        summary=f"a network that starts from Pretext{name}: {task}, of the same images",
        formula=f"weights are those of Pretext{name}, of the same data set, plans, configuration and fold",
        parameters=(after, *parameters),
        paper=paper,
        challenges=_PROBLEMS,
        use_when=start_when,
        avoid_when=not_start_when,
        pretext=pretext.name,
    )
    return pretext, start


ENTRIES: tuple[TrickInfo, ...] = (
    *_pair(
        "Genesis",
        task="it has restored spoilt patches",
        summary="trains without labels: patches that were spoilt in several ways at once are restored",
        formula="mean((f(spoilt(x)) - x)^2) over all voxels",
        parameters=_GENESIS,
        paper=cited("zhou2021models"),
        use_when="with many images of which few have labels, to make weights for Genesis",
        avoid_when="if all images have labels: the papers find little then",
        start_when="with few labels and many images of the same kind",
        not_start_when="without images beyond the labelled ones: expect little",
    ),
    *_pair(
        "Masked",
        task="it has restored hidden blocks",
        summary="trains without labels: most blocks of a patch are hidden and restored",
        formula="mean((f(x without blocks) - x)^2) over hidden voxels",
        parameters=_MASKED,
        paper=cited("he2022masked"),
        use_when="with many images of which few have labels, to make weights for Masked",
        avoid_when="for structures smaller than a block, which nothing around them foretells",
        start_when="with few labels and many images of the same kind",
        not_start_when="without images beyond the labelled ones: expect little",
    ),
    *_pair(
        "Contrastive",
        task="its encoder has told views of patches apart",
        summary="trains an encoder without labels: it finds which two views are of one patch",
        formula="-log(exp(s_ij / temperature) / sum over k != i of exp(s_ik / temperature)), s cosines of projections",
        parameters=_CONTRASTIVE,
        paper=cited("chen2020simple"),
        use_when="in 2D, where a batch has many patches, to make weights for Contrastive",
        avoid_when="in 3D with two patches in a batch: there is hardly anything to tell apart",
        start_when="in 2D, with few labels and many images of the same kind",
        not_start_when="in 3D with small batches, or where the decoder matters: it stays random",
    ),
)
