"""Stock nnU-Net plans a converted 2D and a converted 3D data set, with its own integrity check.

Slow (half a minute and more): it starts the real command, once for both.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

ENTRY = "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints"
PLAN = f"from {ENTRY} import plan_and_preprocess_entry as run; run()"


def test_real_planner_with_its_integrity_check(convert, data, raw, tmp_path):
    pictures = convert("isic2018", data / "isic2018", "--max-size", 64)
    # Two patients are enough; the larger ones only take time.
    source = tmp_path / "kits19"
    for case in ("case_00000", "case_00021"):
        shutil.copytree(data / "kits19/data" / case, source / case)
    volumes = convert("kits19", source, "--task", "regions")
    preprocessed = tmp_path / "preprocessed"
    # Only what this test sets: neither nnU-Net's variables nor a folder with modules that others left behind.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("nnUNet_")}
    folders = {"raw": raw, "preprocessed": preprocessed, "results": tmp_path / "results"}
    (tmp_path / "work").mkdir()
    words = [sys.executable, "-c", PLAN, "-d", "516", "519", "--verify_dataset_integrity", "--no_pp"]
    done = subprocess.run(
        [*words, "-npfp", "1"],
        env={**kept, **{f"nnUNet_{name}": str(folder) for name, folder in folders.items()}, "OMP_NUM_THREADS": "1"},
        cwd=tmp_path / "work",
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert output.count("verify_dataset_integrity Done") == 2
    # The check only warns if image and label are in different places.
    assert "warning: affine" not in output.lower()
    assert "mismatch" not in output.lower()
    for converted, scheme in ((pictures, "ZScoreNormalization"), (volumes, "CTNormalization")):
        planned = preprocessed / converted.folder.name
        plans = json.loads((planned / "nnUNetPlans.json").read_text())
        assert scheme in plans["configurations"]["2d"]["normalization_schemes"]
        assert (planned / "splits_final.json").read_bytes() == (converted.folder / "splits_final.json").read_bytes()
