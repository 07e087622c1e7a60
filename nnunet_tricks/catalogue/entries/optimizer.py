"""Which optimiser takes the steps, and how its learning rate changes."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import MODEL
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

_VARIANTS = "nnunetv2.training.nnUNetTrainer.variants"
_CONVERGENCE = ("convergence",)
_BASELINES = ("baseline of the trick paper",)
_LR = Parameter(name="lr", default=0.01, low=1e-9, high=100, help="learning rate at the start")
_DECAY = Parameter(name="decay", default=3e-5, high=1, help="of the weights")

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="SGD",
        hooks=("optimizer",),
        phase=MODEL,
        module="nnunet_tricks.tricks.optimizer.sgd",
        summary="stochastic gradient descent with the trick paper's momentum and decay",
        formula="v <- momentum v + gradient + decay w; w <- w - lr v",
        parameters=(
            _LR,
            Parameter(name="momentum", default=0.9, high=0.999999, help="what is left of the last step"),
            Parameter(name="decay", default=1e-4, high=1, help="of the weights"),
            Parameter(name="nesterov", default=False, help="look ahead along the momentum, as nnU-Net does"),
        ),
        paper=cited("sutskever2013momentum"),
        challenges=(*_CONVERGENCE, *_BASELINES),
        use_when="to repeat the trick paper, or where a training with momentum 0.99 collapses at its start",
        avoid_when="to gain speed: less momentum means slower progress at the same learning rate",
    ),
    TrickInfo(
        name="Adam",
        hooks=("optimizer",),
        phase=MODEL,
        module=f"{_VARIANTS}.optimizer.nnUNetTrainerAdam",
        stand_in="nnunet_tricks.tricks.optimizer.adam:AdamTrainer",
        summary="AdamW with amsgrad (nnU-Net's own)",
        formula="w <- (1 - lr decay) w - lr m / sqrt(max v); m and v running means of gradient and squared gradient",
        parameters=(_LR, _DECAY),
        paper=cited("loshchilov2019decoupled"),
        challenges=_CONVERGENCE,
        use_when="where SGD needs its learning rate tuned, such as networks with attention",
        avoid_when="at the default learning rate of 0.01, which is SGD's and large for it: name lr",
    ),
    TrickInfo(
        name="VanillaAdam",
        hooks=("optimizer",),
        phase=MODEL,
        module=f"{_VARIANTS}.optimizer.nnUNetTrainerAdam",
        stand_in="nnunet_tricks.tricks.optimizer.vanilla_adam:VanillaAdamTrainer",
        summary="Adam as in its paper (nnU-Net's own)",
        formula="w <- w - lr m / sqrt(v); m and v running means of gradient + decay w and of its square",
        parameters=(
            _LR,
            _DECAY,
            Parameter(name="beta", default=0.999, high=0.999999, help="how slowly the mean of squares changes"),
        ),
        paper=cited("kingma2015adam"),
        challenges=(*_CONVERGENCE, *_BASELINES),
        use_when="to repeat the papers' trainings: name their lr and decay",
        avoid_when="at the default learning rate of 0.01, which is SGD's and large for it",
    ),
    TrickInfo(
        name="PolyLR",
        hooks=("schedule",),
        phase=MODEL,
        module="nnunet_tricks.tricks.schedule.poly",
        summary="a learning rate that falls as nnU-Net's does, or with another exponent",
        formula="lr (1 - t / T)^exponent in epoch t of T",
        parameters=(Parameter(name="exponent", default=0.9, low=0.01, high=10, help="1 for a straight line"),),
        paper=cited("isensee2021nnunet"),
        challenges=_CONVERGENCE,
        use_when="to change the exponent of nnU-Net's own schedule, or beside a base",
        avoid_when="at its default alone: it is nnU-Net's own",
        own=True,
    ),
    TrickInfo(
        name="CosAnneal",
        hooks=("schedule",),
        phase=MODEL,
        module=f"{_VARIANTS}.lr_schedule.nnUNetTrainerCosAnneal",
        stand_in="nnunet_tricks.tricks.schedule.cosine:CosAnnealTrainer",
        summary="a learning rate that falls along a cosine (nnU-Net's own)",
        formula="lr (1 + cos(pi t / T)) / 2 in epoch t of T",
        paper=cited("loshchilov2017sgdr"),
        challenges=_CONVERGENCE,
        use_when="where more time at high and low learning rates is wanted than on the way between",
        avoid_when="to continue a finished training: the rate at its end is 0",
    ),
    TrickInfo(
        name="ConstantLR",
        hooks=("schedule",),
        phase=MODEL,
        module="nnunet_tricks.tricks.schedule.constant",
        summary="a constant learning rate",
        formula="lr in every epoch",
        paper=cited("zhang2022tricks"),
        challenges=_BASELINES,
        use_when="for the papers' baselines",
        avoid_when="for models that will be used: the last part at low rates is worth points",
    ),
    TrickInfo(
        name="StepLR",
        hooks=("schedule",),
        phase=MODEL,
        module="nnunet_tricks.tricks.schedule.step",
        summary="a learning rate that falls in steps",
        formula="lr factor^floor(t / every) in epoch t",
        parameters=(
            Parameter(name="every", default=50, low=1, help="epochs from one step to the next"),
            Parameter(
                name="parts",
                default=0,
                help="in place of every: equal parts of the training, 2 for the IFE paper",
                excludes=("every",),
            ),
            Parameter(name="factor", default=0.1, high=1, help="what each step leaves of the rate"),
        ),
        paper=cited("liu2023instructive"),
        challenges=_CONVERGENCE,
        use_when="to repeat papers that train so",
        avoid_when="without knowing good places for the steps",
    ),
    TrickInfo(
        name="PlateauLR",
        hooks=("schedule",),
        phase=MODEL,
        module="nnunet_tricks.tricks.schedule.plateau",
        summary="a learning rate that falls when the validation loss no longer does",
        formula="lr times factor once patience epochs have brought no lower validation loss",
        parameters=(
            Parameter(name="patience", default=10, help="epochs without a lower loss that are let pass"),
            Parameter(name="factor", default=0.1, high=0.999999, help="what is left of the rate"),
        ),
        paper=cited("zhang2022tricks"),
        challenges=_CONVERGENCE,
        use_when="to repeat the trick paper in 3D, or where a good length is unknown",
        avoid_when="with small validation sets: chance then decides when the rate falls",
    ),
    TrickInfo(
        name="Warmup",
        hooks=("schedule",),
        phase=MODEL,
        module="nnunet_tricks.tricks.schedule.warmup",
        summary="a learning rate that rises first, as in nnU-Net's nnUNetTrainer_warmup",
        formula="lr (t + 1) / length in the first epochs, then lr (1 - (t - length) / (T - length))^0.9",
        parameters=(Parameter(name="length", default=50, low=1, help="epochs of the rise"),),
        paper=cited("goyal2017accurate"),
        challenges=_CONVERGENCE,
        use_when="where a training diverges or collapses in its first epochs, and with attention or pre-trained "
        "weights",
        avoid_when="in short trainings: the rise takes a part of them",
    ),
)
