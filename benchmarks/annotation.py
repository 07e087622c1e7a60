"""Sparse annotation: choosing slices, masks between them, and training on few slices.

python -m benchmarks.annotation --data ../shared/data [--only interpolation selection ...] [--out FILE]

Parts that are not measured keep their figures in the file. Seconds are processor time on one thread.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.measuring import save
from nnunet_tricks.annotation import features, listing, policies, quality, scans, volumes
from nnunet_tricks.annotation.interpolation import interpolate, network_file
from nnunet_tricks.annotation.learning import Learning, learned_on
from nnunet_tricks.annotation.policies import chosen
from nnunet_tricks.annotation.row_store import RowStore

Section = dict[str, Any]

KIDNEY = {"kidney": (1, 2), "tumour": (2,)}
GOALS = {
    "kidney": {0.05: 0.574, 0.1: 0.713, 0.2: 0.900, 0.4: 0.952, 0.8: 0.988},
    "tumour": {0.05: 0.374, 0.1: 0.588, 0.2: 0.787, 0.4: 0.885, 0.8: 0.977},
}
"""IoU of another program on the same masks, by density. Ours may be 0.01 lower."""

LARGE = (261, 512, 512)


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sections: dict[str, Callable[[argparse.Namespace], Section]] = {
        "interpolation": interpolation,
        "selection": selection,
        "learned_hippocampus": learned_hippocampus,
        "learned_lits": learned_lits,
        "training": training,
    }
    parser.add_argument("--data", type=Path, required=True, help="folder with kits19_masks, train3d and lits")
    parser.add_argument("--only", nargs="+", choices=sections, default=[*sections])
    parser.add_argument(
        "--steps", type=int, default=network_file.STEPS, help="steps of the learned propagation's training"
    )
    parser.add_argument(
        "--networks", type=Path, help="folder that keeps its networks, so that training can go on later"
    )
    parser.add_argument("--dataset", help="full name of a dense, preprocessed data set, for training")
    parser.add_argument("--configuration", default="3d_fullres", help="configuration of that data set")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of training")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    earlier = json.loads(arguments.out.read_text()) if arguments.out and arguments.out.is_file() else {}
    results = {name: earlier[name] for name in sections if name in earlier}
    for name in arguments.only:
        print(f"\n{name}")
        results[name] = sections[name](arguments)
        if arguments.out:
            save(arguments.out, results)


def interpolation(arguments: argparse.Namespace) -> Section:
    """Interpolated masks at fixed intervals, from expert segmentations of six volumes."""
    rows: list[quality.QualityRow] = []
    for file in sorted((arguments.data / "kits19_masks").glob("*/segmentation.nii.gz")):
        scan = scans.VolumeFile(file)
        spacing = (scan.axial.spacing, *scan.axial.in_plane())
        rows += quality.measured(file.parent.name, scan.labels(), spacing, KIDNEY)
    for line in quality.printed(rows):
        print(line)
    section: Section = {"means": quality.summary(rows)}
    shortfall, gain = [], []
    for region, goals in GOALS.items():
        for density, goal in goals.items():
            copy, sdf = (_mean(rows, region, method, density) for method in ("copy", "sdf"))
            shortfall.append(goal - sdf)
            gain += [sdf - copy] if density >= 0.2 else []
    section["largest_shortfall_of_sdf"] = max(shortfall)
    section["smallest_gain_over_copy_from_density_0.2"] = min(gain)
    seconds = [row.seconds for row in rows if row.method == "sdf" and row.region == "kidney"]
    section["median_seconds"], section["largest_seconds"] = statistics.median(seconds), max(seconds)
    masks = scans.VolumeFile(arguments.data / "kits19_masks/case_00116/segmentation.nii.gz").labels()[
        86 : 86 + LARGE[0]
    ]
    start = process_time()
    interpolate(masks, chosen("fixed", len(masks), 0.2))
    section["seconds_of_261x512x512"] = process_time() - start
    print(f"sdf at most {max(shortfall):.4f} below the goals, at least {min(gain):.4f} above copies from 0.2 on")
    print(
        f"sdf {statistics.median(seconds):.2f} s in the median, {section['seconds_of_261x512x512']:.2f} s for {LARGE}"
    )
    return section


def _mean(rows: Sequence[quality.QualityRow], region: str, method: str, density: float) -> float:
    key = (region, method, density)
    return quality.mean(row for row in rows if (row.region, row.method, row.density) == key).iou


def selection(arguments: argparse.Namespace) -> Section:
    """Time to choose among 1,000 slices, and to compute features of volumes in memory."""
    rows = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    section: Section = {}
    for policy in policies.POLICIES:
        seconds = _best(lambda policy=policy: chosen(policy, 1000, 0.4, case="a", features=rows))  # type: ignore[misc]
        section[f"{policy}_milliseconds"] = 1000 * seconds
        print(f"{policy:7} 400 of 1,000 slices in {1000 * seconds:.2f} ms")
    volume = np.random.default_rng(0).integers(-1000, 1000, LARGE).astype(np.int16)
    section["pixels_seconds_per_volume"] = _best(lambda: features.thumbnails(volume), 2)
    with RowStore(64 * 64, np.float32) as rows_of_all:
        for seed in range(10):
            rows_of_all.add(np.random.default_rng(seed).random((LARGE[0], 64 * 64), np.float32))
        section["components_seconds_per_volume"] = _best(lambda: features.components_of(rows_of_all), 1) / 10
    print(
        f"pixels of {LARGE}: {section['pixels_seconds_per_volume']:.2f} s, principal components of ten such volumes "
        f"{section['components_seconds_per_volume']:.2f} s each"
    )
    return section


def _best(function: Callable[[], object], times: int = 5) -> float:
    seconds = []
    for _ in range(times):
        start = process_time()
        function()
        seconds.append(process_time() - start)
    return min(seconds)


def learned_hippocampus(arguments: argparse.Namespace) -> Section:
    """Learned propagation compared with ``sdf``, on slices without annotation in volumes that it was not trained on."""
    folder = arguments.data / "train3d" / "Task04_Hippocampus"
    images, labels = listing.in_folder(folder), listing.labels_in(folder)
    train = volumes.chosen([*images], 0.8)
    network = _network(arguments, "hippocampus.pt", [images[case] for case in train])
    rows: list[quality.QualityRow] = []
    for case in sorted({*images} - {*train}):
        truth = labels[case].labels()
        regions = {"hippocampus": (1, 2), "anterior": (1,), "posterior": (2,)}
        rows += _rows(case, truth, images[case], regions, network, (0.05, 0.1, 0.15, 0.2, 0.4))
    return {"trained_on": len(train), "steps": network.step, **_summary(rows)}


def learned_lits(arguments: argparse.Namespace) -> Section:
    """Learned propagation on the one CT with an expert's labels. Its image is trained on, which the method allows."""
    folder = arguments.data / "lits" / "Training Batch 1"
    images = [scans.VolumeFile(folder / f"volume-{number}.nii") for number in (0, 1)]
    network = _network(arguments, "lits.pt", images)
    truth = scans.VolumeFile(folder / "segmentation-0.nii").labels()
    rows = _rows("volume-0", truth, images[0], {"liver": (1, 2), "tumour": (2,)}, network, (0.06, 0.1, 0.15, 0.25))
    return {"trained_on": len(images), "steps": network.step, **_summary(rows)}


