"""Training on voxels that nobody annotated."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL, PREPROCESSING
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="MeanTeacher",
        hooks=("semisupervised.consistency",),
        phase=MODEL,
        module="nnunet_tricks.tricks.semisupervised.mean_teacher",
        summary="voxels with the ignore label are learned from the network's own average over its steps",
        formula="loss + w(t) mean over ignored voxels of (p - p')^2; teacher <- a teacher + (1 - a) network",
        parameters=(
            Parameter(
                name="weight",
                default=0.1,
                high=1000,
                help="of the consistency cost beside the loss",
                paper=cited("yu2019uncertainty"),
            ),
            Parameter(
                name="decay",
                default=0.99,
                high=0.999999,
                help="what is left of the teacher after a step, once enough steps are taken",
            ),
            Parameter(name="rampup", default=0.4, high=1, help="share of the training after which the weight is full"),
            Parameter(
                name="sigma",
                default=0.1,
                high=10,
                help="standard deviation of the noise that the teacher's images get",
                paper=cited("yu2019uncertainty"),
            ),
            Parameter(name="teacher", default=False, help="the teacher validates and predicts, not the network"),
        ),
        paper=cited("tarvainen2017mean"),
        challenges=("few labels",),
        use_when="where much of the training cases has the ignore label: un-annotated slices, or cases without a label",
        avoid_when="where all voxels are annotated: it changes nothing, and the log says so",
    ),
    TrickInfo(
        name="AsAnnotated",
        hooks=("semisupervised.cases",),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.semisupervised.as_annotated",
        summary="label maps without the labels that 'annotate grow' has added: the control of these labels",
        formula="for each training case that the manifest lists as grown, the case that it was grown from",
        paper=cited("yalniz2019billion"),
        challenges=("few labels",),
        use_when="to learn what added labels are worth: compare it with the same trainer without it",
        avoid_when="outside of data sets that 'annotate grow' has made: it changes nothing there, and the log says so",
    ),
)
