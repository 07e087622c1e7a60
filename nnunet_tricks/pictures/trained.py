"""A fold of a trained model, and what it sees of an image, for pictures."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor, nn

from nnunet_tricks.door.lookup import find_trainer, findable
from nnunet_tricks.nnunet.model_folder import FINAL, find_model, load


class TrainedFold:
    """A fold of a trained model on the CPU.

    Attributes:
        trainer: Name of the trainer.
        ending: Ending of the images' files.
        network: The network with its weights.
        channels: Number of channels of an image.
    """

    def __init__(self, folder: Path, fold: str | None = None, checkpoint: str = FINAL, *, trust: bool = False) -> None:
        """Load a fold.

        Args:
            folder: Folder ``<trainer>__<plans>__<configuration>``.
            fold: Number of the fold, or ``all``; the first that exists if not given.
            checkpoint: Name of the file in the fold.
            trust: Whether the checkpoint may hold more than data, see ``nnunet.checkpoint``.

        Raises:
            ValueError: If it is no model folder, the checkpoint holds more than data, or the model is the second stage
                of a cascade.
        """
        model = find_model(folder, [fold] if fold else (), (checkpoint,))
        self.trainer = load(folder / model.checkpoints[0], trust=trust)["trainer_name"]
        # nnU-Net says on stdout that there is no GPU, although none is wanted.
        with findable(find_trainer(self.trainer)), redirect_stdout(io.StringIO()):
            self._predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
            self._predictor.initialize_from_trained_model_folder(str(folder), (model.folds[0],), checkpoint)
        if self._predictor.configuration_manager.previous_stage_name:
            raise ValueError(
                f"{folder} is the second stage of a cascade, which needs predictions of the first: give the model of "
                f"{self._predictor.configuration_manager.previous_stage_name}"
            )
        self._predictor.network.load_state_dict(self._predictor.list_of_parameters[0])
        self.network: nn.Module = self._predictor.network
        dataset_json = self._predictor.dataset_json
        self.ending = str(dataset_json["file_ending"])
        self.channels = len(dataset_json.get("channel_names") or dataset_json.get("modality") or ())

    def middle_patch(self, files: list[str]) -> Tensor:
        """The middle of an image, preprocessed as nnU-Net does it, as large as a training patch.

        Args:
            files: Files of its channels.

        Returns:
            What the network gets, (channels, *spatial).
        """
        manager = self._predictor.configuration_manager
        preprocessor = manager.preprocessor_class(verbose=False)
        image, _, _ = preprocessor.run_case(
            files, None, self._predictor.plans_manager, manager, self._predictor.dataset_json
        )
        return middle(torch.as_tensor(image), list(manager.patch_size))


def middle(image: Tensor, size: list[int]) -> Tensor:
    """The patch in the middle of (channels, *spatial); its middle slice where the network is 2D."""
    if len(size) < image.ndim - 1:
        image = image[:, image.shape[1] // 2]
    padded = pad_nd_image(image, size, "constant", {"value": 0})
    for axis, length in enumerate(size, start=1):
        padded = padded.narrow(axis, (padded.shape[axis] - length) // 2, length)
    return padded
