import platform

from nnunet_tricks.experiment import signs_of_life
from nnunet_tricks.experiment.local import LocalQueue
from nnunet_tricks.experiment.signs_of_life import OtherMachines, SignsOfLife
from tests.experiment.generic import counting, lines


def elsewhere(folder, number: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "beat").write_text(f"another_machine 1 {number}\n")


def test_signs_of_life_go_on_and_leave_nothing_behind(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(signs_of_life, "SECONDS", 0.02)
    file = tmp_path / "beat"
    with SignsOfLife(tmp_path):
        first = file.read_text()
        while file.read_text() == first:
            pass
        assert first.split()[0] == platform.node()
    assert not list(tmp_path.iterdir())


def test_who_gives_no_sign_of_life_is_dead_whatever_clocks_say(tmp_path) -> None:
    others = OtherMachines(patience=0.05)
    assert not others.work_at(tmp_path)
    elsewhere(tmp_path, 0)
    assert others.work_at(tmp_path)
    assert any(not others.work_at(tmp_path) for _ in range(1_000_000))
    elsewhere(tmp_path, 1)
    assert others.work_at(tmp_path)


def test_on_one_machine_locks_are_enough(tmp_path) -> None:
    (tmp_path / "beat").write_text(f"{platform.node()} 1 5\n")
    assert not OtherMachines().work_at(tmp_path)


def test_the_local_queue_leaves_alone_what_another_machine_works_at(tmp_path) -> None:
    """On a file system whose locks end at the machine."""
    cells = [counting(tmp_path, f"c{n}", rank=n) for n in range(2)]
    elsewhere(cells[0].folder, 3)
    order = []
    queue = LocalQueue(cells, ["cpu"], {}, tell=lambda progress: order.append((progress.cell.key, progress.state)))
    queue._others.patience = 3.0
    assert queue.run()
    assert order[0] == ("c0", "running elsewhere")
    assert [key for key, state in order if state == "done"] == ["c1", "c0"]
    assert [lines(tmp_path / f"c{n}.begun") for n in range(2)] == [1, 1]
