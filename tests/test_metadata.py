"""The files that say what the package is, how it is built and where: they parse, and agree."""

import ast
import fnmatch
import re
import tomllib
from importlib.metadata import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from nst_jax import __version__

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = PYPROJECT["project"]
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""The headings that Keep a Changelog has for changes."""


def in_yaml(name: str) -> dict:
    """What a YAML file of the checkout holds."""
    return pytest.importorskip("yaml", reason="PyYAML is not installed").safe_load((ROOT / name).read_text("utf-8"))


def jobs() -> dict[str, dict]:
    return in_yaml(".github/workflows/ci.yml")["jobs"]


def commands(job: dict) -> list[str]:
    return [step["run"].split(" #")[0] for step in job["steps"] if "run" in step]


def headings() -> list[tuple[str, str]]:
    """The changelog's versions with their dates, from the top."""
    found = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    matches = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", heading) for heading in found]
    return [(match[1], match[2]) for match in matches if match] if all(matches) else []


def test_the_version_is_given_once():
    """In the package's own words, from where the build has it."""
    assert "version" not in PROJECT
    assert PROJECT["dynamic"] == ["version"]
    (path,) = PYPROJECT["tool"]["hatch"]["version"].values()
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    (given,) = (
        node.value for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__version__"]
    )  # fmt: skip
    assert ast.literal_eval(given) == __version__


def test_the_changelog_ends_in_this_version():
    versions = headings()
    assert versions[0][0] == __version__
    numbers = [tuple(map(int, version.split("."))) for version, _ in versions]
    assert numbers == sorted(numbers, reverse=True)
    assert [date for _, date in versions] == sorted((date for _, date in versions), reverse=True)
    kinds = re.findall(r"^### (.*)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert kinds
    assert set(kinds) <= set(KINDS)


def test_the_citation_is_of_this_version():
    citation = in_yaml("CITATION.cff")
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()  # what 1.2.0 wants
    assert (str(citation["version"]), str(citation["date-released"])) == headings()[0]
    assert (citation["title"], citation["license"]) == (PROJECT["name"], PROJECT["license"])
    assert citation["authors"] == PROJECT["authors"]
    assert any("1508.06576" in reference["url"] for reference in citation["references"])
    for reference in citation["references"]:
        assert {"type", "title", "authors"} <= reference.keys()


def test_extras_of_jax_are_those_that_jax_has():
    """pip only warns of an extra that there is not, and installs without it."""
    known = set(metadata("jax").get_all("Provides-Extra") or ())
    wanted = {
        extra: requirement.extras
        for extra, written in PROJECT["optional-dependencies"].items()
        for requirement in map(Requirement, written) if requirement.name == "jax"
    }  # fmt: skip
    assert {"cuda12", "cuda13", "tpu"} <= wanted.keys()
    for extra in ("cuda12", "cuda13", "tpu"):
        assert wanted[extra] == {extra}
    assert set().union(*wanted.values()) <= known


def test_the_workflow_runs_what_ci_runs_with_few_rights():
    workflow = in_yaml(".github/workflows/ci.yml")
    triggers = workflow[True]  # YAML 1.1's reading of `on`
    assert {"push", "pull_request"} <= triggers.keys()
    assert workflow["permissions"] == {"contents": "read"}
    for name, job in jobs().items():
        assert "permissions" not in job, name
        assert 0 < job["timeout-minutes"] <= 120, name
        for step in job["steps"]:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/none@v1")), step
    assert [name for name, job in jobs().items() if ".ci/run" in commands(job)] == ["checks"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_the_workflow_builds_and_keeps_wheel_and_sdist():
    job = jobs()["package"]
    (group,) = (command.split()[-1] for command in commands(job) if "--group" in command)
    tools = {Requirement(written).name for written in PYPROJECT["dependency-groups"][group]}
    run = {words[2] for command in commands(job) if (words := command.split())[1] == "-m"}
    assert run == tools | {"pip"}
    (kept,) = (step["with"] for step in job["steps"] if step.get("uses", "").startswith("actions/upload-artifact"))
    assert kept["path"] == "dist/"
    assert kept["if-no-files-found"] == "error"


def test_pythons_are_allowed():
    """Those of the image and of the workflow."""
    images = re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    named = [re.fullmatch(r"python:(\d+\.\d+)-slim", image) for image in images]
    assert len(named) == 2
    versions = {match[1] for match in named if match}
    for job in jobs().values():
        versions |= {step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")}
    assert len(versions) == 1  # one for all
    assert SpecifierSet(PROJECT["requires-python"]).contains(versions.pop())


def test_the_image_is_built_from_all_that_the_wheel_is():
    """What `.dockerignore` lets through: each file that the build names, and no tests."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*"
    let_through = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    assert all((ROOT / name).exists() for name in let_through)
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *wheel["packages"]}
    needed |= {*wheel["force-include"]}
    assert {Path(name).parts[0] for name in needed} == set(let_through)
    assert any(fnmatch.fnmatch("nst_jax/__pycache__", pattern) for pattern in patterns[1:])
