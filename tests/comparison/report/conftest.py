import time
from pathlib import Path

import pytest

from nnunet_tricks.cli import main
from nnunet_tricks.experiment.observer import Observer
from nnunet_tricks.experiment.record import Attempt, Record
from nnunet_tricks.nnunet.folders import STATE
from tests.comparison.world import World

SPEC = """name: kidneys
description: Is Tversky worth it?
datasets: [7]
configurations: [3d]
tricks: [Tversky, CE]
folds: [0, 1, 2]
runs: 2
"""


def tell_more(model: Path) -> None:
    """Logs with losses, of trainings that a queue began after the lock."""
    began = time.time() + 5
    for log in model.glob("fold_*/training_log_*.txt"):
        lines = log.read_text()
        for epoch in range(3):
            lines += (
                f"\n2026-01-01 00:00:01.0: Epoch {epoch}\n2026-01-01 00:00:01.0: train_loss {-epoch / 9:.4f}\n"
                f"2026-01-01 00:00:01.0: val_loss {-epoch / 10:.4f}\n2026-01-01 00:00:01.0: Pseudo dice [{epoch / 4}]"
            )
        log.unlink()
        states = model.parent.parent / STATE / model.parent.name / model.name / log.parent.name / "train"
        states.mkdir(parents=True)
        observer = Observer(model=str(log.parent))
        record = observer.begin(Record()).begin(states, Attempt("nnUNetv2_train", began, "cpu", 1.0, 0))
        log.write_text(lines)
        observer.look(record).written(states)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of an experiment that was locked before two tricks and their baseline were trained twice."""
    folder = tmp_path_factory.mktemp("report")
    world = World(folder / "nnunet", count=24)
    spec = folder / "kidneys.yaml"
    spec.write_text(SPEC)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.variables.items():
            patch.setenv(name, value)
        assert main(["run", str(spec), "--lock"]) == 0
        for run in ("", "_run2"):
            for trick, skill in (("", 2), ("Tversky", 3), ("CE", 1)):
                tell_more(world.train(f"nnUNetTrainer{trick}{run}", skill=skill))
        assert main(["compare", str(spec), "--workers", "1", "--report", str(folder / "report")]) == 0
    return folder / "report"
