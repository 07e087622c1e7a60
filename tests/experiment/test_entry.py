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
        ("a: 1\nb: 2\na: 3\n", "line 3: 'a' stands twice in the file, first in line 1"),
        ("a: [1\nb: 2\n", "line 2: not valid YAML"),
        ("a: &x\n  - *x\n", "contains itself"),
        ("", "line 1: the file is empty"),
        ("[1]: 2\n", "must be a word"),
        ("a: 2026-13-45\n", "line 1: 'a' cannot be read"),
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
