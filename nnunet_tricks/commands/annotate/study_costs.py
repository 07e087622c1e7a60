"""The prices of labels, which ``annotate study`` and ``annotate curves`` take."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_tricks.annotation.study.costs import Prices


def add_prices(parser: argparse.ArgumentParser) -> None:
    """Add an option for each price."""
    group = parser.add_argument_group("what labels cost, in any unit")
    group.add_argument(
        "--slice-cost", type=float, default=1.0, metavar="X", help="price of a slice without objects; default: 1"
    )
    group.add_argument(
        "--object-cost", type=float, metavar="X", help="price of a slice with objects; default: as without"
    )
    group.add_argument(
        "--volume-cost", type=float, default=0.0, metavar="X", help="price of beginning a volume; default: 0"
    )


def prices_of(arguments: argparse.Namespace) -> Prices:
    """The values of the options of ``add_prices``.

    Raises:
        ValueError: If one is negative.
    """
    from nnunet_tricks.annotation.study.costs import Prices

    with_object = arguments.slice_cost if arguments.object_cost is None else arguments.object_cost
    prices = Prices(arguments.slice_cost, with_object, arguments.volume_cost)
    if min(prices.empty, prices.object, prices.volume) < 0:
        raise ValueError("--slice-cost, --object-cost and --volume-cost must not be negative")
    return prices
