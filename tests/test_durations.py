import pytest

from nnunet_tricks.durations import in_words, seconds_in


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(("words", "seconds"), [("48h", 172800), ("90 min", 5400), ("2d", 172800), ("1.5h", 5400)])
def test_words_in_seconds(words: str, seconds: float) -> None:
    assert seconds_in(words) == seconds


@pytest.mark.parametrize("words", ["48", "h", "-3h", "0h", "3 weeks", ""])
def test_no_duration(words: str) -> None:
    with pytest.raises(ValueError, match="48h, 90min or 2d"):
        seconds_in(words)
