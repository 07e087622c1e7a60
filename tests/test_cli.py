import json
import subprocess
import sys
from statistics import fmean

import pytest

from nnunet_tricks.catalogue import CATALOGUE, EVERYTHING
from nnunet_tricks.catalogue.naming import completed, parse
from nnunet_tricks.cli import COMMANDS, main
from tests.terminals import at_terminal


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["list"],
        ["list", "--json"],
        ["show", "Tversky"],
        ["show", "TimmUNet_vgg16_bn"],
        ["link", "--help"],
        ["completion", "bash"],
        ["completion", "--trainers", "nnUNetTrainerTversky_"],
    ],
)
def test_looking_around_imports_neither_torch_nor_nnunet(words: list[str]) -> None:
    code = f"""
import sys
from nnunet_tricks.cli import main
try:
    main({words!r})
except SystemExit:
    pass
heavy = {{"torch", "nnunetv2", "numpy", "rich", "timm", "monai", "segmentation_models_pytorch"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert f"nnunet-tricks {command}" in capsys.readouterr().out


def test_list_shows_every_trick(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(info.name in shown and info.summary in shown for info in EVERYTHING)
    lines = {line.split()[0]: line for line in shown.splitlines() if line.startswith("  ")}
    assert len({lines[info.name].index(info.summary) for info in EVERYTHING}) == 1


@pytest.mark.parametrize("words", [["--for", "small-objects"], ["--hook", "network"]])
@pytest.mark.parametrize("columns", [40, 80])
def test_list_fits_a_terminal(words: list[str], columns: int) -> None:
    shown = at_terminal(columns, "list", *words)
    assert max(map(len, shown.lines)) <= columns
    assert any(line.startswith("  ") for line in shown.lines)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["tversky*"], {"Tversky", "TverskyCE"}),
        (["--hook", "supervision", "n*"], {"NoDeepSupervision"}),
        (["--phase", "implementation", "OHEM"], {"OHEM"}),
        (["--for", "small-objects", "T*"], {"Tversky", "TverskyCE"}),
        (["--for", "Small Objects", "t*CE"], {"TverskyCE"}),
    ],
)
def test_list_narrows_down(words: list[str], expected: set[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json", *words]) == 0
    assert {trick["name"] for trick in json.loads(capsys.readouterr().out)} == expected


def test_an_unknown_problem_is_answered_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--for", "class-imbalence"]) == 2
    message = capsys.readouterr().err
    problems = {challenge for info in EVERYTHING for challenge in info.challenges}
    assert all(problem.replace(" ", "-").replace("'", "") in message for problem in problems)
    assert message.endswith("did you mean class-imbalance?\n")


def test_nothing_that_fits_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--for", "class-imbalance", "Nothing*"]) == 2
    assert "no trick matches" in capsys.readouterr().err


def test_tricks_for_a_problem_come_with_what_papers_measured_best_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--for", "class-imbalance", "--json"]) == 0
    tricks = json.loads(capsys.readouterr().out)
    means = [fmean(measured["delta"] for measured in trick["measured"]) for trick in tricks if trick["measured"]]
    assert means == sorted(means, reverse=True)
    assert [bool(trick["measured"]) for trick in tricks] == sorted((bool(t["measured"]) for t in tricks), reverse=True)
    assert main(["list", "--for", "class-imbalance"]) == 0
    assert "Dice  " in (shown := capsys.readouterr().out)
    assert "(-10.60 to +7.52)" in next(line for line in shown.splitlines() if line.startswith("  Dice  "))


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: info.name)
def test_show_tells_everything(info, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", info.name]) == 0
    shown = capsys.readouterr().out
    example = completed(parse(info.trainer))
    for what in (info.formula, info.paper.short, f"-tr {example}", *(p.help for p in info.parameters)):
        assert what in shown
    assert main(["show", info.name, "--cite"]) == 0
    assert info.paper.bibtex in capsys.readouterr().out


def test_a_changed_parameter_that_has_a_paper_is_cited(capsys: pytest.CaptureFixture[str]) -> None:
    for name, expected in (("Dice", 0), ("Dice_cb0p9999", 1)):
        assert main(["show", name, "--cite"]) == 0
        assert capsys.readouterr().out.count("{cui2019class,") == expected


def test_show_takes_a_whole_trainer_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json", "nnUNetTrainerTversky_alpha0p2_5epochs"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["epochs"] == 5
    assert shown["tricks"][0]["settings"].items() >= {"alpha": 0.2, "beta": 0.7, "mediseg": False}.items()


def test_show_says_what_holds_and_what_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "WCE_weights0p2x0p8"]) == 0
    shown = capsys.readouterr().out
    assert "default none, here 0.2x0.8" in shown
    assert "default 1.0, here without effect" in shown


def test_show_says_what_a_base_trains_with(capsys: pytest.CaptureFixture[str]) -> None:
    switched = ["OHEM", "NoDeepSupervision", "NoDA", "Oversample_fraction0", "BN", "SGD", "ConstantLR"]
    assert main(["show", "MedISeg3D_OHEM"]) == 0
    assert f"trains with {', '.join(switched)}" in capsys.readouterr().out
    assert main(["show", "MedISeg3D_OHEM", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["switched"] == switched


def test_an_error_is_one_sentence_and_on_request_a_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["show", "Tverski"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setenv("NNUNET_TRICKS_TRACEBACK", "1")
    with pytest.raises(ValueError, match="Nearest: nnUNetTrainerTversky"):
        main(["show", "Tverski"])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("reader", ["head -c 1", "true"])
def test_a_closed_pipe_is_no_error(unbuffered: str, reader: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    command = f"{sys.executable} -m nnunet_tricks.cli list --json | {reader}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_the_purpose_of_a_command_fits_beside_its_name() -> None:
    assert all(len(purpose) <= 54 for purpose in COMMANDS.values())
    assert max(map(len, COMMANDS)) <= 20
