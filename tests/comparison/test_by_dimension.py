"""``compare`` where an experiment has 2d and 3d_fullres of the same cases."""

import json
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.comparison.report.verify import verify
from tests.comparison.world import World

FLAT, VOLUME = "2d_light", "3d_light"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment whose trick gains in 3D and loses in 2D."""
    world = World(tmp_path / "nnunet")
    for name, value in world.variables.items():
        monkeypatch.setenv(name, value)
    configurations = {name: {"batch_size": 2} for name in ("3d", FLAT, VOLUME)}
    for run in ("", "_run2"):
        for configuration, skills in ((FLAT, {"": 2, "CE": 1}), (VOLUME, {"": 2, "CE": 3})):
            for trick, skill in skills.items():
                model = world.train(f"nnUNetTrainer{trick}{run}", skill=skill, configuration=configuration)
                plans = {"plans_name": "nnUNetPlans", "dataset_name": world.dataset, "configurations": configurations}
                world.write_json(model / "plans.json", plans)
    file = tmp_path / "dimension.yaml"
    file.write_text(f"datasets: [7]\nconfigurations: [{FLAT}, {VOLUME}]\ntricks: [CE]\nfolds: [0, 1, 2]\nruns: 2\n")
    return file


def test_the_interaction_is_in_every_output(spec: Path, tmp_path: Path, capsys) -> None:
    words = ["compare", str(spec), "--workers", "1", "--metrics", "Dice"]
    assert main([*words, "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (comparison,) = content["by_dimension"]
    (trick,) = comparison["methods"]
    assert comparison["configurations"] == [FLAT, VOLUME]
    assert trick["in_2d"] < 0 < trick["in_3d"]
    assert trick["difference"] == pytest.approx(trick["in_3d"] - trick["in_2d"])
    assert trick["word"] == "more in 3D"
    assert (
        main([*words, "--out", str(tmp_path / "table.md"), "--report", str(tmp_path / "report"), "--no-pictures"]) == 0
    )
    assert "Trick by dimension" in capsys.readouterr().out
    for file in ("table.md", "report/report.md", "report/report.html"):
        text = (tmp_path / file).read_text()
        assert "Trick by dimension" in text
        assert "more in 3D" in text
    latex = (tmp_path / "report" / "report.tex").read_text()
    assert r"method & 2d\_light & 3d\_light & 3D minus 2D & 95 \% interval & p (Holm) & verdict \\" in latex
    (row,) = [line for line in latex.splitlines() if line.endswith(r"& more in 3D \\")]
    shown = (float(trick[key]) for key in ("in_2d", "in_3d", "difference"))
    assert row.startswith(f"{trick['trick']} & " + " & ".join(f"{value:+.3f}" for value in shown))
    assert r"\caption{Trick by dimension: Dataset007" in latex
    assert all(check.good for check in verify(tmp_path / "report"))
