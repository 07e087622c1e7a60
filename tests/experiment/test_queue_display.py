import os
import time

import pytest

from nnunet_tricks.experiment.costs import Costs
from nnunet_tricks.experiment.local import DONE, FAILED, RUNNING, LocalQueue
from nnunet_tricks.experiment.queue_display import QueueDisplay, left, left_in_words
from nnunet_tricks.experiment.record import LOG, last_epoch
from tests.experiment.generic import counting


def queue_of(tmp_path, count: int) -> LocalQueue:
    return LocalQueue([counting(tmp_path, f"c{n}", rank=n) for n in range(count)], ["0", "1"], dict(os.environ))


def test_the_table_shows_what_runs_and_how_far_it_is(tmp_path) -> None:
    from rich.console import Console

    queue = queue_of(tmp_path, 3)
    queue.progress["c0"].state = DONE
    running = queue.progress["c1"]
    running.state, running.device, running.began = RUNNING, "1", time.monotonic() - 65
    running.cell.folder.mkdir(parents=True)
    (running.cell.folder / LOG).write_text("2026-11-21 02:53:53.354470: Epoch 17 \n")
    console = Console(record=True, width=120, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(QueueDisplay(Costs(queue.cells)).table(queue))
    shown = console.export_text()
    assert "1 of 3 cells done" in shown
    assert "2 cells of unknown duration" in shown
    assert all(word in shown for word in ("c1", "1 min 5 s", "epoch 17"))


def test_time_left_is_shared_by_the_workers(tmp_path) -> None:
    queue = queue_of(tmp_path, 5)
    queue.progress["c0"].state = DONE
    queue.progress["c1"].state = FAILED
    queue.progress["c2"].state, queue.progress["c2"].began = RUNNING, time.monotonic() - 10
    seconds, unknown = left(queue.progress, lambda cell: None if cell.key == "c4" else 30.0, workers=2)
    assert seconds == pytest.approx((20 + 30) / 2, abs=1)
    assert unknown == 1
    assert left_in_words(queue, lambda _: 30.0).endswith("left")


def test_the_last_epoch_is_at_the_end_of_a_long_log(tmp_path) -> None:
    (tmp_path / LOG).write_text("".join(f"10:00: Epoch {n} \n10:00: train_loss 0.1\n" for n in range(5000)))
    assert last_epoch(tmp_path) == "epoch 4999"
    assert last_epoch(tmp_path / "nowhere") == ""


def test_without_a_terminal_there_are_plain_lines(tmp_path, capsys) -> None:
    cells = [counting(tmp_path, "c0")]
    with QueueDisplay(Costs(cells)) as board:
        assert LocalQueue(cells, ["cpu"], dict(os.environ), tell=board.tell).run()
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" ", 1)[1].split(" ")[0].rstrip(":") for line in lines] == ["running", "done"]
