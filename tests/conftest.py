"""Several simulated devices, no implicit mixing of dtypes, and what many tests share: parameters and pictures."""

import os
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Shapes and dtypes that annotations name are checked at run time, in tests alone; PEP 484 lets an int be a float.
_CHECKED = [f"nst_jax.{room}" for room in ("network", "loss", "optim")]
install_import_hook(_CHECKED, "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

import nst_jax  # noqa: E402 (what is imported before the hook would not be checked)
from nst_jax.pictures import images  # noqa: E402
from nst_jax.weights import weights  # noqa: E402

# Before JAX is used for the first time: what is right on one device only shall show.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")

# No test touches the user's own cache directory; programs of their own, which tests start, share this one.
_CACHE = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
os.environ["NST_JAX_CACHE"] = _CACHE.name

SAMPLES = Path(str(nst_jax.__file__)).parent / "samples"


@pytest.fixture(scope="session")
def params():
    """The shipped network, on the device."""
    return jax.device_put(weights.load())


@pytest.fixture(scope="session")
def picture():
    """picture("photograph", 32, 48): a sample of that height and width, [height, width, 3] float32."""
    files = {"photograph": "schwerin_palace.jpg", "painting": "van_gogh_street_in_auvers.jpg"}
    whole = {name: images.read_image(SAMPLES / file) for name, file in files.items()}

    def resized(name: str, height: int, width: int) -> np.ndarray:
        return images.resize(whole[name], height, width)

    return resized


@pytest.fixture(scope="session")
def inputs(tmp_path_factory, picture):
    """Files of a photograph and a painting; not to be changed."""
    folder = tmp_path_factory.mktemp("inputs")
    images.write_image(folder / "photo.png", picture("photograph", 40, 48))
    images.write_image(folder / "painting.png", picture("painting", 36, 48))
    return folder / "photo.png", folder / "painting.png"


@pytest.fixture
def cluster(monkeypatch):
    """What `jax.distributed.initialize` is called with."""
    calls = []

    def initialize(address=None, count=None, own=None, *, shutdown_timeout_seconds=300):
        calls.append((address, count, own, shutdown_timeout_seconds))
        if address is None:
            raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    for name in ("COORDINATOR_ADDRESS", "NUM_PROCESSES", "PROCESS_ID"):
        monkeypatch.delenv(f"JAX_{name}", raising=False)
    return calls


@pytest.fixture
def optax_mixes_dtypes():
    """For tests of Optax transformations."""
    with jax.numpy_dtype_promotion("standard"):
        yield
