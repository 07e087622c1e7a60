from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from nnunet_tricks.training.criterion import Prediction
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import nnunet_dice
from tests.tricks.loss.cases import CLASSES, MODES, Case, make, nnunet_loss

every_mode = pytest.mark.parametrize("mode", MODES)


def _prediction(case: Case) -> Prediction:
    return Prediction(case.logits, case.target, regions=case.regions, ignore_label=case.ignore_label)


@every_mode
@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("spatial", [(9, 7), (5, 6, 4)])
def test_cross_entropy_and_dice_terms_are_nnunets(mode: str, batch_dice: bool, spatial: tuple[int, ...]) -> None:
    case = make(mode, spatial=spatial)
    ours = case.criterion(Sum((cross_entropy, lambda prediction: nnunet_dice(prediction, batch=batch_dice))))
    mine = ours(case.logits, case.target)
    theirs = nnunet_loss(case, batch_dice=batch_dice)(case.logits, case.target)
    torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(
        torch.autograd.grad(mine, case.logits)[0], torch.autograd.grad(theirs, case.logits)[0], rtol=1e-4, atol=1e-7
    )


@given(
    mode=st.sampled_from(MODES),
    spatial=st.lists(st.integers(1, 5), min_size=2, max_size=3).map(tuple),
    batch=st.integers(1, 3),
    seed=st.integers(0, 1000),
    background=st.booleans(),
    squared=st.booleans(),
)
def test_counts_are_what_numpy_counts(mode, spatial, batch, seed, background, squared) -> None:
    case = make(mode, spatial=spatial, batch=batch, seed=seed, dtype=torch.float64)
    logits, annotated = case.logits.detach().numpy(), case.annotated.numpy()
    if case.regions:
        p, g = 1 / (1 + np.exp(-logits)), case.target[:, : logits.shape[1]].numpy()
    else:
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        g = np.stack([case.target[:, 0].numpy() == c for c in range(CLASSES)], 1)
        p, g = (p, g) if background else (p[:, 1:], g[:, 1:])
    counts = _prediction(case).counts(background=background, squared=squared)
    axes = tuple(range(2, logits.ndim))
    mask = annotated[:, None]
    np.testing.assert_allclose(counts.tp.detach(), (p * g * mask).sum(axes))
    np.testing.assert_allclose(counts.predicted.detach(), (p ** (2 if squared else 1) * mask).sum(axes))
    np.testing.assert_allclose(counts.truth, (g * mask).sum(axes))
    summed = _prediction(case).counts(background=background, squared=squared, batch=True)
    np.testing.assert_allclose(summed.tp.detach(), counts.tp.detach().sum(0))


@every_mode
def test_voxel_cross_entropy_is_torchs(mode: str) -> None:
    case = make(mode)
    voxels = _prediction(case).voxel_cross_entropy
    if case.regions:
        truth = case.target[:, : case.logits.shape[1]].float()
        expected = F.binary_cross_entropy_with_logits(case.logits, truth, reduction="none")
        # nnU-Net averages over regions, but with an ignore label it sums.
        expected = expected.mean(1) if case.ignore_label is None else expected.sum(1)
    else:
        labels = torch.where(case.annotated, case.target[:, 0], 0).long()
        expected = F.cross_entropy(case.logits, labels, reduction="none")
    torch.testing.assert_close(voxels[case.annotated], expected[case.annotated])


@every_mode
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64, torch.float32])
def test_the_type_of_the_target_does_not_matter_and_it_is_not_written_to(mode: str, dtype: torch.dtype) -> None:
    case = make(mode)
    target = case.target.to(dtype)
    before = target.clone()
    loss = case.criterion(Sum((lambda prediction: nnunet_dice(prediction, batch=False), cross_entropy)))
    expected = loss(case.logits, case.target)
    for _ in range(2):
        value = loss(case.logits, target)
        torch.testing.assert_close(value, expected)
        torch.autograd.grad(value, case.logits)
    assert torch.equal(target, before)


