"""bash runs the lines, with stand-ins for the commands of nnU-Net, SLURM and LSF that only write down their words."""

import os
import subprocess
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.cells import make
from nnunet_tricks.experiment.job_lines import FORMATS, chains
from nnunet_tricks.experiment.nnunet_cells import Predict
from nnunet_tricks.experiment.spec import read_experiment

SPEC = """datasets: [901]
configurations: [3d_fullres]
tricks: [Tversky]
epochs: 5
folds: [0, 1]
on: [validation, test]
"""
COMMANDS = ("plan_and_preprocess", "preprocess", "train", "predict", "evaluate_folder")


@pytest.fixture
def pretended(tmp_path: Path) -> Path:
    """A folder with commands that write their words, in one line each, into ``calls``."""
    folder = tmp_path / "bin"
    folder.mkdir()
    calls = tmp_path / "calls"
    speak = f'echo "$(basename $0) $@" >> {calls}\n'
    scripts = {f"nnUNetv2_{name}": speak for name in COMMANDS}
    # SLURM and LSF run the job at once, and answer as they do.
    scripts["sbatch"] = (
        f'{speak}for word; do case "$word" in --wrap=*) bash -c "${{word#--wrap=}}";; esac; done\necho 42\n'
    )
    scripts["bsub"] = f'{speak}bash -c "${{@: -1}}"\necho "Job <42> is submitted."\n'
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}")
        (folder / name).chmod(0o755)
    return calls


def calls_of(script: str, calls: Path) -> list[str]:
    path = f"{calls.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], env={**os.environ, "PATH": path}, check=True)
    return calls.read_text().splitlines()


@pytest.mark.parametrize("name", FORMATS)
def test_bash_runs_every_command_once_and_in_order(name, spec, folders, pretended) -> None:
    cells = make(read_experiment(spec(SPEC)), folders)
    calls = calls_of(FORMATS[name](chains(cells), gpu=True), pretended)
    ran = [line for line in calls if line.startswith("nnUNetv2_")]
    assert sorted(ran) == sorted(" ".join(cell.words()) for cell in cells)
    places = {cell.key: ran.index(" ".join(cell.words())) for cell in cells}
    assert all(places[needed] < places[cell.key] for cell in cells for needed in cell.after)


def test_slurm_waits_for_what_a_job_needs_and_gives_a_gpu_to_trainings(spec, folders, pretended) -> None:
    cells = make(read_experiment(spec(SPEC)), folders)
    script = FORMATS["sbatch"](chains(cells), gpu=True, options="--partition=gpu --time=2-0")
    calls = [line for line in calls_of(script, pretended) if line.startswith("sbatch")]
    assert len(calls) == 1 + 2 * 2
    assert "--gres" not in calls[0]
    assert "--dependency" not in calls[0]
    for line in calls[1:]:
        assert "--dependency=afterok:42" in line
        assert "--gres=gpu:1" in line
    assert all("--partition=gpu --time=2-0" in line for line in calls)


def test_lsf_waits_by_name(spec, folders, pretended) -> None:
    cells = make(read_experiment(spec(SPEC)), folders)
    calls = [line for line in calls_of(FORMATS["bsub"](chains(cells), gpu=True), pretended) if line.startswith("bsub")]
    name = calls[0].split()[2]
    assert all(f"-w done({name})" in line and "-gpu num=1" in line for line in calls[1:])


def test_a_failure_stops_what_needs_it(spec, folders, pretended) -> None:
    (pretended.parent / "bin" / "nnUNetv2_preprocess").write_text("#!/bin/bash\nexit 3\n")
    cells = make(read_experiment(spec(SPEC)), folders)
    with pytest.raises(subprocess.CalledProcessError):
        calls_of(FORMATS["xargs"](chains(cells), gpu=True), pretended)
    assert "nnUNetv2_train" not in pretended.read_text()


def test_chains_touch_no_file_and_the_command_links_the_images_that_its_lines_read(spec, preprocessed, capsys) -> None:
    file = spec(SPEC)
    predicts = [cell for cell in make(read_experiment(file), preprocessed) if isinstance(cell, Predict)]
    chains(predicts)
    assert not any(cell.images.exists() for cell in predicts)
    assert main(["run", str(file), "--runner", "print", "--device", "cpu"]) == 0
    assert "nnUNetv2_predict" in capsys.readouterr().out
    assert [sorted(image.name for image in cell.images.iterdir()) for cell in predicts] == [
        sorted(f"{case}_0000.nii.gz" for case in cell.part.cases()) for cell in predicts
    ]


def test_only_what_is_left(spec, preprocessed, pretended) -> None:
    cells = make(read_experiment(spec(SPEC)), preprocessed)
    assert "preprocess" not in FORMATS["shell"](chains(cells), gpu=True)
