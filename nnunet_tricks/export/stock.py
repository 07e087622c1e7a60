"""Whether nnU-Net without this package gives the same predictions of a model."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from copy import deepcopy
from functools import partial
from importlib import import_module
from os.path import join
from pathlib import Path
from pydoc import locate
from typing import Any

import nnunetv2
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks import __version__
from nnunet_tricks.catalogue.naming import Trick
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.training.trainer import TrickTrainer

_STOCK_PACKAGES = ("nnunetv2", "dynamic_network_architectures", "torch")
_HOOKS_OF_PREDICTION = ("network", "inference")


def stock_trainer(name: str, folder: Path) -> type[nnUNetTrainer]:
    """The trainer of nnU-Net that builds the same network as another trainer; prediction asks it for nothing else.

    Args:
        name: Name in the checkpoint.
        folder: The model folder, for the advice.

    Returns:
        ``nnUNetTrainer``, or the one of nnU-Net's own that builds another network, such as ``nnUNetTrainerBN``.

    Raises:
        ValueError: If there is none, with what to send along, or the trainer cannot be found here.
    """
    try:
        trainer = find_trainer(name)
    except ValueError as error:
        raise ValueError(
            f"{folder} was trained by {name}, which is not found here, so nobody can tell whether its network is "
            "nnU-Net's: export it where it was trained"
        ) from error
    if not getattr(trainer, "segments", True):
        raise ValueError(
            f"{name} cannot be exported: it learned from images alone and segments nothing. Export a model that starts "
            "from it"
        )
    changing = _tricks_of_prediction(trainer)
    if not changing:
        if trainer.build_network_architecture is nnUNetTrainer.build_network_architecture:
            return nnUNetTrainer
        why = "it builds a network of its own, which nnUNetTrainer would not build"
        raise ValueError(f"{name} cannot be exported: {why}. {_send_along(trainer, folder)}")
    stock = [_stock_trainer_of(trick) for trick in changing]
    if len(stock) == 1 and stock[0] is not None:
        return stock[0]
    trick = changing[stock.index(None)] if None in stock else changing[-1]
    what = next(hook.partition(".")[0] for hook in trick.info.hooks if _is_of_prediction(hook))
    why = f"{trick.info.name} changes the {what}, which stock nnU-Net does not know"
    raise ValueError(f"{name} cannot be exported: {why}. {_send_along(trainer, folder)}")


def _tricks_of_prediction(trainer: type[nnUNetTrainer]) -> list[Trick]:
    tricks = trainer.trainer_name.switched if issubclass(trainer, TrickTrainer) else ()
    return [trick for trick in tricks if any(map(_is_of_prediction, trick.info.hooks))]


def _is_of_prediction(hook: str) -> bool:
    return hook.partition(".")[0] in _HOOKS_OF_PREDICTION


def _stock_trainer_of(trick: Trick) -> type[nnUNetTrainer] | None:
    """The trainer of nnU-Net that does what a trick does in prediction, if there is one."""
    if trick.info.own:
        return nnUNetTrainer
    if trick.changed or trick.info.module.partition(".")[0] != "nnunetv2":
        return None
    trainer: type[nnUNetTrainer] = getattr(import_module(trick.info.module), trick.info.trainer)
    return trainer


def _send_along(trainer: type[nnUNetTrainer], folder: Path) -> str:
    package = trainer.__module__.partition(".")[0]
    if package == "nnunetv2":
        return f"But nnU-Net itself has this trainer: send {folder} as it is"
    if package == __name__.partition(".")[0]:
        return (
            f"Send {folder} as it is; your colleague needs nnunet_tricks {__version__}, and 'nnunet-tricks link' once"
        )
    # Not the module's file: nnU-Net forgets modules from nnUNet_extTrainer once it has looked into them.
    file = inspect.getsourcefile(trainer.build_network_architecture)
    return (
        f"Send {folder} as it is, and with it {file}; your colleague names the folder of that "
        "file in the variable nnUNet_extTrainer"
    )


class StockModel:
    """What stock nnU-Net makes of a model folder's plans for one configuration.

    Attributes:
        trainer: The trainer of nnU-Net that predicts with it.
        plans: The folder's plans.
        configuration: The configuration that was trained.
    """

    def __init__(self, folder: Path, configuration: str, trained_by: str) -> None:
        """Build the network as prediction does.

        Args:
            folder: The model folder.
            configuration: Name of the configuration in the checkpoint.
            trained_by: The trainer that the checkpoint names.

        Raises:
            ValueError: If nnU-Net has no trainer that builds this network, or the plans name something that nnU-Net
                does not bring, lack the configuration, or are damaged.
        """
        self.trainer = stock_trainer(trained_by, folder)
        dataset_json = read_needed(folder / "dataset.json", "labels")
        self.plans = PlansManager(read_needed(folder / "plans.json", "configurations"))
        if configuration not in self.plans.available_configurations:
            raise ValueError(f"{folder / 'plans.json'} lacks the configuration {configuration} that was trained")
        self.configuration = self.plans.get_configuration(configuration)
        foreign = list(_foreign_parts(self.plans, self.configuration))
        if foreign:
            raise ValueError(
                f"{folder / 'plans.json'} names what nnU-Net by itself does not have: {', '.join(foreign)}. Send "
                f"{folder} as it is, and tell your colleague to install these modules first"
            )
        self._network = _build(self.trainer, self.plans, self.configuration, dataset_json)
        self._require_same_network(trained_by, dataset_json)

    def _require_same_network(self, trained_by: str, dataset_json: dict[str, Any]) -> None:
        """Weights can fit a network that computes something else with them."""
        trainer = find_trainer(trained_by)
        if not _tricks_of_prediction(trainer):
            return
        if str(_build(trainer, self.plans, self.configuration, dataset_json)) != str(self._network):
            raise ValueError(
                f"{trained_by} cannot be exported: the network that it builds from these plans is not the one that "
                f"{self.trainer.__name__} builds. Send the model as it is; your colleague needs nnunet_tricks "
                f"{__version__}, and 'nnunet-tricks link' once"
            )

    def check_weights(self, weights: dict[str, Any], file: Path) -> None:
        """Require that weights load into the network that ``nnUNetTrainer`` builds.

        Args:
            weights: Content of ``network_weights``.
            file: The checkpoint, for the message.

        Raises:
            ValueError: If they do not.
        """
        try:
            self._network.load_state_dict(weights)
        except RuntimeError as error:
            reasons = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ValueError(
                f"the weights of {file} do not fit the network that {self.trainer.__name__} builds from these plans: "
                f"{reasons[-1]}"
            ) from error


def read_needed(file: Path, needed: str) -> dict[str, Any]:
    """Content of a JSON file of a model folder.

    Args:
        file: File to read.
        needed: Key that must hold an object.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged, it is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get(needed), dict):
        raise ValueError(f"{file} is damaged, it has no '{needed}'")
    return content