@every_mode
def test_one_hot_sets_nothing_where_a_voxel_is_ignored(mode: str) -> None:
    case = make(mode)
    one_hot = _prediction(case).one_hot()
    assert one_hot.shape == case.logits.shape
    assert not one_hot.movedim(1, -1)[~case.annotated].any()
    if not case.regions:
        assert torch.equal(one_hot.sum(1).bool(), case.annotated)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_summed_in_float32(dtype: torch.dtype) -> None:
    # 70,000 voxels of probability 1: float16 ends at 65,504, bfloat16 stops counting at 256.
    logits = torch.zeros(1, 2, 700, 100)
    logits[:, 1] = 30
    case = Case(logits.to(dtype), torch.ones(1, 1, 700, 100, dtype=torch.int16), False, None)
    seen = []
    with torch.autocast("cpu", dtype=torch.bfloat16):
        case.criterion(lambda prediction: seen.append(prediction.counts()) or prediction.logits.sum())(
            case.logits, case.target
        )
    assert seen[0].tp.dtype == torch.float32
    assert seen[0].tp.item() == 70_000


def test_log_softmax_is_computed_once_for_a_compound(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    for name in ("log_softmax", "softmax"):
        true = getattr(torch, name)
        monkeypatch.setattr(
            torch, name, lambda *args, _true=true, _name=name, **kw: calls.append(_name) or _true(*args, **kw)
        )
    monkeypatch.setattr(F, "log_softmax", lambda *args, **kw: torch.log_softmax(*args, **kw))
    case = make("labels")
    case.criterion(Sum((cross_entropy, lambda prediction: nnunet_dice(prediction, batch=False))))(
        case.logits, case.target
    )
    assert calls == ["log_softmax"]


class Exponentials(TorchDispatchMode):
    """Counts the operators that go over all logits with an exponential function in them."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(
        self, operator: Any, types: Any, arguments: tuple[Any, ...] = (), settings: dict[str, Any] | None = None
    ) -> Any:
        name = operator.overloadpacket.__name__
        if name in ("_softmax", "_log_softmax", "sigmoid", "exp"):
            self.calls[name] += 1
        return operator(*arguments, **(settings or {}))


@every_mode
@pytest.mark.parametrize("with_logs", [False, True])
def test_what_is_computed_does_not_depend_on_the_order_of_asking(mode: str, with_logs: bool) -> None:
    questions = {
        "counts": lambda prediction: prediction.counts().predicted.sum(),
        "probabilities": lambda prediction: prediction.probabilities.square().sum(),
        "decisions": lambda prediction: prediction.decision_cross_entropy.sum(),
        "mean": lambda prediction: prediction.cross_entropy,
    }
    first: tuple[dict[str, Tensor], Counter[str]] | None = None
    for order in permutations(questions):
        case = make(mode)
        prediction = Prediction(
            case.logits, case.target, regions=case.regions, ignore_label=case.ignore_label, with_logs=with_logs
        )
        with Exponentials() as counter:
            answers = {what: questions[what](prediction) for what in order}
        answers["gradient"] = torch.autograd.grad(sum(answers.values()), case.logits)[0]
        assert first is None or counter.calls == first[1]
        first = first or (answers, counter.calls)
        for what, answer in answers.items():
            torch.testing.assert_close(answer, first[0][what])
    assert first is not None
    if case.regions:
        assert first[1]["sigmoid"] == 1
    elif with_logs:
        assert (first[1]["_log_softmax"], first[1]["_softmax"]) == (1, 0)
    else:
        assert (first[1]["_log_softmax"], first[1]["_softmax"]) == (1, 1)


@every_mode
def test_probabilities_have_torchs_gradient(mode: str) -> None:
    case = make(mode)
    theirs = torch.sigmoid(case.logits) if case.regions else torch.softmax(case.logits, 1)
    expected = torch.autograd.grad(theirs.pow(3).sum(), case.logits)[0]
    for with_logs in (False, True):
        mine = Prediction(case.logits, case.target, regions=case.regions, with_logs=with_logs).probabilities
        torch.testing.assert_close(mine, theirs)
        torch.testing.assert_close(torch.autograd.grad(mine.pow(3).sum(), case.logits)[0], expected)


@every_mode
def test_probabilities_have_a_gradient_whatever_was_asked_before(mode: str) -> None:
    case = make(mode)
    prediction = _prediction(case)
    prediction.counts()
    before = torch.autograd.grad(prediction.probabilities.square().sum(), case.logits)[0]
    assert before.any()
    fresh = _prediction(case)
    torch.testing.assert_close(torch.autograd.grad(fresh.probabilities.square().sum(), case.logits)[0], before)
    assert torch.equal(fresh.counts().tp, prediction.counts().tp)
