"""Trained networks as ONNX, with a JSON file that holds what else a prediction needs.

A network alone predicts nothing: images must be oriented, cropped, normalised and resampled as in its training, and its
windows must be put together. ``model.json`` says how, in nnU-Net's order.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.label_handling.label_handling import LabelManager, determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch import nn

from nnunet_tricks import __version__
from nnunet_tricks.door.lookup import find_trainer
from nnunet_tricks.export.stock import read_needed
from nnunet_tricks.export.write import TRAINED_BY, all_or_nothing, is_filled
from nnunet_tricks.nnunet.model_folder import FINAL, ModelFolder, find_model, load
from nnunet_tricks.training.trainer import TrickTrainer

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What is needed beside torch."""

OPSETS = (18, 19, 20, 21)
"""Versions of ONNX's operators that can be chosen."""

OPSET = 20

DESCRIPTION = "model.json"

CLOSE = 1e-4
"""Largest difference of logits that is allowed, as a share of the largest logit, or of 1 if that is larger."""

SAME = 0.9999
"""Share of voxels that must get the same label."""

BATCHES = (1, 3)
"""Numbers of patches with which the file is checked."""

STEP, SIGMA = 0.5, 1 / 8
"""nnU-Net's windows: by which part of a patch they move, and the width of their Gaussian weight as a part of it."""


@dataclass(frozen=True)
class Agreement:
    """How far ONNX and torch agree on random patches.

    Attributes:
        difference: Largest absolute difference of logits.
        largest: Largest absolute logit.
        same: Share of voxels with the same label, or of voxels and regions on the same side of 0.
    """

    difference: float
    largest: float
    same: float

    @property
    def is_good(self) -> bool:
        """Whether the file may be written."""
        finite = math.isfinite(self.difference) and math.isfinite(self.largest)
        return finite and self.difference <= CLOSE * max(self.largest, 1.0) and self.same >= SAME


@dataclass(frozen=True)
class OnnxExport:
    """The outcome of an export.

    Attributes:
        model: Model folder that was exported.
        trainer: Name of the trainer that made the model.
        files: Names of the ONNX files, one for each fold and checkpoint.
        agreements: How far each agrees with torch.
        opset: Version of ONNX's operators.
        description: Content of ``model.json``.
    """

    model: ModelFolder
    trainer: str
    files: tuple[str, ...]
    agreements: tuple[Agreement, ...]
    opset: int
    description: dict[str, Any]


