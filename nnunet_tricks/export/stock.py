"""Whether nnU-Net by itself predicts with a model as the trainer that made it would."""

from __future__ import annotations

import inspect
import io
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from functools import partial
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
from nnunet_tricks.conformance.resolve import find_trainer
from nnunet_tricks.trainer import TrickTrainer

STOCK = nnUNetTrainer.__name__

_STOCK_PACKAGES = ("nnunetv2", "dynamic_network_architectures", "torch")
_HOOKS_OF_PREDICTION = ("network", "inference")


def check_trainer(name: str, folder: Path) -> None:
    """Require that a trainer builds its network as ``nnUNetTrainer`` does; prediction asks it for nothing else.

    Args:
        name: What the checkpoint says.
        folder: The model folder, for the advice.

    Raises:
        ValueError: If it does not, with what to send along, or it cannot be found here.
    """
    try:
        trainer = find_trainer(name)
    except ValueError as error:
        raise ValueError(
            f"{folder} was trained by {name}, which is not found here, so nobody can tell whether its network is "
            "nnU-Net's: export it where it was trained"
        ) from error
    why = _own_network(trainer)
    if why:
        raise ValueError(f"{name} cannot be exported: {why}. {_send_along(trainer, folder)}")


def _own_network(trainer: type[nnUNetTrainer]) -> str:
    """Why ``nnUNetTrainer`` does not predict as ``trainer`` does; empty if it does."""
    tricks = trainer.trainer_name.switched if issubclass(trainer, TrickTrainer) else ()
    for trick in tricks:
        for hook in trick.info.hooks:
            if hook.partition(".")[0] in _HOOKS_OF_PREDICTION:
                return f"{trick.info.name} changes the {hook.partition('.')[0]}, which stock nnU-Net does not know"
    if trainer.build_network_architecture is not nnUNetTrainer.build_network_architecture:
        return "it builds a network of its own, which nnUNetTrainer would not build"
    return ""


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
        plans: The folder's plans.
        configuration: The configuration that was trained.
    """

    def __init__(self, folder: Path, configuration: str) -> None:
        """Build the network as prediction does.

        Args:
            folder: The model folder.
            configuration: What the checkpoint says.

        Raises:
            ValueError: If the plans name something that nnU-Net does not bring, lack the configuration, or are damaged.
        """
        dataset_json = _read(folder / "dataset.json", "labels")
        self.plans = PlansManager(_read(folder / "plans.json", "configurations"))
        if configuration not in self.plans.available_configurations:
            raise ValueError(f"{folder / 'plans.json'} lacks the configuration {configuration} that was trained")
        self.configuration = self.plans.get_configuration(configuration)
        foreign = list(_foreign_parts(self.plans, self.configuration))
        if foreign:
            raise ValueError(
                f"{folder / 'plans.json'} names what nnU-Net by itself does not have: {', '.join(foreign)}. Send "
                f"{folder} as it is, and tell your colleague to install these modules first"
            )
        self._network = _build(self.plans, self.configuration, dataset_json)

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
                f"the weights of {file} do not fit the network that {STOCK} builds from these plans: {reasons[-1]}"
            ) from error


def _read(file: Path, needed: str) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged, it is not valid JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get(needed), dict):
        raise ValueError(f"{file} is damaged, it has no '{needed}'")
    return content


def _build(plans: PlansManager, configuration: ConfigurationManager, dataset_json: dict[str, Any]) -> nn.Module:
    channels = determine_num_input_channels(plans, configuration, dataset_json)
    heads = plans.get_label_manager(dataset_json).num_segmentation_heads
    return nnUNetTrainer.build_network_architecture(
        plans, configuration, channels, heads, enable_deep_supervision=False
    )


def _foreign_parts(plans: PlansManager, configuration: ConfigurationManager) -> Iterator[str]:
    """What plans name for prediction that comes from elsewhere than nnU-Net."""
    for what, look_up in _look_ups(plans, configuration):
        try:
            with redirect_stdout(io.StringIO()):
                found = look_up()
        except RuntimeError:  # as nnU-Net says that it found nothing
            found = None
        module = getattr(getattr(found, "func", found), "__module__", "nowhere here")
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
