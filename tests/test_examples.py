"""The examples in docstrings: every public function and class has one, and each says what comes of it."""

import doctest
import importlib
import inspect
import shutil

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import optax
import pytest

import nst_jax as nst
from nst_jax.loss import losses
from nst_jax.network import conv
from nst_jax.transfer.figures import SAMPLES

PACKAGES = ("nst_jax", *(f"nst_jax.{room}" for room in
            ("pictures", "network", "weights", "loss", "optim", "measures", "transfer")))  # fmt: skip
"""Those with public names."""
WITHOUT = {
    "Verified",  # what `verify_weights` returns, whose example shows it
    "convert_weights",  # takes another project's file
}


def public() -> dict[str, object]:
    """Functions and classes by the package that has them and their name; each once. Exceptions need no example."""
    found: dict[int, tuple[str, object]] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and hasattr(value, "__name__") and not _is_exception(value):
                found[id(value)] = (f"{package}.{name}", value)  # a room's own comes after the package's
    return dict(sorted(found.values()))


def _is_exception(value: object) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


PUBLIC = public()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with photo.jpg and painting.jpg, of 64x43 and 64x50 pixels."""
    made = tmp_path_factory.mktemp("examples")
    for name, sample in (("photo", "schwerin_palace"), ("painting", "van_gogh_street_in_auvers")):
        nst.write_image(made / f"{name}.jpg", nst.read_image(SAMPLES / f"{sample}.jpg", size=64))
    return made


@pytest.fixture(scope="module")
def names(pictures):
    """What examples find defined."""
    photo, painting = (nst.read_image(pictures / f"{name}.jpg") for name in ("photo", "painting"))
    modules = {"nst": nst, "jax": jax, "jnp": jnp, "np": np, "optax": optax}
    return {**modules, "photo": photo, "painting": painting, "params": nst.load_weights()}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_an_example_that_holds(name, names, pictures, tmp_path, monkeypatch):
    shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    text = inspect.getdoc(PUBLIC[name]) or ""
    test = doctest.DocTestParser().get_doctest(text, dict(names), name, None, None)
    said: list[str] = []
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        runner.run(test, out=said.append)
    assert runner.failures == 0, "".join(said)
    assert runner.tries or name.rpartition(".")[2] in WITHOUT


def test_no_name_is_excepted_without_need():
    tails = {name.rpartition(".")[2] for name, value in PUBLIC.items() if ">>>" not in (inspect.getdoc(value) or "")}
    assert tails == WITHOUT


def test_examples_elsewhere_are_sections_of_their_own():
    """`Example:` comes last, so that help() ends with it."""
    for name, value in PUBLIC.items():
        text = inspect.getdoc(value) or ""
        if ">>>" in text:
            example = text[text.index("Example:") :].splitlines()[1:]
            assert all(line.startswith("  ") or not line for line in example), name


def test_annotations_are_checked_in_tests():
    """Otherwise none of the shapes that they name would mean anything."""
    with pytest.raises(jaxtyping.TypeCheckError, match="target"):
        losses.style_layer_loss(np.ones((4, 4), np.float32), np.ones((3, 3), np.float32))
    state = nst.LBFGS().init(jnp.ones((2, 5)))
    with pytest.raises(jaxtyping.TypeCheckError, match="gradients"):
        nst.LBFGS().tell(state, jnp.ones(2), jnp.ones((3, 5)))
    with pytest.raises(jaxtyping.TypeCheckError, match="kernel"):
        conv.conv3x3_relu(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 4, 2)), jnp.ones(2))
