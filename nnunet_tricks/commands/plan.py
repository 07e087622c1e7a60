"""``nnunet-tricks plan``: other patches, small networks and other preprocessing, derived from existing plans."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nnunet_tricks.nnunet.plans_file import Plans
    from nnunet_tricks.planning.outlook import Outlook

NORMALIZATIONS = {
    "none": "NoIntensityNorm",
    "minmax": "MinMax",
    "zscore": "ZScore",
    "ct-window": "CTWindow",
    "imagenet": "ImageNet",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command to its parser."""
    parser.description = (
        "Derive plans from those that nnU-Net made. A small network or another patch size becomes one more "
        "configuration of the plans file. It inherits from an existing one and shares its preprocessed data, so do not "
        "run nnUNetv2_preprocess for it, which would delete and rebuild them. Other preprocessing becomes a plans file "
        "of its own, with its own data. Plans name only what stock nnU-Net has, so it trains and predicts with them."
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
        help="patch size, in the order of the plans; one number stands for all axes. Strides and depth are as nnU-Net "
        "would plan them; with --small, as many stages as fit",
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
    plans.add_argument("--normalization", choices=[*NORMALIZATIONS], help="normalisation of all channels")
    parser.add_argument("--name", help="name of the new configuration or plans (default: made from what changes)")
    parser.add_argument(
        "-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help="plans file (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print what would be added")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Add the configurations or plans, and print how to train with them."""
    variants = _geometry(arguments)
    variants += [NORMALIZATIONS[arguments.normalization]] if arguments.normalization else []
    _check(arguments, variants)
    return _new_plans(arguments, variants) if variants else _new_configurations(arguments)


def _geometry(arguments: argparse.Namespace) -> list[str]:
    """Names of the variants that set the voxel grid."""
    from nnunet_tricks.planning.geometry import SPACINGS, resize_name, spacing_name

    _check_numbers("--spacing", arguments.spacing, *SPACINGS)
    _check_numbers("--resize", arguments.resize, 1)
    names = ["NoResampling"] if arguments.no_resampling else []
    names += [spacing_name(arguments.spacing)] if arguments.spacing else []
    names += [resize_name(arguments.resize)] if arguments.resize else []
    if len(names) > 1:
        raise ValueError("--no-resampling, --spacing and --resize exclude each other: each sets the voxel grid")
    return names


def _check_numbers(option: str, numbers: list[float] | None, least: float, most: float = inf) -> None:
    if numbers is not None and (len(numbers) not in (2, 3) or not all(least <= number <= most for number in numbers)):
        given = " ".join(f"{number:g}" for number in numbers)
        allowed = f"of at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{option} must be two or three numbers {allowed}, one for each axis, got '{given}'")


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
            "--normalization make new plans: make the plans first, then add the configuration to them with -p"
        )
    if arguments.batch is not None and (arguments.small or variants):
        raise ValueError("--batch needs --patch or --sweep, and not --small")
    if arguments.sweep is not None and (arguments.small or arguments.patch or arguments.name):
        raise ValueError("--sweep excludes --small, --patch and --name: it makes its own patches and names")


def _new_configurations(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.nnunet import plans_file
    from nnunet_tricks.planning.outlook import memory_note, outlook

    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    plans = plans_file.read(file)
    plans_file.check_complete(file, plans, [arguments.source])
    labels = _labels(file)
    before = plans_file.resolve(plans, arguments.source)
    wanted = dict(_wanted(plans, arguments))
    outcomes = plans_file.add_all(file, wanted, dry_run=True)
    after = {**plans, "configurations": {**plans["configurations"], **wanted}}
    was = outlook(file.parent, plans, arguments.source, labels)
    will = {name: outlook(file.parent, after, name, labels) for name in wanted}
    # Written last: whatever cannot be is refused before.
    plans_file.add_all(file, wanted, dry_run=arguments.dry_run)
    if arguments.json:
        report = {
            "dry_run": arguments.dry_run,
            "file": str(file),
            "preprocessed": was.preprocessed,
            "configurations": [
                {
                    "name": name,
                    "outcome": outcomes[name],
                    **will[name].report(),
                    "configuration": configuration,
                }
                for name, configuration in wanted.items()
            ],
        }
        print(json.dumps(report, indent=2))
        return 0
    for name, outcome in outcomes.items():
        says = _says(outcome, "added", arguments.dry_run)
        print(f"{'Dry run: ' if arguments.dry_run else ''}{name} {says} in {file}")
        print(f"  inherits from {arguments.source}, and shares its preprocessed data")
        _print_difference(before, plans_file.resolve(after, name))
        _print_notes(memory_note(was, will[name]), will[name].padding)
    _print_preprocessing(file, arguments.plans, arguments.source, was)
    default = arguments.plans == plans_file.DEFAULT_PLANS
    for name in wanted:
        print(
            f"Train with it: nnUNetv2_train {arguments.dataset} {name} 0{'' if default else f' -p {arguments.plans}'}"
        )
    return 0


def _wanted(plans: Plans, arguments: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and contents of the configurations to add."""
    from nnunet_tricks.nnunet import plans_file
    from nnunet_tricks.planning import patch, small

    source = arguments.source
    axes = len(plans_file.resolve(plans, source)["patch_size"])
    size = arguments.patch * axes if arguments.patch and len(arguments.patch) == 1 else arguments.patch
    if arguments.small:
        name = small.check_name(arguments.name or f"{source}_small")
        yield name, small.small_configuration(plans, source, patch_size=size)
        return
    edges = [[edge] * axes for edge in arguments.sweep or patch.SWEEP] if arguments.sweep is not None else [size]
    for edge in edges:
        name = small.check_name(arguments.name or patch.default_name(source, edge))
        yield name, patch.patch_configuration(plans, source, edge, batch_size=arguments.batch)


def _new_plans(arguments: argparse.Namespace, variants: list[str]) -> int:
    from nnunet_tricks.nnunet import plans_file
    from nnunet_tricks.planning import small
    from nnunet_tricks.planning.outlook import memory_note, outlook
    from nnunet_tricks.planning.variants import plans_name, varied

    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    plans = plans_file.read(file)
    plans_file.check_complete(file, plans, plans["configurations"])
    name = small.check_name(arguments.name or plans_name(arguments.plans, variants))
    plans_file.check_plans_name(name)
    fingerprint = plans_file.read_object(
        file.with_name("dataset_fingerprint.json"), "median_relative_size_after_cropping"
    )
    labels = _labels(file)
    changed = varied(plans, variants, fingerprint, name)
    new = file.with_name(f"{name}.json")
    outcome = plans_file.write_new(new, changed, dry_run=True)
    own = [each for each, configuration in changed["configurations"].items() if "inherits_from" not in configuration]
    before = {each: outlook(file.parent, plans, each, labels) for each in own}
    after = {each: outlook(file.parent, changed, each, labels) for each in own}
    # Written last: whatever cannot be is refused before.
    plans_file.write_new(new, changed, dry_run=arguments.dry_run)
    if arguments.json:
        report = {
            "dry_run": arguments.dry_run,
            "file": str(new),
            "outcome": outcome,
            "configurations": [{"name": each, **expected.report()} for each, expected in after.items()],
            "plans": changed,
        }
        print(json.dumps(report, indent=2))
        return 0
    print(f"{'Dry run: ' if arguments.dry_run else ''}{new} {_says(outcome, 'written', arguments.dry_run)}")
    gone = [each for each in plans["configurations"] if each not in changed["configurations"]]
    if gone:
        print(f"  without {', '.join(gone)}")
    for each in own:
        print(f"  {each}")
        _print_difference(plans["configurations"][each], changed["configurations"][each], indent=4)
        _print_notes(memory_note(before[each], after[each]), after[each].padding, indent=4)
    key = "foreground_intensity_properties_per_channel"
    _print_difference(plans.get(key, {}), changed.get(key, {}))
    source = arguments.source if arguments.source in changed["configurations"] else own[0]
    _print_preprocessing(file, name, source, outlook(file.parent, changed, source, labels))
    print(f"Train with it: nnUNetv2_train {arguments.dataset} {source} 0 -p {name}")
    return 0


def _labels(file: Path) -> int:
    """How many labels a data set has, by the ``dataset.json`` beside its plans."""
    from nnunet_tricks.nnunet.plans_file import read_object

    return len(read_object(file.with_name("dataset.json"), "labels")["labels"])


def _says(outcome: str, done: str, dry_run: bool) -> str:
    return "there already" if outcome == "unchanged" else f"would be {done}" if dry_run else done


def _print_notes(*notes: str, indent: int = 2) -> None:
    for note in filter(None, notes):
        print(f"{' ' * indent}{note}")


def _print_preprocessing(file: Path, plans_name: str, configuration: str, expected: Outlook) -> None:
    """Print whether there are data, since preprocessing would delete and rebuild them."""
    from nnunet_tricks.nnunet.plans_file import DEFAULT_PLANS

    if expected.preprocessed:
        print(f"Its data are already preprocessed, in {expected.data}: nnUNetv2_preprocess would delete them first")
        return
    which = "" if plans_name == DEFAULT_PLANS else f" -plans_name {plans_name}"
    print(f"Its data are not preprocessed yet: nnUNetv2_preprocess -d {_number(file)}{which} -c {configuration}")


def _print_difference(before: Any, after: Any, indent: int = 2) -> None:
    from nnunet_tricks.planning.difference import difference

    for line in difference(before, after):
        print(f"{' ' * indent}{line}")


def _number(file: Path) -> int:
    return int(file.parent.name[len("Dataset") :].partition("_")[0])
