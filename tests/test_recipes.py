"""The recipes for clusters parse, and so do the commands in them and in docs/scale.md."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nst_jax.cli.parser import parser
from nst_jax.runs.options import RunOptions

DOCS = Path(__file__).resolve().parents[1] / "docs"
RECIPES = sorted((DOCS / "recipes").iterdir())
VALUES = {"SLURM_ARRAY_TASK_ID": "3", "JOB_COMPLETION_INDEX": "3"}
"""Of variables that no recipe sets."""


def in_yaml(path: Path) -> dict:
    """What a YAML file holds."""
    return pytest.importorskip("yaml").safe_load(path.read_text("utf-8"))


def scripts(path: Path) -> list[str]:
    """A recipe's shell scripts."""
    if path.suffix != ".yaml":
        return [path.read_text("utf-8")]
    found = in_yaml(path)
    return [found["setup"], found["run"]] if "run" in found else [container(found)["command"][2]]


def container(jobset: dict) -> dict:
    """The container of the JobSet's Pods."""
    return jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"][0]


def variables(path: Path) -> dict[str, str]:
    """What the variables of a recipe are."""
    if path.suffix == ".yaml":
        found = in_yaml(path)
        return VALUES | (found.get("envs") or {each["name"]: each["value"] for each in container(found)["env"]})
    set_here = re.findall(r"^(\w+)=(\"[^\"]*\"|[^\s#]+)", path.read_text("utf-8"), re.MULTILINE)
    return VALUES | {name: value.strip('"') for name, value in set_here}


def commands(text: str, values: dict[str, str]) -> list[list[str]]:
    """The arguments of every `nst-jax` command of a shell script."""
    text = re.sub(r"\s*\\\n\s*", " ", text)
    for _ in range(3):  # variables in variables
        text = re.sub(r"\$\{?(\w+)\}?", lambda match: values.get(match[1], match[0]), text)
    lines = re.findall(r"nst-jax (?:sweep|resume) [^;&|\n]*", text)
    return [shlex.split(line, comments=True)[1:] for line in lines]


def check(arguments: list[str]) -> dict:
    """Parses a command, and its options of a run as the program does."""
    chosen = vars(parser().parse_args(arguments))
    RunOptions(**{name.partition(".")[2]: value for name, value in chosen.items() if name.startswith("RunOptions.")})
    return chosen


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_commands_of_recipes_parse(path):
    """Each begins a run, or goes on with it, as the same share."""
    (resumed,), (begun,) = (
        [check(arguments) for script in scripts(path) for arguments in commands(script, variables(path))
         if arguments[0] == name]
        for name in ("resume", "sweep")
    )  # fmt: skip
    assert str(resumed["folder"]) == str(begun["output"])
    assert resumed["folder"].is_absolute()
    assert begun["content"].is_absolute()
    for name in ("share", "distributed", "checkpoint_every"):
        assert resumed[f"RunOptions.{name}"] == begun[f"RunOptions.{name}"]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_scripts_are_shell(path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    for script in scripts(path):
        subprocess.run([shell, "-n"], input=script.encode(), check=True)


def test_as_many_jobs_as_shares():
    slurm, jobset = DOCS / "recipes" / "slurm.sbatch", DOCS / "recipes" / "jobset.yaml"
    (last,) = re.findall(r"^#SBATCH --array=0-(\d+)$", slurm.read_text("utf-8"), re.MULTILINE)
    assert int(variables(slurm)["SHARES"]) == int(last) + 1
    job = in_yaml(jobset)["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert job["completionMode"] == "Indexed"
    assert int(variables(jobset)["SHARES"]) == job["completions"]


def test_commands_of_the_page_parse():
    """Those in blocks and those in lines; `...` stands for pictures."""
    text = (DOCS / "scale.md").read_text("utf-8")
    blocks = re.findall(r"```\n(.*?)```", text, re.DOTALL)
    inline = re.findall(r"`(nst-jax [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    inline = [" ".join(command.split()) for command in inline]  # may go over the end of a line
    found = commands("\n".join([*blocks, *inline]).replace("...", "photo.jpg painting.jpg"), {})
    assert len(found) >= 8
    for arguments in found:
        check(arguments)


def test_the_page_names_every_recipe():
    text = (DOCS / "scale.md").read_text("utf-8")
    assert set(re.findall(r"recipes/([\w.]+\w)", text)) == {path.name for path in RECIPES}
