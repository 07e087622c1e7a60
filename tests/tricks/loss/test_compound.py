from __future__ import annotations

import pytest
import torch

from tests.tricks.loss.cases import MODES, make

TERMS = {
    "TverskyCE": ("Tversky", "CE"),
    "FocalTverskyCE": ("FocalTversky", "CE"),
    "GeneralizedDiceCE": ("GeneralizedDice", "CE"),
    "LovaszCE": ("Lovasz", "CE"),
    "ClDiceCE": ("ClDice", "CE"),
    "DiceWCE": ("Dice", "WCE"),
    "DiceOHEM": ("Dice", "OHEM"),
    "DiceFocal": ("Dice", "Focal"),
    "DiceDistancePenaltyCE": ("Dice", "DistancePenaltyCE"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("compound", TERMS)
def test_a_compound_is_the_sum_of_its_terms(compound: str, mode: str, criterion_of) -> None:
    case = make(mode)
    whole, *terms = (
        criterion_of(f"nnUNetTrainer{name}", mode, case)(case.logits, case.target)
        for name in (compound, *TERMS[compound])
    )
    # nnU-Net's own Dice term is minus the score, not one minus it.
    expected = sum(terms) - (1 if compound.startswith("Dice") else 0)
    torch.testing.assert_close(whole, expected)
    gradients = [torch.autograd.grad(loss, case.logits)[0] for loss in (whole, expected)]
    torch.testing.assert_close(*gradients)
