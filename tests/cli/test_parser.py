"""The commands: which options each has, what they are called in Python, and that each names a function there is."""

import importlib
import inspect
from dataclasses import fields
from pathlib import Path

import pytest

from nst_jax.cli.parser import parser
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.settings import Settings

COMMANDS = {
    "stylize": "stylize a b -o c",
    "reconstruct": "reconstruct style a -o b",
    "evaluate": "evaluate a --content b --style c",
    "timelapse": "timelapse a -o b",
    "features": "features a -o b",
    "sweep": "sweep",
    "figure": "figure 1",
    "resume": "resume a",
    "weights list": "weights list",
    "weights verify": "weights verify",
    "weights convert": "weights convert a -o b",
    "weights normalize": "weights normalize a -o b",
    "weights quantize": "weights quantize a -o b",
    "weights compare": "weights compare a b",
    "weights fetch": "weights fetch",
}
KINDS = {"settings": Settings, "axes": Axes, "options": RunOptions}


def chosen(command: str) -> dict:
    return vars(parser().parse_args(COMMANDS.get(command, command).split()))


def of(kind: type, command: str) -> set[str]:
    """The fields of a dataclass of settings that a command has."""
    return {key.partition(".")[2] for key in chosen(command) if key.startswith(f"{kind.__name__}.")}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_a_function_that_takes_its_options(command):
    """As `entry` calls it; what it needs has an option."""
    options = chosen(command)
    module, name = options.pop("run").split(".")
    function = getattr(importlib.import_module(f"nst_jax.cli.{module}"), name)
    taken = inspect.signature(function).parameters
    given = {key for key in options if "." not in key and key != "no_cache"}
    given |= {name for name, kind in KINDS.items() if of(kind, command)}
    assert given == {*taken} - {"compile"}  # which `entry` gives to those that take it
    assert "no_cache" in options or "compile" not in taken


@pytest.mark.parametrize("command", COMMANDS)
def test_defaults_are_those_of_the_settings(command):
    options = chosen(command)
    for kind in KINDS.values():
        for item in fields(kind):
            name = f"{kind.__name__}.{item.name}"
            found = options.get(name, item.default)
            assert (tuple(found) if isinstance(found, list) else found) == item.default, name


def test_which_settings_a_command_has():
    everything = {item.name for item in fields(Settings)}
    varied = {item.name for item in fields(Axes)}
    assert of(Settings, "stylize") == everything
    assert of(Settings, "sweep") == everything - varied - {"style_blend"}
    assert of(Axes, "sweep") == varied
    assert of(RunOptions, "sweep") == of(RunOptions, "figure") == {item.name for item in fields(RunOptions)}
    assert of(RunOptions, "resume") == {"on",
        "checkpoint_every", "share", "distributed", "serve", "tensorboard", "quiet",
    }  # fmt: skip
    assert of(Settings, "resume") == of(Axes, "resume") == set()
    assert "ratio" not in of(Settings, "figure")  # each figure has its own
    assert of(Settings, "evaluate") >= {"ratio", "tv", "convention", "style_size", "pool"}
    assert not of(Settings, "evaluate") & {"size", "init", "seed", "evaluations"}
    assert not of(Settings, "features") & {"ratio", "evaluations", "init"}


def test_what_is_typed_is_what_is_chosen():
    options = chosen("stylize a b c -o out.png --evaluations 7 --style-weights 1,2 --memory 4GB --save-every 3 --json")
    assert (options["content"], options["style"], options["output"]) == (
        Path("a"),
        [Path("b"), Path("c")],
        Path("out.png"),
    )
    assert (options["Settings.evaluations"], options["Settings.style_weights"]) == (7, (1.0, 2.0))
    assert (options["memory"], options["save_every"], options["as_json"]) == (4_000_000_000, 3, True)
    options = chosen("sweep a b --more-content c d -o out --share 1/2 --seed 3,4")
    assert options["more_content"] == [Path("c"), Path("d")]
    assert (options["RunOptions.share"], options["Axes.seed"]) == ((1, 2), (3, 4))
    assert chosen("sweep --from run.json -o out")["source"] == Path("run.json")
    for command in ("resume a", "sweep --from run.json"):
        assert chosen(command)["find_in"] == []
        assert chosen(f"{command} --find-in b --find-in c/d")["find_in"] == [Path("b"), Path("c/d")]
    for command in ("features a -o b", "weights normalize a -o b"):
        assert (chosen(command)["skip_bad"], chosen(f"{command} --skip-bad")["skip_bad"]) == (False, True)


def test_evaluations_are_no_steps(capsys):
    with pytest.raises(SystemExit):
        chosen("stylize a b -o c --steps 3")
    assert "unrecognized arguments: --steps" in capsys.readouterr().err
