import pickle
import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue.info import HOOKS, Parameter, TrickInfo, Value
from nnunet_tricks.catalogue.naming import MAX_LENGTH, IllegalName, TrainerName, Trick, parse
from nnunet_tricks.catalogue.papers import cited
from nnunet_tricks.catalogue.spelling import PART_OF_WORD


def _info(name: str, *hooks: str, base: bool = False, parameters: tuple[Parameter, ...] = ()) -> TrickInfo:
    return TrickInfo(
        name=name,
        hooks=hooks,
        phase="model implementation",
        module="nowhere",
        summary="for tests",
        formula="none",
        paper=cited("isensee2021nnunet"),
        base=base,
        parameters=parameters,
    )


WIDE = (
    *CATALOGUE,
    _info("Bare2D", "loss", "optimizer", "augmentation", base=True),
    _info(
        "Lion",
        "optimizer",
        parameters=(
            Parameter(name="lr", default=1e-2, high=1, help="learning rate"),
            Parameter(name="signed", default=False, help="a flag"),
        ),
    ),
    _info("SpectralNorm", "network.norm"),
    _info("IFE", "network.block", parameters=(Parameter(name="r", default=(0.5,), high=1, help="ratios"),)),
    _info("ResEnc", "network"),
    _info(
        "Counted",
        "loss",
        parameters=(Parameter(name="weights", default="counted", choices=("counted", "fixed"), help="by"),),
    ),
    _info("Warped", "augmentation.spatial"),
    _info(
        "Kept",
        "weights",
        parameters=(
            Parameter(name="freeze", default=0, high=1000, help="epochs"),
            Parameter(name="entry", default="resnet50_a1", word=True, help="a word"),
            Parameter(name="norm", default=False, help="a flag"),
        ),
    ),
    replace(_info("Static", "augmentation.intensity"), aliases=("Grain",)),
)
"""The real catalogue and one trick of each kind that names allow."""

NO_PART = r"[0-9]+epochs?|epochs?[0-9]+|run[0-9]+|shared|norm|freeze[0-9]+"
"""What reads like another part of a name, so that no word has it."""

MOST = 4


@st.composite
def values(draw: st.DrawFn, parameter: Parameter) -> Value:
    high = parameter.high if parameter.high is not None else 1e6
    number = st.floats(parameter.low, high, allow_subnormal=False).map(lambda x: float(f"{x:.6g}"))
    in_range = number.filter(lambda x: parameter.low <= x <= high and (x == 0 or x > 1e-12))
    if isinstance(parameter.default, bool):
        return draw(st.booleans())
    if parameter.word:
        part = st.from_regex(PART_OF_WORD, fullmatch=True).filter(lambda part: not re.fullmatch(NO_PART, part))
        return "_".join(draw(st.lists(part, min_size=1, max_size=3)))
    if isinstance(parameter.default, str):
        return draw(st.sampled_from(parameter.choices))
    if isinstance(parameter.default, tuple):
        return tuple(draw(st.lists(in_range, min_size=1, max_size=4)))
    if isinstance(parameter.default, int):
        return draw(st.integers(int(parameter.low), int(high)))
    return draw(in_range)


@st.composite
def settings(draw: st.DrawFn) -> TrainerName:
    """Any few tricks that do not clash, each with any values; more would not fit into a name."""
    chosen: list[TrickInfo] = []
    for info in draw(st.permutations(WIDE)):
        if len(chosen) == MOST:
            break
        free = all(other.base or info.base or not info.clashes_with(other) for other in chosen)
        if free and not (info.base and any(other.base for other in chosen)) and draw(st.booleans()):
            chosen.append(info)
    chosen.sort(key=lambda info: (not info.base, HOOKS.index(info.place), info.name))
    tricks = []
    for info in chosen:
        drawn = {parameter: draw(values(parameter)) for parameter in info.parameters}
        changed = {p.name: value for p, value in drawn.items() if value != p.default}
        excluded = {name for p in info.parameters if p.name in changed for name in p.excludes}
        tricks.append(Trick(info, tuple((name, value) for name, value in changed.items() if name not in excluded)))
    given = {part for info in chosen for part in info.parts}
    tricks = [trick for trick in tricks if str(trick) not in given]
    epochs = draw(st.one_of(st.just(1000), st.integers(1, 100_000)))
    return TrainerName(tuple(tricks), epochs, draw(st.one_of(st.just(1), st.integers(1, 99))), draw(st.booleans()))


@given(settings())
def test_every_setting_has_a_name_that_says_it_back(setting: TrainerName) -> None:
    assume(len(str(setting)) <= MAX_LENGTH)
    assert parse(str(setting), catalogue=WIDE) == setting
    assert "__" not in str(setting)