def _network(
    arguments: argparse.Namespace, name: str, images: Sequence[scans.VolumeFile]
) -> network_file.TrainedCorrespondence:
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.networks or Path(temporary)
        return learned_on(images, Learning(place / name, arguments.steps))


def _rows(
    case: str,
    truth: NDArray[np.integer],
    image: scans.VolumeFile,
    regions: quality.Regions,
    network: network_file.TrainedCorrespondence,
    densities: Sequence[float],
) -> list[quality.QualityRow]:
    spacing = (image.axial.spacing, *image.axial.in_plane())
    methods, pixels = ("copy", "sdf", "learned", "chain"), image.numbers()
    measured = quality.measured(
        case, truth, spacing, regions, densities=densities, methods=methods, volume=pixels, network=network
    )
    return list(measured)


def _summary(rows: Sequence[quality.QualityRow]) -> Section:
    for line in quality.printed(rows):
        print(line)
    means = quality.summary(rows)
    by_gap = {(mean["region"], mean["method"]): mean["by_gap"] for mean in means}
    gains = {
        region: {
            gap: mean["iou_unannotated"] - by_gap[region, "sdf"][gap]["iou_unannotated"]
            for gap, mean in by_gap[region, "learned"].items()
        }
        for region in dict.fromkeys(row.region for row in rows)
    }
    print(
        "learned above sdf, slices without annotation:",
        {region: {gap: f"{gain:+.3f}" for gap, gain in by_gap.items()} for region, by_gap in gains.items()},
    )
    return {"means": means, "gain_over_sdf_by_gap": gains}


def training(arguments: argparse.Namespace) -> Section:
    """The sparse trainer compared with nnU-Net's."""
    from benchmarks import annotation_training

    if not arguments.dataset:
        raise SystemExit("training needs --dataset, a dense data set that is preprocessed")
    rows = annotation_training.measured(arguments.dataset, arguments.configuration, arguments.rounds)
    print(*annotation_training.printed(rows), sep="\n")
    return {"dataset": arguments.dataset, "configuration": arguments.configuration, "rounds": arguments.rounds, **rows}


if __name__ == "__main__":
    main()
