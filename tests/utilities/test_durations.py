import pytest

from nnunet_tricks.utilities.durations import in_words, seconds_in


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(("words", "seconds"), [("48h", 172800), ("90 min", 5400), ("2d", 172800), ("1.5h", 5400)])
@pytest.mark.parametrize("again", ["{}", " {} "])
def test_words_in_seconds(words: str, seconds: float, again: str) -> None:
    assert seconds_in(again.format(words)) == seconds


@pytest.mark.parametrize("words", ["48", "h", "-3h", "0h", "3 weeks", ""])
def test_no_duration(words: str) -> None:
    with pytest.raises(ValueError, match="48h, 90min or 2d"):
        seconds_in(words)


@pytest.mark.parametrize(("words", "seconds"), [("1:00:00", 3600), ("36:30:05", 131405), ("1-00:00:00", 86400)])
def test_durations_as_schedulers_write_them(words: str, seconds: float) -> None:
    assert seconds_in(words) == seconds


@pytest.mark.parametrize(
    ("words", "match"), [("1:30", "or minutes and seconds"), ("0:00:00", "48h"), ("1:60:00", "48h")]
)
def test_no_duration_with_colons(words: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        seconds_in(words)
