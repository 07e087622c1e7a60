import json
from pathlib import Path

import pytest

from nnunet_tricks.comparison.beside import beside, metrics_of
from nnunet_tricks.comparison.comparison_table import ComparisonTable, MethodRow
from nnunet_tricks.comparison.cost import Cost
from nnunet_tricks.comparison.methods import Group, Method
from nnunet_tricks.comparison.scores import Score
from nnunet_tricks.experiment.entry import SpecError
from nnunet_tricks.experiment.spec import read_experiment

SPEC = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky, CE, OHEM]
regions: {kidney: 1+2, tumor: 2}
published:
  file: paper.json
  table: table 7
  datasets: {901: {kidney: Set-i, tumor: Set-ii}}
  rows:
    baseline: base
    Tversky: + T
    CE: + C
"""
PAPER = {
    "source": "Somebody 2020",
    "metrics": {"": ["recall", "Dice"]},
    "times": [100, 100],
    "tables": {
        "table 7": {
            "Set-i": {"base": [80.0, 90.0], "+ T": [85.0, 89.5], "+ C": ["collapsed", "collapsed"]},
            "Set-ii": {"base": [10.0, 20.0], "+ T": [11.0, None]},
        }
    },
}


@pytest.fixture
def comparison(spec, tmp_path: Path):
    (tmp_path / "paper.json").write_text(json.dumps(PAPER))
    (comparison,) = read_experiment(spec(SPEC)).comparisons
    return comparison


def table_of(*means: float) -> ComparisonTable:
    methods = [Method(f"nnUNetTrainer{name}", "nnUNetPlans", "3d_fullres") for name in ("", "Tversky", "CE", "OHEM")]
    rows = []
    for method, mean in zip(methods, means, strict=True):
        score = Score(mean, 5, "1", mean - means[0] if rows else None)
        rows.append(MethodRow(method, {label: {"Dice": score} for label in ("kidney", "tumor", "mean")}, 5, (), Cost()))
    return ComparisonTable(Group("Dataset901_Toy", "test", tuple(methods)), None, tuple(rows), (), statistics=None)


def test_in_the_papers_units_with_both_differences(comparison) -> None:
    assert metrics_of(comparison) == ["recall", "Dice"]
    kidney, tumor = beside([table_of(0.8, 0.81, 0.7, 0.6)], comparison)
    assert kidney.header == ("", "Dice, here", "Dice, printed")
    assert kidney.rows == (
        ("baseline", "80.00", "90.00"),
        ("Tversky", "81.00 (+1.00)", "89.50 (-0.50)"),
        ("CE", "70.00 (-10.00)", "collapsed"),
    )
    assert tumor.rows[1] == ("Tversky", "81.00 (+1.00)", "-")
    assert "Somebody 2020" in kidney.note
    assert "| Tversky | 81.00 (+1.00) | 89.50 (-0.50) |" in kidney.markdown


def test_undefined_here(comparison) -> None:
    kidney, _ = beside([table_of(float("nan"), 0.5, 0.5, 0.5)], comparison)
    assert kidney.rows[0] == ("baseline", "-", "90.00")


@pytest.mark.parametrize(
    ("old", "new", "line", "complaint"),
    [
        ("table 7", "table 8", 7, "must be one of table 7"),
        ("paper.json", "none.json", 6, "does not exist"),
        ("Set-ii", "Set-iii", 8, "did you mean 'Set-ii'?"),
        ("CE: + C", "CE: + D", 12, "must be one of base, + T, + C"),
        ("    Tversky: + T", "    Tverski: + T", 11, "did you mean 'Tversky'?"),
        ("  rows:\n", "  row:\n", 9, "did you mean 'rows'?"),
    ],
)
def test_every_fault_has_its_line(spec, tmp_path, old, new, line, complaint) -> None:
    (tmp_path / "paper.json").write_text(json.dumps(PAPER))
    with pytest.raises(SpecError) as caught:
        read_experiment(spec(SPEC.replace(old, new, 1)))
    assert f"line {line}: " in str(caught.value)
    assert complaint in str(caught.value)


def test_patches_and_plans_have_rows_too(spec, tmp_path: Path) -> None:
    (tmp_path / "paper.json").write_text(json.dumps(PAPER))
    text = SPEC.replace("[3d_fullres]", "[3d_fullres, 3d_fullres_patch96]")
    text = text.replace("[Tversky, CE, OHEM]", "[Tversky]")
    text = text.replace("    CE: + C", "    3d_fullres_patch96: + C")
    (comparison,) = read_experiment(spec(text)).comparisons
    assert list(comparison.ways) == ["baseline", "3d_fullres_patch96", "Tversky", "Tversky, 3d_fullres_patch96"]
    plain, wide = (Method("nnUNetTrainer", "nnUNetPlans", f"3d_fullres{suffix}") for suffix in ("", "_patch96"))
    scores = {label: {"Dice": Score(0.5, 5, "1", None)} for label in ("kidney", "tumor")}
    rows = tuple(MethodRow(method, scores, 5, (), Cost()) for method in (plain, wide))
    table = ComparisonTable(Group("Dataset901_Toy", "test", (plain, wide)), None, rows, (), statistics=None)
    kidney, _ = beside([table], comparison)
    assert [row[0] for row in kidney.rows] == ["baseline", "3d_fullres_patch96"]
    assert kidney.rows[1][2] == "collapsed"
