"""Presence that is asked for: the ratio found on small lanes, and what a run with it has."""

from dataclasses import replace

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.optim.compiler import Programs
from nst_jax.transfer import presence
from nst_jax.transfer.guides import arrays_named
from nst_jax.transfer.presence import carried, ratios_for, scale_of_search
from nst_jax.transfer.region_names import Region
from nst_jax.transfer.scales import Scale
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.stylizing import stylize

SETTINGS = Settings(size=64, evaluations=12, style_layers=("conv1_1", "conv2_1"))


class Counting(Programs):
    """How many programs were compiled."""

    count = 0

    def compiled(self, function, arguments, donate, key, result):
        self.count += 1
        return super().compiled(function, arguments, donate, key, result)


@pytest.fixture(scope="module")
def pair(picture):
    return picture("photograph", 43, 64), picture("painting", 48, 64)


def search(asked, pair, settings, **options):
    return ratios_for(asked, pair[0], pair[1], settings, **options)


@pytest.mark.slow
def test_pictures_have_the_presence_that_was_asked(params, pair):
    """Where the search is at the run's own size, and takes as many evaluations; all rounds are one program."""
    compile = Counting()
    asked = [0.75, 0.6]
    found = search(asked, pair, SETTINGS, params=params, compile=compile)
    assert compile.count == 1
    assert [each.asked for each in found] == asked
    assert found[0].ratio > found[1].ratio
    for each in found:
        assert each.reached
        made = stylize(pair[0], pair[1], replace(SETTINGS, ratio=each.ratio), params=params)
        assert made.measures.correlation == pytest.approx(each.asked, abs=0.05)


@pytest.mark.slow
def test_what_cannot_be_reached_is_said_with_the_nearest(params, pair):
    """Started from the photograph, a picture keeps much of it."""
    (found,) = search([0.0], pair, replace(SETTINGS, init="content", evaluations=3), params=params)
    assert not found.reached
    assert found.expected > 0.05


def test_lanes_are_small_and_have_the_run_s_settings(monkeypatch, pair):
    """But for the size and evaluations; α/β is meant for the run's size, the style's size is in proportion."""
    heard = []

    class Refused(Exception):
        pass

    def transfer(params, contents, styles, lanes, **options):
        heard.append((lanes, options))
        raise Refused

    monkeypatch.setattr(presence, "Transfer", transfer)
    settings = Settings(size=384, style_size=192, evaluations=300, pool="max", color="match", alpha=2.0, scales=2)
    with pytest.raises(Refused):
        search([0.5], pair, settings, start=pair[0])
    ((lanes, options),) = heard
    small = lanes.settings
    assert (small.size, small.ratio_size, small.style_size, small.pool, small.color) == (128, 384, 64, "max", "match")
    assert small.evaluations == 120
    assert options["start"] is pair[0]
    ratios = [lane.alpha / lane.beta for lane in lanes.lanes]
    assert ratios == sorted(ratios)
    assert ratios[0] < 1e-3 * (192 / 384) ** 2 * 0.8 < ratios[-1]


@pytest.mark.parametrize("wrong", [-0.1, 1.01, float("nan")])
def test_presence_is_from_0_to_1(pair, wrong):
    with pytest.raises(InputError, match=r"^presence: .* is not allowed; must be from 0 to 1$"):
        search([0.5, wrong], pair, SETTINGS)


def test_nothing_asked_is_nothing_found(pair):
    assert search([], pair, SETTINGS) == []


@pytest.mark.slow
def test_a_photograph_of_nothing_has_no_presence(params, pair, monkeypatch):
    monkeypatch.setattr(presence, "EVALUATIONS", 1)
    monkeypatch.setattr("nst_jax.measures.measures._correlation", lambda x, y: np.nan)
    with pytest.raises(InputError, match=r"^presence: cannot be told, since nothing varies in the photograph"):
        search([0.5], pair, SETTINGS, params=params)


def test_the_size_of_the_search():
    assert scale_of_search(Scale(384, 512, 300)) == Scale(96, 128, 120)
    assert scale_of_search(Scale(43, 64, 50)) == Scale(43, 64, 50)
    assert scale_of_search(Scale(64, 512, 300)) == Scale(32, 256, 120)  # no side is too small for the network


@pytest.mark.parametrize("size", [64, 128, 192, 512, 4096])
def test_presence_is_carried_to_a_presence(size):
    """From 0..1 to 0..1, rising; as it is where the sizes are the same."""
    levels = np.linspace(0, 1, 101)
    small, full = scale_of_search(Scale(size, size, 300)), Scale(size, size, 300)
    made = np.array([carried(float(level), small, full) for level in levels])
    assert np.all(np.diff(made) > 0)
    assert made.min() >= 0
    assert made.max() <= 1
    if small[:2] == full[:2]:
        np.testing.assert_array_equal(made, levels)


@pytest.mark.slow
def test_regions_alone_and_what_is_kept(params, pair):
    """A picture of one painting's region and the photograph beside it."""
    left = np.zeros((43, 64), bool)
    left[:, :40] = True
    settings, regions = arrays_named(replace(SETTINGS, evaluations=4), [Region(left, pair[1])])
    (found,) = ratios_for([0.8], pair[0], None, settings, regions=regions, keep=left[:, ::-1], params=params)
    assert found.asked == 0.8
    assert 0 < found.expected <= 1