def export_onnx(
    folder: Path,
    out: Path,
    *,
    folds: Sequence[str] = (),
    names: Sequence[str] = (FINAL,),
    opset: int = OPSET,
    trust: bool = False,
    dry_run: bool = False,
) -> OnnxExport:
    """Write networks of a model folder as ONNX, once each agrees with torch in onnxruntime.

    Args:
        folder: The model folder, which stays as it is.
        out: Folder to make, with ``fold_X.onnx`` and ``model.json``.
        folds: Folds to take; every fold that is there if not given.
        names: File names of the checkpoints to take from each fold.
        opset: Version of ONNX's operators, one of ``OPSETS``.
        trust: Whether checkpoints may hold more than data, see ``nnunet.checkpoint``.
        dry_run: Do and check everything, write nothing.

    Returns:
        The outcome.

    Raises:
        ValueError: If packages are missing, ``out`` holds something, ONNX cannot express the network, or the file does
            not agree with torch.
    """
    check_packages()
    if opset not in OPSETS:
        raise ValueError(f"--opset must be one of {', '.join(map(str, OPSETS))}, got {opset}")
    model = find_model(folder, folds, names)
    if is_filled(model, out):
        raise ValueError(f"{out} is not empty: choose another folder or remove it")
    network = _Network(model, trust=trust)
    with contextlib.ExitStack() as stack:
        staging = None if dry_run else stack.enter_context(all_or_nothing(out, model.size))
        files, agreements, sums = [], [], []
        for checkpoint in model.checkpoints:
            network.load(checkpoint)
            content = network.as_onnx(opset)
            agreement = network.agreement(content)
            if not agreement.is_good:
                raise ValueError(
                    f"{checkpoint} as ONNX differs from torch by up to {agreement.difference:.2g} in logits of up to "
                    f"{agreement.largest:.3g}, and gives the same label to {agreement.same:.4%} of the voxels, so "
                    f"it is not written: try another --opset ({', '.join(map(str, OPSETS))})"
                )
            stem = checkpoint.parent.name if len(names) == 1 else f"{checkpoint.parent.name}_{checkpoint.stem}"
            files.append(f"{stem}.onnx")
            agreements.append(agreement)
            sums.append(hashlib.sha256(content).hexdigest())
            if staging:
                (staging / files[-1]).write_bytes(content)
        description = network.description(opset)
        description["files"] = [
            {
                "file": file,
                "checkpoint": checkpoint.as_posix(),
                "sha256": digest,
                "largest_difference_to_torch": agreement.difference,
                "same_labels": agreement.same,
            }
            for file, checkpoint, digest, agreement in zip(files, model.checkpoints, sums, agreements, strict=True)
        ]
        if staging:
            (staging / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return OnnxExport(model, network.trainer_name, tuple(files), tuple(agreements), opset, description)


def check_packages() -> None:
    """Refuse to begin without what ONNX needs.

    Raises:
        ValueError: With the line that installs it.
    """
    missing = [package for package in PACKAGES if find_spec(package) is None]
    if missing:
        raise ValueError(
            f"export --onnx needs {' and '.join(missing)}, not installed here: pip install 'nnunet_tricks[onnx]'"
        )


class _Network:
    """The network of a model folder, as prediction builds it."""

    def __init__(self, model: ModelFolder, *, trust: bool) -> None:
        self._model, self._trust = model, trust
        first = load(model.folder / model.checkpoints[0], trust=trust)
        self.trainer_name, self._name = _names_in(first)
        trainer = _trainer_of(first["trainer_name"], model.folder)
        self._dataset = read_needed(model.folder / "dataset.json", "labels")
        self._plans = PlansManager(read_needed(model.folder / "plans.json", "configurations"))
        if self._name not in self._plans.available_configurations:
            raise ValueError(f"{model.folder / 'plans.json'} lacks the configuration {self._name} that was trained")
        self._configuration = self._plans.get_configuration(self._name)
        self._labels: LabelManager = self._plans.get_label_manager(self._dataset)
        self._channels = determine_num_input_channels(self._plans, self._configuration, self._dataset)
        if issubclass(trainer, TrickTrainer) and trainer.input_channels(self._channels) != self._channels:
            raise ValueError(
                f"{self.trainer_name} sees each slice with its neighbours, which programs that run an ONNX file would "
                "not give it: export a model that sees plain images"
            )
        # A copy: nnU-Net's own trainers write into what they are given.
        own = ConfigurationManager(deepcopy(self._configuration.configuration))
        heads = self._labels.num_segmentation_heads
        self._network: nn.Module = trainer.build_network_architecture(
            self._plans, own, self._channels, heads, enable_deep_supervision=False
        ).eval()
        self._mirrored: Sequence[int] = ()

    def load(self, file: Path) -> None:
        """Put the weights of a checkpoint into the network.

        Raises:
            ValueError: If it is of another training, or its weights do not fit.
        """
        content = load(self._model.folder / file, trust=self._trust)
        if _names_in(content) != (self.trainer_name, self._name):
            raise ValueError(
                f"{self._model.folder / file} is of {' '.join(_names_in(content))}, the others are of "
                f"{self.trainer_name} {self._name}: choose folds that belong together with -f"
            )
        try:
            self._network.load_state_dict(content["network_weights"])
        except RuntimeError as error:
            reasons = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise ValueError(
                f"the weights of {self._model.folder / file} do not fit the network that {self.trainer_name} builds "
                f"from these plans: {reasons[-1]}"
            ) from error
        self._mirrored = content.get("inference_allowed_mirroring_axes") or ()

    @property
    def _patch(self) -> tuple[int, ...]:
        return tuple(int(size) for size in self._configuration.patch_size)

    def as_onnx(self, opset: int) -> bytes:
        """The network as the content of an ONNX file.

        Raises:
            ValueError: If ONNX cannot express it.
        """
        batch = torch.export.Dim("batch")
        # Two patches: with one, the exporter would take the number of patches for a constant.
        example = torch.zeros(2, self._channels, *self._patch)
        try:
            with _silent(), torch.no_grad():
                program = torch.onnx.export(
                    self._network,
                    (example,),
                    input_names=["image"],
                    output_names=["logits"],
                    opset_version=opset,
                    dynamo=True,
                    dynamic_shapes=({0: batch},),
                    external_data=False,
                    verbose=False,
                )
            if program is None:
                raise RuntimeError("the exporter returned nothing")
            content: bytes = program.model_proto.SerializeToString()
        except Exception as error:
            # The exporter's own errors derive from RuntimeError, but those of what it calls are of every kind.
            raise ValueError(
                f"ONNX cannot express the network of {self.trainer_name}, or torch cannot say it in ONNX: "
                f"{_reason(error)}"
            ) from error
        return content

    def agreement(self, content: bytes) -> Agreement:
        """How far an ONNX file and the network agree on random patches."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        generator = torch.Generator().manual_seed(0)
        differences, sizes, same = [], [], []
        for count in BATCHES:
            image = torch.randn(count, self._channels, *self._patch, generator=generator)
            with torch.no_grad():
                ours = self._network(image).numpy()
            (theirs,) = session.run(["logits"], {"image": image.numpy()})
            differences.append(np.abs(ours - theirs).max())
            sizes.append(np.abs(ours).max())
            decisions = [array > 0 if self._labels.has_regions else array.argmax(1) for array in (ours, theirs)]
            same.append(np.mean(decisions[0] == decisions[1]))
        # NumPy's max, for which NaN is the largest: Python's would lose it.
        return Agreement(float(np.max(differences)), float(np.max(sizes)), float(min(same)))

    def description(self, opset: int) -> dict[str, Any]:
        """What a prediction needs beside the network, in nnU-Net's order."""
        configuration, plans = self._configuration.configuration, self._plans.plans
        return {
            "format": 1,
            "made_by": f"nnunet_tricks {__version__}",
            "trained_by": {
                "trainer": self.trainer_name,
                "dataset": self._plans.dataset_name,
                "plans": self._plans.plans_name,
                "configuration": self._name,
            },
            "onnx": {
                "opset": opset,
                "input": {"name": "image", "type": "float32", "shape": ["batch", self._channels, *self._patch]},
                "output": {
                    "name": "logits",
                    "type": "float32",
                    "shape": ["batch", self._labels.num_segmentation_heads, *self._patch],
                },
                "checked_with": {package: version(package) for package in ("torch", "onnx", "onnxruntime")},
            },
            "preprocessing": {
                "order": ["transpose", "crop to the box of voxels that are not 0", "normalise", "resample"],
                "channel_names": self._dataset.get("channel_names", self._dataset.get("modality")),
                "transpose_forward": plans["transpose_forward"],
                "normalization": self._normalization(),
                "spacing": configuration["spacing"],
                "resampling": _resampling(configuration, "data"),
                "previous_stage": self._configuration.previous_stage_name,
            },
            "prediction": {
                "patch_size": list(self._patch),
                "step": STEP,
                "gaussian_sigma": SIGMA,
                "mirror_axes": [int(axis) for axis in self._mirrored],
                "views": "mean of logits over all combinations of mirrored axes",
                "folds": "mean of logits",
                "resampling": _resampling(configuration, "probabilities"),
                "activation": "sigmoid" if self._labels.has_regions else "softmax",
                "decision": "each region above 0.5, written in regions_class_order, the last one wins"
                if self._labels.has_regions
                else "largest",
                "transpose_backward": plans["transpose_backward"],
            },
            "labels": self._dataset["labels"],
            "regions_class_order": self._dataset.get("regions_class_order"),
            "file_ending": self._dataset.get("file_ending"),
        }

    def _normalization(self) -> list[dict[str, Any]]:
        properties = self._plans.foreground_intensity_properties_per_channel
        schemes = self._configuration.normalization_schemes
        masked = self._configuration.use_mask_for_norm
        return [
            {"scheme": scheme, "only_inside_mask": bool(mask), "intensities": properties.get(str(channel))}
            for channel, (scheme, mask) in enumerate(zip(schemes, masked, strict=True))
        ]


def _trainer_of(name: str, folder: Path) -> type[nnUNetTrainer]:
    try:
        trainer = find_trainer(name)
    except ValueError as error:
        raise ValueError(
            f"{folder} was trained by {name}, which is not found here, so its network cannot be built: export it where "
            "it was trained"
        ) from error
    tricks = trainer.trainer_name.switched if issubclass(trainer, TrickTrainer) else ()
    for trick in tricks:
        if any(hook.partition(".")[0] == "inference" for hook in trick.info.hooks):
            raise ValueError(f"{trick.info.name} changes the prediction around the network, which ONNX does not hold")
    return trainer


def _names_in(checkpoint: dict[str, Any]) -> tuple[str, str]:
    # What was exported before keeps the name of its first trainer.
    return checkpoint.get(TRAINED_BY, checkpoint["trainer_name"]), checkpoint["init_args"]["configuration"]


def _resampling(configuration: dict[str, Any], what: str) -> dict[str, Any]:
    return {
        "function": configuration[f"resampling_fn_{what}"],
        "arguments": configuration.get(f"resampling_fn_{what}_kwargs", {}),
    }


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Without the exporter's progress and its warnings on things that concern itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _reason(error: BaseException) -> str:
    """What the first of a chain of errors says, in one line: the exporter's own say how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:200]
