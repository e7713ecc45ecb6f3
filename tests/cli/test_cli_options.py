"""Options that are generated from dataclasses of settings, and parsers whose errors are one line."""

import argparse
from dataclasses import dataclass, fields

import pytest

from nst_jax.cli.options import OneLineParser, OwnSize, add_command, add_settings, reader
from nst_jax.errors import InputError
from nst_jax.runs.options import RunOptions
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.fields import layers, numbers, setting, size_in_bytes
from nst_jax.transfer.settings import Settings


@dataclass(frozen=True)
class Few:
    """Settings of all kinds."""

    amount: float = setting(1.0, "some", float, "how much", range=(0, 2))
    long_name: int | None = setting(None, "some", int, "how many (default: enough)")
    names: tuple[str, ...] = setting(("a", "b"), "some", layers, "which")
    kind: str = setting("dog", "some", str, "which animal", choices=("dog", "cat"))
    digits: int = setting(8, "some", int, "how many claws", choices=(8, 16))
    loud: bool = setting(False, "some", bool, "whether it barks")
    place: str = setting("here", "some", str, "where", metavar="here|FILE")
    memory: int | None = setting(None, "some", size_in_bytes, "how large")
    other: int = setting(3, "others", int, "not asked for")


@pytest.fixture
def parser():
    made = OneLineParser(prog="pets")
    add_settings(made, Few, "some")
    return made


def test_each_field_of_the_groups_is_an_option_with_its_default(parser):
    """`entry` finds them by the dataclass's name."""
    expected = {f"Few.{item.name}": item.default for item in fields(Few) if item.metadata["group"] == "some"}
    assert vars(parser.parse_args([])) == expected


def test_values_are_read_as_the_field_says(parser):
    text = "--amount 5e-1 --long-name 7 --names x,y --kind cat --digits 16 --loud --place there --memory 2kB"
    assert vars(parser.parse_args(text.split())) == {
        "Few.amount": 0.5, "Few.long_name": 7, "Few.names": ("x", "y"), "Few.kind": "cat", "Few.digits": 16,
        "Few.loud": True, "Few.place": "there", "Few.memory": 2000,
    }  # fmt: skip


def test_help_shows_what_is_allowed_and_the_default(parser):
    text = " ".join(parser.format_help().split())
    for shown in (
        "--amount FLOAT how much (default: 1)",
        "--long-name INT how many (default: enough)",
        "--names LAYERS which (default: a,b)",
        "--kind dog|cat which animal (default: dog)",
        "--digits 8|16 how many claws (default: 8)",
        "--loud whether it barks",
        "--place here|FILE where (default: here)",
        "--memory SIZE_IN_BYTES how large",
    ):
        assert shown in text, shown
    assert "--other" not in text
    assert "--loud LOUD" not in text


def test_a_share_is_shown_as_it_is_typed():
    made = OneLineParser(prog="nst-jax")
    add_settings(made, RunOptions, "work")
    assert "(default: 0/1)" in made.format_help()


def test_axes_take_lists():
    made = OneLineParser(prog="nst-jax")
    add_settings(made, Axes, "axes")
    chosen = made.parse_args(["--ratio", "1e-3,1", "--rows", "A,C", "--style-layers", "conv1_1;conv1_1,conv2_1"])
    assert vars(chosen)["Axes.ratio"] == (1e-3, 1.0)
    assert vars(chosen)["Axes.style_layers"] == (("conv1_1",), ("conv1_1", "conv2_1"))
    lists = [item for item in fields(Axes) if item.metadata["group"] == "axes" and not item.metadata["metavar"]]
    assert made.format_help().count(" LIST") >= 2 * len(lists)


def test_what_is_given_several_times_is_gathered():
    made = OneLineParser(prog="nst-jax")
    add_settings(made, Axes, "vary")
    chosen = made.parse_args(["--vary", "pool=avg,max", "--vary", "style-scale=0.5,1"])
    assert vars(chosen)["Axes.vary"] == [("pool", ("avg", "max")), ("style_scale", (0.5, 1.0))]
    assert vars(made.parse_args([]))["Axes.vary"] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--amount x", "argument --amount: invalid float value: 'x'"),
        ("--long-name 1.5", "argument --long-name: invalid int value: '1.5'"),
        ("--memory many", "argument --memory: 'many' is not a size such as 4GB"),
        ("--bark", "unrecognized arguments: --bark"),
        ("--kind", "argument --kind: expected one argument"),
    ],
)
def test_errors_are_one_line_and_code_2(parser, capsys, arguments, told):
    with pytest.raises(SystemExit) as caught:
        parser.parse_args(arguments.split())
    assert caught.value.code == 2
    assert capsys.readouterr() == ("", f"nst-jax: {told} (see pets --help)\n")


def test_a_reader_tells_of_an_input_error_in_its_words():
    def refuse(text: str):
        raise InputError(f"{text!r} will not do")

    with pytest.raises(argparse.ArgumentTypeError, match=r"^'x' will not do$"):
        reader(refuse)("x")
    assert reader(numbers)("1,2") == (1.0, 2.0)
    assert reader(numbers).__name__ == "numbers"


@pytest.mark.parametrize(
    ("run", "kept"),
    [("stylize_command.stylize", True), ("weights_commands.show_all", False), (None, False)],
)
def test_commands_that_compute_can_do_without_the_cache(run, kept):
    commands = OneLineParser(prog="nst-jax").add_subparsers()
    made = add_command(commands, "thing", run, "does a thing", "nst-jax thing")
    assert ("--no-cache" in made.format_help()) == kept
    assert "Does a thing." in made.format_help()
    assert "examples:\n  nst-jax thing" in made.format_help()
    assert vars(made.parse_args([]))["run"] == run


def test_all_settings_have_options_of_their_own():
    """No two fields of one kind share an option, and none is without a help."""
    for kind in (Settings, Axes, RunOptions):
        made = OneLineParser(prog="nst-jax")
        add_settings(made, kind, *{item.metadata["group"] for item in fields(kind)})
        assert set(vars(made.parse_args([]))) == {f"{kind.__name__}.{item.name}" for item in fields(kind)}
        assert all(item.metadata["help"] for item in fields(kind))


def test_a_size_is_a_number_or_the_photograph_s_own(capsys):
    """The last one counts."""
    made = OneLineParser(prog="pets")
    made.add_argument("--size", action=OwnSize, dest="size", default=512, help="how large")
    made.set_defaults(original_size=False)
    for text, expected in (
        ("", (512, False)),
        ("--size 64", (64, False)),
        ("--size original", (512, True)),
        ("--size original --size 64", (64, False)),
        ("--size 64 --size=original", (512, True)),
    ):
        found = made.parse_args(text.split())
        assert (found.size, found.original_size) == expected
    assert "--size INT|original how large" in " ".join(made.format_help().split())
    with pytest.raises(SystemExit):
        made.parse_args(["--size", "Original"])
    assert "argument --size: 'Original' is neither a whole number nor original" in capsys.readouterr().err
