"""What prediction, voting, components and tuning cost, as ratios in one run.

Views: networks of nnU-Net's own plans (a small 3D one for volumes like the hippocampus, a 2D one for colour pictures)
predict one image by sliding window. k views may take 1.02 k times one view and 1.1 of the memory of nnU-Net's own
mirroring. ``mirror`` is nnU-Net's mirroring and may take 1.0 of its time: that of the predictor alone (views), and that
of the whole command, which starts, reads, predicts and writes (commands). The others are limits of processor time,
memory and ratio against cc3d. Processor time, since other programs may run; the whole command by the wall clock, too.

python -m benchmarks.inference [--rounds 5] [--only components ...] [--out benchmarks/results/inference.json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

# Before NumPy and PyTorch start their threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("nnUNet_compile", "f")

import cc3d
import numpy as np
import SimpleITK
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.measuring import paired, save
from benchmarks.memory import peak_memory
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.conformance.steps import STEPS
from nnunet_tricks.tricks.inference.predictor import ViewPredictor
from nnunet_tricks.tricks.inference.tuning.tune import tune
from nnunet_tricks.tricks.inference.voting import majority
from nnunet_tricks.tricks.postprocessing.steps import keep_largest, remove_small

SHAPE = (300, 512, 512)
CASES, FOLDS, HIPPOCAMPUS = 200, 5, (35, 50, 35)
IMAGES = 4
SECONDS_OF_VOTING, VOLUMES_OF_VOTING, SECONDS_OF_TUNING = 2.0, 3.0, 60.0
"""Limits."""

VIEWS = {"2d": {4: "identity,flip0,flip1,turn1", 6: "mediseg"}, "3d": {4: "identity,flip0,flip1,turn2x0x1"}}


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the others stay as they are in --out")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {}
    if arguments.out and arguments.out.is_file():
        before = json.loads(arguments.out.read_text(encoding="utf-8"))
        result = {name: before[name] for name in PARTS if name in before}
    for name in arguments.only:
        result[name] = {"rounds": arguments.rounds, **PARTS[name](arguments.rounds)}
        print(f"{name}: {json.dumps(result[name], indent=1)}", flush=True)
        if arguments.out:
            save(arguments.out, {"clock": "process time", **result})


def views(rounds: int) -> dict[str, Any]:
    """Time and memory of sets of views, of a 3D and a 2D model."""
    result: dict[str, Any] = {}
    for kind, image in (("3d", torch.randn(1, 35, 50, 35)), ("2d", torch.randn(3, 1, 384, 384))):
        single_view = _predictor(kind, "none")
        stock = _predictor(kind, None)
        mirror = _predictor(kind, "mirror")
        several = {f"{count} views": _predictor(kind, tta) for count, tta in VIEWS[kind].items()}
        runs = {name: partial(_predict, model, image) for name, model in several.items()}
        times = paired(
            {"one view": partial(_predict, single_view, image), **runs},
            baseline="one view",
            rounds=rounds,
            clock=process_time,
        )
        for name, row in times.items():
            row["ratio_per_view"] = row["ratio"] / (int(name[0]) if name[0].isdigit() else 1)
        pair = {"nnU-Net": partial(_predict, stock, image), "mirror": partial(_predict, mirror, image)}
        mirrored = paired(pair, baseline="nnU-Net", rounds=rounds, clock=process_time)
        memory = {
            name: peak_memory(partial(_predict, model, image), cuda=False) / 2**20
            for name, model in {"nnU-Net": stock, "mirror": mirror, "one view": single_view, **several}.items()
        }
        difference = (_predict(stock, image) - _predict(mirror, image)).abs().max()
        result[kind] = {
            "times": times,
            "mirroring": mirrored,
            "largest difference of mirror": float(difference),
            "peak MiB": memory,
            "peak against nnU-Net": {name: most / memory["nnU-Net"] for name, most in memory.items()},
        }
    return result


def _predict(predictor: nnUNetPredictor, image: Tensor) -> Tensor:
    logits: Tensor = predictor.predict_sliding_window_return_logits(image)
    return logits


class _Plans:
    """What a predictor asks of nnU-Net's plans, labels and configuration."""

    def __init__(self, kind: str) -> None:
        self.patch_size = [40, 56, 40] if kind == "3d" else [256, 256]
        self.spacing = [1.0] * len(self.patch_size)
        self.num_segmentation_heads = 3
        self.has_regions = False


