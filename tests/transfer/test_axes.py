"""Axes of sweeps: from options, from texts and from Python, and what they refuse."""

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.transfer.axes import Axes, axis, given
from nst_jax.transfer.settings import Settings


@pytest.mark.parametrize(("text", "expected"), [
    ("pool=avg,max", ("pool", ("avg", "max"))),
    ("style-scale=0.5, 2", ("style_scale", (0.5, 2.0))),
    ("size=64,128", ("size", (64, 128))),
    ("style_layers=conv1_1,conv2_1;conv3_1", ("style_layers", (("conv1_1", "conv2_1"), ("conv3_1",)))),
    ("content-layers=conv3_2:0.2,conv4_2;conv4_2", ("content_layers", (("conv3_2:0.2", "conv4_2"), ("conv4_2",)))),
])  # fmt: skip
def test_any_setting_from_text(text, expected):
    assert axis(text) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("colour=a", "'colour' is no setting; known are ratio, alpha, beta, presence, content-layers"),
        ("size=64,x", "size: invalid literal"),
    ],
)
def test_text_that_is_no_axis(text, words):
    with pytest.raises(InputError, match=words):
        axis(text)


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"vary": (("bits", (8, 16)),)}, "bits: lanes cannot differ in it; they can in ratio, alpha,"),
        ({"vary": (("pool", ()),)}, "pool: no values to vary are given"),
        ({"vary": (("pool", ("avg",)), ("pool", ("max",)))}, "pool: varied twice"),
        ({"seed": (1,), "vary": (("seed", (2,)),)}, "seed: varied twice"),
        ({"ratio": (1.0,), "vary": (("alpha", (2.0,)),)}, "ratio: not allowed together with alpha or beta"),
        ({"vary": (("seed", ("x",)),)}, "seed: 'x' is not allowed; must be whole numbers"),
    ],
)
def test_axes_that_are_refused(axes, words):
    with pytest.raises(InputError, match=words):
        Axes(**axes)


def test_an_axis_with_an_option_of_its_own_is_that_axis():
    assert Axes(vary=(("seed", (1, 2)), ("pool", ("avg", "max")))) == Axes(
        seed=(1, 2), vary=(("pool", ("avg", "max")),)
    )


def test_any_setting_from_python_is_an_axis_when_it_has_several_values():
    options = {"color": ["painting", "match"], "style_scale": (0.5, 1), "style_layers": ["conv1_1"], "size": 64}
    settings, axes = given(options, axes=True)
    assert settings == Settings(style_layers=("conv1_1",), size=64)
    assert axes == Axes(vary=(("color", ("painting", "match")), ("style_scale", (0.5, 1))))
    with pytest.raises(InputError, match="bits: lanes cannot differ in it"):
        given({"bits": [8, 16]}, axes=True)


@pytest.mark.parametrize(("options", "expected", "varied"), [
    ({"ratio": 1.0, "size": 64}, Settings(ratio=1.0, size=64), Axes()),
    ({"ratio": [1.0, 2.0]}, Settings(), Axes(ratio=(1.0, 2.0))),
    ({"ratio": np.array([1.0, 2.0])}, Settings(), Axes(ratio=(1.0, 2.0))),
    ({"ratio": np.float32(0.5)}, Settings(ratio=0.5), Axes()),
    ({"rows": "ACE"}, Settings(), Axes(rows=("A", "C", "E"))),
    ({"style_layers": ["conv1_1"]}, Settings(style_layers=("conv1_1",)), Axes()),
    ({"style_layers": [["conv1_1"], ["conv2_1"]]}, Settings(), Axes(style_layers=(("conv1_1",), ("conv2_1",)))),
    ({"seed": range(3)}, Settings(), Axes(seed=(0, 1, 2))),
])  # fmt: skip
def test_a_setting_with_several_values_is_an_axis(options, expected, varied):
    assert given(options, axes=True) == (expected, varied)


def test_names_that_are_not_known_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"^sise: unknown; known are ratio, alpha, .* learning_rate, bits$"):
        given({"sise": 3})
    with pytest.raises(InputError, match=r"^rows: unknown"):
        given({"rows": "A"})
    with pytest.raises(InputError, match=r"^ratio: \(1.0, 2.0\) is not allowed; must be one value"):
        given({"ratio": [1.0, 2.0]})
    with pytest.raises(
        InputError,
        match=r"^sise: unknown; known are ratio, .* bits, rows$",
    ):
        given({"sise": 3}, axes=True)
    with pytest.raises(InputError, match=r"^rows: 3 is not allowed; must be several"):
        given({"rows": 3}, axes=True)


def test_settings_by_name_replace_those_that_are_given_at_once():
    before = Settings(size=64, style_layers=("conv1_1",))
    assert given({"style_layers": ["conv2_1"]}, settings=before) == (
        Settings(size=64, style_layers=("conv2_1",)), Axes(),
    )  # fmt: skip
    with pytest.raises(InputError, match=r"^sise: unknown"):
        given({"sise": 3}, settings=before)


@pytest.mark.parametrize(("options", "words"), [
    ({"presence": [0.2, 0.4], "ratio": 1.0}, "^presence: not allowed together with ratio; give one or the other$"),
    ({"presence": 0.2, "alpha": [1.0, 2.0]}, "^alpha: not allowed together with presence; give one or the other$"),
    ({"presence": [0.2], "beta": [1.0]}, "^presence: not allowed together with ratio, alpha or beta; give one"),
    ({"presence": 0.2, "beta": 1.0}, "^presence: not allowed together with ratio, alpha or beta; give one"),
    ({"presence": -0.1}, "^presence: -0.1 is not allowed; must be from 0 to 1$"),
    ({"presence": "much"}, "^presence: 'much' is not allowed; must be one value, a number$|must be a number"),
])  # fmt: skip
def test_what_weighs_content_against_style_is_given_in_one_way(options, words):
    with pytest.raises(InputError, match=words):
        given(options, axes=True)


def test_presences_are_an_axis():
    assert given({"presence": [0.2, 0.4]}, axes=True) == (Settings(), Axes(presence=(0.2, 0.4)))
    assert given({"presence": 0.2}, axes=True) == (Settings(presence=0.2), Axes())
