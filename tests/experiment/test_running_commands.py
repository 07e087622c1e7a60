"""Commands typed by hand are noticed: by their words on this machine, by their files from another one."""

import json
import os
import platform
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment import other_workers
from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.local import DONE, ELSEWHERE, LocalQueue
from nnunet_tricks.experiment.nnunet_cells import Evaluate, Predict, Train
from nnunet_tricks.experiment.observer import Observer
from nnunet_tricks.experiment.other_workers import Strangers
from nnunet_tricks.experiment.processes import MARK, is_of_this_machine, sees_all
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.experiment.running_commands import RunningCommand, running, works_of
from nnunet_tricks.experiment.spec import read_experiment
from tests.experiment.conftest import DATASET
from tests.experiment.test_cells import checkpoint

SPEC = "datasets: [901]\nconfigurations: [3d_fullres]\ntricks: [Tversky]\nepochs: 5\nfolds: [0, 1]\nbaseline_runs: 3\n"
LOG = "training_log_2026_1_31_09_05_00.txt"


def shared(_: Path) -> bool:
    """A folder that other machines see too; those of tests are on this machine's disk."""
    return False


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def trains(spec, preprocessed) -> list[Train]:
    cells = make(read_experiment(spec(SPEC)), preprocessed, device="cpu")
    return [cell for cell in cells if isinstance(cell, Train)]