@given(settings(), st.randoms(use_true_random=False))
def test_a_name_in_other_case_is_no_name(setting: TrainerName, random) -> None:
    name = str(setting)
    other = "".join(random.choice((letter.upper(), letter.lower())) for letter in name)
    assume(len(name) <= MAX_LENGTH)
    if other != name:
        with pytest.raises(IllegalName):
            parse(other, catalogue=WIDE)


TOKENS = st.one_of(
    st.text(max_size=8),
    st.sampled_from([info.name for info in WIDE]),
    st.from_regex(r"(alpha|beta|fraction|lr|r|keep)[0-9]{0,20}(p[0-9]+)?(em?[0-9]+)?(x[0-9]+)*", fullmatch=True),
    st.from_regex(r"[0-9]{1,5000}epochs|run[0-9]{1,40}", fullmatch=True),
)


@pytest.mark.parametrize("name", ["nnUNetTrainerRUN1", "nnUNetTrainerrun1", "nnUNetTrainer1000epochs"])
def test_a_default_without_a_trick_is_left_out(name: str) -> None:
    with pytest.raises(IllegalName, match=r"is the default, which is left out. Nearest: nnUNetTrainer\.$"):
        parse(name)


@given(st.lists(TOKENS, max_size=5))
def test_any_text_is_a_name_or_refused_with_legal_names_near_it(tokens: list[str]) -> None:
    name = "nnUNetTrainer" + "_".join(tokens)
    refused = None
    try:
        assert str(parse(name, catalogue=WIDE)) == name
    except IllegalName as error:
        refused = error
    if refused:
        assert refused.reason
        assert name in str(refused)
        for near in refused.nearest:
            assert len(near) > MAX_LENGTH or str(parse(near, catalogue=WIDE)) == near


