"""``nnunet-tricks plan``: one more configuration in a plans file, with no new preprocessing."""

from __future__ import annotations

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Add a configuration to a plans file. It inherits from one that is there, so it shares the preprocessed data, "
        "and stock nnU-Net trains and predicts with it: nnUNetv2_train 501 3d_fullres_small 0. Do not run "
        "nnUNetv2_preprocess for it: that would delete and rebuild the data of the one that it inherits from."
    )
    parser.add_argument("dataset", metavar="DATASET", help="number or full name of the data set, as nnU-Net's -d")
    parser.add_argument(
        "--from",
        dest="source",
        metavar="CONFIGURATION",
        default="3d_fullres",
        help="inherit from this (default: %(default)s)",
    )
    parser.add_argument(
        "--small",
        action="store_true",
        required=True,
        help="a light network: a quarter of the features, one convolution per stage, small patches, batches of two",
    )
    parser.add_argument(
        "--patch",
        type=int,
        nargs="+",
        metavar="VOXELS",
        help="patch size, in the order of the plans, instead of our choice",
    )
    parser.add_argument("--name", help="of the new configuration (default: that of --from with '_small' behind it)")
    parser.add_argument(
        "-p", dest="plans", metavar="PLANS", default="nnUNetPlans", help="plans file (default: %(default)s)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be added")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Add it, and say how to train with it."""
    from nnunet_tricks.planning import plans_file, small

    name = small.check_name(arguments.name or f"{arguments.source}_small")
    file = plans_file.find(arguments.dataset, plans_name=arguments.plans)
    plans = plans_file.read(file)
    configuration = small.small_configuration(plans, arguments.source, patch_size=arguments.patch)
    preprocessed = (file.parent / plans_file.resolve(plans, arguments.source)["data_identifier"]).is_dir()
    outcome = plans_file.add(file, name, configuration, dry_run=arguments.dry_run)
    if arguments.json:
        report = {
            "outcome": outcome,
            "dry_run": arguments.dry_run,
            "file": str(file),
            "name": name,
            "preprocessed": preprocessed,
            "configuration": configuration,
        }
        print(json.dumps(report, indent=2))
        return 0
    settings = configuration["architecture"]["arch_kwargs"]
    says = {"added": "added", "unchanged": "there already"}[outcome]
    print(f"{'Dry run: ' if arguments.dry_run else ''}{name} {says} in {file}")
    print(f"  inherits from {arguments.source}, and shares its preprocessed data")
    print(f"  patch {'x'.join(map(str, configuration['patch_size']))}, batch {configuration['batch_size']}")
    print(f"  features {'-'.join(map(str, settings['features_per_stage']))}, one convolution or block per stage")
    default = arguments.plans == plans_file.DEFAULT_PLANS
    if not preprocessed:
        number = int(file.parent.name[len("Dataset") :].partition("_")[0])
        which = "" if default else f" -plans_name {arguments.plans}"
        print(f"Its data are not preprocessed yet: nnUNetv2_preprocess -d {number} -c {arguments.source}{which}")
    print(f"Train with it: nnUNetv2_train {arguments.dataset} {name} 0{'' if default else f' -p {arguments.plans}'}")
    return 0
