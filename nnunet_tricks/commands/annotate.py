"""``nnunet-tricks annotate``: which slices to annotate, and data sets of what was annotated."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_tricks.annotation.study import command as study
from nnunet_tricks.pictures.annotation import command as preview
from nnunet_tricks.utilities.wording import some

if TYPE_CHECKING:
    from nnunet_tricks.annotation.learning import Learning
    from nnunet_tricks.annotation.selection import Settings

POLICIES = ("fixed", "random", "ual")
OBJECTIVES = ("cover", "kcenter")
FEATURES = ("pixels", "autoencoder")
LEARNED = ("learned", "chain")
METHODS = ("copy", "sdf", *LEARNED)
DENSITIES = (0.05, 0.1, 0.2, 0.4, 0.8)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands."""
    parser.description = (
        "Sparse annotation: which slices an annotator should paint, nnU-Net data sets in which the rest is ignored, "
        "and masks for the slices in between. Slices are axial and count from 0, the most inferior one, however a file "
        "stores them."
    )
    commands = parser.add_subparsers(dest="annotate", metavar="WHAT", required=True)
    select = commands.add_parser("select", help="choose slices of images, before anybody annotates")
    select.description = (
        "Choose volumes and slices for annotators, on images alone. Writes a table as csv and the plan as JSON, which "
        "'annotate import' reads. Column itksnap is the number that ITK-SNAP shows (storage order, from 1); column "
        "slicer_mm the offset of 3D Slicer's axial (red) view."
    )
    select.add_argument(
        "folder", metavar="FOLDER", type=Path, help="images, or a raw data set of nnU-Net with imagesTr"
    )
    _add_settings(select)
    select.add_argument(
        "-o",
        dest="out",
        metavar="NAME",
        type=Path,
        default=Path("annotation"),
        help="writes NAME.csv and NAME.json (default: %(default)s)",
    )
    _add_output(select)
    sparsify = commands.add_parser("sparsify", help="a data set with some annotated slices, of a dense one")
    sparsify.description = (
        "Make a raw data set in which training cases keep the labels of some slices and have nnU-Net's ignore label in "
        "all others, as if nobody had painted them. Images are linked. Validation cases of the fold, and test cases, "
        "keep all labels. Plans are those of the dense data set: do not plan the new one."
    )
    _add_source(sparsify, "DATASET", "number or full name of the dense data set, as nnU-Net's -d; it must be planned")
    _add_settings(sparsify)
    sparsify.add_argument(
        "--fold", type=int, default=0, metavar="F", help="whose training cases become sparse (default: %(default)s)"
    )
    _add_output(sparsify)
    painted = commands.add_parser("import", help="a data set of what annotators painted")
    painted.description = (
        "Make a raw data set of label maps that annotators painted by a plan of 'annotate select'. Exactly the "
        "selected slices may be painted: paint elsewhere is refused; selected slices without paint are named, and "
        "count as background. Everything else gets nnU-Net's ignore label."
    )
    painted.add_argument("plan", metavar="PLAN", type=Path, help="the .json that 'annotate select' wrote")
    painted.add_argument("images", metavar="IMAGES", type=Path, help="folder of the images")
    painted.add_argument(
        "labels", metavar="LABELS", type=Path, help="folder of the label maps, named as their cases (without _0000)"
    )
    painted.add_argument("--to", type=int, required=True, metavar="NUMBER", help="of the new data set")
    painted.add_argument("--name", required=True, help="of the new data set, without number")
    painted.add_argument(
        "--classes",
        nargs="+",
        required=True,
        metavar="CLASS",
        help="names and painted numbers, such as kidney=1 tumour=7; names alone have the numbers 1, 2, and so on. "
        "Classes that nobody has painted yet may be among them. Segments of 3D Slicer's .seg.nrrd go by their names",
    )
    painted.add_argument(
        "--channels", nargs="+", required=True, metavar="CHANNEL", help="names of the channels; nnU-Net treats CT apart"
    )
    painted.add_argument(
        "--accept-unpainted", action="store_true", help="cases on which nothing was painted are background, not undone"
    )
    painted.add_argument(
        "--other-values",
        choices=("refuse", "background", "ignore"),
        default="refuse",
        help="what painted values and segments are that no class has (default: %(default)s)",
    )
    painted.add_argument(
        "--overlaps",
        choices=("refuse", "higher"),
        default="refuse",
        help="voxels in segments of two classes are refused, or belong to the class of the higher number "
        "(default: %(default)s)",
    )
    _add_output(painted)
    preview.add_arguments(commands)
    interpolate = commands.add_parser("interpolate", help="a data set with masks in between annotated slices")
    interpolate.description = (
        "Make a raw data set in which slices without annotation have interpolated labels, of one that 'annotate "
        "sparsify' or 'annotate import' made. Cases that are dense already stay as they are."
    )
    _add_source(interpolate, "DATASET", "number or full name of the sparse data set")
    interpolate.add_argument("--method", choices=METHODS, default="sdf", help="default: %(default)s")
    interpolate.add_argument(
        "--accept-changed", action="store_true", help="take files that are not those that the manifest recorded"
    )
    _add_learning(interpolate, "beside the sparse data set's preprocessed data")
    _add_output(interpolate)
    quality = commands.add_parser("quality", help="how good interpolated masks are, measured on dense labels")
    quality.description = (
        "Take slices of dense label maps away, interpolate them again, and measure intersection over union over all "
        "slices and over those taken away. A gap is the distance from one annotated slice to the next."
    )
    quality.add_argument(
        "folder", metavar="FOLDER", type=Path, help="label maps, or a raw data set of nnU-Net with labelsTr"
    )
    quality.add_argument(
        "--density", type=float, nargs="+", metavar="SHARE", default=DENSITIES, help="default: those of the paper"
    )
    quality.add_argument("--policy", choices=("fixed", "random"), default="fixed", help="default: %(default)s")
    quality.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    quality.add_argument(
        "--method",
        nargs="+",
        choices=METHODS,
        default=["copy", "sdf"],
        help="learned and chain need FOLDER to have imagesTr",
    )
    _add_learning(quality, "needed")
    quality.add_argument("-o", dest="out", metavar="FILE", type=Path, help="write every volume's figures as csv")
    quality.add_argument("--json", action="store_true", help="print the result as JSON")
    study.add_arguments(commands)


