"""Tables of few values: optimal in known cases, never worse than an even spread, exact where there is nothing to do."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nst_jax.errors import InputError
from nst_jax.weights import weights
from nst_jax.weights.quantize import best_table, quantized


def squared_error(values, table):
    values = np.asarray(values, np.float64)
    return (np.abs(values[:, None] - np.asarray(table, np.float64)).min(1) ** 2).sum()


def best_of_all(values, levels):
    """The least squared error of any table: the best cut of the sorted values into runs, by trying all."""
    x = np.sort(np.asarray(values, np.float64))
    return min(
        sum(((part - part.mean()) ** 2).sum() for part in np.split(x, cuts) if len(part))
        for cuts in itertools.combinations(range(1, len(x)), levels - 1)
    )


@pytest.fixture(scope="module")
def shipped():
    return weights.load()


def test_few_values_are_kept():
    np.testing.assert_array_equal(best_table(np.float32([3, 1, 3, 2, 1]), 4), np.float32([1, 2, 3]))


def test_clusters_are_found():
    values = np.float32([-5, -5.1, -4.9, 0, 0.1, -0.1, 7, 7.1, 6.9])
    np.testing.assert_allclose(best_table(values, 3), [-5, 0, 7], atol=1e-6)


def test_an_even_spread_gets_an_even_table():
    """Of 2^8 levels each stands for 16 of 4096 values, with the error of a uniform quantizer."""
    values = np.arange(4096, dtype=np.float32)
    table = best_table(values, 256)
    assert squared_error(values, table) / 4096 == pytest.approx((16**2 - 1) / 12, rel=0.01)


@given(st.lists(st.integers(-1000, 1000), min_size=5, max_size=9), st.integers(2, 4))
def test_the_best_of_all_tables(values, levels):
    table = best_table(np.float32(values), levels)
    assert np.all(np.diff(table) > 0)
    assert squared_error(values, table) == pytest.approx(best_of_all(values, levels), abs=1e-2)


def test_a_bell_shape_costs_what_theory_says():
    """Panter & Dite: the mean squared error of the best quantizer of a Gaussian is π√3/2 σ² 4^-bits for many bits."""
    values = np.random.default_rng(0).normal(size=400_000).astype(np.float32)
    for bits in (5, 6, 7):
        error = squared_error_sorted(values, best_table(values, 2**bits))
        assert error == pytest.approx(np.pi * np.sqrt(3) / 2 * 4.0**-bits, rel=0.08), bits


def squared_error_sorted(values, table):
    """The mean, without a matrix of all pairs."""
    nearest = table[np.searchsorted((table[1:] + table[:-1]) / 2, values)]
    return np.mean((values.astype(np.float64) - nearest) ** 2)


def test_shipped_weights_to_fewer_bits(shipped):
    params, tables = quantized(shipped, 4)
    for layer, arrays in params["params"].items():
        kernel = shipped["params"][layer]["kernel"]
        assert arrays["kernel"].dtype == np.float32
        table = np.unique(arrays["kernel"])
        assert len(table) == 16, layer
        np.testing.assert_array_equal(np.unique(tables[layer]), table)
        assert tables[layer].shape == (256,)
        # Every value went to the nearest of the table.
        some = kernel.ravel()[:2000]
        nearest = table[np.abs(some[:, None] - table).argmin(1)]
        np.testing.assert_allclose(arrays["kernel"].ravel()[:2000], nearest, err_msg=layer)
        np.testing.assert_array_equal(arrays["bias"], shipped["params"][layer]["bias"])


def test_eight_bits_leave_the_shipped_weights_as_they_are(shipped):
    params, tables = quantized(shipped, 8)
    for layer, arrays in params["params"].items():
        np.testing.assert_array_equal(arrays["kernel"], shipped["params"][layer]["kernel"])
        np.testing.assert_array_equal(tables[layer], np.unique(arrays["kernel"]))


@pytest.mark.parametrize("bits", [0, 9, -1])
def test_bits_out_of_range(shipped, bits):
    with pytest.raises(InputError, match=f"^bits: {bits} is not allowed; must be from 1 to 8"):
        quantized(shipped, bits)
