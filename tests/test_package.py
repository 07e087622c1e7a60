"""The package says the truth about itself."""

import ast
import configparser
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from nnunet_tricks import tricks_table
from nnunet_tricks.catalogue import CATALOGUE
from tests.checkout import ROOT

OURS = ("nnunet_tricks", "dataset_conversion")


def _normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).casefold()


def _declared(section: str, key: str) -> set[str]:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config[section].get(key, "").split()
    return {_normalized(re.split(r"[<>=!~;\[]", line)[0]) for line in lines}


def _imported(folder: Path) -> set[str]:
    found: set[str] = set()
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - set(OURS)


def test_every_package_that_we_import_is_declared() -> None:
    distributions = packages_distributions()
    declared = _declared("options", "install_requires") | _declared("options.extras_require", "parquet")
    imported = set().union(*(_imported(ROOT / package) for package in OURS))
    undeclared = {
        module
        for module in imported
        if not any(_normalized(name) in declared for name in distributions.get(module, [module]))
    }
    # Python finds what a folder of the door names; it is ours.
    assert undeclared <= {"_nnunet_tricks_link", "nnunet_tricks_bridge"}


def test_ci_runs_the_readmes_lines() -> None:
    readme, script = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    line = 'pip install ".[test]" && cd /tmp && pytest -n 2 "$OLDPWD/tests"'
    assert line in readme.splitlines()
    assert line in script.splitlines()


def test_the_readmes_table_is_the_catalogues() -> None:
    readme = (ROOT / "README.md").read_text()
    expected = tricks_table.inserted(readme, tricks_table.as_markdown())
    assert readme == expected, "the catalogue has changed: run 'python -m nnunet_tricks.tricks_table'"
    assert all(f"| `{info.trainer}` |" in readme for info in CATALOGUE)


def test_the_map_names_what_there_is() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    modules = {path.name for path in (ROOT / "nnunet_tricks").glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in (ROOT / "nnunet_tricks").glob("*/__init__.py")}
    missing = {name for name in modules | folders if name not in contributing}
    assert not missing
