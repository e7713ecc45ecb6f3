"""`python -m`."""

import subprocess
import sys

import pytest

from nst_jax import __version__


@pytest.mark.parametrize("module", ["nst_jax", "nst_jax.cli"])
def test_the_package_and_its_command_line_are_programs(module):
    command = [sys.executable, "-m", module]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")
    refused = subprocess.run([*command, "weights", "verify", "no.h5"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("nst-jax: weights no.h5: no such file")
