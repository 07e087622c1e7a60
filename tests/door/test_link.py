"""Where the link goes, what it consists of, and that unlink leaves nothing behind."""

import json
from pathlib import Path

import pytest

from nnunet_tricks.door import link
from tests.door.environments import Environment, Maker

NAMES = ["_nnunet_tricks_link.py", "nnunet_tricks_link.start", "nnunet_tricks_link.pth"]
ACTIVE = "import sys; print([type(finder).__name__ for finder in sys.meta_path].count('NnunetTricksLink'))"


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def environment(make: Maker) -> Environment:
    return make(nnunet=False, libs=False)


def test_unlink_leaves_the_environment_as_it_was(environment: Environment) -> None:
    before = files(environment.site_packages)
    linked = environment.tricks("link")
    assert linked.returncode == 0, linked.stderr
    assert set(files(environment.site_packages)) > set(before)
    assert environment.run("-c", ACTIVE).stdout == "1\n"

    unlinked = environment.tricks("unlink")
    assert unlinked.returncode == 0, unlinked.stderr
    assert files(environment.site_packages) == before
    assert not (environment.site_packages / "__pycache__").exists()
    assert environment.run("-c", ACTIVE).stdout == "0\n"
    assert environment.tricks("unlink").stdout == "There was no link.\n"


def test_linking_again_changes_nothing(environment: Environment) -> None:
    environment.tricks("link")
    before = {path: path.stat().st_mtime_ns for path in files(environment.site_packages)}
    again = environment.tricks("link")
    assert again.stdout == f"Already linked in {environment.site_packages} (environment).\n"
    assert {path: path.stat().st_mtime_ns for path in files(environment.site_packages)} == before


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [None, "# from an older version\n"])
def test_what_is_outdated_or_lost_is_refreshed(environment: Environment, name: str, content: str | None) -> None:
    environment.tricks("link")
    right = files(environment.site_packages)
    (environment.site_packages / name).unlink()
    if content:
        (environment.site_packages / name).write_text(content)
    assert environment.tricks("link").stdout.startswith("Refreshed the link in ")
    assert {path: content for path, content in files(environment.site_packages).items() if path.name in NAMES} == {
        path: content for path, content in right.items() if path.name in NAMES
    }
    assert environment.run("-c", ACTIVE).stdout == "1\n"


@pytest.mark.parametrize("command", ["link", "unlink"])
def test_a_dry_run_says_it_and_changes_nothing(environment: Environment, command: str) -> None:
    if command == "unlink":
        environment.tricks("link")
    before = files(environment.folder)
    dry = environment.tricks(command, "--dry-run")
    assert "now" not in dry.stdout
    assert dry.returncode == 0
    assert all(name in dry.stdout for name in NAMES)
    assert files(environment.folder) == before


def test_json_says_what_happened(environment: Environment) -> None:
    linked = json.loads(environment.tricks("link", "--json").stdout)
    assert linked["outcome"] == "linked"
    assert linked["kind"] == "environment"
    assert linked["files"] == [str(environment.site_packages / name) for name in NAMES]
    assert json.loads(environment.tricks("link", "--json").stdout)["outcome"] == "unchanged"
    unlinked = json.loads(environment.tricks("unlink", "--json").stdout)
    assert set(linked["files"]) < set(unlinked["removed"])
    assert unlinked["still_linked_by"] == []


def test_where_nothing_can_be_written_env_is_the_way(environment: Environment) -> None:
    with environment.read_only():
        before = files(environment.folder)
        for words in (["link"], ["link", "--dry-run"]):
            refused = environment.tricks(*words)
            assert refused.returncode == 2
            assert refused.stderr.count("\n") == 1
            assert f"{environment.site_packages} (environment) cannot be written: Permission denied" in refused.stderr
            assert "this interpreter does not read the user's own site-packages" in refused.stderr
            assert 'eval "$(nnunet-tricks env)"' in refused.stderr
        assert files(environment.folder) == before
    assert files(environment.home) == {}


def test_a_link_that_is_there_needs_no_right_to_write(environment: Environment) -> None:
    environment.tricks("link")
    with environment.read_only():
        assert environment.tricks("link").stdout.startswith("Already linked")
        refused = environment.tricks("unlink")
    assert refused.returncode == 2
    assert "cannot be removed: Permission denied" in refused.stderr


def test_user_site_where_the_environment_is_read_only(make: Maker) -> None:
    environment = make(nnunet=False, libs=False, user_site=True)
    with environment.read_only():
        dry = json.loads(environment.tricks("link", "--json", "--dry-run").stdout)
        assert files(environment.home) == {}
        linked = json.loads(environment.tricks("link", "--json").stdout)
        assert linked == dry | {"dry_run": False}
        assert (linked["kind"], linked["folder"]) == ("user site", str(environment.user_site))
        assert environment.run("-c", ACTIVE).stdout == "1\n"
        assert environment.run("-s", "-c", ACTIVE).stdout == "0\n"
    # Writable again: the link stays where it is.
    assert json.loads(environment.tricks("link", "--json").stdout)["outcome"] == "unchanged"
    environment.tricks("unlink")
    assert files(environment.home) == {}


def test_failing_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replace = Path.replace

    def full_disk(self: Path, target: Path) -> Path:
        if target.suffix == ".pth":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    place = link.StartFolder(tmp_path, "environment")
    monkeypatch.setattr(link, "places", lambda: [place])
    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(PermissionError, match="No space left on device"):
        link.link()
    assert files(tmp_path) == {}
    assert place.status == "absent"


def test_everybody_who_may_read_site_packages_may_read_the_link(environment: Environment) -> None:
    environment.tricks("link")
    plain = environment.site_packages / "plain"
    plain.touch()
    assert {(environment.site_packages / name).stat().st_mode for name in NAMES} == {plain.stat().st_mode}


def test_an_environment_within_another_has_a_link_of_its_own(make: Maker) -> None:
    outer, inner = make(nnunet=False, libs=False), make(nnunet=False, libs=False)
    (inner.site_packages / "outer.pth").write_text(f"import site; site.addsitedir({str(outer.site_packages)!r})\n")
    outer.tricks("link")
    assert inner.run("-c", ACTIVE).stdout == "1\n"
    inner.tricks("link")
    assert inner.run("-c", ACTIVE).stdout == "1\n"
    assert json.loads(inner.tricks("unlink", "--json").stdout)["removed"]
    assert inner.run("-c", ACTIVE).stdout == "1\n"
    assert all((outer.site_packages / name).exists() for name in NAMES)
