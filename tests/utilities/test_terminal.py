import io
import shlex
from itertools import pairwise

import pytest

from nnunet_tricks.utilities import terminal


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("ascii", b"Lovasz 3 x 5 mm3 - 0.5 um ... Strasse ? caf\xe9"),
        ("latin-1", "Lovász 3 \u00d7 5 mm³ - 0.5 µm ... Straße ? café".encode("latin-1")),
        ("utf-8", "Lovász 3 \u00d7 5 mm³ \u2013 0.5 µm … Straße 木 caf".encode() + b"\xe9"),
    ],
)
def test_every_character_can_be_printed(encoding: str, expected: bytes) -> None:
    bytes_of_file_name = b"caf\xe9".decode("utf-8", "surrogateescape")
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, encoding=encoding, write_through=True)
    terminal.accept_every_character(stream)
    stream.write(f"Lovász 3 \u00d7 5 mm³ \u2013 0.5 µm … Straße 木 {bytes_of_file_name}")
    assert buffer.getvalue() == expected


def test_files_have_no_width(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    with (tmp_path / "file").open("w") as file:
        assert terminal.width(file) is None


@pytest.mark.parametrize("columns", [10, 20, 33, 80])
def test_a_command_in_lines_is_the_same_command(columns: int) -> None:
    command = "python -m pip install 'a folder/b' \"two words\" nnunetv2'>=2.7,<3' --no-deps"
    lines = terminal.command_lines(command, columns, first="", rest="    ")
    assert shlex.split(" ".join(line.removesuffix("\\") for line in lines)) == shlex.split(command)
    assert all(line.endswith(" \\") for line in lines[:-1])
    assert not lines[-1].endswith("\\")


@pytest.mark.parametrize("columns", [12, 20, 31, 60, 200])
def test_the_parts_of_a_name_are_the_name(columns: int) -> None:
    key = "Dataset501_Toy/nnUNetTrainerTversky_alpha0p2_NoDeepSupervision_5epochs__nnUNetPlans__3d_fullres/fold_0/train"
    parts = terminal.name_lines(key, columns)
    assert "".join(parts) == key
    assert all(len(part) <= columns or columns < 16 for part in parts)
    joints = {(before[-1], after[0]) for before, after in pairwise(parts)}
    assert all(left == "/" or right == "_" or (left.islower() and right.isupper()) for left, right in joints)