def _build(
    trainer: type[nnUNetTrainer], plans: PlansManager, configuration: ConfigurationManager, dataset_json: dict[str, Any]
) -> nn.Module:
    channels = determine_num_input_channels(plans, configuration, dataset_json)
    heads = plans.get_label_manager(dataset_json).num_segmentation_heads
    # A copy: nnU-Net's own trainers write into what they are given.
    own = ConfigurationManager(deepcopy(configuration.configuration))
    return trainer.build_network_architecture(plans, own, channels, heads, enable_deep_supervision=False)


def _foreign_parts(plans: PlansManager, configuration: ConfigurationManager) -> Iterator[str]:
    """What plans name for prediction that comes from elsewhere than nnU-Net."""
    for what, look_up in _look_ups(plans, configuration):
        try:
            with redirect_stdout(io.StringIO()):
                part = look_up()
        except RuntimeError:  # as nnU-Net says that it found nothing
            part = None
        module = getattr(getattr(part, "func", part), "__module__", "nowhere here")
        if module.partition(".")[0] not in _STOCK_PACKAGES:
            yield f"{what} ({module})"


def _look_ups(plans: PlansManager, configuration: ConfigurationManager) -> Iterator[tuple[str, Callable[[], Any]]]:
    """What plans name for prediction, and how nnU-Net finds it."""
    yield "the label manager", lambda: plans.label_manager_class
    yield "the reader of images", lambda: plans.image_reader_writer_class
    yield f"preprocessor {configuration.preprocessor_name}", lambda: configuration.preprocessor_class
    for what in ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities"):
        yield f"resampling {configuration.configuration[what]}", partial(getattr, configuration, what)
    folder, place = join(nnunetv2.__path__[0], "preprocessing", "normalization"), "nnunetv2.preprocessing.normalization"
    for name in dict.fromkeys(configuration.normalization_schemes):
        yield f"normalization {name}", partial(recursive_find_python_class, folder, name, place)
    arguments = configuration.network_arch_init_kwargs
    imported = [arguments[key] for key in configuration.network_arch_init_kwargs_req_import]
    for name in filter(None, (configuration.network_arch_class_name, *imported)):
        yield name, partial(locate, name)
