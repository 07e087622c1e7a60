"""Conversion compared with the obvious way (SimpleITK for volumes, Pillow for pictures), and memory for a full CoNIC.

The sources are made from the samples, at the size of the originals. All checks and hashes are included on our side.

    python -m benchmarks.conversion [--only volumes pictures workers conic] [--rounds 5]
                                    [--out benchmarks/results/conversion.json]
"""

# mypy: untyped-calls-exclude="nibabel,SimpleITK"
from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK
from PIL import Image

from benchmarks.measuring import paired, save
from dataset_conversion.engine import convert_case
from dataset_conversion.model import ConversionSettings, PlannedCase
from dataset_conversion.registry import load
from dataset_conversion.staging import Workplace
from dataset_conversion.volume import check_image, read_volume

DATA = Path(os.environ.get("NNUNET_TRICKS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
CONIC_PATCHES = 4981

Results = dict[str, Any]
Clock = Callable[[], float]


def volumes(scratch: Path, rounds: int, clock: Clock) -> Results:
    """KiTS19 and LiTS: whole cases whose image needs no change, and the checks by themselves."""
    results: Results = {}
    for name, ending, dtype in (("lits", ".nii", np.int16), ("kits19", ".nii.gz", np.float32)):
        image, label = _large_ct(scratch / name, ending, dtype)
        case = PlannedCase(id="case", image=image, label=label)
        settings = ConversionSettings(task=load(name).tasks[0], split="folds", file_ending=ending)
        work = Workplace(root=scratch / name / "ours", settings=settings, sources=(scratch / name,))
        work.root.mkdir()
        convert = _converter(name, case, work)
        theirs = scratch / name / "theirs"
        theirs.mkdir()
        functions = {"ours": convert, "SimpleITK": _simple_itk(image, label, theirs)}
        timed = paired(functions, baseline="SimpleITK", rounds=rounds, clock=clock)
        record = convert_case(name, case, work)
        linked = (work.root / f"imagesTr/case_0000{ending}").samefile(image)
        results[f"whole case, {ending} {np.dtype(dtype).name}"] = {
            **timed,
            "faster": 1 / timed["ours"]["ratio"],
            "image bytes written": 0 if linked else record.outputs[f"imagesTr/case_0000{ending}"],
            "megabytes per second": image.stat().st_size / 1e3 / timed["ours"]["milliseconds"],
        }
        checks = {"checks": _checks(image), "SimpleITK read": _reading(image)}
        results[f"checks of an image, {ending}"] = paired(
            checks, baseline="SimpleITK read", rounds=2 * rounds, clock=clock
        )
    return results


def pictures(scratch: Path, rounds: int, clock: Clock) -> Results:
    """ISIC 2018: JPEG to PNG, TIFF and BMP in one process, including hash, mask and fingerprint."""
    cases = _large_pictures(scratch / "isic2018", count=3)
    results: Results = {}
    for ending in (".png", ".tif", ".bmp"):
        settings = ConversionSettings(task=load("isic2018").tasks[0], split="folds", file_ending=ending)
        work = Workplace(root=scratch / f"ours{ending}", settings=settings, sources=(scratch / "isic2018",))
        work.root.mkdir()
        theirs = scratch / f"theirs{ending}"
        theirs.mkdir()
        converters = [_converter("isic2018", case, work) for case in cases]
        baseline = [partial(_pillow, case.image, theirs) for case in cases]
        functions = {"ours": partial(_all, converters), "Pillow": partial(_all, baseline)}
        timed = paired(functions, baseline="Pillow", rounds=rounds, clock=clock)
        ours = sum(path.stat().st_size for path in work.root.glob("imagesTr/*"))
        results[f"JPEG to {ending}"] = {
            **timed,
            "faster": 1 / timed["ours"]["ratio"],
            "size": ours / sum(path.stat().st_size for path in theirs.glob("*.png")),
            "megabytes per second": sum(case.image.stat().st_size for case in cases)
            / 1e3
            / timed["ours"]["milliseconds"],
        }
    return results


def workers(scratch: Path, rounds: int, clock: Clock) -> Results:
    """ISIC 2018 with two processes compared with one process, including the start of the processes."""
    source = scratch / "isic2018 many"
    # There are many names, so that the start of the processes matters as little as it does for 2,594 pictures.
    for case in _large_pictures(source, count=6):
        for copy in range(1, 30):
            name = f"ISIC_{int(case.id[5:]) + 100 * copy:07d}"
            for path in (case.image, case.label or case.image):
                os.link(path, path.with_name(name + path.suffix))

    def run(count: int) -> Callable[[], object]:
        def convert() -> None:
            with tempfile.TemporaryDirectory(dir=scratch) as raw:
                words = [str(source), "--raw", raw, "--workers", str(count), "--json"]
                subprocess.run(
                    [sys.executable, "-m", "dataset_conversion.isic2018", *words], check=True, capture_output=True
                )

        return convert

    timed = paired({"two": run(2), "one": run(1)}, baseline="one", rounds=max(rounds // 2, 2))
    return {"two processes": {**timed, "faster": 1 / timed["two"]["ratio"]}}


def conic(scratch: Path, rounds: int, clock: Clock) -> Results:
    """A CoNIC of full size: peak private memory of all processes together."""
    source = scratch / "conic"
    source.mkdir()
    images, labels = np.load(DATA / "conic/images.npy"), np.load(DATA / "conic/labels.npy")
    patches = (DATA / "conic/patch_info.csv").read_text().split()[1:]
    for name, sample in (("images", images), ("labels", labels)):
        whole = np.lib.format.open_memmap(
            source / f"{name}.npy", mode="w+", dtype=sample.dtype, shape=(CONIC_PATCHES, *sample.shape[1:])
        )
        for number in range(CONIC_PATCHES):
            whole[number] = sample[number % len(sample)]
        whole.flush()
    names = [f"copy{number // len(patches)}_{patches[number % len(patches)]}" for number in range(CONIC_PATCHES)]
    (source / "patch_info.csv").write_text("\n".join(["patch_info", *names]) + "\n")
    results: Results = {}
    for count in (1, 2):
        raw = scratch / f"raw{count}"
        words = [str(source), "--raw", str(raw), "--workers", str(count), "--json"]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "dataset_conversion.conic", *words], stdout=subprocess.DEVNULL
        )
        peaks: dict[str, float] = {"largest process": 0.0, "all processes": 0.0}
        while process.poll() is None:
            private = _private_megabytes(process.pid)
            peaks["largest process"] = max(peaks["largest process"], max(private, default=0.0))
            peaks["all processes"] = max(peaks["all processes"], sum(private))
            time.sleep(0.02)
        if process.returncode:
            raise RuntimeError(f"the conversion of CoNIC ended with {process.returncode}")
        results[f"CoNIC, {CONIC_PATCHES} patches, {count} workers"] = {
            "RssAnon peak in MB": peaks,
            "seconds": time.perf_counter() - start,
        }
        shutil.rmtree(raw)
    return results


def _all(steps: Sequence[Callable[[], object]]) -> None:
    for step in steps:
        step()


def _converter(name: str, case: PlannedCase, work: Workplace) -> Callable[[], object]:
    def convert() -> None:
        # Replacing a file makes some file systems write it to disk at once, and a conversion never replaces one.
        _remove(work.root.glob(f"*/{case.id}*"))
        record = convert_case(name, case, work)
        if record.status != "converted":
            raise RuntimeError(record.reason)

    return convert


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _large_ct(folder: Path, ending: str, dtype: type[np.generic]) -> tuple[Path, Path]:
    """A CT of 512 x 512 x 66 voxels with its label, tiled from a real one. Noise keeps it from compressing too well."""
    folder.mkdir()
    paths = folder / f"image{ending}", folder / f"label{ending}"
    random = np.random.default_rng(0)
    for path, name in zip(paths, ("volume-0", "segmentation-0"), strict=True):
        small = np.asanyarray(nibabel.nifti1.load(DATA / f"lits/Training Batch 1/{name}.nii").dataobj)
        large = np.tile(small, (2, 2, 2))
        if name == "volume-0":
            large = (large + random.integers(-3, 4, large.shape)).astype(dtype)
        nibabel.loadsave.save(nibabel.nifti1.Nifti1Image(large, np.diag([-0.8, -0.8, 1.5, 1.0])), path)
    return paths


def _simple_itk(image: Path, label: Path, folder: Path) -> Callable[[], object]:
    def convert() -> None:
        _remove(folder.iterdir())
        for path in (image, label):
            name = path.name.partition(".")[0]
            SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(folder / f"{name}.nii.gz"), True)

    return convert


def _checks(image: Path) -> Callable[[], object]:
    def check() -> str:
        volume = read_volume(image)
        check_image(volume)
        return volume.source.sha256

    return check


def _reading(image: Path) -> Callable[[], object]:
    return lambda: SimpleITK.ReadImage(str(image))


def _large_pictures(folder: Path, count: int) -> list[PlannedCase]:
    """JPEG files of the originals' size, scaled up from real ones, with noise like a camera's."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    samples = sorted((DATA / "isic2018").glob("*Training_Input/*.jpg"))
    random = np.random.default_rng(0)
    cases = []
    for number in range(count):
        sample = samples[number % len(samples)]
        mask = DATA / "isic2018/ISIC2018_Task1_Training_GroundTruth" / f"{sample.stem}_segmentation.png"
        name = f"ISIC_{number:07d}"
        picture = Image.open(sample).convert("RGB")
        size = (picture.width * 2, picture.height * 2)
        pixels = np.asarray(picture.resize(size, Image.Resampling.BICUBIC)) + random.normal(0, 2, (size[1], size[0], 3))
        path, label = folder / f"images/{name}.jpg", folder / f"masks/{name}.png"
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=95)
        Image.open(mask).resize(size, Image.Resampling.NEAREST).save(label)
        cases.append(PlannedCase(id=name, image=path, label=label))
    return cases


def _pillow(path: Path, folder: Path) -> None:
    """The baseline, which converts only the picture and checks nothing."""
    target = folder / f"{path.stem}.png"
    target.unlink(missing_ok=True)
    Image.open(path).save(target)


def _private_megabytes(parent: int) -> list[float]:
    """RssAnon in MB of a process and its children."""
    megabytes = []
    listed = Path(f"/proc/{parent}/task/{parent}/children")
    try:
        pids = [parent, *map(int, listed.read_text().split())]
    except OSError:
        pids = [parent]
    for pid in pids:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        megabytes += [int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("RssAnon")]
    return megabytes


def main() -> None:
    """Measure and print; save on request."""
    parts = {"volumes": volumes, "pictures": pictures, "workers": workers, "conic": conic}
    parser = argparse.ArgumentParser(description="Conversion against SimpleITK and Pillow.")
    parser.add_argument("--only", nargs="+", choices=list(parts), default=list(parts), help="what to measure")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each comparison (default 5)")
    clocks = {"wall": time.perf_counter, "cpu": time.process_time}
    what = "wall clock, or CPU time of all threads, which other work on the machine disturbs less (default wall)"
    parser.add_argument("--clock", choices=list(clocks), default="wall", help=what)
    parser.add_argument("--out", type=Path, help="JSON file for the results")
    arguments = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    results: Results = {}
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as scratch:
            results.update(parts[name](Path(scratch), arguments.rounds, clocks[arguments.clock]))
    for name, result in results.items():
        print(name)
        for key, value in result.items():
            shown = {inner: round(number, 3) for inner, number in value.items()} if isinstance(value, dict) else value
            print(f"  {key}: {shown if isinstance(shown, (dict, int)) else round(shown, 2)}")
    if arguments.out:
        save(arguments.out, {"clock": arguments.clock, **results})


if __name__ == "__main__":
    main()
