"""``nnunet-tricks plan``: other patches, small networks, other preprocessing, from plans that are there."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_tricks.planning.plans_file import Plans

NORMALIZATIONS = {
    "none": "NoIntensityNorm",
    "minmax": "MinMax",
    "zscore": "ZScore",
    "ct-window": "CTWindow",
    "imagenet": "ImageNet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Make other plans of those that nnU-Net made. A small network or another patch size becomes one more "
        "configuration of the plans file: it inherits from one that is there and shares its preprocessed data, so do "
        "not run nnUNetv2_preprocess for it, which would delete and rebuild them. Other preprocessing becomes a plans "
        "file of its own, with its own data. Plans name only what stock nnU-Net has, which trains and predicts with it."
    )
    parser.add_argument("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="CONFIGURATION",
        default="3d_fullres",
        help="inherit from this (default: %(default)s)",
    )
    configurations = parser.add_argument_group("one more configuration")
    configurations.add_argument(
        "--small",
        action="store_true",
        help="a light network: a quarter of the features, one convolution per stage, small patches, batches of two",
    )
    configurations.add_argument(
        "--patch",
        type=int,
        nargs="+",
        metavar="VOXELS",
        help="patch size, in the order of the plans; one number stands for all axes. Strides and depth are those that "
        "nnU-Net would plan for it; with --small, as many stages as fit",
    )
    configurations.add_argument(
        "--sweep",
        type=int,
        nargs="*",
        metavar="VOXELS",
        help="a configuration for each edge of a cube or square (default: 32 64 96 128 160 192)",
    )
    configurations.add_argument("--batch", type=int, metavar="N", help="batch size (default: that of --from)")
    plans = parser.add_argument_group("plans of their own, with their own preprocessed data")
    plans.add_argument("--no-resampling", action="store_true", help="voxels stay as they are, whatever their spacing")
    plans.add_argument(
        "--spacing",
        type=float,
        nargs="+",
        metavar="MM",
        help="images are resampled to this spacing, in the order of the plans: three numbers for 3D, two for 2D",
    )
    plans.add_argument(
        "--resize",
        type=int,
        nargs="+",
        metavar="VOXELS",
        help="images are resampled to this size, whatever theirs; models need nnunet_tricks to predict",
    )
    plans.add_argument("--normalization", choices=[*NORMALIZATIONS], help="of intensities, in all channels")
    parser.add_argument("--name", help="of the new configuration, or of the new plans (default: made of what changes)")
    parser.add_argument(
        "-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help="plans file (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be added")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Add what is asked for, and say how to train with it."""
    variants = _geometry(arguments)
    variants += [NORMALIZATIONS[arguments.normalization]] if arguments.normalization else []
    _check(arguments, variants)
    return _new_plans(arguments, variants) if variants else _new_configurations(arguments)


def _geometry(arguments: argparse.Namespace) -> list[str]:
    """Names of the variants that say where voxels lie."""
    from nnunet_tricks.planning.geometry import resize_name, spacing_name

    _check_numbers("--spacing", arguments.spacing)
    _check_numbers("--resize", arguments.resize)
    names = ["NoResampling"] if arguments.no_resampling else []
    names += [spacing_name(arguments.spacing)] if arguments.spacing else []
    names += [resize_name(arguments.resize)] if arguments.resize else []
    if len(names) > 1:
        raise ValueError("--no-resampling, --spacing and --resize exclude each other: each says where voxels lie")
    return names


def _check_numbers(option: str, numbers: list[float] | None) -> None:
    if numbers is not None and (len(numbers) not in (2, 3) or min(numbers) <= 0):
        given = " ".join(f"{number:g}" for number in numbers)
        raise ValueError(f"{option} takes two or three numbers above 0, one for each axis, not '{given}'")


def _check(arguments: argparse.Namespace, variants: list[str]) -> None:
    """Refuse options that would have no effect."""
    configuration = arguments.small or arguments.patch or arguments.sweep is not None
    if not configuration and not variants:
        raise ValueError(
            "nothing to plan: give --small, --patch, --sweep, --no-resampling, --spacing, --resize or --normalization"
        )
    if configuration and variants:
        raise ValueError(
            "--small, --patch and --sweep add a configuration, --no-resampling, --spacing, --resize and "
            "--normalization make plans of their own: first the plans, then with -p the configuration"
        )
    if arguments.batch is not None and (arguments.small or variants):
        raise ValueError("--batch goes with --patch or --sweep")
    if arguments.sweep is not None and (arguments.small or arguments.patch or arguments.name):
        raise ValueError("--sweep stands alone: it makes patches and names")


