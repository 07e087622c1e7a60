from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.experiment.forecast import forecast
from nnunet_tricks.experiment.local import LOCK
from nnunet_tricks.experiment.lock import Lock
from tests.experiment.generic import counting


def chain(tmp_path, count):
    return [counting(tmp_path, f"c{n}", after=[f"c{n - 1}"] if n else [], rank=n) for n in range(count)]


def test_what_needs_another_waits_for_it(tmp_path) -> None:
    slots = forecast(chain(tmp_path, 3), lambda _: 10.0, workers=2)
    assert [slot.ends for slot in slots] == [10, 20, 30]


def test_what_needs_nothing_runs_side_by_side(tmp_path) -> None:
    cells = [counting(tmp_path, f"c{n}", rank=n) for n in range(4)]
    assert [slot.ends for slot in forecast(cells, lambda _: 10.0, workers=2)] == [10, 10, 20, 20]


def test_what_is_done_takes_no_time(tmp_path) -> None:
    cells = chain(tmp_path, 2)
    cells[0].made.touch()
    slots = forecast(cells, lambda _: 10.0)
    assert [(slot.state, slot.ends) for slot in slots] == [("done", 0), ("open", 10)]


def test_what_runs_is_told_by_its_lock(tmp_path) -> None:
    cells = chain(tmp_path, 2)
    with Lock.take(cells[0].folder / LOCK):
        assert [slot.state for slot in forecast(cells, lambda _: 1.0)] == ["running", "open"]
    assert [slot.state for slot in forecast(cells, lambda _: 1.0)] == ["open", "open"]
    assert not cells[1].folder.exists()


def test_nobody_knows_when_what_needs_an_unknown_ends(tmp_path) -> None:
    slots = forecast(chain(tmp_path, 3), lambda cell: None if cell.key == "c1" else 10.0)
    assert [slot.ends for slot in slots] == [10, None, None]


@given(budget=st.floats(0, 100), times=st.lists(st.floats(0.1, 50), min_size=1, max_size=8), workers=st.integers(1, 3))
def test_what_fits_ends_in_time_and_has_all_that_it_needs(tmp_path_factory, budget, times, workers) -> None:
    cells = chain(tmp_path_factory.getbasetemp() / "never", len(times))
    cells = [replace(cell, after=cell.after if n % 3 else ()) for n, cell in enumerate(cells)]
    slots = forecast(cells, lambda cell: times[cell.rank[0]], workers=workers, budget=budget)
    fitting = {slot.cell.key for slot in slots if slot.fits}
    for slot in slots:
        if slot.fits:
            assert slot.ends is not None
            assert slot.ends <= budget
            assert set(slot.cell.after) <= fitting