def _predictor(kind: str, tta: str | None) -> nnUNetPredictor:
    """nnU-Net's predictor with mirroring, or ours with a set of views; always the same weights."""
    settings: dict[str, Any] = {
        "device": torch.device("cpu"),
        "perform_everything_on_device": False,
        "allow_tqdm": False,
    }
    predictor = nnUNetPredictor(use_mirroring=True, **settings) if tta is None else ViewPredictor(tta=tta, **settings)
    plans: Any = _Plans(kind)
    predictor.network = _network(kind)
    predictor.configuration_manager = plans
    predictor.label_manager = plans
    predictor.allowed_mirroring_axes = tuple(range(len(plans.patch_size)))
    return predictor


def _network(kind: str) -> torch.nn.Module:
    """The stages of nnU-Net's plans of the hippocampus, or of small pictures, with half of their features."""
    torch.manual_seed(0)
    flat = kind == "2d"
    stages = 6 if flat else 4
    return PlainConvUNet(
        input_channels=3 if flat else 1,
        n_stages=stages,
        features_per_stage=[min(16 * 2**stage, 256) for stage in range(stages)],
        conv_op=torch.nn.Conv2d if flat else torch.nn.Conv3d,
        kernel_sizes=3,
        strides=[1] + [2] * (stages - 1),
        n_conv_per_stage=2,
        num_classes=3,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=torch.nn.InstanceNorm2d if flat else torch.nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=torch.nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
        deep_supervision=False,
    ).eval()


def volume(shift: int = 0, margin: int = 0) -> NDArray[np.uint8]:
    """An organ of 15 million voxels, and 300 spots of two classes at least so many voxels away from the border."""
    z, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    squares = ((z - 150) / 130) ** 2 + ((y - 256) / 170) ** 2
    labels = np.empty(SHAPE, np.uint8)
    for plane in range(SHAPE[0]):
        labels[plane] = squares[plane] + ((x[0] - 256 - shift) / 170) ** 2 < 1
    generator = np.random.default_rng(shift)
    for _ in range(300):
        first = [int(generator.integers(margin, side - 8 - margin)) for side in SHAPE]
        spot = tuple(slice(at, at + size) for at, size in zip(first, (3, 5, 5), strict=True))
        labels[spot] = generator.integers(1, 3)
    return labels


