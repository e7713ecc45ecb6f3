"""Settings of JAX in the environment that cannot be kept to: one line that names them."""

import os

import pytest
from program import separately

from nst_jax.pictures import images

STYLIZE = (
    "stylize", "photo.png", "photo.png", "-o", "out.png", "--content-layers", "conv1_1", "--style-layers", "conv1_1",
    "--size", "32", "--evaluations", "1", "--quiet", "--no-cache",
)  # fmt: skip
FEATURES = ("features", "photo.png", "-o", "out.npz", "--style-layers", "conv1_1", "--quiet", "--no-cache")


@pytest.fixture
def refusal(tmp_path, picture):
    """refusal(JAX_PLATFORMS="tpu"): the line with which a command that computes refuses that environment."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 32, 32))

    def refused(command: tuple[str, ...] = FEATURES, **settings: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        done = separately(*command, cwd=tmp_path, env=environment | {"CUDA_VISIBLE_DEVICES": ""} | settings)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr.count("\n") == 1
        assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
        return done.stderr

    return refused


@pytest.mark.parametrize("platform", ["cuda", "tpu", "nonsense"])
def test_a_platform_that_is_not_there(refusal, platform):
    line = refusal(JAX_PLATFORMS=platform)
    assert line.startswith(f"nst-jax: JAX_PLATFORMS={platform}: JAX cannot compute there; there is cpu")


@pytest.mark.parametrize("setting", ["JAX_TRANSFER_GUARD", "JAX_ENABLE_X64", "JAX_NUM_CPU_DEVICES"])
def test_a_value_that_jax_does_not_know(refusal, setting):
    """Of one word of several, of yes or no, and a number."""
    line = refusal(**{setting: "maybe"})
    assert line.startswith(f"nst-jax: {setting}=maybe: ")
    assert "config_options.html has what is allowed" in line


@pytest.mark.parametrize(
    ("setting", "value", "command"),
    [("JAX_NO_EXECUTION", "1", FEATURES), ("JAX_ERROR_CHECKING_BEHAVIOR_DIVIDE", "raise", STYLIZE)],
)
def test_what_lets_nothing_be_computed(refusal, setting, value, command):
    """The second adds checks that JAX cannot make of many lanes at once."""
    line = refusal(command, **{setting: value})
    assert line.startswith(f"nst-jax: {setting}={value}: JAX cannot compute anything so (")
