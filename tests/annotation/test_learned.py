"""Learned propagation: it is ``sdf`` where nothing moves, follows what moves, and can be interrupted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nnunet_tricks.annotation.interpolation import interpolate, network_file
from nnunet_tricks.annotation.interpolation.correspondence import Correspondence, contrasts, moved
from nnunet_tricks.annotation.interpolation.network_file import TrainedCorrespondence, trained
from nnunet_tricks.annotation.quality import overlap
from nnunet_tricks.cli import main
from tests.annotation.world import array, build

SHAPE = (17, 40, 36)


def tube(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bright disk in noise that swings from slice to slice, which no blend of its ends can show."""
    generator = np.random.default_rng(seed)
    rows, columns = np.ogrid[: SHAPE[1], : SHAPE[2]]
    labels = np.zeros(SHAPE, np.uint8)
    phase = generator.uniform(0, 2 * np.pi)
    for index in range(SHAPE[0]):
        middle = (20 + 7 * np.sin(2 * np.pi * index / 16 + phase), 18 + 5 * np.cos(2 * np.pi * index / 16 + phase))
        labels[index] = (rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= 36
    texture = np.sin(rows / 2.0) * np.cos(columns / 3.0)
    image = 100 * labels + 20 * texture + generator.normal(0, 3, SHAPE)
    return image.astype(np.float32), labels


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> TrainedCorrespondence:
    images = [tube(seed)[0] for seed in range(4)]
    file = tmp_path_factory.mktemp("network") / "tubes.pt"
    return trained(file, lambda: images, [SHAPE] * 4, steps=15, on=torch.device("cpu"))


def staying(file: Path) -> TrainedCorrespondence:
    """A network that is sure that nothing moves."""
    network = Correspondence()
    with torch.no_grad():
        network.bias[:] = -1e4
        network.bias[len(network.bias) // 2] = 0
    return TrainedCorrespondence(network.eval(), 1, 0, file)


def test_where_nothing_moves_it_is_sdf(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    image, labels = tube(0)
    labels = labels + (generator.random(SHAPE) < 0.02).astype(np.uint8) * labels
    between = slice(2, 15)
    for known in ([2, 14], [2, 7, 14]):
        ours = interpolate(labels, known, method="learned", volume=image, network=staying(tmp_path))
        np.testing.assert_array_equal(ours[between], interpolate(labels, known)[between])
        np.testing.assert_array_equal(ours[known], labels[known])


def test_it_follows_what_moves(network: TrainedCorrespondence) -> None:
    image, labels = tube(9)
    known = [0, 8, 16]
    scores = [
        overlap(interpolate(labels, known, method=method, volume=image, network=network) > 0, labels > 0)
        for method in ("sdf", "learned")
    ]
    assert scores[1] > scores[0] + 0.1
    chain = interpolate(labels, known, method="chain", volume=image, network=network)
    assert overlap(chain > 0, labels > 0) > overlap(interpolate(labels, known, method="copy") > 0, labels > 0)


def test_masks_that_nothing_moves_are_handed_on_as_copies(tmp_path: Path) -> None:
    image, labels = tube(0)
    labels = 3 * labels
    chain = interpolate(labels, [3, 12], method="chain", volume=image, network=staying(tmp_path))
    np.testing.assert_array_equal(chain, interpolate(labels, [3, 12], method="copy"))


def test_shares_are_shares_of_pixels_inside() -> None:
    network = Correspondence(radius=2)
    features = network(torch.rand(2, 1, 9, 7))
    shares = network.shares(features[:1], features[1:])
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 9, 7))
    torch.testing.assert_close(moved(torch.ones(1, 3, 9, 7), shares, 2), torch.ones(1, 3, 9, 7))
    image = torch.rand(1, 1, 9, 7)
    torch.testing.assert_close(contrasts(3 * image + 5)[0, :, 4, 3].sign(), contrasts(image)[0, :, 4, 3].sign())


def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [tube(seed)[0][:, 12:28, 12:28] for seed in range(2)]
    shapes = [image.shape for image in images]
    monkeypatch.setattr(network_file, "_SAVED_EVERY", 2)
    once = trained(tmp_path / "once.pt", lambda: images, shapes, steps=5, on=torch.device("cpu"))

    class Killed(Exception):
        pass

    pairs = network_file._pairs
    calls = []

    def killed(*arguments: object) -> object:
        calls.append(1)
        if len(calls) == 4:
            raise Killed
        return pairs(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(network_file, "_pairs", killed)
    with pytest.raises(Killed):
        trained(tmp_path / "twice.pt", lambda: images, shapes, steps=5, on=torch.device("cpu"))
    twice = trained(tmp_path / "twice.pt", lambda: images, shapes, steps=5, on=torch.device("cpu"))
    assert len(calls) == 4 + 3
    for name, weights in once.network.state_dict().items():
        torch.testing.assert_close(weights, twice.network.state_dict()[name], rtol=0, atol=0)
    again = trained(tmp_path / "twice.pt", list, shapes, steps=5, on=torch.device("cpu"))
    assert again.step == 5
    with pytest.raises(ValueError, match="network of other images or another seed"):
        trained(tmp_path / "twice.pt", lambda: images, shapes[:1], steps=5)


def test_large_slices_are_shrunk_for_the_network_and_labels_are_not(tmp_path: Path) -> None:
    network = staying(tmp_path)
    network.factor = 3
    labels = np.zeros((5, 41, 50), np.uint8)
    labels[0, 5:22, 7:30] = labels[4, 11:40, 20:31] = 2
    image = np.random.default_rng(0).random(labels.shape)
    ours = interpolate(labels, [0, 4], method="learned", volume=image, network=network)
    np.testing.assert_array_equal(ours, interpolate(labels, [0, 4]))


def test_what_it_needs_must_be_there(network: TrainedCorrespondence) -> None:
    image, labels = tube(0)
    with pytest.raises(ValueError, match="needs volume and network"):
        interpolate(labels, [0], method="learned", volume=image)
    with pytest.raises(ValueError, match="volume must have the shape of labels"):
        interpolate(labels, [0], method="learned", volume=image[1:], network=network)
    with pytest.raises(ValueError, match="device 'warp' cannot be used"):
        network_file.device("warp")
    broken = network.file.with_name("broken.pt")
    broken.write_bytes(b"no network")
    with pytest.raises(ValueError, match="is not a network of slice correspondence"):
        trained(broken, lambda: [image], [SHAPE], steps=1)
    with pytest.raises(ValueError, match="no volume has two slices"):
        trained(network.file.with_name("other.pt"), lambda: [image[:1]], [(1, 40, 36)], steps=1)


def test_data_sets_are_filled_and_measured_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = build(tmp_path, monkeypatch)
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 0
    words = ["--method", "learned", "--steps", "2", "--device", "cpu"]
    assert main(["annotate", "interpolate", "601", "--to", "602", *words]) == 0
    made = raw.parent / "Dataset602_Toy_fixed0p2_learned"
    manifest = json.loads((made / "sparse_manifest.json").read_text())
    assert manifest["interpolation"]["steps"] == 2
    filled = array(made / "labelsTr" / "case0.nii.gz")
    assert set(np.unique(filled)) == {0, 1, 2}
    capsys.readouterr()
    network = ["--network", str(tmp_path / "n.pt")]
    assert main(["annotate", "quality", str(raw), "--density", "0.2", *words, *network, "--json"]) == 0
    assert {entry["method"] for entry in json.loads(capsys.readouterr().out)} == {"learned"}
    assert main(["annotate", "quality", str(raw), *words]) == 2
    assert "need --network FILE" in capsys.readouterr().err


@pytest.mark.parametrize("steps", ["0", "-1"])
def test_no_step_and_no_network_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], steps: str
) -> None:
    build(tmp_path, monkeypatch)
    assert main(["annotate", "sparsify", "501", "--to", "601", "--density", "0.2"]) == 0
    words = ["annotate", "interpolate", "601", "--to", "602", "--method", "learned", "--steps", steps]
    assert main([*words, "--device", "cpu"]) == 2
    assert f"steps must be at least 1, got {steps}: there is no network in" in capsys.readouterr().err
    assert not list((tmp_path / "raw").glob("*602*"))
