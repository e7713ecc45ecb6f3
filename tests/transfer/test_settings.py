"""Settings: the paper's defaults, what each option refuses, and what follows from what was given."""

import json
import math
from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.network.layers import LAYERS
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.fields import numbers
from nst_jax.transfer.settings import Settings

RANGES = {item.name: item.metadata["range"] for item in fields(Settings) if item.metadata["range"]}
SEVERAL = ("style_weights", "style_blend", "region_weights")
WHOLE = ("size", "style_size", "ratio_size", "max_pixels", "seed", "evaluations", "history", "scales")


def refusal(**options) -> str:
    """The one line that Settings refuses these with, without the option, which it must name first."""
    with pytest.raises(InputError) as caught:
        Settings(**options)
    message = str(caught.value)
    assert "\n" not in message
    option, _, rest = message.partition(": ")
    names = set(options)
    assert set(option.split(" and ")) <= names, message
    return rest


def values(name: str, value):
    """As the option takes it: a number, or a number for each style layer."""
    return (1.0, value, 1.0, 1.0, 1.0) if name in SEVERAL else value


def test_defaults_are_the_papers():
    settings = Settings()
    assert settings.alpha_beta == (1e-3, 1.0)
    assert settings.content_layers == ("conv4_2",)
    assert settings.style_layers == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    assert settings.layer_weights == dict.fromkeys(settings.style_layers, 0.2)
    assert (settings.pool, settings.padding, settings.tv) == ("avg", "zero", 0.0)
    assert (settings.init, settings.optimizer) == ("noise", "lbfgs")
    assert (settings.size, settings.seed, settings.precision, settings.weights) == (512, 0, "auto", "vgg19")


def test_every_number_has_a_range_and_takes_its_ends():
    """But for those that have choices."""
    numeric = [item for item in fields(Settings) if item.metadata["parse"] in (int, float, numbers)]
    assert set(RANGES) == {item.name for item in numeric if not item.metadata["choices"]}
    for name, (low, high) in RANGES.items():
        for value in (low, high):
            other = {"beta": 1.0} if name == "alpha" else {"alpha": 1.0} if name == "beta" else {}
            settings = Settings(**{name: values(name, value)}, **other)
            assert getattr(settings, name) == values(name, value)


@pytest.mark.parametrize("name", RANGES)
@given(data=st.data())
def test_numbers_out_of_range(name, data):
    low, high = RANGES[name]
    if name in WHOLE:
        wrong = st.integers(max_value=low - 1) | st.integers(min_value=high + 1)
    else:
        below = st.floats(max_value=low, exclude_max=True, allow_nan=False)
        above = st.floats(min_value=high, exclude_min=True, allow_nan=False)
        wrong = below | above | st.sampled_from([math.nan, math.inf, -math.inf])
    value = data.draw(wrong)
    assert refusal(**{name: values(name, value)}) == f"{value} is not allowed; must be from {low} to {high}"


