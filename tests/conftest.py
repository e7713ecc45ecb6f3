"""Several simulated devices, no implicit mixing of dtypes, and what many tests share: parameters and pictures."""

from pathlib import Path

import jax
import numpy as np
import pytest

import nst_jax
from nst_jax import images, weights

# Before JAX is used for the first time: what is right on one device only shall show.
jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_dtype_promotion", "strict")

SAMPLES = Path(str(nst_jax.__file__)).parent / "samples"


@pytest.fixture(scope="session")
def params():
    """The shipped network, on the device."""
    return jax.device_put(weights.load())


@pytest.fixture(scope="session")
def picture():
    """picture("photograph", 64): a sample with that longest side, [height, width, 3] float32."""
    files = {"photograph": "schwerin_palace.jpg", "painting": "van_gogh_street_in_auvers.jpg"}

    def read(name: str, size: int) -> np.ndarray:
        return images.read_image(SAMPLES / files[name], size=size)

    return read