@pytest.mark.parametrize(
    ("name", "reason", "nearest"),
    [
        ("nnUNetTrainerTverski", "no trick 'Tverski'", "nnUNetTrainerTversky"),
        ("nnUNetTrainerIFEEntropy_r0p5x0p5", "'r0p5x0p5' is the default, which is left out", "nnUNetTrainerIFEEntropy"),
        (
            "nnUNetTrainerTversky_alpha0.2",
            "'alpha0.2' is written 'alpha0p2', with p as",
            "nnUNetTrainerTversky_alpha0p2",
        ),
        ("nnUNetTrainerSGD_lr3e-4", "'lr3e-4' is written 'lr3em4'", "nnUNetTrainerSGD_lr3em4"),
        (
            "nnUNetTrainerTversky_beta0p2_alpha0p1",
            "'alpha0p1' stands before 'beta0p2': parameters stand in the order of",
            "nnUNetTrainerTversky_alpha0p1_beta0p2",
        ),
        (
            "nnUNetTrainerNoDeepSupervision_Tversky",
            "'Tversky' stands before 'NoDeepSupervision': tricks stand in the order of",
            "nnUNetTrainerTversky_NoDeepSupervision",
        ),
        ("nnUNetTrainerBatchNorm_run1", "'run1' is the default", "nnUNetTrainerBN"),
        ("nnUNetTrainer100epochs", "an underscore stands before '100epochs'", "nnUNetTrainer_100epochs"),
        ("nnUNetTrainertversky", "exactly one name", "nnUNetTrainerTversky"),
        ("nnunettrainerTversky", "exactly one name", "nnUNetTrainerTversky"),
        ("nnUNetTrainer_Tversky", "exactly one name", "nnUNetTrainerTversky"),
        ("nnUNetTrainerTversky__5epochs", "exactly one name", "nnUNetTrainerTversky_5epochs"),
        ("nnUNetTrainerTversky_5epochs_", "exactly one name", "nnUNetTrainerTversky_5epochs"),
        ("nnUNetTrainer_run2_5epochs", "exactly one name", "nnUNetTrainer_5epochs_run2"),
        ("nnUNetTrainer_1000epochs", "exactly one name", "nnUNetTrainer"),
        ("nnUNetTrainer_run1", "exactly one name", "nnUNetTrainer"),
        ("nnUNetTrainer_run0", "run must be at least 1", "nnUNetTrainer"),
        ("nnUNetTrainerTversky_1epoch", "exactly one name", "nnUNetTrainerTversky_1epochs"),
        ("nnUNetTrainerTversky_epochs100", "exactly one name", "nnUNetTrainerTversky_100epochs"),
        ("nnUNetTrainerTversky_alpha0.2_100epochs", "exactly one name", "nnUNetTrainerTversky_alpha0p2_100epochs"),
        ("nnUNetTrainerTversky_alpha1e-4", "exactly one name", "nnUNetTrainerTversky_alpha1em4"),
        (
            "nnUNetTrainerTversky_alpha",
            "alpha of Tversky is written like alpha0p3, not 'alpha'",
            "nnUNetTrainerTversky",
        ),
        ("nnUNetTrainerTversky_mediseg1", "is written like mediseg, not", "nnUNetTrainerTversky"),
        ("nnUNetTrainer_alpha0p2_Tversky", "stands before any trick", "nnUNetTrainerTversky_alpha0p2"),
        ("nnUNetTrainerDice_squared_CE_9epochs_run2", "both set the loss", "nnUNetTrainerDice_squared_9epochs_run2"),
        ("nnUNetTrainerTversky_alpha0p2_CE_9epochs", "both set the loss", "nnUNetTrainerCE_9epochs"),
        ("nnUNetTrainerTversky_Tversky_5epochs", "Tversky stands twice", "nnUNetTrainerTversky_5epochs"),
        ("nnUNetTrainer_run2_run3", "run stands twice", "nnUNetTrainer_run2"),
        ("nnUNetTrainerTversky_alpha0p20", "exactly one name", "nnUNetTrainerTversky_alpha0p2"),
        ("nnUNetTrainerTversky_alpha0p3", "exactly one name", "nnUNetTrainerTversky"),
        ("nnUNetTrainerTversky_beta0p6_alpha0p4", "exactly one name", "nnUNetTrainerTversky_alpha0p4_beta0p6"),
        ("nnUNetTrainerTversky_alpha0p0001", "exactly one name", "nnUNetTrainerTversky_alpha1em4"),
        ("nnUNetTrainerTversky_alpha1p7", "must be a number from 0 to 1, got 1p7", "nnUNetTrainerTversky_alpha1"),
        (
            "nnUNetTrainerHausdorff_alpham1",
            "alpha of Hausdorff must be a number from 0.5 to 4, got -1",
            "nnUNetTrainerHausdorff_alpha0p5",
        ),
        ("nnUNetTrainerTversky_alpha-2", "must be a number from 0 to 1, got -2", "nnUNetTrainerTversky_alpha0"),
        ("nnUNetTrainerTversky_alfa0p2", "no parameter 'alfa0p2'", "nnUNetTrainerTversky_alpha0p2"),
        ("nnUNetTrainerTversky_gamma2", "it has: alpha, beta, cb, mediseg", "nnUNetTrainerTversky"),
        ("nnUNetTrainerTversky_alpha0p2_alpha0p4", "alpha of Tversky stands twice", "nnUNetTrainerTversky_alpha0p2"),
        ("nnUNetTrainerTversky_Tversky", "Tversky stands twice", "nnUNetTrainerTversky"),
        ("nnUNetTrainerFocal_cb0p9_mediseg", "cb and mediseg of Focal exclude each other", "nnUNetTrainerFocal_cb0p9"),
        ("nnUNetTrainerWCE_weights", "is written like weights0p5x2", "nnUNetTrainerWCE"),
        ("nnUNetTrainerOHEM_keep2p5", "must be a whole number, at least 1", "nnUNetTrainerOHEM_keep2"),
        ("nnUNetTrainerDice_CE", "Dice and CE both set the loss", "nnUNetTrainerCE"),
        ("nnUNetTrainer_alpha0p2", "stands before any trick", "nnUNetTrainer"),
        ("nnUNetTrainerNoDeepSupervision_Dice", "exactly one name", "nnUNetTrainerDice_NoDeepSupervision"),
        ("nnUNetTrainerResEnc_SpectralNorm", "both set the network", "nnUNetTrainerSpectralNorm"),
        ("nnUNetTrainerLion_Bare2D", "a base and must stand first", None),
        ("nnUNetTrainerLion_lr2", "from 0 to 1, got 2", "nnUNetTrainerLion_lr1"),
        ("nnUNetTrainerIFE_r0p5x1p5", "numbers from 0 to 1", "nnUNetTrainerIFE_r0p5x1"),
        ("nnUNetTrainerCounted_fixxed", "no parameter 'fixxed'", "nnUNetTrainerCounted_fixed"),
        ("nnUNetTrainerMedISeg3D_CE_9epochs", "MedISeg3D has CE already", "nnUNetTrainerMedISeg3D_9epochs"),
        ("nnUNetTrainerIFE2D_MedISeg2D", "MedISeg2D is a base and must stand first", "nnUNetTrainerIFE2D"),
        ("nnUNetPlannerTversky", "begin with nnUNetTrainer", None),
    ],
)
def test_illegal_names_are_refused_with_the_reason_and_the_nearest(name: str, reason: str, nearest: str | None) -> None:
    with pytest.raises(IllegalName, match=re.escape(reason)) as refused:
        parse(name, catalogue=WIDE)
    assert nearest is None or nearest in refused.value.nearest


