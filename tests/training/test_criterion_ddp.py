"""The criterion in two processes that share a batch, one sample here and two there."""

import socket
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from nnunet_tricks.training.criterion import Criterion
from nnunet_tricks.tricks.loss.compound import Sum
from nnunet_tricks.tricks.loss.cross_entropy import cross_entropy
from nnunet_tricks.tricks.loss.dice import dice_score
from nnunet_tricks.tricks.loss.overlap import OverlapLoss
from tests.tricks.loss.cases import MODES, make

PARTS = (slice(0, 1), slice(1, 3))


def _loss(*, batch: bool, compound: bool) -> Sum:
    overlap = OverlapLoss(score=dice_score, batch=batch)
    return Sum((cross_entropy, overlap) if compound else (overlap,))


def _measure(mode: str, part: slice, *, batch: bool, compound: bool, ddp: bool) -> tuple[torch.Tensor, torch.Tensor]:
    case = make(mode, batch=3)
    criterion = Criterion(
        _loss(batch=batch, compound=compound), regions=case.regions, ignore_label=case.ignore_label, ddp=ddp
    )
    value = criterion(case.logits[part], case.target[part])
    return value.detach(), torch.autograd.grad(value, case.logits)[0][part]


def _rank(rank: int, port: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    found = {
        (mode, batch, compound): _measure(mode, PARTS[rank], batch=batch, compound=compound, ddp=True)
        for mode in MODES
        for batch in (True, False)
        for compound in (True, False)
    }
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_rank, args=(port, str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("mode", MODES)
def test_batch_dice_is_that_of_the_joined_batch(mode: str, ranks) -> None:
    joined, gradient = _measure(mode, slice(None), batch=True, compound=False, ddp=False)
    for rank, part in enumerate(PARTS):
        value, mine = ranks[rank][mode, True, False]
        torch.testing.assert_close(value, joined)
        # DDP divides by the number of processes.
        torch.testing.assert_close(mine / 2, gradient[part])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("compound", [True, False])
def test_without_batch_dice_each_process_has_its_own_loss_and_ddp_trains_their_mean(mode, compound, ranks) -> None:
    for rank, part in enumerate(PARTS):
        alone = _measure(mode, part, batch=False, compound=compound, ddp=False)
        for mine, expected in zip(ranks[rank][mode, False, compound], alone, strict=True):
            torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("mode", MODES)
def test_in_a_compound_only_the_overlap_is_joined(mode: str, ranks) -> None:
    for rank, part in enumerate(PARTS):
        joined, _ = _measure(mode, slice(None), batch=True, compound=False, ddp=False)
        with_both, _ = _measure(mode, part, batch=False, compound=True, ddp=False)
        overlap, _ = _measure(mode, part, batch=False, compound=False, ddp=False)
        torch.testing.assert_close(ranks[rank][mode, True, True][0], with_both - overlap + joined)