@pytest.mark.parametrize(
    ("name", "value", "known"),
    [
        ("content_layers", ("conv6_1",), LAYERS),
        ("content_layers", ("",), LAYERS),
        ("style_layers", ("conv1_1", "relu2_1"), LAYERS),
        ("pool", "mean", ("avg", "binomial", "max")),
        ("padding", "same", ("zero", "reflect", "replicate")),
        ("precision", "float16", ("auto", "float32", "tensorfloat32", "bfloat16", "bfloat16-activations")),
        ("optimizer", "sgd", ("lbfgs", "adam")),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(name, value, known):
    unknown = value[-1] if isinstance(value, tuple) else value
    assert refusal(**{name: value}) == f"{unknown!r} is unknown; known are {', '.join(known)}"


def test_ratio_alpha_and_beta():
    assert Settings(ratio=0.25).alpha_beta == (0.25, 1.0)
    assert Settings(ratio=0.0).alpha_beta == (0.0, 1.0)
    assert Settings(alpha=5.0).alpha_beta == (5.0, 1.0)
    assert Settings(beta=5.0).alpha_beta == (1.0, 5.0)
    assert Settings(alpha=2.0, beta=0.0).alpha_beta == (2.0, 0.0)
    assert Settings(alpha=0.0, beta=3.0).alpha_beta == (0.0, 3.0)
    for other in ({"alpha": 1.0}, {"beta": 1.0}, {"alpha": 0.0, "beta": 1.0}):
        assert "alpha or beta" in refusal(ratio=1e-3, **other)
    assert "both are zero" in refusal(alpha=0.0, beta=0.0)


def test_style_layers_and_their_weights():
    two = ("conv3_1", "pool2")
    assert Settings(style_layers=two).layer_weights == {"conv3_1": 0.5, "pool2": 0.5}
    assert Settings(style_layers=two, style_weights=(0.0, 3.0)).layer_weights == {"conv3_1": 0.0, "pool2": 3.0}
    assert refusal(style_layers=()).startswith("no layer is named; known are conv1_1, ")
    assert refusal(style_layers=("conv1_1", "conv1_1")).startswith("a layer is named twice; ")
    assert refusal(style_layers=two, style_weights=(1.0,)) == "1 given for 2 style layers; give one for each"


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("zeros", [(0.0,), (0.0, 0.0, 0.0, 0.0, 0.0)])
def test_shares_that_are_all_zero(name, zeros):
    assert refusal(**{name: zeros}) == "all are zero; at least one must be positive"


def test_settings_cannot_change_and_fit_into_json():
    settings = Settings(style_weights=(1.0, 2.0, 3.0, 4.0, 5.0))
    with pytest.raises(FrozenInstanceError):
        settings.evaluations = 3  # type: ignore[misc]
    assert json.loads(json.dumps(vars(settings)))["style_weights"] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("options", "words"), [
    ({"ratio": "x"}, "'x' is not allowed; must be a number"),
    ({"size": 64.0}, "64.0 is not allowed; must be a whole number"),
    ({"size": True}, "True is not allowed; must be a whole number"),
    ({"ratio": (1.0, 2.0)}, "(1.0, 2.0) is not allowed; must be one value, a number"),
    ({"pool": 3}, "3 is not allowed; must be text"),
    ({"style_weights": ("a",) * 5}, "'a' is not allowed; must be numbers"),
])  # fmt: skip
def test_values_of_another_kind_are_refused(options, words):
    """From Python anything may come."""
    assert refusal(**options) == words


def test_every_setting_says_what_it_is():
    for kind in (Settings, Axes):
        for item in fields(kind):
            assert item.metadata["help"], item.name
            assert item.metadata["group"], item.name


@pytest.mark.parametrize(("platform", "fast"), [("cpu", "float32"), ("gpu", "tensorfloat32"), ("tpu", "bfloat16")])
def test_auto_is_a_precision_by_name_where_something_runs(platform, fast):
    assert Settings().on(platform) == Settings(precision=fast)
    assert Settings().exact == Settings(precision="float32")
    asked = Settings(precision="bfloat16-activations")
    assert asked.on(platform) == asked.exact == asked


def test_content_layers_and_their_weights():
    assert Settings().content_weights == {"conv4_2": 1.0}
    assert Settings(content_layers=("conv3_2:0.2", "conv4_2")).content_weights == {"conv3_2": 0.2, "conv4_2": 1.0}
    assert refusal(content_layers=()).startswith("no layer is named; known are conv1_1, ")
    assert refusal(content_layers=("conv4_2", "conv4_2:2")).startswith("a layer is named twice; ")
    assert refusal(content_layers=("conv4_2:0",)) == "all weights are zero; at least one must be positive"
    assert refusal(content_layers=("conv4_2:x",)).startswith("'conv4_2:x' has a weight that is not allowed; must be a")


def test_a_painting_s_size_beside_the_picture():
    assert Settings().beside(256) == 256
    assert Settings(style_scale=0.5).beside(256) == 128
    assert Settings(style_size=400, style_scale=2.0).beside(256) == 800
    assert Settings(style_scale=0.05).beside(256) == 32


def test_other_style_losses_have_no_foreign_weights():
    Settings(style_loss="wasserstein")
    assert refusal(style_loss="mean-std", convention="gatys").startswith("only with convention paper")