@pytest.mark.parametrize(
    "name",
    [
        "nnUNetTrainer_30epochs_run2",
        "nnUNetTrainerTversky_alpha0p2_beta0p8",
        "nnUNetTrainerTversky_mediseg_100epochs",
        "nnUNetTrainerBare2D_Tversky",
        "nnUNetTrainerDiceOHEM_Static_Warped_Lion_lr3em4_signed_100epochs_run2",
        "nnUNetTrainerIFE_r0p75x0p5_SGD",
        "nnUNetTrainerCounted_fixed",
    ],
)
def test_names_of_every_kind_are_legal(name: str) -> None:
    assert str(parse(name, catalogue=WIDE)) == name


def test_the_refusal_travels_between_processes() -> None:
    with pytest.raises(IllegalName) as refused:
        parse("nnUNetTrainerTverski")
    copy = pickle.loads(pickle.dumps(refused.value))
    assert (str(copy), copy.reason, copy.nearest) == (str(refused.value), refused.value.reason, refused.value.nearest)


def test_a_trick_may_replace_what_its_base_set() -> None:
    assert [trick.info.name for trick in parse("nnUNetTrainerBare2D_Tversky_Lion", catalogue=WIDE).tricks] == [
        "Bare2D",
        "Tversky",
        "Lion",
    ]


def switched(name: str) -> list[str]:
    return [str(trick) for trick in parse(f"nnUNetTrainer{name}").switched]


BARE = ["CE", "NoDeepSupervision", "NoDA", "Oversample_fraction0", "BN", "SGD", "ConstantLR"]


@pytest.mark.parametrize(
    ("added", "instead"),
    [
        ("", {}),
        ("OHEM", {"CE": "OHEM"}),
        ("UniformDeepSupervision", {"NoDeepSupervision": "UniformDeepSupervision"}),
        ("GTAugB", {"NoDA": "GTAugB"}),
        ("Oversample", {"Oversample_fraction0": "Oversample"}),
        ("InstanceNorm", {"BN": "InstanceNorm"}),
        ("Adam_lr3em4", {"SGD": "Adam_lr3em4"}),
        ("PolyLR", {"ConstantLR": "PolyLR"}),
        ("Boundary_LayerNorm", {"CE": "Boundary", "BN": "LayerNorm"}),
    ],
)
def test_a_trick_replaces_what_the_base_has_for_the_same_part_of_nnunet(added: str, instead: dict[str, str]) -> None:
    name = "_".join(filter(None, ("MedISeg3D", added)))
    assert switched(name) == [instead.get(part, part) for part in BARE]


@pytest.mark.parametrize("added", ["RandomErasing", "IFECurvature", "ClassBalancedSampling"])
def test_a_trick_for_another_part_is_added(added: str) -> None:
    assert sorted(switched(f"MedISeg3D_{added}")) == sorted([*BARE, added])


def test_two_single_augmentations_replace_the_base_together() -> None:
    assert sorted(switched("MedISeg2D_Flip_Noise"))[:4] == ["BN", "CE", "ConstantLR", "Flip"]
    assert "NoDA" not in switched("MedISeg2D_Flip_Noise")


def test_a_former_name_means_the_same_trick() -> None:
    assert parse("nnUNetTrainerGrain", catalogue=WIDE) == parse("nnUNetTrainerStatic", catalogue=WIDE)


@pytest.mark.parametrize(
    ("name", "idle"),
    [
        ("SparseSlices_ual", {"policy", "method", "seed"}),
        ("SparseSlices_random_volumes0p5", {"policy", "method"}),
        ("SparseSlices_density0p2_random", {"method"}),
        ("SparseSlices_random_seed3", {"policy", "method", "seed"}),
        ("SparseSlices_copy_seed3", {"policy", "method", "seed"}),
        ("SparseSlices_density0p2_mi_copy", {"seed"}),
        ("IFEEntropy_unique", {"bins"}),
        ("IFEEntropy_bins64_reference", set()),
    ],
)
def test_what_means_nothing_beside_the_others_is_not_in_effect(name: str, idle: set[str]) -> None:
    trick = parse(f"nnUNetTrainer{name}").tricks[0]
    assert set(trick.settings) - set(trick.in_effect) == idle


def test_weights_of_thirty_classes_fit_with_length_and_run() -> None:
    weights = "x".join(f"0p{number}" for number in range(11, 45) if number % 10)
    assert parse(f"nnUNetTrainerDiceWCE_weights{weights}_100epochs_run2").epochs == 100


def test_a_name_too_long_for_a_folder_is_refused() -> None:
    digits = "0p" + "1234567" * 2
    name = "nnUNetTrainerTversky_" + "_".join([f"alpha{digits}", f"beta{digits}"])
    assert parse(name)
    ratios = "x".join([digits] * 12)
    with pytest.raises(IllegalName, match="a result folder leaves room for 205"):
        parse(f"nnUNetTrainerIFE_r{ratios}", catalogue=WIDE)