def voting(rounds: int) -> dict[str, Any]:
    """Processor time and memory of the vote of five volumes."""
    import tracemalloc

    votes = [volume(shift) for shift in range(5)]
    times = [_timed(lambda: majority(votes)) for _ in range(rounds)]
    tracemalloc.start()
    majority(votes)
    peak = tracemalloc.get_traced_memory()[1] / votes[0].nbytes
    tracemalloc.stop()
    return {
        "seconds": sorted(times)[rounds // 2],
        "seconds at most": SECONDS_OF_VOTING,
        "volumes of memory beyond the inputs": peak,
        "volumes at most": VOLUMES_OF_VOTING,
    }


def _timed(run: Callable[[], object]) -> float:
    began = process_time()
    run()
    return process_time() - began


def components(rounds: int) -> dict[str, Any]:
    """Ratio of the steps against one call of cc3d for each class, with spots near the organ and all over the image."""
    result: dict[str, Any] = {"ratio at most": 1.5}
    for name, margin in (("spots near the organ", 60), ("spots all over", 0)):
        labels = volume(margin=margin)

        def only_cc3d(labels: NDArray[np.uint8] = labels) -> None:
            for label in (1, 2):
                cc3d.connected_components(labels == label, connectivity=26)

        runs: dict[str, Callable[[], object]] = {
            "cc3d": only_cc3d,
            "keep_largest": partial(keep_largest, labels, [1, 2]),
            "remove_small": partial(remove_small, labels, [1, 2], voxels=100),
        }
        result[name] = paired(runs, baseline="cc3d", rounds=3 * rounds, clock=process_time)
    return result


def tuning(rounds: int) -> dict[str, Any]:
    """Processor time of tuning a model of small volumes with saved probabilities."""
    with tempfile.TemporaryDirectory() as place:
        model = cross_validation(Path(place))
        seconds = _timed(lambda: tune(model, progress=False))
    return {"cases": CASES, "seconds": seconds, "seconds at most": SECONDS_OF_TUNING}


def cross_validation(root: Path) -> Path:
    """A model folder as if five folds had been validated with probabilities, and nnU-Net's folders for it."""
    name = "Dataset004_Hippocampus"
    for part in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{part}"] = str(root / part)
    model = root / "results" / name / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    truth = root / "preprocessed" / name / "gt_segmentations"
    truth.mkdir(parents=True)
    labels = {"background": 0, "Anterior": 1, "Posterior": 2}
    description = {"channel_names": {"0": "MRI"}, "labels": labels, "numTraining": CASES, "file_ending": ".nii.gz"}
    generator = np.random.default_rng(0)
    splits = []
    z, y, x = np.ogrid[: HIPPOCAMPUS[0], : HIPPOCAMPUS[1], : HIPPOCAMPUS[2]]
    for fold in range(FOLDS):
        folder = model / f"fold_{fold}" / "validation"
        folder.mkdir(parents=True)
        cases = [f"hippocampus_{number:03d}" for number in range(fold, CASES, FOLDS)]
        splits.append({"train": [], "val": cases})
        for case in cases:
            middle = generator.normal((17, 25, 17), 2)
            inside = ((z - middle[0]) / 8) ** 2 + ((y - middle[1]) / 18) ** 2 + ((x - middle[2]) / 7) ** 2 < 1
            true = np.where(inside, np.where(y > middle[1], 2, 1), 0).astype(np.uint8)
            scores = np.stack([3.0 * (true == label) for label in range(3)]) + generator.normal(
                0, 0.8, (3, *true.shape)
            )
            probabilities = (np.exp(scores) / np.exp(scores).sum(0)).astype(np.float16)
            np.savez_compressed(folder / f"{case}.npz", probabilities=probabilities)
            for file, image in ((folder, probabilities.argmax(0)), (truth, true)):
                SimpleITK.WriteImage(SimpleITK.GetImageFromArray(image.astype(np.uint8)), str(file / f"{case}.nii.gz"))
    plans = {"plans_name": "nnUNetPlans", "dataset_name": name, "image_reader_writer": "SimpleITKIO"}
    for file, content in (
        (model / "dataset.json", description),
        (model / "plans.json", plans),
        (truth.parent / "dataset.json", description),
        (truth.parent / "splits_final.json", splits),
    ):
        file.write_text(json.dumps(content))
    return model


def commands(rounds: int) -> dict[str, Any]:
    """The whole command with nnU-Net's views beside ``nnUNetv2_predict``, on the same cases."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        dataset = small_model(place)
        words = ["-i", str(place / "images"), "-f", "0", "-device", "cpu", "-npp", "1", "-nps", "1"]
        words += ["-d", dataset, "-c", "3d_fullres", "--disable_progress_bar"]
        used: dict[str, list[float]] = {"nnUNetv2_predict": [], "nnunet-tricks predict": []}
        runs = {name: partial(_command, name.split(), words, place, times) for name, times in used.items()}
        wall = paired(runs, baseline="nnUNetv2_predict", rounds=rounds)
        stock, ours = used.values()
        # The first of each is the round that warms up, in which the baseline runs twice.
        processor = median(ours[1:]) / median(stock[2:])
        same = all(
            file.read_bytes() == (place / "nnunet-tricks" / file.name).read_bytes()
            for file in (place / "nnUNetv2_predict").glob("*.nii.gz")
        )
    return {"cases": IMAGES, "wall": wall, "processor time": {"ratio": processor}, "same files": same, "at most": 1.0}


def _command(command: list[str], words: list[str], place: Path, used: list[float]) -> None:
    out = place / command[0]
    shutil.rmtree(out, ignore_errors=True)
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = Path(sys.executable).with_name(command[0])
    folders = {f"nnUNet_{part}": str(place / part) for part in ("raw", "preprocessed", "results")}
    line = [str(program), *command[1:], *words, "-o", str(out)]
    subprocess.run(line, env=os.environ | folders, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    used.append(ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime)


def small_model(place: Path) -> str:
    """A stock trainer's model of small volumes, trained for an epoch, and images for it; the name of its data set."""
    with Bench() as bench, bench.room(nnUNetTrainer, Situation("labels", "3d", True)) as run:
        STEPS["epochs"](run)
        shutil.copytree(run.model_folder().parents[1], place / "results")
        (image,) = (run.data.raw / "imagesTs").iterdir()
        (place / "images").mkdir()
        for number in range(IMAGES):
            shutil.copy(image, place / "images" / f"case_{number:02d}_0000.nii.gz")
        return run.data.name


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "views": views,
    "commands": commands,
    "voting": voting,
    "components": components,
    "tuning": tuning,
}

if __name__ == "__main__":
    main()
