"""The package says the truth about itself."""

import ast
import configparser
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from nnunet_tricks.catalogue import CATALOGUE
from nnunet_tricks.catalogue import table as tricks_table
from nnunet_tricks.catalogue.naming import parse
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
    declared = _declared("options", "install_requires").union(
        *(_declared("options.extras_require", extra) for extra in ("parquet", "networks", "onnx", "synthesis"))
    )
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
    line = 'pip install ".[test,docs]" && cd "$(mktemp -d)" && pytest -n 2 "$OLDPWD/tests"'
    assert line in readme.splitlines()
    assert line in script.splitlines()


def test_the_tables_of_tricks_are_the_catalogues() -> None:
    page = (ROOT / "docs" / "tricks.md").read_text()
    expected = tricks_table.inserted(page, tricks_table.as_markdown())
    assert page == expected, "the catalogue has changed: run 'python -m nnunet_tricks.catalogue.table'"
    assert all(f"| `{info.trainer}` |" in page for info in CATALOGUE)


def test_the_readmes_digest_names_tricks_that_there_are() -> None:
    digest = (ROOT / "README.md").read_text().partition("| problem | trick | command |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1:-1] for line in digest.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) == 8
    for _, names, command in rows:
        (trainer,) = re.findall(r"-tr (\w+)", command)
        for name in (*re.findall(r"`(\w+)`", names), trainer.removeprefix("nnUNetTrainer")):
            assert parse(f"nnUNetTrainer{name}").tricks


def _imported_packages(folder: Path) -> dict[str, str]:
    """What a package of ours imports of the others, and where."""
    found: dict[str, str] = {}
    for file in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert not node.level, f"{file}: relative imports hide what is imported"
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for parts in (name.split(".") for name in names):
                if parts[0] == OURS[0] and (ROOT / OURS[0] / parts[1]).is_dir():
                    found.setdefault(parts[1], f"{file.relative_to(ROOT)}:{node.lineno}")
    return found


def test_the_map_names_each_package_and_imports_follow_its_layers() -> None:
    map_of_packages = (ROOT / "CONTRIBUTING.md").read_text().split("```")[1]
    layers = list(dict.fromkeys(re.findall(r"^  (\w+)/", map_of_packages.partition("\ndataset_conversion/")[0], re.M)))
    packages = {file.parent.name for file in (ROOT / OURS[0]).glob("*/__init__.py")}
    assert set(layers) == packages
    assert len(packages) <= 15
    assert [file.name for file in (ROOT / OURS[0]).glob("*.py") if file.name != "__init__.py"] == ["cli.py"]
    for height, package in enumerate(layers):
        for imported, where in _imported_packages(ROOT / OURS[0] / package).items():
            assert layers.index(imported) <= height, f"{where} imports {imported}/, which lies above {package}/"


def test_each_class_has_a_name_of_its_own_and_no_variable_is_called_one() -> None:
    places: dict[str, list[str]] = {}
    unnamed = []
    for folder in (*OURS, "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                where = f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.ClassDef) and folder in OURS:
                    places.setdefault(node.name, []).append(where)
                elif (isinstance(node, ast.Name) and node.id == "one" and isinstance(node.ctx, ast.Store)) or (
                    isinstance(node, ast.arg) and node.arg == "one"
                ):
                    unnamed.append(where)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}
    # A key of stored reports.
    assert [where for where in unnamed if not where.startswith("dataset_conversion/duplicates.py")] == []
