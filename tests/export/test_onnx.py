"""Networks as ONNX: onnxruntime computes what nnU-Net's predictor does, and what cannot be written is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from torch import Tensor, nn

from nnunet_tricks.cli import main
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door.external import is_read
from nnunet_tricks.door.lookup import findable
from nnunet_tricks.door.trainers import find
from nnunet_tricks.export import onnx_model
from nnunet_tricks.export.onnx_model import Agreement, check_packages, export_onnx
from nnunet_tricks.nnunet.model_folder import FINAL, load
from tests.export.conftest import TRAINER

NETWORK = "nnUNetTrainerGroupNorm"
"""A network that stock nnU-Net does not have."""

OWN = """
import torch
from torch import nn
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class Asking(nn.Conv3d):
    def forward(self, image):
        return super().forward(image) if image.sum().item() > 0 else super().forward(-image)


class Guessing(nn.Conv3d):
    def forward(self, image):
        return super().forward(image) + torch.rand_like(image[:, :1])


class nnUNetTrainerAsking(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, inputs, outputs, enable_deep_supervision=True):
        return Asking(inputs, outputs, 1)


class nnUNetTrainerGuessing(nnUNetTrainer):
    @staticmethod
    def build_network_architecture(plans_manager, configuration_manager, inputs, outputs, enable_deep_supervision=True):
        return Guessing(inputs, outputs, 1)
"""


class InOnnxruntime(nn.Module):
    """A network that onnxruntime computes."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def forward(self, image: Tensor) -> Tensor:
        (logits,) = self.session.run(["logits"], {"image": image.numpy()})
        return torch.from_numpy(logits)


def predictor(model: Path, trainer: str) -> nnUNetPredictor:
    made = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    found = find(trainer)
    assert found is not None
    with findable(found):
        made.initialize_from_trained_model_folder(str(model), (0,), FINAL)
    return made


@pytest.fixture(scope="session")
def pictures(train: Callable[[str, Situation], Path]) -> Path:
    """A model of 2D images whose network stock nnU-Net does not have."""
    return train(NETWORK, Situation("labels", "2d", True))


