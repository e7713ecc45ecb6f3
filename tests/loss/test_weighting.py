"""The weights of equations 5 and 7: the paper's by default, and what is refused."""

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.loss.weighting import loss_weights


def test_the_papers_weights_are_the_default():
    found = loss_weights()
    assert found.alpha / found.beta == np.float32(1e-3)
    assert found.content_layers == {"conv4_2": 1}
    assert found.style_layers == {f"conv{block}_1": np.float32(0.2) for block in range(1, 6)}
    assert found.tv == 0


def test_a_layer_named_twice_counts_once():
    assert loss_weights(style_layers=["conv1_1", "conv1_1"]).style_layers == {"conv1_1": 1}


def test_layers_may_be_one_name_or_come_one_by_one():
    found = loss_weights(content_layers="pool1", style_layers=iter(["conv1_1", "conv2_1"]))
    assert found.content_layers == {"pool1": 1}
    assert found.style_layers == {"conv1_1": 0.5, "conv2_1": 0.5}


WRONG = [(-1.0, "-1"), (np.inf, "inf"), (np.nan, "nan"), ([1.0, -2.0], "-2"), (-np.inf, "-inf")]


@pytest.mark.parametrize(("value", "shown"), WRONG, ids=str)
@pytest.mark.parametrize("argument", ["alpha", "beta", "tv"])
def test_wrong_factors_are_refused_in_one_line(argument, value, shown):
    with pytest.raises(InputError) as caught:
        loss_weights(**{argument: value})
    message = str(caught.value)
    assert message.startswith(f"{argument}: {shown} ")
    assert "finite number, zero or more" in message
    assert "\n" not in message


@pytest.mark.parametrize(("value", "shown"), WRONG, ids=str)
@pytest.mark.parametrize("kind", ["content", "style"])
def test_wrong_layer_weights_are_refused_in_one_line(kind, value, shown):
    with pytest.raises(InputError) as caught:
        loss_weights(**{f"{kind}_layers": {"conv1_1": 1.0, "conv2_1": value}})
    message = str(caught.value)
    assert message.startswith(f"{kind} layer weights, conv2_1: {shown} ")
    assert "\n" not in message


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"alpha": 0.0, "beta": 0.0}, ["alpha and beta", "zero"]),
        ({"alpha": [1.0, 0.0], "beta": [0.0, 0.0]}, ["alpha and beta", "zero"]),
        ({"style_layers": {"conv1_1": 0.0, "conv2_1": 0.0}}, ["style layer weights", "zero"]),
        ({"style_layers": {"conv1_1": [0.0, 1.0], "conv2_1": [0.0, 1.0]}}, ["style layer weights", "zero"]),
        ({"style_layers": []}, ["style layer weights"]),
        ({"alpha": []}, ["alpha", "(0,)", "one number or a list"]),
        ({"style_layers": {"conv1_1": np.ones((2, 2))}}, ["style layer weights, conv1_1", "(2, 2)"]),
        ({"content_layers": {"conv1_1": 0.0}}, ["content layer weights", "zero"]),
        ({"style_layers": ["conv1_1", "conv9_1"]}, ["style layer weights", "'conv9_1'", "conv5_4"]),
        ({"content_layers": {"conv9_1": 1.0}}, ["content layer weights", "'conv9_1'", "conv5_4"]),
        ({"alpha": [1.0, 2.0], "style_layers": {"conv1_1": [1.0, 2.0, 3.0]}}, ["lanes", "2 and 3"]),
    ],
    ids=str,
)
def test_weights_that_make_no_objective_are_refused_in_one_line(options, words):
    with pytest.raises(InputError) as caught:
        loss_weights(**options)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words), caught.value


def test_zeros_that_leave_something_are_fine():
    assert loss_weights(0.0, 1.0).alpha == 0
    assert loss_weights(1.0, 0.0, style_layers={"conv1_1": 0.0}).beta == 0
    assert loss_weights(0.0, 1.0, content_layers=[]).content_layers == {}
