"""What a release needs: metadata that agree with each other, and forms that ask for what is needed."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from nnunet_tricks import __version__
from tests.checkout import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == setup()["metadata"]["license"]
    assert citation["authors"] == [{"name": setup()["metadata"]["author"]}]
    assert {"cff-version", "message", "title"} <= set(citation)


def test_pythons_of_the_metadata_are_tested() -> None:
    classifiers = setup()["metadata"]["classifiers"].split("\n")
    minor = [line.rpartition(" ")[2] for line in classifiers if line.startswith("Programming Language :: Python :: 3.")]
    jobs = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]
    matrix = jobs["tests"]["strategy"]["matrix"]
    assert minor == matrix["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert {system.partition("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    oldest = setup()["options"]["install_requires"].split("\n")[1]
    assert oldest.startswith("nnunetv2>=2.7")
    assert {row["nnunetv2"] for row in matrix["include"]} == {"2.7.0"}
    assert {row["os"] for row in matrix["include"]} == set(matrix["os"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.stem)
def test_workflows_may_only_read_unless_they_publish(workflow) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    writing = {name for name, job in content["jobs"].items() if "permissions" in job}
    assert writing <= {"publish"}
    assert all("timeout-minutes" in job for job in content["jobs"].values())


def test_a_release_is_checked_and_published_without_a_password() -> None:
    text = (ROOT / ".github/workflows/release.yml").read_text()
    assert "twine check --strict" in text
    assert "id-token: write" in text
    assert "secrets." not in text


@pytest.mark.skipif(os.name == "nt", reason="the step runs on Linux")
def test_links_of_a_release_lead_to_its_repository(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    (tmp_path / "README.md").write_text(f"{readme}\n[here](#below) [there](docs/names.md#rules)\n")
    steps = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())["jobs"]["build"]["steps"]
    (step,) = (step["run"] for step in steps if "README.md" in step.get("run", ""))
    variables = {"GITHUB_SERVER_URL": "https://a.test", "GITHUB_REPOSITORY": "b/c", "GITHUB_REF_NAME": "v1"}
    subprocess.run(["bash", "-ec", step], cwd=tmp_path, env={**os.environ, **variables}, check=True)
    released = (tmp_path / "README.md").read_text()
    links = re.findall(r"\]\(([^)]*)\)", released)
    assert all(link.startswith(("https://", "#")) for link in links)
    assert len(links) == len(re.findall(r"\]\(([^)]*)\)", readme)) + 2
    assert "![Image, truth and both predictions of three phantoms](https://a.test/b/c/raw/v1/docs/demo.png)" in released
    assert "[names](https://a.test/b/c/blob/v1/docs/names.md)" in released
    assert "[here](#below) [there](https://a.test/b/c/blob/v1/docs/names.md#rules)" in released
    assert "[nnU-Net v2](https://github.com/MIC-DKFZ/nnUNet)" in released


def test_workflows_run_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    for name in ("tests", "nightly"):
        steps = (ROOT / f".github/workflows/{name}.yml").read_text()
        assert 'pip install ".[test,docs]"' in steps
        assert "pytest -n 2" in steps
    assert 'pip install ".[test,docs]" && cd "$(mktemp -d)" && pytest -n 2' in readme


def test_a_report_of_a_bug_needs_the_doctors_findings() -> None:
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    fields = {field.get("id"): field for field in form["body"]}
    assert "nnunet-tricks doctor" in fields["doctor"]["attributes"]["description"]
    assert fields["doctor"]["validations"]["required"]


def test_the_security_page_says_what_a_checkpoint_can_do() -> None:
    page = (ROOT / "SECURITY.md").read_text()
    assert "## What a checkpoint can do" in page
    assert "--trust" in page
