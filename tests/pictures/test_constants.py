"""The limits are those of the network and of the encoders."""

import struct

import numpy as np
import pytest
from PIL import Image

from nst_jax.network.layers import halvings, positions_of
from nst_jax.pictures.constants import MIN_SIDE, WRITTEN_SIDE


def test_the_smallest_picture_leaves_the_last_layer_one_position():
    assert positions_of("pool5", MIN_SIDE, MIN_SIDE) == 1
    assert (MIN_SIDE - 1) >> halvings("pool5") == 0


@pytest.mark.parametrize(("kind", "side"), WRITTEN_SIDE.items())
def test_encoders_take_so_much_and_no_more(kind, side, tmp_path):
    for width in (side, side + 1):
        picture = Image.fromarray(np.zeros((1, width), np.uint8))
        if width == side:
            picture.save(tmp_path / "one", kind)
        else:
            with pytest.raises((OSError, ValueError, OverflowError, struct.error)):
                picture.save(tmp_path / "one", kind)
