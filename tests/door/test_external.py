"""The official way, nnUNet_extTrainer, without a link."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from nnunet_tricks.door import external
from tests.door.environments import Maker
from tests.door.names import ILLEGAL, NEAREST, OURS, OWN, REASON

AWKWARD = "/tmp/it's a \\ $HOME `folder`"


@pytest.fixture(scope="module")
def found(make: Maker, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Look-ups without any link: through our folder alone, and after a user's own folder."""
    environment = make()
    own = tmp_path_factory.mktemp("own trainers")
    (own / "my_trainers.py").write_text(OWN)
    line = environment.tricks("env").stdout
    value = subprocess.run(["sh", "-c", f'{line}printf %s "$nnUNet_extTrainer"'], capture_output=True, text=True).stdout
    assert Path(value).samefile(external.FOLDER)
    both = environment.tricks("env", nnUNet_extTrainer=str(own)).stdout
    both = subprocess.run(["sh", "-c", f'{both}printf %s "$nnUNet_extTrainer"'], capture_output=True, text=True).stdout
    return environment.answers("external.py", value, both)


def test_ours_are_found(found: Any) -> None:
    assert found["alone"][OURS]["module"].startswith("nnunet_tricks.")
    # nnU-Net forgets the modules of the folder after the search
    assert found["alone"][OURS]["importable"]
    assert found["same class twice"]
    assert found["alone"]["nnUNetTrainerCELoss"]["module"].startswith("nnunetv2.")


def test_an_illegal_name_ends_with_our_sentence(found: Any) -> None:
    assert found["alone"][ILLEGAL]["error"] == "RuntimeError"
    assert REASON in found["alone"][ILLEGAL]["message"]
    assert NEAREST in found["alone"][ILLEGAL]["message"]


@pytest.mark.parametrize("name", [OURS, ILLEGAL])
def test_a_users_own_trainer_wins(found: Any, name: str) -> None:
    assert found["after own"][name]["module"] == "my_trainers"


def test_an_illegal_name_of_ours_does_not_end_the_search_of_later_folders(found: Any) -> None:
    assert found["before own"][ILLEGAL]["module"] == "my_trainers"


def test_our_failure_breaks_nobody(found: Any) -> None:
    assert found["ours fails, before own"][OURS]["module"] == "my_trainers"
    assert found["ours fails"]["nnUNetTrainerCELoss"]["module"].startswith("nnunetv2.")
    assert found["ours fails"][OURS]["message"].startswith(f"Could not find requested nnunet trainer {OURS}")


def test_the_variable_is_kept_and_ours_comes_last_and_once() -> None:
    ours = str(external.FOLDER)
    once = external.assignment(present="/a:/b")
    assert once == f"export nnUNet_extTrainer=/a:/b:{ours}"
    assert external.assignment(present=f"/a:{ours}:/b") == once


@pytest.mark.parametrize(("shell", "program"), [("bash", "sh"), ("bash", "bash"), ("fish", "fish")])
def test_shells_read_awkward_names(shell: str, program: str) -> None:
    if not shutil.which(program):
        pytest.skip(f"no {program} here")
    line = external.assignment(shell=shell, folder=Path(AWKWARD))
    words = [program, "-c", f"{line}\nprintenv nnUNet_extTrainer"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == f"{AWKWARD}\n"


def test_other_shells_quote_in_their_own_way() -> None:
    assert external.assignment(shell="powershell", folder=Path("/it's")) == "$env:nnUNet_extTrainer = '/it''s'"
    assert external.assignment(shell="cmd", folder=Path("/a b")) == 'set "nnUNet_extTrainer=/a b"'


def test_a_folder_that_nnunet_would_cut_in_two_is_refused() -> None:
    with pytest.raises(ValueError, match=r"nnU-Net splits nnUNet_extTrainer at ':', .*: use 'nnunet-tricks link'"):
        external.assignment(folder=Path(f"/one{os.pathsep}two"))


def test_an_older_nnunet_is_told(make: Maker) -> None:
    environment = make(nnunet=False, libs=False)
    metadata = environment.site_packages / "nnunetv2-2.7.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: nnunetv2\nVersion: 2.7.0\n")
    told = environment.tricks("env")
    assert told.stdout.startswith("export nnUNet_extTrainer=")
    assert "2.8 and later" in told.stderr
