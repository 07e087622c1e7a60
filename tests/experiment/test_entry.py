from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.experiment.entry import Entry, SpecError, read

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abc: -[]{}\n#'\"&*!|>%@", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


def plain(entry: Entry) -> object:
    if isinstance(entry.value, list):
        return [plain(item) for item in entry.value]
    if isinstance(entry.value, dict):
        return {key: plain(item) for key, item in entry.value.items()}
    return entry.value


def written(folder: Path, text: str) -> Path:
    file = folder / "file.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@given(content=st.dictionaries(st.text("abc", min_size=1), VALUES, min_size=1), flow=st.booleans())
def test_reads_what_yaml_reads(tmp_path_factory, content, flow) -> None:
    file = written(tmp_path_factory.mktemp("yaml"), yaml.safe_dump(content, default_flow_style=flow))
    assert plain(read(file)) == content


@given(text=st.text("ab:- \n[]{}#&*'\"!|>%?,0", max_size=40))
def test_whatever_it_is_the_error_names_the_file(tmp_path_factory, text) -> None:
    file = written(tmp_path_factory.mktemp("yaml"), text)
    try:
        read(file)
    except SpecError as error:
        assert str(error).startswith(f"{file}, line ")  # noqa: PT017, no error is right too


def test_every_value_knows_its_line(tmp_path) -> None:
    root = read(written(tmp_path, "# comment\none: 1\nmany:\n  - 2\n  - deep:\n      end: 3\n"))
    many = root.fields()["many"]
    assert (root.fields()["one"].line, many.line) == (2, 3)
    assert many.items()[1].fields()["deep"].fields()["end"].line == 6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' appears twice in the file, first in line 1"),
        ("a: [1\nb: 2\n", "line 2: not valid YAML"),
        ("a: &x\n  - *x\n", "contains itself"),
        ("", "line 1: the file is empty"),
        ("[1]: 2\n", "must be a word"),
        ("a: 2026-13-45\n", "line 1: 'a' cannot be read"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", "line 3: '<<' is not supported"),
        ("a: !!python/object:os.system 1\n", "line 1: 'a' cannot be read"),
        ("a: " + "[" * 600, "are nested too deeply"),
        ("#" * 1_000_001, "has 1000001 bytes"),
    ],
)
def test_broken_files(tmp_path, text, complaint) -> None:
    with pytest.raises(SpecError, match=r"file\.yaml") as caught:
        read(written(tmp_path, text))
    assert complaint in str(caught.value)


def test_no_text_file(tmp_path) -> None:
    (tmp_path / "file.yaml").write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(SpecError, match="UTF-8"):
        read(tmp_path / "file.yaml")


def test_an_alias_bomb_is_refused_before_it_goes_off(tmp_path) -> None:
    """Eleven lines that stand for thirty thousand million words."""
    nine = ", ".join
    lines = [f"a0: &a0 [{nine('x' * 9)}]"]
    lines += [f"a{n}: &a{n} [{nine([f'*a{n - 1}'] * 9)}]" for n in range(1, 11)]
    with pytest.raises(
        SpecError, match=r"line \d+: the file has more than 20000 values, counting each use of an alias"
    ):
        read(written(tmp_path, "\n".join(lines)))


def test_an_alias_or_two_do_no_harm(tmp_path) -> None:
    root = read(written(tmp_path, "a: &few [1, 2]\nb: *few\n"))
    assert plain(root) == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize("word", ["007", "no", "on", "Yes", "1:30", "0x10", "1_000", "1.50", "2026-01-31", "1e3"])
def test_a_word_is_read_as_it_is_written(tmp_path, word) -> None:
    """YAML takes them for 7, false, true, true, 90, 16, 1000, 1.5, a day and a word."""
    assert read(written(tmp_path, f"a: {word}\n")).fields()["a"].text() == word


@pytest.mark.parametrize("number", ["1:30", "1:30:00", "0x10", "0b11", "1_000", "1e3", "1.0"])
def test_what_is_not_plainly_a_whole_number_is_none(tmp_path, number) -> None:
    with pytest.raises(SpecError, match=r"'a' must be a whole number from 1 on, got '?" + number):
        read(written(tmp_path, f"a: {number}\n")).fields()["a"].whole(least=1)


def test_a_number_without_end_is_refused_with_its_line(tmp_path) -> None:
    """Python's own complaint about it names no file."""
    with pytest.raises(SpecError, match=r"line 1: 'a' must be a whole number from 1 on"):
        read(written(tmp_path, f"a: {'9' * 5000}\n")).fields()["a"].whole(least=1)


@pytest.mark.parametrize(("number", "value"), [("010", 10), ("09", 9), ("+3", 3), ("7", 7)])
def test_whole_numbers_are_decimal(tmp_path, number, value) -> None:
    assert read(written(tmp_path, f"a: {number}\n")).fields()["a"].whole(least=1) == value
