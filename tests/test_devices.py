"""Which devices work is spread over."""

import jax

from nst_jax import devices


def test_all_of_the_process_or_the_one_that_is_configured():
    assert devices.local_devices() == jax.local_devices()
    assert len(devices.local_devices()) > 3
    with jax.default_device(jax.local_devices()[3]):
        assert devices.local_devices() == [jax.local_devices()[3]]
    with jax.default_device("cpu"):
        assert devices.local_devices() == jax.local_devices(backend="cpu")[:1]
    assert devices.platform() == "cpu"


def test_a_cpu_device_on_a_machine_with_an_accelerator(monkeypatch):
    """Whatever the default platform is, the device that is configured decides."""
    own = jax.local_devices()[0]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(jax, "local_devices", lambda **_: [])
    with jax.default_device(own):
        assert devices.local_devices() == [own]
        assert devices.platform() == "cpu"
