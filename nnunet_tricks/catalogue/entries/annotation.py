"""Training on data of which only some slices are annotated."""

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
)