def _add_source(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument("dataset", metavar=name, help=text)
    parser.add_argument("--to", type=int, required=True, metavar="NUMBER", help="of the new data set")


def _add_settings(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("which slices of which volumes")
    group.add_argument(
        "--density", type=float, required=True, metavar="SHARE", help="of the slices of a volume, such as 0.1"
    )
    group.add_argument(
        "--policy",
        choices=POLICIES,
        default="fixed",
        help="fixed intervals, at random, or by what slices show (unsupervised active learning); default: %(default)s",
    )
    group.add_argument(
        "--volumes",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the volumes, at random; smaller shares are part of larger ones (default: all)",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default="cover",
        help="of ual: every slice is like a chosen one, or no slice is far from all (default: %(default)s)",
    )
    group.add_argument(
        "--features",
        choices=FEATURES,
        default="pixels",
        help="of ual; an autoencoder is trained first (default: %(default)s)",
    )


def _add_learning(parser: argparse.ArgumentParser, where: str) -> None:
    group = parser.add_argument_group(
        "learned and chain", "A network that learns from images alone which pixel of a slice is which of the next."
    )
    group.add_argument(
        "--network",
        metavar="FILE",
        type=Path,
        help=f"trained if it is not there, trained on if it was interrupted, else used as it is (default: {where})",
    )
    group.add_argument("--steps", type=int, metavar="N", help="of training in all (default: 1500)")
    group.add_argument("--device", help="such as cuda:0 or cpu (default: a GPU if there is one)")


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Do what the sub-command says."""
    commands = {
        "select": _select,
        "sparsify": _sparsify,
        "import": _import,
        "preview": preview.run,
        "interpolate": _interpolate,
        "quality": _quality,
        "study": study.run_study,
        "curves": study.run_curves,
    }
    return commands[arguments.annotate](arguments)


def _settings(arguments: argparse.Namespace) -> Settings:
    from nnunet_tricks.annotation.selection import Settings

    return Settings(
        density=arguments.density,
        policy=arguments.policy,
        fraction=arguments.volumes,
        seed=arguments.seed,
        objective=arguments.objective,
        features=arguments.features,
    )


def _select(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation import listing, selection
    from nnunet_tricks.annotation.scans import Scan

    settings = _settings(arguments)
    files = listing.channels_in(arguments.folder)
    channels = len(next(iter(files.values())))
    _warn(listing.doubts(files))
    found = {case: Scan(channel[0]) for case, channel in files.items()}
    chosen = selection.select(found, settings)
    plan = selection.document(chosen, found, settings)
    _warn(selection.warnings(chosen, settings))
    outputs = [arguments.out.with_name(f"{arguments.out.name}{ending}") for ending in (".csv", ".json")]
    if not arguments.dry_run:
        _write_new(dict(zip(outputs, (selection.table(chosen), json.dumps(plan, indent=2) + "\n"), strict=True)))
    if arguments.json:
        print(
            json.dumps(
                {"dry_run": arguments.dry_run, "files": [*map(str, outputs)], "channels": channels, **plan}, indent=2
            )
        )
        return 0
    amount = plan["budget"]
    cases = f"{len(files)} case{'s' * (len(files) > 1)}"
    print(f"{cases} with {channels} channel{'s' * (channels > 1)} each in {arguments.folder}")
    print(
        f"{amount['slices']} slices of {amount['volumes']} volumes: {100 * amount['density']:.1f} % of their slices, "
        f"{100 * amount['share_of_slices']:.1f} % of all {amount['of_slices']} in {amount['of_volumes']} volumes"
    )
    print(
        f"No slice is farther than {amount['largest_distance_mm']:g} mm from an annotated one; in the median volume "
        f"{amount['median_largest_distance_mm']:g} mm"
    )
    print(f"{'Dry run: would write' if arguments.dry_run else 'Written:'} {outputs[0]} and {outputs[1]}")
    return 0


def _sparsify(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation.sparsify import sparsify
    from nnunet_tricks.nnunet.folders import Folders

    report = sparsify(
        Folders.of_environment(),
        arguments.dataset,
        arguments.to,
        _settings(arguments),
        fold=arguments.fold,
        dry_run=arguments.dry_run,
    )
    if report.without_object:
        report.notes.append(
            f"no annotated slice of {some(report.without_object)} shows a class: these train background only"
        )
    _warn(report.notes)
    if arguments.json:
        print(json.dumps({"dry_run": arguments.dry_run, **vars(report)}, indent=2))
        return 0
    did = "Dry run: would write" if arguments.dry_run else "Written:"
    print(
        f"{did} {report.name}, {report.train} training cases with "
        f"{report.budget['slices']} annotated slices ({100 * report.budget['density']:.1f} %), {report.validation} "
        f"validation and {report.test} test cases, dense"
    )
    print(f"  label {report.ignore} is what nobody annotated; plans moved: {', '.join(report.plans)}")
    if not arguments.dry_run:
        configuration = next((one for one in report.configurations if one == "3d_fullres"), report.configurations[0])
        print(f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {configuration}")
        print(f"Train with it: nnUNetv2_train {arguments.to} {configuration} 0 -tr nnUNetTrainerSparseSlices")
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation import selection
    from nnunet_tricks.annotation.painted import Rules, import_painted
    from nnunet_tricks.nnunet.folders import Folders

    plan = selection.read(arguments.plan)
    _warn(selection.differences_of_table(plan, arguments.plan))
    rules = Rules(arguments.other_values, arguments.overlaps, arguments.accept_unpainted)
    report = import_painted(
        Folders.of_environment(),
        plan,
        arguments.images,
        arguments.labels,
        arguments.to,
        arguments.name,
        classes=arguments.classes,
        channels=arguments.channels,
        rules=rules,
        dry_run=arguments.dry_run,
    )
    warnings = []
    if report.empty:
        count = sum(map(len, report.empty.values()))
        which = some([f"{case} (ITK-SNAP {some([*map(str, slices)])})" for case, slices in report.empty.items()], "; ")
        warnings.append(f"{count} selected slices have no paint and count as background: {which}")
    if report.left_out:
        count = sum(map(len, report.left_out.values()))
        which = some([f"{case} (ITK-SNAP {some([*map(str, own)])})" for case, own in report.left_out.items()], "; ")
        warnings.append(f"{count} selected slices are of no class throughout and count as not annotated: {which}")
    for became, of_cases in report.by_number.items():
        warnings.append(
            f"no segment of {some(of_cases)} has the name of a class, so numbers decided: {became}. If that is wrong, "
            "rename the segments in 3D Slicer, or name the classes as they are"
        )
    if report.waiting:
        warnings.append(
            f"{len(report.waiting)} selected cases have no label map and are left out: {some(report.waiting)}"
        )
    if report.absent:
        warnings.append(f"no label map shows {some(report.absent)}, which dataset.json names all the same")
    if report.others:
        meaning = "are background" if arguments.other_values == "background" else "count as not annotated"
        counts = some([f"{what}: {voxels} voxels" for what, voxels in report.others.items()])
        warnings.append(f"painted voxels of no class {meaning}: {counts}")
    if report.overlaps:
        counts = some([f"{pair}: {voxels} voxels" for pair, voxels in report.overlaps.items()])
        warnings.append(f"classes share voxels, which belong to the one of the higher number: {counts}")
    _warn(warnings)
    if arguments.json:
        print(json.dumps({"dry_run": arguments.dry_run, **vars(report)}, indent=2))
        return 0
    did = "Dry run: would write" if arguments.dry_run else "Written:"
    cases = f"{report.cases} case{'s' * (report.cases != 1)} of {report.channels} channel{'s' * (report.channels > 1)}"
    print(f"{did} {report.name}, {cases} with {report.slices} annotated slices")
    changed = {value: now for value, now in report.values.items() if value != now}
    if changed:
        print("  painted values became " + ", ".join(f"{value} -> {now}" for value, now in changed.items()))
    print(f"  label {report.ignore} is what nobody annotated; nnU-Net's own validation scores annotated slices only")
    if not arguments.dry_run:
        print(
            f"Plan: nnUNetv2_plan_and_preprocess -d {arguments.to} -fpe DatasetFingerprintExtractorAnnotated "
            "--verify_dataset_integrity"
        )
        print(f"Train with it: nnUNetv2_train {arguments.to} 3d_fullres 0 -tr nnUNetTrainerSparseSlices")
    return 0


def _interpolate(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation.filled import fill
    from nnunet_tricks.nnunet.folders import Folders

    folders = Folders.of_environment()
    learning = _learning(arguments)
    report = fill(
        folders,
        arguments.dataset,
        arguments.to,
        arguments.method,
        learning=learning,
        accept_changed=arguments.accept_changed,
        dry_run=arguments.dry_run,
    )
    if report.empty:
        _warn([f"no annotated slice of {some(report.empty)} shows a class: these are background throughout"])
    if report.partly:
        _warn([f"{report.partly} selected slices are annotated in part: masks were made without them"])
    if report.linked_partly:
        _warn([f"{some(report.linked_partly)} have voxels that nobody annotated, and stay as they are"])
    if arguments.json:
        print(json.dumps({"dry_run": arguments.dry_run, **vars(report)}, indent=2))
        return 0
    did = "Dry run: would write" if arguments.dry_run else "Written:"
    print(f"{did} {report.name}, {report.filled} cases interpolated, {report.linked} dense as before")
    if not arguments.dry_run and report.configurations:
        configuration = next((one for one in report.configurations if one == "3d_fullres"), report.configurations[0])
        print(f"Preprocess: nnUNetv2_preprocess -d {arguments.to} -c {configuration}")
    return 0


def _learning(arguments: argparse.Namespace) -> Learning:
    from nnunet_tricks.annotation.learning import Learning

    return Learning(file=arguments.network, steps=arguments.steps, device=arguments.device)


def _quality(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.annotation import listing, policies, quality
    from nnunet_tricks.annotation.progress import shown
    from nnunet_tricks.utilities.files import write_atomically

    for density in arguments.density:
        policies.number(1, density)
    rows: list[quality.Row] = []
    found = listing.labels_in(arguments.folder)
    images, network = {}, None
    if {*arguments.method} & {*LEARNED}:
        from nnunet_tricks.annotation.learning import learned_on

        if arguments.network is None:
            raise ValueError("--method learned and chain need --network FILE, where the network is kept")
        images = listing.in_folder(arguments.folder)
        found = listing.labels_in(arguments.folder, images)
        without = sorted({*found} - {*images})
        if without:
            raise ValueError(
                f"{arguments.folder} has no image of {some(without)}, which --method learned and chain need"
            )
        network = learned_on([images[case] for case in sorted(images)], _learning(arguments))
    ignore = quality.ignore_of(arguments.folder)
    for case, scan in shown(found.items(), "Interpolating", len(found)):
        truth = scan.labels()
        if ignore is not None and (truth == ignore).any():
            raise ValueError(
                f"{scan.file} has voxels that nobody annotated ('ignore' is {ignore}), and quality is measured on "
                "dense labels: give a folder of these"
            )
        rows += quality.measured(
            case,
            truth,
            (scan.axial.spacing, *scan.axial.in_plane()),
            quality.regions_of(truth),
            densities=arguments.density,
            methods=arguments.method,
            policy=arguments.policy,
            seed=arguments.seed,
            volume=images[case].numbers() if network else None,
            network=network,
        )
    if not rows:
        raise ValueError(f"no label map in {arguments.folder} shows a class")
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(arguments.out, quality.table(rows))
    if arguments.json:
        print(json.dumps(quality.summary(rows), indent=2))
    else:
        print(*quality.printed(rows), sep="\n")
    return 0


def _write_new(contents: dict[Path, str]) -> None:
    """Write files; what annotators may work with already is never replaced by something else."""
    from nnunet_tricks.utilities.files import write_atomically

    for file, content in contents.items():
        if file.exists() and file.read_text(encoding="utf-8") != content:
            raise ValueError(
                f"{file} is there with other content, and somebody may annotate by it: choose another -o, or remove it"
            )
    new = [file for file in contents if not file.exists()]
    try:
        for file, content in contents.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content)
    except BaseException:
        for file in new:  # a table without its plan is of no use
            file.unlink(missing_ok=True)
        raise


def _warn(lines: Any) -> None:
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)
