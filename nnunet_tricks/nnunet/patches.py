"""Every function and class that we replace in modules of nnU-Net and its libraries, as context managers.

nnU-Net has no hook at these places. A patch is a context manager, and what it replaced is back when the block ends.
The only one that must outlast the code that puts it on is ``accept_weights``, which has ``put_on`` and ``take_off``.
CONTRIBUTING.md lists them all; a test finds whoever else assigns to nnU-Net's modules. (``door/hook.py``, which also
works where this package is gone, wraps nnU-Net's look-ups by itself.)
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from multiprocessing.pool import ThreadPool
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

TRAINING: Literal["training"] = "training"
VALIDATION: Literal["validation"] = "validation"

MakeLoader = Callable[..., Any]
"""Makes a loader of patches: ``make(part, stock, *arguments, **settings)``, with the part of the data that it is for
and what nnU-Net would call with these arguments and settings."""


class Replacement:
    """An attribute of somebody else's module or class, and what stands in for it.

    Attributes:
        owner: Module or class.
        name: Name of the attribute.
        value: Stand-in.
    """

    def __init__(self, owner: Any, name: str, value: Any) -> None:
        """Prepare the patch; nothing is replaced yet."""
        self.owner, self.name, self.value = owner, name, value
        self._replaced: list[Any] = []

    @property
    def is_on(self) -> bool:
        """Whether the patch is active."""
        return vars(self.owner)[self.name] is self.value

    @property
    def replaced(self) -> Any:
        """What was there before; only while the patch is active."""
        return self._replaced[-1]

    def put_on(self) -> None:
        """Replace the attribute; once more changes nothing."""
        if not self.is_on:
            self._replaced.append(vars(self.owner)[self.name])
            setattr(self.owner, self.name, self.value)

    def take_off(self) -> None:
        """Put back what was replaced; nothing happens where nothing was, or where others have put on theirs since."""
        if self._replaced and self.is_on:
            setattr(self.owner, self.name, self._replaced.pop())

    def __enter__(self) -> Replacement:
        """Replace the attribute."""
        self.put_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Restore the attribute."""
        self.take_off()


@contextmanager
def loaders(make: MakeLoader, *, processes: type | None = None) -> Iterator[None]:
    """Have nnU-Net's trainer make its loaders, before it starts their processes, by a function.

    Args:
        make: Maker of the loaders; the first is for training, the next for validation.
        processes: Class in place of ``NonDetMultiThreadedAugmenter``, nnU-Net's loading processes.
    """
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as module

    stock = module.nnUNetDataLoader
    made: list[str] = []

    def build(*arguments: Any, **settings: Any) -> Any:
        part = VALIDATION if made else TRAINING
        made.append(part)
        return make(part, stock, *arguments, **settings)

    with (
        Replacement(module, "nnUNetDataLoader", build),
        Replacement(module, "NonDetMultiThreadedAugmenter", processes or module.NonDetMultiThreadedAugmenter),
    ):
        yield


