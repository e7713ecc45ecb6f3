"""Settings of JAX in the environment that cannot be kept to: one line that names them."""

import os

import pytest
from program import separately

from nst_jax.pictures import images

FEATURES = ("features", "photo.png", "-o", "out.npz", "--style-layers", "conv1_1", "--quiet", "--no-cache")


@pytest.fixture
def refusal(tmp_path, picture):
    """refusal(JAX_PLATFORMS="tpu"): the line with which a command that computes refuses that environment."""
    images.write_image(tmp_path / "photo.png", picture("photograph", 32, 32))

    def refused(**settings: str) -> str:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
        done = separately(*FEATURES, cwd=tmp_path, env=environment | {"CUDA_VISIBLE_DEVICES": ""} | settings)
        assert (done.returncode, done.stdout) == (2, ""), done
        assert done.stderr.count("\n") == 1
        assert not (tmp_path / "out.npz").exists()
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


@pytest.mark.parametrize("setting", ["JAX_NO_EXECUTION", "JAX_ERROR_CHECKING_BEHAVIOR_DIVIDE"])
def test_what_lets_nothing_be_computed(refusal, setting):
    """The second adds checks that JAX cannot make of many lanes at once."""
    value = {"JAX_NO_EXECUTION": "1", "JAX_ERROR_CHECKING_BEHAVIOR_DIVIDE": "raise"}[setting]
    assert refusal(**{setting: value}).startswith(f"nst-jax: {setting}={value}: JAX cannot compute anything so (")
