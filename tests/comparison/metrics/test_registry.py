import subprocess
import sys

import pytest

from nnunet_tricks.comparison.metrics import all_metrics, chosen


def names(*words: str, tolerances=(1, 2)) -> list[str]:
    return [metric.name for metric in chosen(words, tolerances)][4:]


def test_names_are_unique_and_definitions_written() -> None:
    metrics = all_metrics()
    assert len({metric.name.casefold() for metric in metrics}) == len(metrics)
    assert all(len(metric.definition) > 10 and metric.unit and metric.when_empty for metric in metrics)


def test_choosing() -> None:
    assert names("Dice", "HD95") == ["Dice", "HD95"]
    assert names("NSD") == ["NSD@1", "NSD@2"]
    assert names("NSD@2.5", tolerances=(1,)) == ["NSD@2.5"]
    assert names("NSD", "NSD_px@4", tolerances=(1,)) == ["NSD@1", "NSD_px@4"]
    assert names("lesion")[0] == "lesion_recall"
    assert len(names("all")) + 4 == len(all_metrics())
    assert [metric.name for metric in chosen(["Dice"])][:4] == ["TP", "FP", "FN", "TN"]


@pytest.mark.parametrize(
    ("words", "message"),
    [(["dise"], "near are Dice"), (["xyzzy"], "families"), (["NSD@x"], "number"), (["NSD@-1"], "negative")],
)
def test_unknown_names_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        chosen(words)


def test_metrics_import_neither_torch_nor_nnunet() -> None:
    code = """
import sys
import numpy as np
from nnunet_tricks.comparison.metrics import LabelMapPair, all_metrics
pair = LabelMapPair(np.eye(5), np.eye(5), (1, 1)).pair([1])
assert [metric(pair) for metric in all_metrics()]
sys.exit(bool({"torch", "nnunetv2"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
