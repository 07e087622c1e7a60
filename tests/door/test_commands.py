import os
from pathlib import Path

import pytest

from nnunet_tricks.door import external, link
from nnunet_tricks.door.commands import command, with_our_trainers


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="doctor"):
        command("nnUNetv2_brew_coffee")
    assert Path(command("nnUNetv2_train")).is_file()


def test_the_users_own_trainers_stay_findable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "state", list)
    once = with_our_trainers({external.VARIABLE: "/home/me/trainers"})
    assert once[external.VARIABLE] == os.pathsep.join(["/home/me/trainers", str(external.FOLDER)])
    assert with_our_trainers(once) == once
