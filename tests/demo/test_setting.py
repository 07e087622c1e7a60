from pathlib import Path

import pytest

from nnunet_tricks.catalogue.naming import IllegalName
from nnunet_tricks.demo.setting import DemoSetting, with_epochs


def test_the_baseline_comes_first_and_once() -> None:
    assert with_epochs(["nnUNetTrainerTversky", "nnUNetTrainer"], 3) == (
        "nnUNetTrainer_3epochs",
        "nnUNetTrainerTversky_3epochs",
    )


def test_epochs_are_the_same_for_all() -> None:
    with pytest.raises(ValueError, match="write nnUNetTrainerTversky, and --epochs"):
        with_epochs(["nnUNetTrainerTversky_7epochs"], 3)
    with pytest.raises(ValueError, match="--epochs must be at least 1, got 0"):
        with_epochs(["nnUNetTrainerTversky"], 0)
    with pytest.raises(IllegalName):
        with_epochs(["nnUNetTrainerTverski"], 3)


def test_a_source_keeps_its_number(tmp_path: Path) -> None:
    setting = DemoSetting(out=tmp_path, trainers=("nnUNetTrainer_3epochs",), source=Path("Dataset042_Liver"))
    assert (setting.dataset, setting.number) == ("Dataset042_Liver", "42")
    assert setting.model("nnUNetTrainer_3epochs").parts[-2:] == (
        "Dataset042_Liver",
        "nnUNetTrainer_3epochs__nnUNetPlans__3d_fullres_small",
    )