def _new_configurations(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.planning import plans_file
    from nnunet_tricks.planning.memory import estimated_gigabytes
    from nnunet_tricks.planning.patch import padding_note

    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    plans = plans_file.read(file)
    before = plans_file.resolve(plans, arguments.source)
    wanted = dict(_wanted(plans, arguments))
    # All are looked at before the first is written.
    outcomes = {name: plans_file.add(file, name, one, dry_run=True) for name, one in wanted.items()}
    for name, configuration in wanted.items():
        plans_file.add(file, name, configuration, dry_run=arguments.dry_run)
        plans["configurations"][name] = configuration
    preprocessed = (file.parent / before["data_identifier"]).is_dir()
    labels = len(json.loads((file.parent / "dataset.json").read_text(encoding="utf-8"))["labels"])
    sizes = [
        estimated_gigabytes(resolved, len(resolved["normalization_schemes"]), labels)
        for resolved in (before, *(plans_file.resolve(plans, name) for name in wanted))
    ]
    if arguments.json:
        report = {
            "dry_run": arguments.dry_run,
            "file": str(file),
            "preprocessed": preprocessed,
            "configurations": [
                {"name": name, "outcome": outcomes[name], "gigabytes": round(size, 2), "configuration": wanted[name]}
                for name, size in zip(wanted, sizes[1:], strict=True)
            ],
        }
        print(json.dumps(report, indent=2))
        return 0
    for name, size in zip(wanted, sizes[1:], strict=True):
        says = {"added": "added", "unchanged": "there already"}[outcomes[name]]
        print(f"{'Dry run: ' if arguments.dry_run else ''}{name} {says} in {file}")
        print(f"  inherits from {arguments.source}, and shares its preprocessed data")
        _print_difference(before, plans_file.resolve(plans, name))
        print(f"  GPU memory by nnU-Net's own rule: {sizes[0]:.2g} GB -> {size:.2g} GB")
        if note := padding_note(plans, arguments.source, plans_file.resolve(plans, name)["patch_size"]):
            print(f"  {note}")
    default = arguments.plans == plans_file.DEFAULT_PLANS
    if not preprocessed:
        which = "" if default else f" -plans_name {arguments.plans}"
        print(f"Its data are not preprocessed yet: nnUNetv2_preprocess -d {_number(file)} -c {arguments.source}{which}")
    for name in wanted:
        print(
            f"Train with it: nnUNetv2_train {arguments.dataset} {name} 0{'' if default else f' -p {arguments.plans}'}"
        )
    return 0


def _wanted(plans: Plans, arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and contents of the configurations to add."""
    from nnunet_tricks.planning import patch, plans_file, small

    source = arguments.source
    axes = len(plans_file.resolve(plans, source)["patch_size"])
    size = arguments.patch * axes if arguments.patch and len(arguments.patch) == 1 else arguments.patch
    if arguments.small:
        name = small.check_name(arguments.name or f"{source}_small")
        yield name, small.small_configuration(plans, source, patch_size=size)
        return
    edges = [[edge] * axes for edge in arguments.sweep or patch.SWEEP] if arguments.sweep is not None else [size]
    for one in edges:
        name = small.check_name(arguments.name or patch.default_name(source, one))
        yield name, patch.patch_configuration(plans, source, one, batch_size=arguments.batch)


def _new_plans(arguments: argparse.Namespace, variants: list[str]) -> int:
    from nnunet_tricks.planning import plans_file, small
    from nnunet_tricks.planning.variants import plans_name, varied

    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    plans = plans_file.read(file)
    name = small.check_name(arguments.name or plans_name(arguments.plans, variants))
    fingerprint = json.loads((file.parent / "dataset_fingerprint.json").read_text(encoding="utf-8"))
    changed = varied(plans, variants, fingerprint, name)
    new = file.with_name(f"{name}.json")
    outcome = plans_file.write_new(new, changed, dry_run=arguments.dry_run)
    if arguments.json:
        report = {"dry_run": arguments.dry_run, "file": str(new), "outcome": outcome, "plans": changed}
        print(json.dumps(report, indent=2))
        return 0
    says = {"added": "written", "unchanged": "there already"}[outcome]
    print(f"{'Dry run: ' if arguments.dry_run else ''}{new} {says}")
    gone = [one for one in plans["configurations"] if one not in changed["configurations"]]
    if gone:
        print(f"  without {', '.join(gone)}")
    for one, configuration in changed["configurations"].items():
        if "inherits_from" not in configuration:
            print(f"  {one}")
            _print_difference(plans["configurations"][one], configuration, indent=4)
    key = "foreground_intensity_properties_per_channel"
    _print_difference(plans[key], changed[key])
    source = (
        arguments.source if arguments.source in changed["configurations"] else next(iter(changed["configurations"]))
    )
    print(f"Preprocess: nnUNetv2_preprocess -d {_number(file)} -plans_name {name} -c {source}")
    print(f"Train with it: nnUNetv2_train {arguments.dataset} {source} 0 -p {name}")
    return 0


def _print_difference(before: Any, after: Any, indent: int = 2) -> None:
    from nnunet_tricks.planning.difference import difference

    for line in difference(before, after):
        print(f"{' ' * indent}{line}")


def _number(file: Path) -> int:
    return int(file.parent.name[len("Dataset") :].partition("_")[0])
