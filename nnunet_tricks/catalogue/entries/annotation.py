"""Training on data that are annotated in part: some slices, or some classes."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import PREPROCESSING
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="SparseSlices",
        hooks=("sampling", "labels"),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.sparse.trainer",
        summary="training on few annotated slices, simulated or real; the other slices and padding are ignored",
        formula="round(density * Z) slices of ceil(volumes * V) volumes count in the loss",
        parameters=(
            Parameter(
                name="density",
                default=1.0,
                low=0.001,
                high=1,
                help="share of the slices of each volume that keep their labels; 1 for all that have some",
            ),
            Parameter(
                name="policy",
                default="fixed",
                choices=("fixed", "random", "ual"),
                help="which slices: at fixed intervals, at random, or the most representative images",
                needs=("density",),
            ),
            Parameter(
                name="volumes", default=1.0, low=0.001, high=1, help="share of the training volumes that are annotated"
            ),
            Parameter(name="mi", default=False, help="masks are interpolated between annotated slices"),
            Parameter(
                name="method",
                default="sdf",
                choices=("sdf", "copy"),
                help="how mi interpolates: signed distances, or copies of the nearest annotated slice",
                needs=("mi",),
            ),
            Parameter(
                name="centres",
                default="nnunet",
                choices=("nnunet", "uniform", "lits", "atlas"),
                help="what patches are centred on",
            ),
            Parameter(
                name="seed",
                default=0,
                help="of the choice; 0 for the run's number",
                needs=("random", "volumes"),
            ),
        ),
        paper=cited("zhang2025slices"),
        challenges=("few labels",),
        use_when="where only some slices are annotated, and to simulate such budgets on dense data",
        avoid_when="with dense labels at its defaults: it then only changes padding and how patches are centred",
    ),
    TrickInfo(
        name="PartialLabels",
        hooks=("labels.classes",),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.partial.trainer",
        summary="classes that a case is not annotated for count neither for nor against, with any loss",
        formula="background q_0 = p_0 + sum of p over classes the case lacks; regions that it lacks have no gradient",
        parameters=(
            Parameter(
                name="exclusion",
                default=0.0,
                high=10,
                help="weight of a term against such classes where an annotated class is; label maps only",
                paper=cited("shi2021marginal"),
            ),
        ),
        paper=cited("fang2020multi"),
        challenges=("few labels",),
        use_when="where some cases lack a label, as in data sets that were joined; annotated.json says which",
        avoid_when="where all cases are annotated for all classes: it changes nothing, and the log says so",
    ),
    TrickInfo(
        name="CompleteCases",
        hooks=("labels.classes", "sampling.split"),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.partial.complete_cases",
        summary="training cases that lack a class are left out: the control of PartialLabels",
        formula="training cases of the fold that annotated.json does not list without some class",
        paper=cited("fang2020multi"),
        challenges=("few labels",),
        use_when="to learn what partly annotated cases are worth: compare it with PartialLabels",
        avoid_when="where few cases are annotated for all classes",
    ),
)
