"""The table of layers against the paper's (arXiv 1409.1556, table 1, column E)."""

import pytest

from nst_jax.network.layers import CONVOLUTIONS, LAYERS, ROWS, channels_of, halvings, positions_of


def test_sixteen_convolutions_and_five_pools():
    assert len(CONVOLUTIONS) == 16
    assert [name for name in LAYERS if name.startswith("pool")] == [f"pool{n}" for n in range(1, 6)]
    assert [name for name in LAYERS if name in CONVOLUTIONS] == list(CONVOLUTIONS)
    incoming = 3
    for channels in CONVOLUTIONS.values():
        assert channels[0] == incoming
        incoming = channels[1]


@pytest.mark.parametrize(
    ("layer", "channels", "halved", "positions"),
    [("conv1_1", 64, 0, 85 * 130), ("pool1", 64, 1, 42 * 65), ("conv4_2", 512, 3, 10 * 16), ("pool5", 512, 5, 2 * 4)],
)
def test_of_a_picture_of_odd_sides(layer, channels, halved, positions):
    """Each pool drops an odd last row or column."""
    assert (channels_of(layer), halvings(layer), positions_of(layer, 85, 130)) == (channels, halved, positions)


def test_rows_are_cumulative():
    assert list(ROWS) == list("ABCDE")
    assert ROWS["A"] == ("conv1_1",)
    assert ROWS["E"] == ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
    for shorter, longer in zip("ABCD", "BCDE", strict=True):
        assert ROWS[longer][:-1] == ROWS[shorter]
