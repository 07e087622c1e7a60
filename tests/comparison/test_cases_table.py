from pathlib import Path

import pytest

from nnunet_tricks.comparison.cases_table import column

CASES = {"a", "b", "c"}


def table(folder: Path, text: str) -> Path:
    (folder / "cases.csv").write_text(text, encoding="utf-8")
    return folder / "cases.csv"


@pytest.mark.parametrize(
    "text",
    [
        "id,patient\na,p1\nb,p1\nc,p2\n",
        "\nid,patient\na,p1\nb,p1\nc,p2",
        "\n\n,,\r\nid,patient\r\na,p1\r\n\r\nb,p1\r\nc,p2\r\n,\r\n",
        "id , patient\n a,p1 \nb,  p1\nc\t,p2\n",
        "site;id;patient\nx;a;p1\ny;b;p1\nz;c;p2\n",
        "id\tpatient\na\tp1\nb\tp1\nc\tp2\n",
        'id,"patient"\n"a","p1"\nb,p1\nc,p2\nd,other\n',
        "id,patient\na,p1\nb,p1\nc,p2\na,p1\nd,x\nd,y\n",
        "id,patient,note\na,p1\nb,p1,,\nc,p2,well",
    ],
)
def test_what_it_says(text: str, tmp_path: Path) -> None:
    assert column(table(tmp_path, text), "patient", CASES, option="--group") == {"a": "p1", "b": "p1", "c": "p2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no lines"),
        ("\n\n", "has no lines"),
        ("id,patient\n", "no lines below its header"),
        ("id,person\na,p1\n", "has the columns id, person, and needs 'id' and 'patient'"),
        ("id,patient,patient\na,p1,p2\n", "has 2 columns named 'patient'"),
        ("id,patient\na,p1\nb,p1\n", "says nothing of c"),
        ("id,patient\na,p1\nb,p1\nc,p2\na,p2\n", "says both 'p1' and 'p2' of a"),
        ("id,patient\na,p1\nb,p1\nc,p2\nc,\n", "says both 'p2' and '' of c"),
        ("id,patient\na,p1\nb,p1,p2\nc,p2\n", "line 3 of .+ has 3 fields, its header 2"),
        ("id,patient\na,1\nb,1.0\nc,2\n", "has both '1' and '1.0'"),
        ("id,patient\na,-1\nb,-1.0\nc,2\n", "has both '-1' and '-1.0'"),
        ("id,patient\na,0.5\nb,0.50\nc,2\n", "has both '0.5' and '0.50'"),
        ("id,patient\na,1e3\nb,1000\nc,2\n", "has both '1000' and '1e3'"),
        ("id,patient\na,p1\nb,p1\u200b\nc,2\n", "has both 'p1' and 'p1"),
        ("id,patient\na,007\nb,7\nc,2\n", "has both '007' and '7'"),
        ("id,patient\na,Anna\nb,anna\nc,2\n", "has both 'Anna' and 'anna'"),
        ("id,patient\na,site  1\nb,site 1\nc,2\n", "has both 'site  1' and 'site 1'"),
    ],
)
def test_what_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"^--group patient: .*{message}"):
        column(table(tmp_path, text), "patient", CASES, option="--group")


def test_numbers_that_differ_are_different(tmp_path: Path) -> None:
    ages = column(table(tmp_path, "id,age\na,1.5\nb,1.05\nc,10\n"), "age", CASES, option="--by")
    assert ages == {"a": "1.5", "b": "1.05", "c": "10"}
