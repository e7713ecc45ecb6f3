"""Runs the command line: within this process, so that compiled programs are shared, or as a program of its own."""

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import NamedTuple

from nst_jax.cli import main

PROGRAM = (sys.executable, "-c", "import sys; from nst_jax.cli import main; sys.exit(main())")


class Outcome(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*arguments: object) -> Outcome:
    """Runs `nst-jax ARGUMENTS` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit:  # argparse's way out
            code = exit.code
    assert isinstance(code, int)
    return Outcome(code, out.getvalue(), err.getvalue())


def done(*arguments: object) -> Outcome:
    """Runs `nst-jax ARGUMENTS`, which must end well."""
    outcome = run(*arguments)
    assert outcome.code == 0, outcome
    return outcome


def separately(*arguments: object, program: Sequence[str] = PROGRAM, **options) -> subprocess.CompletedProcess:
    """Runs `nst-jax ARGUMENTS` as a program of its own."""
    command = [*program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def assert_refused(outcome: Outcome, *words: str) -> None:
    """Exit code 2 and one line on standard error that holds all of `words`; nothing on standard output."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    assert outcome.err.startswith("nst-jax: ")
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1, outcome.err
    for word in words:
        assert word in outcome.err, (word, outcome.err)