@pytest.fixture(scope="session")
def written(volumes: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """The models and what was made of them."""
    made = {}
    for name, folder, opset in (("3D", volumes, 18), ("2D", pictures, 20)):
        out = tmp_path_factory.mktemp("onnx") / "made" / "out"
        export_onnx(folder, out, opset=opset)
        made[name] = folder, out
    return made


@pytest.mark.parametrize(("dimension", "trainer", "opset"), [("3D", TRAINER, 18), ("2D", NETWORK, 20)])
def test_nnunets_prediction_is_the_same_with_onnxruntime(
    dimension: str, trainer: str, opset: int, written: dict[str, tuple[Path, Path]]
) -> None:
    folder, out = written[dimension]
    assert sorted(path.name for path in out.iterdir()) == ["fold_0.onnx", "model.json"]
    file, description = out / "fold_0.onnx", json.loads((out / "model.json").read_text())
    graph = onnx.load(file)
    onnx.checker.check_model(graph, full_check=True)
    assert [used.version for used in graph.opset_import if not used.domain] == [opset]

    stock = predictor(folder, trainer)
    own = InOnnxruntime(file)
    shape = description["onnx"]["input"]["shape"][1:]
    stock.network.eval()
    for count in (1, 2, 5):
        image = torch.randn(count, *shape, generator=torch.Generator().manual_seed(count))
        with torch.no_grad():
            expected = stock.network(image)
        got = own(image)
        assert (got - expected).abs().max() < 1e-4
        assert (got.argmax(1) == expected.argmax(1)).float().mean() > 0.9999

    # Windows, Gaussian and mirroring around it, as model.json tells them.
    size = [2 * length for length in shape[1:]]
    volume = torch.randn(
        shape[0], *(size if len(size) == 3 else [2, *size]), generator=torch.Generator().manual_seed(9)
    )
    expected = stock.predict_sliding_window_return_logits(volume)
    told = description["prediction"]
    mine = nnUNetPredictor(tile_step_size=told["step"], device=torch.device("cpu"), allow_tqdm=False)
    mine.manual_initialization(
        own,
        stock.plans_manager,
        stock.configuration_manager,
        None,
        stock.dataset_json,
        trainer,
        tuple(told["mirror_axes"]),
    )
    assert (mine.predict_sliding_window_return_logits(volume) - expected).abs().max() < 1e-3


def test_the_description_says_what_the_plans_say(written: dict[str, tuple[Path, Path]]) -> None:
    volumes, out = written["3D"]
    told = json.loads((out / "model.json").read_text())
    plans = json.loads((volumes / "plans.json").read_text())
    dataset = json.loads((volumes / "dataset.json").read_text())
    configuration = plans["configurations"]["3d_fullres"]
    content = (out / "fold_0.onnx").read_bytes()
    assert told["onnx"]["opset"] == 18
    assert [file["sha256"] for file in told["files"]] == [sha256(content).hexdigest()]
    assert told["prediction"]["patch_size"] == configuration["patch_size"]
    assert told["prediction"]["activation"] == "sigmoid"
    assert told["prediction"]["mirror_axes"] == list(
        load(volumes / "fold_0" / FINAL)["inference_allowed_mirroring_axes"]
    )
    assert told["preprocessing"]["spacing"] == configuration["spacing"]
    assert [part["scheme"] for part in told["preprocessing"]["normalization"]] == configuration["normalization_schemes"]
    assert told["labels"] == dataset["labels"]
    assert told["regions_class_order"] == dataset["regions_class_order"]
    assert told["trained_by"]["trainer"] == TRAINER


def test_a_dry_run_checks_and_writes_nothing(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(pictures), str(tmp_path / "out"), "--onnx", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "ONNX with opset 20, input batchx" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not is_read(), reason="nnU-Net reads nnUNet_extTrainer since 2.8")
@pytest.mark.parametrize(
    ("trainer", "reason"),
    [
        ("nnUNetTrainerAsking", "ONNX cannot express the network of nnUNetTrainerAsking, or torch cannot say it"),
        ("nnUNetTrainerGuessing", "as ONNX differs from torch by up to .* so it is not written"),
    ],
)
def test_what_onnx_cannot_express_is_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainer: str, reason: str
) -> None:
    file = tmp_path / "own" / "my_networks.py"
    file.parent.mkdir()
    file.write_text(OWN)
    monkeypatch.setenv("nnUNet_extTrainer", str(file.parent))
    checkpoint = load(model / "fold_0" / FINAL)
    inputs, outputs = 1, checkpoint["network_weights"]["decoder.seg_layers.0.weight"].shape[0]
    weights = nn.Conv3d(inputs, outputs, 1).state_dict()
    torch.save(checkpoint | {"trainer_name": trainer, "network_weights": weights}, model / "fold_0" / FINAL)
    with pytest.raises(ValueError, match=reason) as refused:
        export_onnx(model, tmp_path / "out")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_packages_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "PACKAGES", ("onnx", "no_such_package"))
    with pytest.raises(
        ValueError, match=r"needs no_such_package, not installed here: pip install 'nnunet_tricks\[onnx"
    ):
        check_packages()


def test_what_is_there_is_not_touched(volumes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["export", str(volumes), str(tmp_path), "--onnx"]) == 2
    assert "is not empty: choose another folder" in capsys.readouterr().err
    assert main(["export", str(volumes), str(tmp_path / "out"), "--opset", "18"]) == 2
    assert "--opset has no effect without --onnx" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--opset must be one of 18, 19, 20, 21, got 9"):
        export_onnx(volumes, tmp_path / "out", opset=9)


@pytest.mark.parametrize(
    ("agreement", "good"),
    [
        (Agreement(9e-5, 0.5, 1.0), True),
        (Agreement(2e-4, 0.5, 1.0), False),
        (Agreement(2e-4, 10.0, 1.0), True),
        (Agreement(0.0, 1.0, 0.9998), False),
        (Agreement(np.inf, np.inf, 1.0), False),
        (Agreement(np.nan, 1.0, 1.0), False),
    ],
)
def test_what_counts_as_the_same(agreement: Agreement, good: bool) -> None:
    assert agreement.is_good == good
