"""What is done at prediction. No trainer's name holds these: ``nnunet-tricks predict`` and ``ensemble`` take them."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.tables_10_to_13 import INFERENCE, tables_10_and_11
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_AVERAGE = Parameter(
    name="average",
    default="usual",
    choices=("usual", "logits", "probabilities"),
    help="what of the views is averaged; usual: logits for none and mirror, as in nnU-Net, else probabilities",
)
_VIEWS = "mean over views v of v^-1(network(v(x)))"
_MODULE = "nnunet_tricks.tricks.inference.view_sets"

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="TTA",
        hooks=("inference.views",),
        phase=INFERENCE,
        module=_MODULE,
        command="predict --tta mediseg",
        summary="the mean over several views of the image at prediction",
        formula=_VIEWS,
        parameters=(
            Parameter(
                name="views",
                default="mediseg",
                choices=("none", "mirror", "mediseg", "rotate90", "gtauga", "gtaugb"),
                help="none; mirror: nnU-Net's own; mediseg: the trick paper's code; gtauga, gtaugb: as in training",
            ),
            _AVERAGE,
        ),
        paper=cited("zhang2022tricks"),
        challenges=("orientation", "robustness"),
        use_when="where orientation is arbitrary, and time at prediction is cheap",
        avoid_when="where left and right differ, or on views that the training never showed",
        measured=tables_10_and_11("TTAbaseline", isic=0.53, conic=2.14, kidney=-11.12, tumour=-7.82, lits=-3.79),
    ),
    TrickInfo(
        name="EnsembleAverage",
        hooks=("inference.ensemble",),
        phase=INFERENCE,
        module="nnunet_tricks.tricks.inference.ensemble",
        command="ensemble --method average",
        summary="the mean probabilities of several trained models",
        formula="argmax_c of mean over models m of p_mc",
        paper=cited("zhang2022tricks"),
        challenges=("robustness",),
        use_when="where you have models of several folds or runs, and time at prediction",
        avoid_when="where one model is much worse than the others: weigh them",
        measured=tables_10_and_11("EnsAvg", isic=1.63, conic=2.22, kidney=1.89, tumour=-0.48, lits=2.66),
    ),
    TrickInfo(
        name="EnsembleVote",
        hooks=("inference.ensemble",),
        phase=INFERENCE,
        module="nnunet_tricks.tricks.inference.voting",
        command="ensemble --method vote",
        summary="the label that most of several trained models predict",
        formula="argmax_c of the number of models m with argmax p_m = c; ties: higher mean p_c, then lower c",
        paper=cited("zhang2022tricks"),
        challenges=("robustness",),
        use_when="where only finished segmentations are at hand",
        avoid_when="with two models, which cannot outvote each other; averages keep more",
        measured=tables_10_and_11("EnsVot", isic=1.57, conic=2.11, kidney=1.81, tumour=-0.19, lits=1.98),
    ),
    TrickInfo(
        name="EnsembleWeighted",
        hooks=("inference.ensemble",),
        phase=INFERENCE,
        module="nnunet_tricks.tricks.inference.tuning.weights",
        command="ensemble --method weighted",
        summary="the mean probabilities of several trained models, with weights learned out of fold",
        formula="argmax_c of the sum over models m of w_m p_mc; w_m >= 0, their sum 1, with the largest mean Dice",
        paper=cited("zhang2022tricks"),
        challenges=("robustness",),
        use_when="where models differ in quality and a held-out fold can tell",
        avoid_when="without cases that no model was trained on: the weights are then too good",
    ),
    TrickInfo(
        name="EnsembleStack",
        hooks=("inference.ensemble",),
        phase=INFERENCE,
        module="nnunet_tricks.tricks.inference.stacking",
        command="ensemble --method stack",
        summary="stacking: a learned weight for each model and class on the log probabilities",
        formula="argmax_c of b_c + the sum over models m of w_mc log p_mc; w_mc >= 0, with the least cross-entropy",
        paper=cited("wolpert1992stacked"),
        challenges=("robustness",),
        use_when="where models are good at different classes and a held-out fold is large",
        avoid_when="with few held-out cases: it then learns their chance",
    ),
)
