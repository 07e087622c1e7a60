"""Seconds to load weights from the store into an encoder, beside what torch needs to read them.

python -m benchmarks.weights [--rounds 10] [--threads 1] [--out benchmarks/results/weights.json]
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time

import timm
import torch

from benchmarks.measuring import paired, save
from nnunet_tricks.tricks.pretraining.weights import adapting, adding, matching
from nnunet_tricks.tricks.pretraining.weights.encoder import Encoder
from nnunet_tricks.tricks.pretraining.weights.store import Store

ARCHITECTURES = ("resnet50", "tf_efficientnet_lite0")
MOST = 0.5
"""Seconds that a ResNet-50 may take: sum, reading, matching, adapting to four channels, and copying."""


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ARCHITECTURES:
            results[architecture] = paired(
                _ways(architecture, Path(folder)), baseline="torch.load", rounds=arguments.rounds, clock=process_time
            )
            for name, figures in results[architecture].items():
                print(f"{architecture:24} {name:20} {figures['milliseconds']:8.1f} ms  {figures['ratio']:.2f}")
    seconds = results["resnet50"]["from the store"]["milliseconds"] / 1000
    print(f"ResNet-50 from the store: {seconds:.2f} s of CPU, {'within' if seconds <= MOST else 'ABOVE'} {MOST} s")
    if arguments.out:
        save(arguments.out, {"loading": results, "most_seconds": MOST})


def _ways(architecture: str, folder: Path) -> dict[str, Callable[[], object]]:
    """Ways to load one architecture, all of whose files have been read once."""
    file = folder / f"{architecture}.pth"
    torch.save(timm.create_model(architecture).state_dict(), file)
    store = Store(folder / "store")
    adding.add(store, file, name="mine", architecture=architecture)
    encoder = Encoder.of(timm.create_model(architecture, features_only=True, in_chans=4), architecture)

    def from_the_store() -> None:
        entry = store.require("mine", architecture)
        matched = matching.match(store.weights(entry), encoder)
        adapting.put(matched.weights, encoder)

    return {"torch.load": lambda: torch.load(file, weights_only=True), "from the store": from_the_store}


if __name__ == "__main__":
    main()
