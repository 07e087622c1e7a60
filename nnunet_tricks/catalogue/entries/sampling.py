"""Which patches of which cases a training sees."""

from __future__ import annotations

from nnunet_tricks.catalogue.entries.shared import PREPROCESSING, tables_3_and_4
from nnunet_tricks.catalogue.info import Parameter, TrickInfo
from nnunet_tricks.catalogue.papers import cited

ENTRIES: tuple[TrickInfo, ...] = (
    TrickInfo(
        name="Oversample",
        hooks=("sampling.fraction", "sampling.cases"),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.sampling.oversample",
        summary="another fraction of patches centred on foreground",
        formula="each patch with probability fraction; the others lie anywhere",
        parameters=(
            Parameter(name="fraction", default=0.3, high=1, help="of the patches; 0 for none, 1 for all"),
            Parameter(
                name="rule",
                default="bernoulli",
                choices=("bernoulli", "fixed"),
                help="fixed is nnU-Net's rule: the last patches of each batch, rounded",
            ),
            Parameter(
                name="cases",
                default="uniform",
                choices=("uniform", "size"),
                help="size draws cases in proportion to their voxels",
            ),
            Parameter(
                name="empty",
                default=1.0,
                high=1,
                help="share of the patches from cases without any foreground; 1 for as many as nnU-Net draws",
            ),
        ),
        paper=cited("zhang2022tricks"),
        challenges=("class imbalance", "small objects"),
        use_when="to set how many patches are centred on foreground: more for small objects, fewer where false alarms "
        "are far from objects",
        avoid_when="at fractions near 1: the network then hardly sees places far from objects, and false alarms there "
        "rise",
        measured=tables_3_and_4("OverSam", kidney=0.43, tumour=6.06, lits=2.03),
    ),
    TrickInfo(
        name="ClassBalancedSampling",
        hooks=("sampling.classes",),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.sampling.class_balanced",
        summary="patches on foreground: first a class is drawn, each equally often, then a case that has it",
        formula="class uniform, then case uniform among those with the class, then voxel uniform",
        paper=cited("shen2016relay"),
        challenges=("class imbalance",),
        use_when="where a class occurs in few of the cases",
        avoid_when="where all cases have all classes: it changes nothing, and the log says so",
    ),
    TrickInfo(
        name="SizeBalancedSampling",
        hooks=("sampling.objects",),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.sampling.size_balanced",
        summary="patches on foreground fall on small objects as often as on large ones",
        formula="case and class as nnU-Net draws them, then object uniform, then voxel uniform",
        paper=cited("isensee2021nnunet"),
        challenges=("small objects",),
        use_when="where a case has objects of very different sizes, and small ones are missed",
        avoid_when="where cases have one object of a class: it changes nothing, and the log says so; and where labels "
        "have stray voxels, each of which counts as an object",
    ),
    TrickInfo(
        name="GrowingPatch",
        hooks=("sampling.size",),
        phase=PREPROCESSING,
        module="nnunet_tricks.tricks.sampling.growing_patch",
        summary="training patches that begin small and grow to the planned size: less time, or larger batches",
        formula="each size for floor(E / S) of E epochs; S sizes, each with one axis larger by the network's strides",
        parameters=(
            Parameter(
                name="mode",
                default="efficient",
                choices=("efficient", "performance"),
                help="efficient keeps the patches of a batch, performance its voxels",
            ),
            Parameter(
                name="cap",
                default=64,
                low=1,
                help="most patches of a batch, unless the plans have more",
                needs=("performance",),
            ),
            Parameter(
                name="turns",
                default=False,
                help="axes grow in turn, as in the first paper; else the one whose next side is shortest",
                paper=cited("fischer2024progressive"),
            ),
        ),
        paper=cited("fischer2025progressive"),
        challenges=("training time", "class imbalance", "small objects"),
        use_when="where training takes too long; with performance for small objects, at about the usual time",
        avoid_when="where the loading processes already are what the GPU waits for, as patches still have to be cut "
        "out and augmented; or where an object is larger than small patches and its place says what it is",
    ),
)
