import errno
import os
import stat
from pathlib import Path

import pytest

from nnunet_tricks.utilities.files import replacing, write_atomically


def test_a_file_is_replaced_at_the_end_and_keeps_who_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    file.write_text("old")
    file.chmod(0o640)
    with replacing(file, ending=".gz") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.endswith(".gz")
        temporary.write_text("new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("failure", [ValueError("wrong"), OSError("a sentence of ours"), KeyboardInterrupt()])
def test_after_an_exception_the_file_is_as_it_was(tmp_path: Path, failure: BaseException) -> None:
    file = tmp_path / "table.csv"
    file.write_text("old")

    def write() -> None:
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(type(failure)) as raised:
        write()
    assert raised.value is failure
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device.*table\.csv'$"):
        write_atomically(tmp_path / "table.csv", "text")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_reported_with_the_name_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere/table\.csv'$"):
        write_atomically(tmp_path / "nowhere" / "table.csv", b"bytes")


def test_a_failure_to_read_another_file_keeps_that_files_name(tmp_path: Path) -> None:
    def copy() -> None:
        with replacing(tmp_path / "table.csv") as temporary:
            temporary.write_text((tmp_path / "source.csv").read_text())

    with pytest.raises(FileNotFoundError, match=r"source\.csv'$"):
        copy()
