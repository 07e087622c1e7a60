"""``nnunet-tricks ledger``: what each trick did on real data, and reports of others."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from nnunet_tricks.comparison.ledger.rows import FILE, IN_CHECKOUT, Ledger, LedgerRow
from nnunet_tricks.comparison.ledger.stored import read_ledger
from nnunet_tricks.utilities.terminal import say, table_lines, width

HEADER = ("trick", "data", "verdict", "95 % interval", "runs", "epochs", "cost", "report")
FILES = "file of rows (default: that of this package)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "The ledger: for each trick, what happened on real data under nnU-Net, with a verdict, an interval and the "
        "report that it comes from. 'ledger add' puts a verified report into it, 'ledger verify' checks all rows."
    )
    _add_file(parser)
    parser.add_argument("--score", action="store_true", help="compare the advice of 'advise' with what came out")
    parser.add_argument(
        "--advice",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="files of 'advise --json' to score (default: those of this package)",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    actions = parser.add_subparsers(dest="ledger", metavar="WHAT")
    adding = actions.add_parser("add", help="verify a report and append its rows")
    adding.description = (
        "Verify a report as 'verify' does, and append its rows. Its experiment file and lock must be beside the "
        "folder of the report, and the lock must be older than every result."
    )
    adding.add_argument("report", type=Path, metavar="REPORT", help="folder that 'compare --report' has written")
    adding.add_argument(
        "--replace", action="store_true", help="put the rows in place of those of an earlier report of the same lock"
    )
    _add_file(adding)
    checking = actions.add_parser("verify", help="compute all rows again from their reports")
    checking.description = (
        "Verify the reports of all rows and compute the rows again. In a checkout the rows are those of the checkout. "
        "The exit code is 1 if something differs, and 3 if a report is not at hand."
    )
    checking.add_argument(
        "--root", type=Path, default=Path(), metavar="FOLDER", help="folder of the checkout (default: the current one)"
    )
    _add_file(checking)


def _add_file(parser: argparse.ArgumentParser) -> None:
    # A sub-command must not put its default in place of what stands before it.
    parser.add_argument("--file", type=Path, default=argparse.SUPPRESS, metavar="FILE", help=FILES)


def run(arguments: argparse.Namespace) -> int:
    """Show the ledger, or do what a sub-command says."""
    if arguments.ledger == "add":
        return _add(arguments)
    if arguments.ledger == "verify":
        return _verify(arguments)
    ledger = read_ledger(getattr(arguments, "file", FILE))
    if arguments.score or arguments.advice:
        return _score(arguments, ledger)
    if arguments.json:
        from nnunet_tricks.comparison.ledger.page import printed

        rows = [asdict(row) | {"printed": printed(row)} for row in ledger.rows]
        content = {"reports": [asdict(report) | {"verify": report.verify} for report in ledger.reports]}
        print(
            json.dumps(content | {"rows": rows, "interactions": [asdict(row) for row in ledger.interactions]}, indent=1)
        )
        return 0
    _show(ledger)
    return 0


def _show(ledger: Ledger) -> None:
    from nnunet_tricks.comparison.ledger.cells import lines_of
    from nnunet_tricks.comparison.ledger.page import summary

    for sentence in summary(ledger):
        say(sentence, first="- ", rest="  ")
    rows = [cell.row for line in lines_of(ledger) for cell in line.cells.values()]
    print("", *table_lines([HEADER, *map(_words, rows)], width() or 10_000, indent=""), sep="\n")
    if ledger.interactions:
        print("\nGain in 3D less gain in 2D, on the same cases:")
        lines = [(row.trick, row.dataset, row.word, row.interval) for row in ledger.interactions]
        print(*table_lines(lines, width() or 10_000), sep="\n")
    print()
    for report in ledger.reports:
        print(report.verify)


def _words(row: LedgerRow) -> tuple[str, ...]:
    cost = "-" if row.cost is None else f"{row.cost:.2g}x"
    return row.name, row.data, row.word, row.interval, str(row.runs[1]), str(row.epochs), cost, row.report


def _add(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.comparison.ledger.adding import added
    from nnunet_tricks.utilities.files import write_atomically

    file: Path = getattr(arguments, "file", IN_CHECKOUT)
    own = hasattr(arguments, "file")
    if not own and not file.is_file():
        raise ValueError(f"{file} is not below the current folder: go to a checkout, or give --file FILE for your own")
    ledger = read_ledger(file) if file.is_file() else Ledger()
    root = file.resolve().parent if own else Path()
    longer = added(ledger, arguments.report, root, replace=arguments.replace)
    write_atomically(file, longer.text)
    new = [row for row in longer.rows if row.report == longer.reports[-1].id]
    for row in new:
        print(f"{row.name}: {row.word}, {row.interval} ({row.data})")
    print(f"Written: {file}, {len(new)} rows of {longer.reports[-1].id}")
    if not own:
        print("Next: python -m nnunet_tricks.comparison.ledger.page")
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from nnunet_tricks.comparison.ledger.checking import check_rows

    own: Path = arguments.root / IN_CHECKOUT
    ledger = read_ledger(getattr(arguments, "file", own if own.is_file() else FILE))
    checks = check_rows(ledger, arguments.root)
    for check in checks:
        print(f"{'ok' if check.good else 'ABSENT' if check.absent else 'DIFFERS':8} {check.report}: {check.words}")
    if not checks:
        print("The ledger has no reports, so there is nothing to verify.")
    if any(not check.good and not check.absent for check in checks):
        return 1
    return 3 if not checks or any(check.absent for check in checks) else 0


def _score(arguments: argparse.Namespace, ledger: Ledger) -> int:
    from nnunet_tricks.comparison.ledger.scoring import as_data, overall, read_advice, scores_of, sentences

    scores = scores_of(read_advice(arguments.advice), ledger)
    if arguments.json:
        print(json.dumps(as_data(scores), indent=1))
        return 0
    for lines in (*map(sentences, scores), overall(scores)):
        for place, sentence in enumerate(lines):
            say(sentence, first="" if not place else "- ", rest="  ")
    return 0
