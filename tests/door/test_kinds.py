"""What we answer when nnU-Net has found nothing."""

import os
import sys

from hypothesis import given
from hypothesis import strategies as st

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.door.kinds import KINDS, TRAINERS, answer

SOMETHING_LIKE_US = st.text(st.sampled_from("TverskyDicCEOHMalphbetrun_0123p7"), max_size=30).map(
    "nnUNetTrainer".__add__
)


@given(st.text() | SOMETHING_LIKE_US)
def test_every_name_is_found_or_refused_or_not_ours(name: str) -> None:
    found, refusal = answer(TRAINERS, name)
    assert found is None or not refusal
    assert isinstance(found, type) or found is None
    if name.casefold().startswith("nnunettrainer"):
        assert found or refusal
    else:
        assert (found, refusal) == (None, "")


def test_every_trick_is_found() -> None:
    for info in CATALOGUE:
        found, refusal = answer(TRAINERS, f"nnUNetTrainer{info.name}")
        assert (found.__name__, refusal) == (f"nnUNetTrainer{info.name}", "")


@given(st.text().filter(lambda place: place not in KINDS), st.text())
def test_places_of_which_we_know_nothing_are_nnunets_alone(place: str, name: str) -> None:
    assert answer(place, name) == (None, "")


def test_the_path_is_left_as_it_was() -> None:
    import nnunetv2

    own = os.path.abspath(nnunetv2.__path__[0])
    before = list(sys.path)
    sys.path.insert(0, own)
    try:
        answer(TRAINERS, "nnUNetTrainerNothingOfTheKind")
        assert sys.path == [own, *before]
    finally:
        sys.path[:] = before
