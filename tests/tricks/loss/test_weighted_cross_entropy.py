from functools import partial

import pytest
import torch
import torch.nn.functional as F  # noqa: N812, its standard name

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.weighted_cross_entropy import PUBLISHED, weighted_cross_entropy
from tests.tricks.loss import published
from tests.tricks.loss.cases import MODES, make


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("plain", ["", "_plain"])
def test_equal_weights_are_cross_entropy(mode: str, plain: str, loss_of) -> None:
    case = make(mode)
    weighted = case.criterion(loss_of(f"nnUNetTrainerWCE_cb0{plain}", mode))(case.logits, case.target)
    torch.testing.assert_close(weighted, case.criterion(loss_of("nnUNetTrainerCE", mode))(case.logits, case.target))


@pytest.mark.parametrize("mode", ["labels", "labels+ignore"])
def test_fixed_weights_are_torchs_weighted_mean(mode: str, loss_of) -> None:
    case = make(mode)
    mine = case.criterion(loss_of("nnUNetTrainerWCE_weights0p5x2x3", mode))(case.logits, case.target)
    ignored = -1 if case.ignore_label is None else case.ignore_label
    weight = torch.tensor([0.5, 2, 3])
    expected = F.cross_entropy(case.logits, case.target[:, 0].long(), weight=weight, ignore_index=ignored)
    torch.testing.assert_close(mine, expected)


def test_weights_of_one_and_b_with_a_plain_mean_are_the_surveys_equation_2() -> None:
    """-(b p log q + (1 - p) log(1 - q)), mean over the pixels; p is the truth, q the probability of foreground."""
    logits = torch.randn(2, 2, 5, 6)
    truth = torch.randint(2, (2, 1, 5, 6))
    p, q, b = truth[:, 0].float(), logits.softmax(1)[:, 1], 3.0
    printed = -(b * p * q.log() + (1 - p) * (1 - q).log()).mean()
    loss = partial(weighted_cross_entropy, weights=((1.0, b),), plain=True)
    torch.testing.assert_close(Criterion(loss)(logits, truth.to(torch.int16)), printed)


@pytest.mark.parametrize("mode", ["regions", "regions+ignore"])
def test_a_regions_weight_is_for_what_is_inside(mode: str, loss_of) -> None:
    case = make(mode)
    mine = case.criterion(loss_of("nnUNetTrainerWCE_weights0p5x4_plain", mode))(case.logits, case.target)
    truth = case.target[:, : case.logits.shape[1]].float()
    inside = torch.tensor([0.5, 4.0]).view(1, 2, 1, 1, 1)
    losses = F.binary_cross_entropy_with_logits(case.logits, truth, pos_weight=inside, reduction="none")
    losses = losses * case.annotated[:, None]
    # nnU-Net averages over regions without an ignore label, and sums with one.
    expected = losses.sum() / case.annotated.sum() / (1 if mode.endswith("ignore") else 2)
    torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("mode", ["labels", "labels+ignore"])
def test_the_scale_of_the_weights_does_not_matter(mode: str, loss_of) -> None:
    case = make(mode)
    plain, scaled = (
        case.criterion(loss_of(name, mode))(case.logits, case.target)
        for name in ("nnUNetTrainerWCE_weights1x2x3", "nnUNetTrainerWCE_weights10x20x30")
    )
    torch.testing.assert_close(plain, scaled)


@pytest.mark.parametrize("mode", MODES)
def test_counted_weights_even_out_the_classes(mode: str, loss_of) -> None:
    """Inverse frequency: all voxels of a class together weigh as much as those of any other, over the training fold."""
    trainer_loss = loss_of("nnUNetTrainerWCE", mode)
    assert isinstance(trainer_loss, partial)
    rows = trainer_loss.keywords["weights"]
    assert len(rows) == (2 if mode.startswith("regions") else 1)
    for row in rows:
        assert sum(row) == pytest.approx(len(row))
    assert all(row[-1] > row[0] for row in rows if mode.startswith("labels"))


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        (
            "nnUNetTrainerWCE_weights1x2",
            "labels",
            "must hold 3 numbers, one for each of background, organ, core; got 2: 1, 2",
        ),
        ("nnUNetTrainerDiceWCE_weights1x2x3", "regions", "2 numbers, one for each of whole, core; got 3"),
        ("nnUNetTrainerWCE_weights0x0x0", "labels", "must not all be 0"),
    ],
)
def test_weights_that_do_not_fit_are_refused(name: str, mode: str, message: str, loss_of) -> None:
    with pytest.raises(ValueError, match=message):
        loss_of(name, mode)


def test_published_code_is_reproduced(oracles) -> None:
    published.assert_reproduced(oracles, "wce", partial(weighted_cross_entropy, weights=(PUBLISHED,)))


def test_the_trainers_published_weights_are_those_for_any_foreground(loss_of) -> None:
    assert loss_of("nnUNetTrainerWCE_mediseg").keywords["weights"] == ((0.2, 0.8, 0.8),)
    assert loss_of("nnUNetTrainerWCE_mediseg", "regions").keywords["weights"] == ((0.2, 0.8), (0.2, 0.8))