@contextmanager
def reader_of_fingerprints(wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Let nnU-Net's fingerprint extraction read cases in another way.

    Args:
        wrap: Function from the class of nnU-Net's reader to a maker of readers.
    """
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor

    # run() asks this function of its module for the reader that its processes use.
    stock = fingerprint_extractor.determine_reader_writer_from_dataset_json

    def determine(*arguments: Any, **settings: Any) -> Any:
        return wrap(stock(*arguments, **settings))

    with Replacement(fingerprint_extractor, "determine_reader_writer_from_dataset_json", determine):
        yield


@contextmanager
def search_of_prediction(wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Iterator[None]:
    """Let nnU-Net's prediction look trainers up in another way.

    Args:
        wrap: Function from nnU-Net's search to its replacement.

    Raises:
        ImportError: If this version of nnU-Net has a search that is not known here.
    """
    from nnunetv2.inference import predict_from_raw_data as module

    for name in ("recursive_find_trainer_class_by_name", "recursive_find_python_class"):
        if name in vars(module):
            with Replacement(module, name, wrap(vars(module)[name])):
                yield
            return
    raise ImportError("this version of nnU-Net looks trainers up in a way that nnunet_tricks does not know yet")


def accept_weights(wrap: Callable[[Callable[..., None]], Callable[..., None]]) -> Replacement:
    """For ``nnUNetv2_train -pretrained_weights``, which nnU-Net loads between two calls of the trainer.

    Args:
        wrap: Function from nnU-Net's ``load_pretrained_weights`` to its replacement.

    Returns:
        The patch, not put on yet.
    """
    from nnunetv2.run import run_training

    patch = Replacement(run_training, "load_pretrained_weights", None)

    # Several patches can be on: each calls what it replaced, and not what was there when it was made.
    @wraps(run_training.load_pretrained_weights)
    def theirs(*arguments: Any, **settings: Any) -> None:
        patch.replaced(*arguments, **settings)

    patch.value = wrap(theirs)
    return patch


def converter_to_sync_batch_norm(convert: Callable[..., Any]) -> Replacement:
    """Let nnU-Net's trainer make batch norm layers share their statistics between GPUs by another function.

    Args:
        convert: Function of the form of torch's ``SyncBatchNorm.convert_sync_batchnorm``.
    """
    from torch.nn import SyncBatchNorm

    return Replacement(SyncBatchNorm, "convert_sync_batchnorm", staticmethod(convert))


def writer_of_predictions(write: Callable[..., None]) -> Replacement:
    """Let nnU-Net's predictor write its cases with another function.

    Args:
        write: Function of the form of nnU-Net's ``export_prediction_from_logits``. Its processes get it by pickle.
    """
    from nnunetv2.inference import predict_from_raw_data

    return Replacement(predict_from_raw_data, "export_prediction_from_logits", write)


def no_progress_plot() -> Replacement:
    """Let nnU-Net's log draw no ``progress.png``."""
    from nnunetv2.training.logging.nnunet_logger import LocalLogger

    return Replacement(LocalLogger, "plot_progress_png", lambda self, output_folder: None)


def unmeasured_blur() -> Replacement:
    """Let Gaussian blur take one way to compute.

    It measures which of two is faster, since the answer differs from run to run, and the two in the last digits.
    """
    from batchgeneratorsv2.transforms.noise import gaussian_blur

    def blur(self: Any, image: Tensor, sigma: float, dim_to_blur: int) -> Tensor:
        return gaussian_blur.blur_dimension(image, sigma, dim_to_blur)

    return Replacement(gaussian_blur.GaussianBlurTransform, "_benchmark_wrapper", blur)


@contextmanager
def several_processes_on_the_cpu() -> Iterator[None]:
    """Let nnU-Net's trainer initialize in a group of processes without a GPU.

    It names a GPU to DDP, and torch's ``SyncBatchNorm`` has kernels for GPUs only. Here such a layer normalises its
    part of the batch that all processes have together.
    """
    import torch
    from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as module
    from torch import nn
    from torch.nn.parallel import DistributedDataParallel

    class Joined(torch.autograd.Function):
        """(B, ...) of each process -> (processes * B, ...) of all, and the gradients back."""

        @staticmethod
        def forward(context: Any, part: Tensor) -> Tensor:
            parts = [torch.empty_like(part) for _ in range(torch.distributed.get_world_size())]
            torch.distributed.all_gather(parts, part.contiguous())
            return torch.cat(parts)

        @staticmethod
        def backward(context: Any, gradient: Tensor) -> Tensor:
            total = gradient.contiguous().clone()
            torch.distributed.all_reduce(total)
            return total.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()]

    stock: Callable[..., Tensor] = nn.SyncBatchNorm.forward

    def forward(self: Any, part: Tensor) -> Tensor:
        if not (self.training and torch.distributed.is_initialized()):
            return stock(self, part)
        self.num_batches_tracked += 1
        whole = nn.functional.batch_norm(
            Joined.apply(part.contiguous()),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            True,
            self.momentum,
            self.eps,
        )
        # A copy, since activations that follow write into it.
        return whole.chunk(torch.distributed.get_world_size())[torch.distributed.get_rank()].clone()

    class WithoutGPU(DistributedDataParallel):
        """DDP that takes such layers on the CPU."""

        def _passing_sync_batchnorm_handle(self, module: nn.Module) -> None:
            return None

    def wrapped(network: nn.Module, device_ids: object) -> DistributedDataParallel:
        return WithoutGPU(network)

    with Replacement(module, "DDP", wrapped), Replacement(nn.SyncBatchNorm, "forward", forward):
        yield


def threads_for_spawned_processes() -> Replacement:
    """Let pools of spawned processes be threads, since nnU-Net starts some for each validation and prediction."""
    get_context: Any = multiprocessing.get_context

    def replacement(method: str | None = None) -> Any:
        context = get_context(method)
        return _ThreadContext(context) if method == "spawn" else context

    return Replacement(multiprocessing, "get_context", replacement)


class _ThreadContext:
    """A context of ``multiprocessing`` whose pools are threads."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def Pool(self, *arguments: Any, **keywords: Any) -> ThreadPool:  # noqa: N802, the name that nnU-Net calls
        return ThreadPool(1)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)


@contextmanager
def folders(paths: Mapping[str, str]) -> Iterator[None]:
    """Give nnU-Net before 2.8 other folders; its modules import their paths as strings. Since then it asks the system.

    Args:
        paths: Folder for each of nnU-Net's variables.
    """
    import nnunetv2.paths

    before = {name: getattr(nnunetv2.paths, name) for name in paths}
    if not all(value is None or isinstance(value, str) for value in before.values()):
        yield
        return
    _rebind(before, paths)
    try:
        yield
    finally:
        # Also in modules that were imported meanwhile.
        _rebind(paths, before)


def _rebind(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name, value in old.items():
            if name in names and type(names[name]) is type(value) and names[name] == value:
                names[name] = new[name]