@pytest.fixture
def command(tmp_path: Path):
    """Starts a program that is called as one of nnU-Net's commands and only waits."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *words: str, script: str = "import time\ntime.sleep(600)\n", **variables: str):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(script)
        process = subprocess.Popen(
            [sys.executable, str(program), *words],
            env={**os.environ, **variables},
            cwd=tmp_path,
            start_new_session=True,
        )
        started.append(process)
        while not any(listed.process == process.pid for listed in running()):
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def began_elsewhere(train: Train, node: str = "another_machine", text: str = "Epoch time: 0.01 s\n") -> Path:
    folder = train.model.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).write_text(text)
    (folder / "debug.json").write_text(json.dumps({"hostname": node, "log_file": f"/somewhere/{LOG}"}))
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "nnUNetv2_train 901 3d_fullres 0 -tr nnUNetTrainer_5epochs",
        "python3 /opt/bin/nnUNetv2_train Dataset901_Toy 3d_fullres 0 -device cpu -tr nnUNetTrainer_5epochs --c",
        "python3 -m nnunetv2.run.run_training -tr nnUNetTrainer_5epochs 901 3d_fullres 0 --npz",
        "python3 /site-packages/nnunetv2/run/run_training.py 901 3d_fullres 0 -tr=nnUNetTrainer_5epochs --val",
        "srun --gres=gpu:1 nnUNetv2_train 901 3d_fullres 0 -tr nnUNetTrainer_5epochs -num_gpus 2",
    ],
)
def test_words_of_the_same_training(trains, preprocessed, words) -> None:
    work = trains[0].work()
    assert work
    for variables in ({"nnUNet_results": str(preprocessed.results)}, None):
        (typed,) = works_of(words.split(), variables, "/")
        assert work.is_same(typed)
    (elsewhere,) = works_of(words.split(), {"nnUNet_results": "/data"}, "/")
    assert not work.is_same(elsewhere)
    assert not any(other.work().is_same(typed) for other in trains[1:])


@pytest.mark.parametrize(
    "words",
    [
        "nnUNetv2_train 901 3d_fullres 1 -tr nnUNetTrainer_5epochs",
        "nnUNetv2_train 902 3d_fullres 0 -tr nnUNetTrainer_5epochs",
        "nnUNetv2_train 901 2d 0 -tr nnUNetTrainer_5epochs",
        "nnUNetv2_train 901 3d_fullres 0 -tr nnUNetTrainer_5epochs -p nnUNetResEncUNetMPlans",
        "nnUNetv2_train 901 3d_fullres 0",
        "nnUNetv2_train --help",
        "python3 -m nnunet_tricks.experiment.keeper /x cpu nnUNetv2_train 901 3d_fullres 0 -tr nnUNetTrainer_5epochs",
        "vim nnUNetv2_train",
    ],
)
def test_words_of_something_else(trains, words) -> None:
    assert not any(trains[0].work().is_same(work) for work in works_of(words.split(), None, "/"))


def test_words_of_predictions_evaluations_plans_and_preprocessing(spec, preprocessed) -> None:
    cells = make(read_experiment(spec(SPEC + "on: test\n")), preprocessed, device="cpu")
    variables = {"nnUNet_preprocessed": str(preprocessed.preprocessed)}
    predict = next(cell for cell in cells if isinstance(cell, Predict))
    evaluate = next(cell for cell in cells if isinstance(cell, Evaluate))
    out = predict.model.predictions("test", "final")
    for cell, words in (
        (predict, f"nnUNetv2_predict -i x -o {out.name} -d 901 -c 3d_fullres"),
        (predict, f"nnUNetv2_predict_from_modelfolder -o ../fold_0/{out.name}/ -i x -m y"),
        (evaluate, f"nnUNetv2_evaluate_folder truth {out} -djfile a -pfile b"),
        (cells[0], "nnUNetv2_plan_and_preprocess -d 4 901 --verify_dataset_integrity"),
        (cells[0], "nnUNetv2_plan_experiment -d 901"),
        (cells[1], "nnUNetv2_preprocess -d 901 -c 3d_fullres 2d -np 2 4"),
        (cells[1], "nnUNetv2_plan_and_preprocess -d 901"),
    ):
        assert any(cell.work().is_same(work) for work in works_of(words.split(), variables, str(out.parent))), words


@linux
def test_a_command_on_this_machine_is_seen_until_it_ends(trains, preprocessed, command) -> None:
    look = Strangers()
    assert look.running(trains[0]) is None
    words = ("901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs")
    elsewhere = command("nnUNetv2_train", *words, nnUNet_results="/nowhere")
    process = command("nnUNetv2_train", *words)
    sign = Strangers().at(trains[0])
    assert sign
    assert sign.is_sure
    assert str(process.pid) in sign.words
    assert str(elsewhere.pid) not in sign.words
    assert Strangers().at(trains[1]) is None
    process.kill()
    process.wait()
    assert Strangers().at(trains[0]) is None


@linux
def test_loading_processes_that_a_killed_training_left_are_no_training(trains, command) -> None:
    """They are copies of the training with its command line, and run forever."""
    script = "import os, time\nos.fork()\nopen(f'pid{os.getpid()}', 'w').close()\ntime.sleep(600)\n"
    process = command("nnUNetv2_train", "901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs", script=script)
    while len(pids := list(Path(os.readlink(f"/proc/{process.pid}/cwd")).glob("pid*"))) < 2:
        time.sleep(0.01)
    numbers = {int(pid.name[3:]) for pid in pids}
    assert [listed.process for listed in running() if listed.process in numbers] == [process.pid]
    process.kill()
    process.wait()
    assert Strangers().at(trains[0]) is None


@linux
def test_what_a_queue_has_started_is_no_stranger(trains, command) -> None:
    words = ("901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs")
    command("nnUNetv2_train", *words, **{MARK: str(trains[0].folder)})
    assert Strangers().at(trains[0]) is None


@linux
def test_a_dry_run_says_what_runs_by_hand(spec, trains, command, capsys) -> None:
    process = command("nnUNetv2_train", "901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs")
    file = spec(SPEC)
    assert main(["run", str(file), "--dry-run", "--no-timing", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    (line,) = [line for line in text.splitlines() if "running by hand" in line]
    assert line.endswith(trains[0].key)
    assert f"by hand, process {process.pid} of this machine. 'run' waits for its end." in text
    assert main(["run", str(file), "--dry-run", "--no-timing", "--device", "cpu", "--json"]) == 0
    cells = {cell["cell"]: cell for cell in json.loads(capsys.readouterr().out)}
    assert cells[trains[0].key]["state"] == "running by hand"
    assert str(process.pid) in cells[trains[0].key]["others"]
    assert main(["run", str(file), "--runner", "print", "--device", "cpu"]) == 0
    assert "wait until it ends before you run its line" in capsys.readouterr().err


@linux
def test_the_queue_waits_for_what_runs_by_hand_and_does_not_begin_it(trains, command, tmp_path, monkeypatch) -> None:
    """When the other one ends well, nothing is left to do."""
    monkeypatch.setattr(other_workers, "FRESH", 0.1)
    train, told = trains[0], []
    made = train.model.folder / "validation" / "summary.json"
    script = f"import sys, time, pathlib\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n"
    process = command("nnUNetv2_train", "901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs", script=script)
    queue = LocalQueue([train_alone(train)], ["cpu"], dict(os.environ))

    def tell(progress) -> None:
        told.append((progress.state, progress.why))
        if progress.state == ELSEWHERE:
            checkpoint(train.model, "final")
            made.parent.mkdir(parents=True)
            made.write_text("{}")
            (tmp_path / "go").touch()
            process.wait()

    queue.tell = tell
    assert queue.run()
    assert told == [(ELSEWHERE, f"by hand, process {process.pid} of this machine"), (DONE, told[1][1])]
    assert not Record.read(train.folder).attempts


def train_alone(train: Train) -> Train:
    return replace(train, after=())


@linux
def test_what_is_done_again_by_hand_is_not_done(trains, command) -> None:
    train = train_alone(trains[0])
    checkpoint(train.model, "final")
    train.model.validation.mkdir()
    (train.model.validation / "summary.json").write_text("{}")
    assert LocalQueue([train], ["cpu"], {}).progress[train.key].state == DONE
    command("nnUNetv2_train", "901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs")
    assert LocalQueue([train], ["cpu"], {}).progress[train.key].state == ELSEWHERE


def test_files_of_another_machine_are_left_alone_until_two_looks_find_them_unchanged(trains) -> None:
    folder = began_elsewhere(trains[0])
    look = Strangers(patience=0.3, look=list, is_alone=shared)
    first = look.at(trains[0])
    assert first
    assert not first.is_sure
    (folder / "checkpoint_latest.pth").write_text("more")
    second = look.at(trains[0])
    assert second
    assert second.is_sure
    while look.at(trains[0]) is not None:
        time.sleep(0.01)
    (folder / LOG).write_text("it was alive after all")
    assert look.at(trains[0]) is not None


def test_slow_epochs_want_more_patience(trains) -> None:
    began_elsewhere(trains[0], text="Epoch time: 700.5 s\nEpoch time: 800.0 s\n")
    sign = Strangers(look=list, is_alone=shared).at(trains[0])
    assert sign
    assert "within 40 min 0 s" in sign.words


@pytest.mark.skipif(not sees_all(), reason="cannot see every process of this machine")
def test_what_died_on_this_machine_is_known_to_be_dead_at_once(trains, monkeypatch) -> None:
    monkeypatch.setattr(other_workers, "may_train_unseen", lambda _: False)  # these very tests have loaded torch
    began_elsewhere(trains[0], node=platform.node())
    assert Strangers(is_alone=shared).at(trains[0]) is None
    # A later log is not the one that the note is about: it may be anybody's.
    (trains[0].model.folder / "training_log_2026_2_01_09_05_00.txt").write_text("")
    assert Strangers(is_alone=shared).at(trains[0]) is not None
    # On a disk that no other machine sees nobody else can be alive.
    assert Strangers(is_alone=lambda _: True).at(trains[0]) is None


def test_what_our_own_attempts_have_left_needs_no_second_look(trains) -> None:
    train = trains[0]
    attempt = Attempt(command="nnUNetv2_train", began=5.0, device="cpu")
    train.folder.mkdir(parents=True)
    record = train.observer().begin(Record()).begin(train.folder, attempt)
    folder = began_elsewhere(train)
    assert Strangers(look=list, is_alone=shared).at(train) is not None
    train.observer().look(record).written(train.folder)
    assert Record.read(train.folder).logs == {LOG: 5.0}
    assert Strangers(look=list, is_alone=shared).at(train) is None
    (folder / "training_log_2026_2_01_09_05_00.txt").write_text("")  # somebody went on by hand
    assert Strangers(look=list, is_alone=shared).at(train) is not None
    # An attempt of the queue that started later has settled that the other one is dead.
    record = train.observer().begin(Record.read(train.folder)).begin(train.folder, attempt)
    assert record.logs == {LOG: 5.0, "training_log_2026_2_01_09_05_00.txt": None}
    assert Strangers(look=list, is_alone=shared).at(train) is None


def test_records_from_before_logs_were_noted(trains) -> None:
    train = trains[0]
    train.folder.mkdir(parents=True)
    old = {"command": "nnUNetv2_train 901", "began": 5.0, "device": "cpu", "seconds": 1.0, "returncode": 1}
    (train.folder / "record.json").write_text(json.dumps({"attempts": [old]}))
    began_elsewhere(train)
    assert Strangers(look=list, is_alone=shared).at(train) is None
    (train.folder / "record.json").write_text(json.dumps({"attempts": [{**old, "command": old["command"] + " --c"}]}))
    assert Strangers(look=list, is_alone=shared).at(train) is not None


def test_predictions_that_somebody_else_has_begun(spec, preprocessed) -> None:
    cells = make(read_experiment(spec(SPEC + "on: test\n")), preprocessed, device="cpu")
    predict = next(cell for cell in cells if isinstance(cell, Predict))
    assert Strangers(look=list, is_alone=shared).at(predict) is None
    out = predict.model.predictions("test", "final")
    out.mkdir(parents=True)
    (out / "test_0.nii.gz").write_text("x")
    assert Strangers(look=list, is_alone=shared).at(predict) is not None
    predict.folder.mkdir(parents=True)
    Record().begin(predict.folder, Attempt(command="", began=0.0, device="cpu"))
    assert Strangers(look=list, is_alone=shared).at(predict) is None


def test_preprocessing_that_somebody_else_has_begun(spec, preprocessed) -> None:
    """nnU-Net deletes what it finds there."""
    preprocess = make(read_experiment(spec(SPEC)), preprocessed, device="cpu")[1]
    place = preprocessed.preprocessed / DATASET / "nnUNetPlans_3d_fullres"
    (place / "case_03.pkl").unlink()
    look = Strangers(patience=0.02, look=list, is_alone=shared)
    sign = look.at(preprocess)
    assert sign
    (place / "case_03.pkl").write_text("x")
    assert look.at(preprocess) != sign
    (place / "case_03.pkl").unlink()
    while look.at(preprocess) is not None:
        time.sleep(0.01)


@linux
def test_a_container_has_other_paths_to_the_same_folder(trains, preprocessed, tmp_path) -> None:
    """Its root folder is another one, and what it calls /results is ours."""
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / "results").symlink_to(preprocessed.results)
    words = ["nnUNetv2_train", "901", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs"]
    (work,) = works_of(words, {"nnUNet_results": "/results"}, "/", str(inside))
    assert trains[0].work().is_same(work)
    assert not any(trains[0].work().is_same(work) for work in works_of(words, {"nnUNet_results": "/results"}, "/"))


@linux
def test_disks_that_other_machines_see(tmp_path) -> None:
    assert is_of_this_machine(Path("/dev/shm"))
    assert not is_of_this_machine(Path("/proc"))
    assert not is_of_this_machine(tmp_path / "nowhere")


def test_commands_without_a_cell_are_nobodys(trains) -> None:
    work = trains[0].work()
    mine = RunningCommand(1, (work,), str(trains[0].folder))
    theirs = RunningCommand(2, (work,), "/another/state/folder")
    assert Strangers(look=lambda: [mine]).at(trains[0]) is None
    assert Strangers(look=lambda: [mine, theirs]).at(trains[0]) is not None


def test_a_witness_survives_the_way_to_its_keeper(trains) -> None:
    observer = trains[0].observer()
    assert Observer.of_json(observer.as_json()) == observer
    assert observer.model.endswith(f"{DATASET}/nnUNetTrainer_5epochs__nnUNetPlans__3d_fullres/fold_0")
