"""Prints which steps of conformance a trainer fails in one situation, and the nnU-Net that it was tried with."""

import json
import sys

import nnunetv2

from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import Situation
from nnunet_tricks.door import trainers


def main(name: str) -> None:
    trainer = trainers.find(name)
    assert trainer is not None
    with Bench() as bench:
        reports = [check_contract(trainer), bench.check(trainer, Situation("labels+ignore", "3d", True))]
    failures = [line for report in reports for line in report.explain()]
    print(json.dumps({"failures": failures, "from": nnunetv2.__path__[0]}))


if __name__ == "__main__":
    main(sys.argv[1])
