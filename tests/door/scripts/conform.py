"""Prints which steps of conformance a trainer fails in one situation, and the nnU-Net that it was tried with."""

import json
import sys

import nnunetv2

from nnunet_tricks import trainers
from nnunet_tricks.conformance.bench import Bench
from nnunet_tricks.conformance.contract import check_contract
from nnunet_tricks.conformance.grid import Cell

trainer = trainers.find(sys.argv[1])
assert trainer is not None
with Bench() as bench:
    reports = [check_contract(trainer), bench.check(trainer, Cell("labels+ignore", "3d", True))]
print(json.dumps({"failures": [line for report in reports for line in report.explain()], "from": nnunetv2.__path__[0]}))
