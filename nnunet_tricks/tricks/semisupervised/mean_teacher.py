r"""Mean teacher: what nobody annotated is learned from the average of the network over its own steps.

Tarvainen and Valpola, "Mean teachers are better role models", NeurIPS 2017. Annotated voxels have the loss that the
training has anyway. Voxels with the ignore label have

$$w(t) \cdot \frac{1}{C |U|} \sum_{v \in U} \sum_c (p_{vc} - p'_{vc})^2$$

with the probabilities p of the network, those of its teacher p', and the un-annotated voxels U of the batch at full
size. After each step the teacher moves, $\theta' \leftarrow a \theta' + (1 - a) \theta$ with
$a = \min(1 - 1 / (t + 1), decay)$. The weight w rises as in ``consistency.ramp_up``.

The teacher sees the same patch with noise of its own, clipped at two standard deviations, and as at prediction. The
settings are those of Yu et al., "Uncertainty-aware self-ensembling model", MICCAI 2019, who took mean teachers to
volumes. nnU-Net normalises images, so the noise is in units of their standard deviation.

The teacher lies in the checkpoint, and its noise depends on the number of the step alone. So a training that is
continued goes on as it would have. The network itself predicts; with ``teacher`` its average does, in validation and
in everything that reads the checkpoint. Without an ignore label nothing changes, and the log says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from nnunet_tricks.nnunet import checkpoint
from nnunet_tricks.training.planned import Planned
from nnunet_tricks.training.trainer import TrickTrainer
from nnunet_tricks.tricks.pretraining.weights.encoder import unwrapped
from nnunet_tricks.tricks.semisupervised.consistency import WithConsistency, decay_at, ramp_up
from nnunet_tricks.utilities.files import replacing

STATE = "mean_teacher"
"""Key of a checkpoint for the one of the two networks that ``network_weights`` is not, and for the number of steps."""
CLIPPED = 2.0
"""Largest noise, in standard deviations."""


def averaged(network: nn.Module, limit: float) -> AveragedModel:
    """A copy of a network for its exponential average; the first update copies the network once more.

    Args:
        network: The network itself.
        limit: Largest decay.
    """

    def move(averages: Any, values: Any, steps: Any) -> None:
        share = 1 - decay_at(int(steps), limit)
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, share)
            else:
                average.copy_(value)  # numbers of batches in norm layers

    teacher = AveragedModel(network, multi_avg_fn=move, use_buffers=True)
    teacher.requires_grad_(False)
    teacher.eval()
    decoder: Any = getattr(teacher.module, "decoder", None)
    if decoder is not None and hasattr(decoder, "deep_supervision"):
        decoder.deep_supervision = False  # the cost is that of the output at full size
    return teacher


class nnUNetTrainerMeanTeacher(TrickTrainer):
    """nnU-Net that learns from its own average where nobody annotated.

    Attributes:
        teacher: Average of the network; ``None`` before the first step.
    """

    loss: Any
    teacher: AveragedModel | None = None
    _forward: Any = None
    _student: dict[str, Tensor] | None = None
    """Weights to continue from, while the network holds those that predict."""

    @classmethod
    def check_planned(cls, planned: Planned) -> None:
        """Refuse a trick that blends two patches: of their voxels it is not clear which are annotated."""
        super().check_planned(planned)
        if any(trick.info.name == "MixUp" for trick in cls.trainer_name.switched):
            raise ValueError(
                "MixUp blends patches of two cases, which are annotated in different places: take it or MeanTeacher "
                "out of the name"
            )

    @property
    def _consistent(self) -> bool:
        """Whether there is anything to be consistent about."""
        return bool(self.parameters["MeanTeacher"].weight) and bool(self.label_manager.has_ignore_label)

    @property
    def _predicts_teacher(self) -> bool:
        return bool(self.parameters["MeanTeacher"].teacher)

    def on_train_start(self) -> None:
        """Start, or go on with the network that learns where the average predicts."""
        if self._student is not None:
            unwrapped(self.network).load_state_dict(self._student)
            self._student = None
        super().on_train_start()

    @property
    def _weight(self) -> float:
        """Weight of the consistency cost in this epoch."""
        settings = self.parameters["MeanTeacher"]
        return float(settings.weight * ramp_up(self.current_epoch / self.num_epochs, settings.rampup))

    def initialize(self) -> None:
        """Build everything; the teacher is made later."""
        super().initialize()
        self._costs: list[Tensor] = []

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        """nnU-Net's step with the consistency cost, after which the teacher moves."""
        if not (self._consistent or self._predicts_teacher):
            return super().train_step(batch)
        teacher = self._teacher()
        if not self._consistent:
            result = super().train_step(batch)
        else:
            data = batch["data"].to(self.device, non_blocking=True)
            with torch.no_grad(), self._precision():
                seen = self._forward(self._with_noise(data, int(teacher.n_averaged)))
            plain = self.loss
            self.loss = joined = WithConsistency(
                plain,
                seen[0] if isinstance(seen, (list, tuple)) else seen,
                self._weight,
                regions=bool(self.label_manager.has_regions),
                ignore_label=self.label_manager.ignore_label,
            )
            try:
                result = super().train_step({**batch, "data": data})
            finally:
                self.loss = plain
            if joined.cost is not None:
                self._costs.append(joined.cost)
        teacher.update_parameters(unwrapped(self.network))
        return result

    def on_train_epoch_end(self, train_outputs: list[dict[str, Any]]) -> None:
        """Write the consistency cost of the epoch into the log."""
        super().on_train_epoch_end(train_outputs)
        if self._costs:
            cost = float(torch.stack(self._costs).mean())
            self._log_plainly(f"consistency with the teacher: {cost:.4g}, weight {self._weight:.4g}")
            self._costs.clear()

    def on_train_end(self) -> None:
        """Write the final checkpoint; then the average validates where it is to predict."""
        super().on_train_end()
        if self._predicts_teacher and self.teacher is not None:
            unwrapped(self.network).load_state_dict(self.teacher.module.state_dict())
            self._log_plainly("MeanTeacher: the teacher validates and predicts")

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint with both networks; ``network_weights`` is the one that predicts."""
        super().save_checkpoint(filename)
        if self.teacher is None or self.local_rank or self.disable_checkpointing:
            return
        content = checkpoint.read(Path(filename), trust=True)  # just written here
        other = {name: tensor.cpu() for name, tensor in self.teacher.module.state_dict().items()}
        if self._predicts_teacher:
            content["network_weights"], other = other, content["network_weights"]
        content[STATE] = {"steps": int(self.teacher.n_averaged), "weights": other}
        with replacing(Path(filename)) as temporary:
            torch.save(content, temporary)

    def load_checkpoint(self, filename_or_checkpoint: dict[str, object] | str) -> None:
        """Load a checkpoint with both networks. The one that predicts is loaded first, as ``--val`` needs it."""
        super().load_checkpoint(filename_or_checkpoint)
        content = filename_or_checkpoint
        if isinstance(content, str):
            content = checkpoint.read(Path(content), trust=True)  # nnU-Net has just opened it so
        state: Any = content.get(STATE)
        if state is None:
            self._log_plainly("WARNING: MeanTeacher: the checkpoint has no teacher: it begins as the network now is")
            return
        teacher = self._teacher()
        teacher.n_averaged.fill_(state["steps"])
        if self._predicts_teacher:
            self._student = state["weights"]
        else:
            teacher.module.load_state_dict(state["weights"])

    def _teacher(self) -> AveragedModel:
        """The teacher, made of the network as it is when it is first needed: pretrained weights are in it by then."""
        if self.teacher is None:
            self.teacher = averaged(unwrapped(self.network), self.parameters["MeanTeacher"].decay)
            module = self.teacher.module
            self._forward = torch.compile(module) if self._do_i_compile() else module
        return self.teacher

    def _precision(self) -> AbstractContextManager[Any]:
        """As nnU-Net's training step."""
        return torch.autocast(self.device.type) if self.device.type == "cuda" else nullcontext()

    def _with_noise(self, data: Tensor, step: int) -> Tensor:
        """Images with noise; the prediction of a cascade's first stage stays as it is."""
        size = self.parameters["MeanTeacher"].sigma
        if not size:
            return data
        words = (self.trainer_name.run, self.local_rank if self.is_ddp else 0, step)
        generator = torch.Generator(self.device).manual_seed(int(np.random.SeedSequence(words).generate_state(1)[0]))
        names = self.dataset_json.get("modality") or self.dataset_json["channel_names"]
        noisy = data.clone()
        images = noisy[:, : len(names)]
        noise = torch.randn(images.shape, generator=generator, device=self.device, dtype=data.dtype)
        images += noise.clamp_(-CLIPPED, CLIPPED).mul_(size)
        return noisy

    def _notes(self) -> Iterator[str]:
        yield from super()._notes()
        settings = self.parameters["MeanTeacher"]
        kept = "" if not settings.teacher else ", but for the average that predicts"
        if not settings.weight:
            yield f"MeanTeacher changes nothing{kept}: weight is 0"
        elif not self.label_manager.has_ignore_label:
            yield f"MeanTeacher changes nothing{kept}: the data set has no ignore label, so all voxels are annotated"
        elif not self._unknown_voxels():
            yield f"MeanTeacher changes nothing{kept}: no voxel of any training case has the ignore label"

    def _unknown_voxels(self) -> int:
        """Voxels with the ignore label in the training cases; 1 where a trick blanks or pads while it reads."""
        if "SparseSlices" in self.parameters:
            return 1
        return int(self.training_voxels().get(self.label_manager.ignore_label, 0))
