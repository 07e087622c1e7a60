import os
import subprocess
import threading
import time

from nnunet_tricks.experiment.local import LocalQueue, device_lock
from nnunet_tricks.experiment.lock import Lock
from nnunet_tricks.experiment.queue_display import summary
from nnunet_tricks.experiment.record import Record, last_lines
from tests.experiment.generic import Shell, counting, lines


def queue_of(cells, devices=("cpu",), **how) -> LocalQueue:
    return LocalQueue(cells, list(devices), dict(os.environ), **how)


def states(queue: LocalQueue) -> dict[str, str]:
    return {key: progress.state for key, progress in queue.progress.items()}


def test_everything_runs_once_and_in_order(tmp_path) -> None:
    order = []
    cells = [counting(tmp_path, f"c{n}", after=[f"c{n - 1}"] if n else [], rank=n) for n in range(4)]
    queue = queue_of(cells, tell=lambda progress: order.append((progress.cell.key, progress.state)))
    assert queue.run()
    assert [key for key, state in order if state == "running"] == ["c0", "c1", "c2", "c3"]
    assert [lines(tmp_path / f"c{n}.begun") for n in range(4)] == [1] * 4
    assert queue_of(cells).run()  # nothing left: nothing done again
    assert [lines(tmp_path / f"c{n}.begun") for n in range(4)] == [1] * 4


def test_each_device_has_a_worker(tmp_path) -> None:
    """Side by side: each cell waits for the other to begin, and fails if it does not."""
    wait = "for n in $(seq 300); do test -e {other} && exit 0; sleep 0.1; done; exit 1"
    made = [tmp_path / f"m{n}" for n in range(2)]
    cells = [
        Shell(
            key=f"c{n}",
            states=tmp_path / "states",
            line=f"echo $CUDA_VISIBLE_DEVICES >> {made[n]}; {wait.format(other=made[1 - n])}",
            made=made[n],
        )
        for n in range(2)
    ]
    assert queue_of(cells, ["3", "5"]).run()
    assert {file.read_text().strip() for file in made} == {"3", "5"}
    assert [len(Record.read(cell.folder).attempts) for cell in cells] == [1, 1]


def test_several_workers_on_one_cpu(tmp_path) -> None:
    cells = [counting(tmp_path, f"c{n}", seconds=0.5) for n in range(4)]
    assert queue_of(cells, ["cpu", "cpu_2"]).run()
    assert {Record.read(cell.folder).attempts[0].device for cell in cells} == {"cpu", "cpu_2"}


def test_a_failure_is_tried_again_and_then_told_with_its_last_lines(tmp_path) -> None:
    bad = Shell(
        key="bad",
        states=tmp_path / "s",
        line=f"echo x >> {tmp_path}/tries; echo disk on fire; exit 3",
        made=tmp_path / "m",
    )
    after = counting(tmp_path, "after", after=["bad"])
    other = counting(tmp_path, "other", rank=9)
    queue = queue_of([bad, after, other], retries=2)
    assert not queue.run()
    assert states(queue) == {"bad": "failed", "after": "blocked", "other": "done"}
    assert lines(tmp_path / "tries") == 3
    assert last_lines(bad.folder)[-1] == "disk on fire"
    assert "1 of 3 cells done, 1 failed, 1 blocked" in summary(queue.progress)
    assert "exit code 3" in summary(queue.progress)
    assert "disk on fire" in summary(queue.progress)


def test_ending_well_without_making_anything_is_a_failure(tmp_path) -> None:
    queue = queue_of([Shell(key="lazy", states=tmp_path / "s", line="true", made=tmp_path / "never")], retries=0)
    assert not queue.run()
    assert "but did not make what it should" in queue.progress["lazy"].why


def test_a_command_that_does_not_exist(tmp_path) -> None:
    class Absent(Shell):
        def words(self) -> list[str]:
            return ["nnUNetv2_brew_coffee"]

    queue = queue_of([Absent(key="a", states=tmp_path / "s", line="", made=tmp_path / "m")])
    assert not queue.run()
    assert "doctor" in queue.progress["a"].why


def test_what_does_not_fit_is_left_out_with_all_that_needs_it(tmp_path) -> None:
    cells = [counting(tmp_path, f"c{n}", after=[f"c{n - 1}"] if n else [], rank=n) for n in range(3)]
    queue = queue_of(cells, fits=lambda cell: cell.key != "c1")
    assert not queue.run()
    assert states(queue) == {"c0": "done", "c1": "out of budget", "c2": "blocked"}


def test_time_and_memory_are_recorded(tmp_path) -> None:
    made = tmp_path / "m"
    line = f"python3 -c 'import time; held = bytearray(200_000_000); time.sleep(1.5)'; touch {made}"
    cell = Shell(key="hungry", states=tmp_path / "s", line=line, made=made)
    assert queue_of([cell]).run()
    (attempt,) = Record.read(cell.folder).attempts
    assert 1.5 <= attempt.seconds < 30
    assert attempt.memory > 150_000_000
    assert (attempt.returncode, attempt.device) == (0, "cpu")


def test_two_queues_never_use_one_device_at_once(tmp_path) -> None:
    lock = Lock.take(next((tmp_path / "states").glob("devices/*"), tmp_path / "states" / "x"))
    assert lock is not None
    with lock:
        assert Lock.take(tmp_path / "states" / "x") is None
    again = Lock.take(tmp_path / "states" / "x")
    assert again is not None
    again.release()


def test_waiting_costs_nothing(tmp_path) -> None:
    """Workers that wait for a cell of another queue must not keep each other awake."""
    cells = [counting(tmp_path, f"c{n}") for n in range(5)]
    held = [Lock.take(cell.folder / "lock") for cell in cells]
    queue = queue_of(cells, ["0", "1", "2"])
    threading.Timer(2.0, lambda: [lock.release() for lock in held]).start()
    began = time.process_time()
    assert queue.run()
    assert time.process_time() - began < 0.5


def test_a_lock_lives_as_long_as_a_child_that_was_given_it(tmp_path) -> None:
    with Lock.take(tmp_path / "x") as lock:
        child = subprocess.Popen(["sleep", "1"], pass_fds=[lock.descriptor])
    assert Lock.take(tmp_path / "x") is None
    child.wait()
    assert Lock.take(tmp_path / "x") is not None


def test_a_device_that_another_queue_uses_is_told_once(tmp_path) -> None:
    cells = [counting(tmp_path, "c0")]
    lock = device_lock(cells[0].states, "cpu")
    told: list[str] = []

    def end_of_the_other_cell(device: str) -> None:
        told.append(device)
        lock.release()

    assert LocalQueue(cells, ["cpu"], dict(os.environ), tell_busy=end_of_the_other_cell).run()
    assert told == ["cpu"]
