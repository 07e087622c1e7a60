"""Each rule speaks on made-up data that call for it, and is silent on data that do not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nnunet_tricks.catalogue.naming import PREFIX, parse
from nnunet_tricks.comparison.advice import costs
from nnunet_tricks.comparison.advice.advise import advise, infos_of
from nnunet_tricks.comparison.advice.figures import ClassFigures, DataFigures
from nnunet_tricks.comparison.advice.measuring import position_asymmetry
from nnunet_tricks.comparison.advice.rules import ONLY_2D, RULES, fixed_place, percent, solid, spoken_for
from nnunet_tricks.comparison.advice.writing import text_of
from nnunet_tricks.comparison.ledger.rows import Ledger, LedgerRow
from nnunet_tricks.comparison.ledger.stored import read_ledger
from nnunet_tricks.experiment.spec import read_experiment
from tests.checkout import ROOT

PLAIN = ClassFigures(
    name="organ",
    cases=200,
    share=0.1,
    count=2,
    single=0.2,
    size=5000,
    small=900,
    spread=4,
    width=20,
    near=0.0,
    necks=0.0,
    thin=0.2,
    holes=0.3,
    entropy=0.7,
    asymmetry=0.1,
    axis=1,
    contrast=2.0,
    reversed=0.0,
)
"""A class of which no rule says anything."""

DATA = DataFigures(
    dataset="Dataset009_Made", source="raw", cases=200, read=200, dimension=3, voxels=1e5, classes=(PLAIN,)
)


def with_class(**changes) -> DataFigures:
    return replace(DATA, classes=(replace(PLAIN, **changes),))


def with_classes(*names: str, **changes) -> DataFigures:
    return replace(DATA, classes=tuple(replace(PLAIN, name=name, **changes) for name in names))


SPEAKING = {
    "rare foreground": with_class(share=0.005),
    "uneven classes": replace(
        DATA, classes=(replace(PLAIN, share=0.3), replace(PLAIN, name="small", share=0.03)), imbalance=10.0
    ),
    "seldom classes": replace(DATA, classes=(PLAIN, replace(PLAIN, name="seldom", cases=20))),
    "sizes of objects": with_class(count=8, spread=50),
    "touching objects": with_class(count=8, near=0.6),
    "thin objects": with_class(thin=0.9, width=3),
    "fixed places": with_class(asymmetry=0.9),
    "left and right": with_classes("left_lung", "right_lung"),
    "places anywhere": with_class(entropy=0.98, share=0.05),
    "few cases": replace(DATA, cases=40),
    "colour pictures": replace(DATA, dimension=2, coloured=True, channels=3),
    "different looks": with_class(reversed=0.3),
    "faint objects": with_class(contrast=0.3),
    "empty cases": replace(DATA, empty=0.3),
    "single objects": with_class(single=1.0),
    "solid objects": with_class(holes=0.0),
    "vanishing objects": with_class(small=20),
    "large volumes": replace(DATA, voxels=5e7),
    "few slices": replace(DATA, slices=0.1),
    "ignored voxels": replace(DATA, ignored=0.5),
}
"""Data that each rule is for."""


def test_each_rule_has_data_that_it_is_for() -> None:
    assert list(SPEAKING) == [rule.name for rule in RULES]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_speaks_and_is_silent(rule) -> None:
    reason = rule.find(SPEAKING[rule.name])
    assert reason is not None
    assert 0 < reason.strength <= 1
    # The sentence has the figure that it is based on, or names the classes.
    assert any(letter.isdigit() for letter in reason.text) or rule.name == "left and right"
    assert rule.find(DATA) is None
    # Figures that are not known say nothing.
    assert rule.find(replace(DATA, classes=(ClassFigures(name="absent", cases=0),), voxels=float("nan"))) is None


def test_plain_data_get_no_advice() -> None:
    advice = advise(DATA, Ledger())
    assert advice.tricks == ()
    assert len(advice.silent) == len(RULES)


@pytest.mark.parametrize("trick", list(spoken_for()))
def test_each_trick_exists(trick: str) -> None:
    infos = infos_of(trick)
    assert infos
    if not infos[0].command:
        assert str(parse(f"{PREFIX}{trick}")) == f"{PREFIX}{trick}"
        assert (trick in ONLY_2D) == any(info.dimensions == 2 for info in infos)


def test_order_and_reasons() -> None:
    data = replace(with_class(share=0.0005, single=1.0), cases=20)
    advice = advise(data, read_ledger(), made="2030-01-01T00:00:00+00:00")
    strengths = [advised.strength for advised in advice.tricks]
    assert strengths == sorted(strengths, reverse=True)
    by_trick = {advised.trick: advised for advised in advice.tricks}
    assert len(by_trick["Oversample_fraction0p66"].reasons) == 2
    assert "no training" in by_trick["KeepLargest"].cost
    assert any("KiTS19" in words for words in by_trick["KeepLargest"].papers)
    assert any("Hippocampus 3D: within noise" in words for words in by_trick["KeepLargest"].ledger_words)
    # Only volumes: what needs pictures is not named.
    assert not ONLY_2D & set(by_trick)
    assert json.loads(json.dumps(advice.data, allow_nan=False))["made"] == "2030-01-01T00:00:00+00:00"


def test_steps_are_for_the_classes_that_call_for_them(tmp_path: Path) -> None:
    both = replace(
        DATA,
        classes=(replace(PLAIN, name="left kidney", single=1.0, holes=0.0), replace(PLAIN, name="tumor", small=90)),
    )
    advice = advise(replace(both, empty=0.4), Ledger())
    by_trick = {advised.trick: advised for advised in advice.tricks}
    assert by_trick["KeepLargest"].command.endswith("--steps 'left kidney:KeepLargest'")
    assert by_trick["FillHoles"].steps == ("left kidney:FillHoles",)
    # Smaller than half of a small object, and for each class.
    assert by_trick["RemoveSmall_voxels45"].command.endswith("--steps RemoveSmall_voxels45")
    file = tmp_path / "steps.yaml"
    file.write_text(text_of(advice, "steps", most=9, epochs=5, small=False))
    (comparison,) = read_experiment(file).comparisons
    assert [setting.steps for setting in comparison.inference] == [advised.steps for advised in advice.tricks]
    # All classes have one object: no class is named.
    alike = advise(replace(both, classes=both.classes[:1]), Ledger())
    assert {advised.classes for advised in alike.tricks} == {()}


def test_costs_are_what_benchmarks_measured() -> None:
    def measured(name: str):
        return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text())

    losses = measured("loss_step")["results"]["3d"]["losses"]
    cells = measured("cells")
    for name, ratio in costs.LOSS_TIMES.items():
        known = losses[name] if name in losses else cells["losses"]["3d"][name]
        assert ratio == pytest.approx(known["ratio"], rel=0.1), name
    targets = measured("targets")["results"]
    maps = {
        "Blob": cells["maps"]["numbers of objects"],
        "CCDice": cells["maps"]["cells"],
        "DistanceCE": targets["border weights of two objects"],
        "SkeletonRecall": targets["widened skeleton"],
    }
    assert {name: pytest.approx(of_map["ratio"], rel=0.2) for name, of_map in maps.items()} == costs.MAP_TIMES
    steps = measured("ife")["results"]["steps"]["3d_fullres"]
    entropy = steps["IFEEntropy"]["ratio"] / steps["plain U-Net"]["ratio"]
    assert costs.STEP_TIMES["IFEEntropy"] == pytest.approx(entropy, rel=0.1)
    network = measured("networks")["networks"]["EfficientNetLite0UNet"]["over planned"]["ratio"]
    assert costs.STEP_TIMES["EfficientNetLite0UNet"] == pytest.approx(network, rel=0.1)
    # Every loss that is advised has a measured time.
    advised = {info.name for trick in spoken_for() for info in infos_of(trick) if "loss" in info.hooks}
    assert advised == set(costs.LOSS_TIMES)


def test_rows_with_a_base_of_their_own_are_named_and_do_not_count_as_cost() -> None:
    data = replace(DATA, dimension=2, coloured=True, channels=3, grey=0.83)
    (advised,) = advise(data, read_ledger()).tricks
    assert advised.trick == "EfficientNetLite0UNet_PretrainedImageNet1k_Adam_lr0p001"
    assert "83 % of them hold grey only" in advised.reasons[0].text
    assert advised.ledger_words[0].startswith(
        "Polyps 2D on EfficientNetLite0UNet, Adam_lr0p001: helps, +0.071 to +0.166"
    )
    assert "in the ledger" not in advised.cost
    assert "0.4 times" in advised.cost
    assert advised.papers[0].startswith("ISIC 2018: Dice +1.10 points (Imag-1k")
    text = text_of(advise(data, Ledger()), "weights", most=9, epochs=5, small=False)
    assert "# First: nnunet-tricks weights fetch PretrainedImageNet1k" in text
    assert "  - EfficientNetLite0UNet_Adam_lr0p001\n  - EfficientNetLite0UNet_PretrainedImageNet1k_Adam" in text


def test_the_reason_against_mirroring_is_an_overlap() -> None:
    # One case in twenty has the class on the other side, so no mirrored place is new.
    places = [np.eye(1, 64, 56 if case == 0 else 0).reshape(8, 8) for case in range(20)]
    distance, axis = position_asymmetry(places)
    mean = np.mean(places, axis=0)
    assert not np.flip(mean, 0)[mean == 0].any()
    assert distance == pytest.approx(1 - np.minimum(mean, np.flip(mean, 0)).sum(), abs=0.06)
    reason = fixed_place(with_class(asymmetry=distance, axis=axis))
    assert reason is not None
    assert f"overlaps the places where it usually lies by only {percent(1 - distance)}" in reason.text
    assert "no case" not in reason.text


def test_the_reason_for_solid_objects_speaks_for_it() -> None:
    some, none = solid(with_class(holes=0.02)), solid(with_class(holes=0.0))
    assert some is not None
    assert none is not None
    assert "only 2 % of the cases have a hole" in some.text
    assert "none of 200 cases has a hole" in none.text


def test_rows_of_the_data_set_come_first_and_rows_that_decide_are_never_left_out() -> None:
    def row(dataset: str, word: str, dimension: int = 3) -> LedgerRow:
        return replace(known, dataset=dataset, word=word, dimension=dimension, base=())

    known = next(row for row in read_ledger().rows if row.tricks == ("KeepLargest",))
    own = [row("Made", "within noise", 2), row("Made", "undecided"), row("Made", "undecided", 2)]
    others = [row("Other", "within noise"), row("Third", "undecided"), row("Fourth", "hurts", 2)]
    data = with_class(single=1.0)
    (advised,) = advise(data, Ledger(rows=(*others, *own))).tricks
    names = [words.partition(":")[0] for words in advised.ledger_words]
    assert names == ["Made 3D", "Made 2D", "Made 2D", "Fourth 2D", "2 more rows"]
    (advised,) = advise(data, Ledger(rows=(*others, *own[1:]))).tricks
    names = [words.partition(":")[0] for words in advised.ledger_words]
    assert names == ["Made 3D", "Made 2D", "Fourth 2D", "2 more rows"]
    (advised,) = advise(data, Ledger(rows=(others[0], *own))).tricks
    assert advised.ledger_words[-1] == "1 more row: nnunet-tricks show KeepLargest"
    (advised,) = advise(data, Ledger(rows=tuple(own))).tricks
    assert len(advised.ledger_words) == 3
