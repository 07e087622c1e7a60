from collections.abc import Callable
from pathlib import Path

from tests.door.environments import Maker


def test_the_oldest_nnunet_that_we_support_trains_continues_and_predicts(
    make: Maker, nnunet_release: Callable[[str], Path]
) -> None:
    environment = make(nnunet=False)
    for path in nnunet_release("2.7.0").iterdir():
        path.rename(environment.site_packages / path.name)
    found = environment.answers("conform.py", "nnUNetTrainerTverskyCE_3epochs")
    assert found["from"] == str(environment.site_packages / "nnunetv2")
    assert found["failures"] == []
