"""Topologies by name, and whether there is what compiles for them."""

import re

import pytest

from nst_jax.errors import InputError
from nst_jax.network.layers import PRECISIONS, of_products
from nst_jax.topologies import chips

ALL = ["h100", *(f"{kind}:{shape}" for kind, shapes in chips.KNOWN.items() if kind != "h100" for shape in shapes)]


@pytest.mark.parametrize(("name", "count", "hosts", "own", "host"), [
    ("v5e:1x1", 1, 1, "v5e:1x1", (1, 1, 1)), ("v5e:4x4", 4, 4, "v5e:4x4", (2, 2, 1)),
    ("v5p:2x2x1", 4, 1, "v5:2x2x1", (2, 2, 1)), ("v4:2x2x2", 4, 2, "v4:2x2x2", (2, 2, 1)),
])  # fmt: skip
def test_tpus(name, count, hosts, own, host):
    found = chips.named(name)
    assert (found.platform, found.chips, found.hosts) == ("tpu", count, hosts)
    assert (found.described["topology_name"], found.described["chips_per_host_bounds"]) == (own, host)


@pytest.mark.parametrize("name", ALL)
def test_figures_are_of_every_precision(name):
    """And no slower where products are rounded more."""
    chip = chips.named(name).chip
    assert set(chip.flops) == set(map(of_products, PRECISIONS))
    assert chip.flops["float32"] < chip.flops["tensorfloat32"] < chip.flops["bfloat16"] < 1e15
    assert 10e9 < chip.memory < 110e9
    assert 0.8e12 < chip.bandwidth < 4e12


def test_a_gpu():
    found = chips.named("h100")
    assert (found.platform, found.chips) == ("cuda", 1)
    assert str(found.chip.memory) in found.described["target_config"]


@pytest.mark.parametrize("name", ["", "v5e", "v5e:", "v5e:3x3", "v9:1x1", "h100:2", "V5E:2x2", "v5e:2x2:1"])
def test_an_unknown_topology_is_refused_with_the_known_ones(name):
    with pytest.raises(InputError, match=re.escape(f"device {name!r}: unknown; known are v4:2x2x1")) as caught:
        chips.named(name)
    assert "v5e:1x1, 2x2" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "package", "extra"), [
    ("v5e:2x2", "libtpu", "tpu-compile"), ("h100", "jax-cuda12-plugin", "cuda-compile"),
])  # fmt: skip
def test_a_compiler_that_is_missing_or_another(monkeypatch, name, package, extra):
    def none(asked):
        raise chips.PackageNotFoundError(asked)

    monkeypatch.setattr(chips, "version", none)
    remedy = re.escape(f'pip install "nst_jax[{extra}]"')
    with pytest.raises(InputError, match=f"^device {name}: {package} is not installed; {remedy}$"):
        chips.check_compiler(chips.named(name))
    monkeypatch.setattr(chips, "version", lambda asked: "0.0.1")
    with pytest.raises(
        InputError, match=f"{package} 0.0.1 is not the one that JAX 0.0.1 wants, [0-9.]+[0-9]; {remedy}$"
    ):
        chips.check_compiler(chips.named(name))
