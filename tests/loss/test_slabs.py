"""The geometry of slabs, for any picture and any number of strips."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nst_jax.loss.slabs import Slabs, reach
from nst_jax.network.layers import LAYERS, POOLS


@pytest.mark.parametrize(
    ("after", "last", "rows", "binomial"),
    [
        (None, "conv1_1", 1, 1),
        (None, "pool1", 2, 3),
        (None, "pool2", 6, 9),  # a row of pool2 is four of conv2_2, which are six of pool1, which are 14 of conv1_2
        ("pool1", "conv2_1", 1, 1),
        ("pool2", "pool3", 4, 5),
    ],
)
def test_rows_that_a_strip_depends_on(after, last, rows, binomial):
    assert [reach(after, last, pool) for pool in POOLS] == [rows, binomial, rows]


@settings(max_examples=50, deadline=None)
@given(
    height=st.integers(32, 500),
    count=st.integers(2, 40),
    lanes=st.integers(1, 3),
    after=st.sampled_from([None, "pool1", "pool3"]),
    last=st.integers(0, 5),
    pool=st.sampled_from(POOLS),
)
def test_slabs_cover_the_picture_once(height, count, lanes, after, last, pool):
    """Every row belongs to one strip, and each slab has the rows that its strip depends on, or ends at the picture."""
    first = LAYERS.index(after) + 1 if after else 0
    deepest = LAYERS[first + last]
    slabs = Slabs(after, deepest, pool, count, (lanes, height, 32, 3))
    step = slabs.stride(deepest)
    rows = reach(after, deepest, pool)
    owned = []
    for i in range(slabs.count):
        image, begin, low, high = (int(x) for x in slabs.at(np.int32(i)))
        end = begin + slabs.height
        owned += [(image, row) for row in range(low, high)]
        assert 0 <= begin <= max(0, low - rows) or begin == 0
        assert min(height, high + rows) <= end <= height
        assert begin % step == low % step == 0
        assert high == height or high % step == 0
        assert height - end == 0 or (end - begin) // step == slabs.height // step
    assert owned == [(image, row) for image in range(lanes) for row in range(height)]
