"""A trainer's loss in two processes that share a batch, as with ``nnUNetv2_train -num_gpus 2``; on the CPU, with gloo.

DDP averages the gradients of the processes, so the mean of their losses is trained. Without batch Dice each process
must compute the same as alone on its half. With batch Dice the overlap is that of the joined batch. If the loss is
otherwise a mean over samples, the mean over the processes must equal that of one process on the joined batch.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import product
from multiprocessing.connection import Connection, wait
from pathlib import Path
from time import monotonic, perf_counter
from types import TracebackType
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import LABEL_MODES, Situation
from nnunet_tricks.conformance.outcome import (
    ConformanceReport,
    NotApplicableError,
    Status,
    StepOutcome,
    ViolationError,
    one_line,
)
from nnunet_tricks.conformance.rank_group import PATIENCE, SAMPLES, WORLD, group, half_of, joined_target
from nnunet_tricks.conformance.rank_training import RankTraining, require_same_training, train_network
from nnunet_tricks.conformance.run import CONFIGURATIONS, Run
from nnunet_tricks.door.lookup import find_trainer

TOLERANCE = 1e-4
"""Relative. nnU-Net weighs the lowest level of deep supervision by 1e-6 under DDP without torch.compile, by 0 else."""


@dataclass(frozen=True)
class LossAndGradient:
    """A loss and its gradient with respect to the logits of full resolution."""

    loss: float
    gradient: Tensor


@dataclass(frozen=True)
class RankResult:
    """Losses that one process computed.

    Attributes:
        together: Loss on this process's half, in the group of processes.
        alone: Loss on the half without a group.
        joined: Loss on the whole batch without a group, with the gradient of this half.
        per_sample_alone: Loss like ``alone``, without batch Dice.
        per_sample_joined: Loss like ``joined``, without batch Dice.
    """

    together: LossAndGradient
    alone: LossAndGradient
    joined: LossAndGradient
    per_sample_alone: LossAndGradient
    per_sample_joined: LossAndGradient


class RankPair:
    """Two processes that measure losses until they are closed; starting them is what takes time.

    Examples:
        >>> from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
        >>> with RankPair() as pair:
        ...     pair.check(nnUNetTrainer).passed
        True
    """

    def __init__(self) -> None:
        """Start the processes, which get ready while the caller does other things."""
        self._folder = tempfile.TemporaryDirectory(prefix="nnunet_tricks_ranks_")
        context = multiprocessing.get_context("spawn")
        pipes = [context.Pipe() for _ in range(WORLD)]
        self._connections = [mine for mine, _ in pipes]
        self._processes = [
            context.Process(target=_serve, args=(rank, theirs, self._folder.name), daemon=True)
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process, (_, theirs) in zip(self._processes, pipes, strict=True):
            process.start()
            theirs.close()

    def __enter__(self) -> RankPair:
        """Return the pair."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the processes."""
        self.close()
        self._folder.cleanup()

    def close(self) -> None:
        """Stop the processes."""
        for process in self._processes:
            process.terminate()
            process.join()
        self._processes = []

    def check(self, trainer: type[nnUNetTrainer]) -> ConformanceReport:
        """Compare a trainer's loss with that of one process, in every label mode, with and without batch Dice.

        Args:
            trainer: Class of the trainer, which the processes import or look up by its name.

        Returns:
            One step per situation.
        """
        if not getattr(trainer, "segments", True):
            nothing = StepOutcome("loss", Status.NOT_APPLICABLE, "trains without labels")
            return ConformanceReport(trainer.__name__, "two processes", (nothing,))
        outcomes = []
        for labels in LABEL_MODES:
            for batch_dice in (False, True):
                start = perf_counter()
                try:
                    status, reason = _judge(self.measure(trainer, labels, batch_dice=batch_dice), batch_dice=batch_dice)
                except NotApplicableError as nothing:
                    status, reason = Status.NOT_APPLICABLE, str(nothing)
                except Exception as error:
                    status, reason = Status.FAIL, one_line(error)
                step = f"{labels}, {'batch' if batch_dice else 'sample'} Dice"
                outcomes.append(StepOutcome(step, status, reason, perf_counter() - start))
        return ConformanceReport(trainer.__name__, "two processes", tuple(outcomes))

    def measure(self, trainer: type[nnUNetTrainer], labels: str, *, batch_dice: bool) -> list[RankResult]:
        """Let each process compute its losses.

        Args:
            trainer: Class of the trainer.
            labels: One of ``grid.LABEL_MODES``.
            batch_dice: Whether the plans ask for batch Dice.

        Returns:
            The answers in the order of ranks.

        Raises:
            ViolationError: If a process gave no answer; the message says why.
        """
        return self._ask(trainer, _answer, labels, batch_dice)

    def check_network(self, trainer: type[nnUNetTrainer], situation: Situation) -> ConformanceReport:
        """Train a trainer's network in both processes, see ``rank_training``.

        Args:
            trainer: Class of the trainer, which the processes import or look up by its name.
            situation: Situation of the trainer; no cascade.

        Returns:
            One step.
        """
        start = perf_counter()
        try:
            trained: list[RankTraining] = self._ask(trainer, train_network, situation)
            require_same_training(trained)
            status, reason = Status.PASS, ""
        except Exception as error:
            status, reason = Status.FAIL, one_line(error)
        outcome = StepOutcome(str(situation), status, reason, perf_counter() - start)
        return ConformanceReport(trainer.__name__, "network in two processes", (outcome,))

    def _ask(self, trainer: type[nnUNetTrainer], task: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Answers of the processes to ``task(bench, trainer, rank, store, *arguments)``, in the order of ranks."""
        if not self._processes:
            raise ViolationError("the two processes are gone")
        try:
            who: bytes | str = pickle.dumps(trainer)
        except (pickle.PicklingError, AttributeError, ImportError):
            who = trainer.__name__  # a module from nnUNet_extTrainer, which nnU-Net forgets after the look-up
        try:
            for connection in self._connections:
                connection.send((who, task, arguments))
            answers = self._receive()
        except (EOFError, OSError) as error:
            # A late answer would be taken for the answer to the next question.
            self.close()
            reason = str(error) if isinstance(error, TimeoutError) else "a process ended without an answer"
            raise ViolationError(reason) from error
        for answer in answers:
            if isinstance(answer, str):
                raise ViolationError(answer)
        return answers

    def _receive(self) -> list[Any]:
        answers: dict[Connection, Any] = {}
        deadline = monotonic() + PATIENCE
        while len(answers) < len(self._connections):
            ready = wait([c for c in self._connections if c not in answers], max(0, deadline - monotonic()))
            if not ready:
                raise TimeoutError(f"no answer within {PATIENCE:g} s")
            answers |= {connection: connection.recv() for connection in self._connections if connection in ready}
        return [answers[connection] for connection in self._connections]


def _judge(answers: list[RankResult], *, batch_dice: bool) -> tuple[Status, str]:
    if not batch_dice:
        faults = [
            f"process {rank} computes {a.together.loss:.6g}, alone on the same half {a.alone.loss:.6g}"
            for rank, a in enumerate(answers)
            if not _close(a.together, a.alone)
        ]
        return _verdict(faults)
    if not all(
        _close(_average([a.per_sample_alone for a in answers], rank), answers[rank].per_sample_joined)
        for rank in range(WORLD)
    ):
        return Status.NOT_APPLICABLE, "the loss is not a mean over the samples, so halves say nothing about the whole"
    faults = []
    for rank, answer in enumerate(answers):
        average = _average([a.together for a in answers], rank)
        if not _close(average, answer.joined):
            faults.append(
                f"the processes compute {average.loss:.6g} on average, one process on the joined batch "
                f"{answer.joined.loss:.6g}; relative difference of the gradients on process {rank}: "
                f"{_distance(average.gradient, answer.joined.gradient):.2g}"
            )
    return _verdict(faults)


def _verdict(faults: list[str]) -> tuple[Status, str]:
    return (Status.FAIL, "; ".join(faults)) if faults else (Status.PASS, "")


def _average(measured: list[LossAndGradient], rank: int) -> LossAndGradient:
    """The mean loss of all processes as DDP trains it, with the gradient on the half of one of them."""
    return LossAndGradient(sum(m.loss for m in measured) / WORLD, measured[rank].gradient / WORLD)


def _close(mine: LossAndGradient, theirs: LossAndGradient) -> bool:
    return (
        abs(mine.loss - theirs.loss) <= TOLERANCE * abs(theirs.loss)
        and _distance(mine.gradient, theirs.gradient) <= TOLERANCE
    )


def _distance(mine: Tensor, theirs: Tensor) -> float:
    return float((mine - theirs).norm()) / max(float(theirs.norm()), 1e-12)


def _serve(rank: int, connection: Connection, folder: str) -> None:
    """Answer questions until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops us
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # hosts that cannot resolve their own name are common
    number = 0
    with Bench() as bench:
        while True:
            try:
                who, task, arguments = connection.recv()
            except EOFError:
                return
            number += 1
            try:
                trainer = find_trainer(who) if isinstance(who, str) else pickle.loads(who)
                connection.send(task(bench, trainer, rank, Path(folder) / f"group_{number}", *arguments))
            except Exception as error:
                connection.send(one_line(error))


def _answer(
    bench: Bench, trainer: type[nnUNetTrainer], rank: int, store: Path, labels: str, batch_dice: bool
) -> RankResult:
    with _built(bench, trainer, labels, batch_dice=False) as built:
        per_sample = built.loss
    with _built(bench, trainer, labels, batch_dice=batch_dice) as built:
        logits, target = _batch(built)
        half = half_of(rank)
        whole = slice(None)
        with group(rank, store):
            # The constructor of a trainer that finds a group asks for a GPU, so the group comes after it.
            built.is_ddp = True
            built.local_rank = rank
            together = _measure(built._build_loss(), logits, target, half, half)
        return RankResult(
            together=together,
            alone=_measure(built.loss, logits, target, half, half),
            joined=_measure(built.loss, logits, target, whole, half),
            per_sample_alone=_measure(per_sample, logits, target, half, half),
            per_sample_joined=_measure(per_sample, logits, target, whole, half),
        )


@contextmanager
def _built(bench: Bench, trainer: type[nnUNetTrainer], labels: str, *, batch_dice: bool) -> Iterator[nnUNetTrainer]:
    """A trainer, and nnU-Net's folders for as long as it is used: a loss may read them, or write to the log."""
    for dimension, deep_supervision in product(("2d", "3d"), (True, False)):
        with bench.room(trainer, Situation(labels, dimension, deep_supervision)) as run:
            plans = deepcopy(run.data.plans)
            plans["configurations"][CONFIGURATIONS[dimension]]["batch_dice"] = batch_dice
            try:
                built = Run(trainer, run.situation, replace(run.data, plans=plans), run.folder).build()
            except NotApplicableError:
                continue
            yield built
            return
    raise NotApplicableError("the trainer can be built neither in 2D nor in 3D, with or without deep supervision")


def _batch(trainer: nnUNetTrainer) -> tuple[list[Tensor], list[Tensor]]:
    """Random logits beside the targets."""
    target = joined_target(trainer)
    generator = torch.Generator().manual_seed(0)
    heads = trainer.label_manager.num_segmentation_heads
    # Samples of unequal difficulty: a loss that picks the hardest voxels of a batch picks them unevenly.
    scale = torch.arange(1.0, SAMPLES + 1)
    logits = [torch.randn(heads, *level.shape[2:], SAMPLES, generator=generator) * scale for level in target]
    return [level.movedim(-1, 0).contiguous() for level in logits], target


def _measure(loss: Any, logits: list[Tensor], target: list[Tensor], use: slice, keep: slice) -> LossAndGradient:
    """The loss on the samples ``use``, and the part of its gradient that belongs to the samples ``keep``."""
    leaves = [level.clone().requires_grad_() for level in logits]
    output, truth = [level[use] for level in leaves], [level[use].clone() for level in target]
    value = loss(output, truth) if len(output) > 1 else loss(output[0], truth[0])
    value.backward()
    gradient = leaves[0].grad
    return LossAndGradient(
        float(value.detach()), torch.zeros_like(leaves[0])[keep] if gradient is None else gradient[keep]
    )
