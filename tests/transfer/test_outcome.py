"""What comes of a lane, measured when it is asked for."""

import io

import numpy as np
from PIL import Image
from small_sweep import lane

from nst_jax.loss.objective import Losses
from nst_jax.optim.engine import Record
from nst_jax.optim.status import Status
from nst_jax.transfer.outcome import Outcome


def test_it_is_named_and_measured_once():
    asked = []
    losses = [Losses(total, 0.0, total, {"conv1_1": total}, 0.0, {}) for total in (2.0, 1.0)]
    history = [Record(n, n, own, 0.0, 0.0) for n, own in enumerate(losses, start=1)]
    image = np.zeros((32, 32, 3))
    own = Outcome(lane(7), image, Status.CONVERGED, history, ((),), lambda *given: asked.append(given) or "measured")
    assert (own.name, own.evaluations, own.losses.total) == ("lane7", 2, 1.0)
    assert asked == []
    assert own.measures == own.measures == "measured"
    assert asked == [(image,)]
    assert "measure" not in repr(own)


def test_a_notebook_shows_the_picture():
    """And few words beside it: pictures and records are long."""
    image = np.linspace(-0.2, 1.2, 32 * 40 * 3).reshape(32, 40, 3)
    losses = Losses(1.0, 0.0, 1.0, {"conv1_1": 1.0}, 0.0, {})
    history = [Record(n, n, losses, 0.0, 0.0) for n in range(1, 300)]
    own = Outcome(lane(7), image, Status.CONVERGED, history, ((),), lambda _: None)
    with Image.open(io.BytesIO(own._repr_png_())) as shown:
        np.testing.assert_array_equal(np.asarray(shown), np.rint(np.clip(image, 0, 1) * 255))
    assert len(repr(own)) < 500
