"""The loop: on the real network at 32x48, and its bookkeeping on a toy."""

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from nst_jax.errors import InputError
from nst_jax.loss import objective
from nst_jax.loss.objective import Losses, Objective, Targets, loss_weights
from nst_jax.network import vgg
from nst_jax.optim import compiler
from nst_jax.optim import minimize as module
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import CONVERGED, NOT_FINITE, RUNNING
from nst_jax.optim.minimize import DEFAULT_OPTIMIZER, minimize
from nst_jax.pictures import start
from nst_jax.transfer import traced

ADAM = optax.adam(0.02)  # one object, since each compiles anew
OPTIMIZERS = pytest.mark.parametrize("optimizer", [DEFAULT_OPTIMIZER, ADAM], ids=["lbfgs", "adam"])
HEIGHT, WIDTH = 32, 48
LAYERS = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}


@pytest.fixture(autouse=True)
def optax_mixes_dtypes():
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.fixture(scope="module")
def real(params, picture):
    """real(alpha, beta): equation 7 on shallow layers of the real network."""
    with jax.numpy_dtype_promotion("standard"):
        targets = Targets(
            objective.content_targets(params, picture("photograph", HEIGHT, WIDTH)[None], ("conv2_2",)),
            objective.style_targets(params, picture("painting", 40, 32)[None], ("conv1_1", "conv2_1")),
        )
    return lambda alpha, beta: Objective(params, targets, loss_weights(alpha, beta, **LAYERS))


def noise(*seeds):
    return jnp.stack([start.white_noise(seed, HEIGHT, WIDTH) for seed in seeds])


@flax.struct.dataclass
class Toy:
    """½ |x - target|² of each lane, NaN where its first pixel is beyond `wall`."""

    target: jax.Array
    wall: jax.Array

    def __call__(self, images):
        scales = jnp.linspace(1.0, 30.0, images[0].size).reshape(images[0].shape)
        losses = 0.5 * jnp.sum(scales * (images - self.target) ** 2, (1, 2, 3))
        total = jnp.where(images[:, 0, 0, 0] > self.wall, jnp.nan, losses)
        return Losses(total, total / 2, total / 2, {"conv1_1": total / 2}, 0 * total)


def toy(target=0.5, wall=np.inf):
    """Two lanes, always of the same types, so that all tests share one program."""
    target, wall = (jnp.asarray(np.broadcast_to(np.float32(value), 2)) for value in (target, wall))
    return Toy(target[:, None, None, None], wall)


TOY_IMAGES = np.zeros((2, 4, 4, 3), np.float32)


@OPTIMIZERS
def test_the_first_carry_has_buffers_of_its_own(optimizer):
    """It is donated: a buffer in it twice, or one of the caller's, would be overwritten."""
    begin = jnp.asarray(TOY_IMAGES)
    if optimizer is ADAM:
        optimizer = FirstOrder(ADAM)
    carry = module.begin(toy(), begin, optimizer)
    buffers = [leaf.unsafe_buffer_pointer() for leaf in [begin, *jax.tree.leaves(carry)]]
    assert len({*buffers}) == len(buffers)


@OPTIMIZERS
def test_batched_lanes_equal_one_by_one(real, optimizer):
    """In float64: in float32, the network's kinks make per mille of the last bit within twelve steps."""

    def double(tree):
        return jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), tree)

    alpha, beta, seeds = [1.0, 0.1, 0.0], [0.0, 1.0, 2.0], (0, 1, 0)
    together, starts = real(alpha, beta), noise(*seeds)
    one_by_one = [real(alpha[lane : lane + 1], beta[lane : lane + 1]) for lane in range(3)]
    with jax.enable_x64(True):
        found = minimize(double(together), double(starts), optimizer=optimizer, steps=12)
        assert found.images.dtype == np.float64
        for lane, terms in enumerate(map(double, one_by_one)):
            images = double(starts[lane : lane + 1])
            alone = minimize(terms, images, optimizer=optimizer, steps=12)
            np.testing.assert_allclose(found.losses.total[lane], alone.losses.total[0], rtol=1e-9)
            np.testing.assert_allclose(found.images[lane], alone.images[0], atol=1e-9)
            assert alone.losses.total[0] < 0.5 * terms(images).total[0]


@OPTIMIZERS
def test_neither_a_second_run_nor_the_chunks_change_a_byte(real, optimizer):
    def run(every):
        seen = []
        callback = lambda progress: seen.extend(progress.records)  # noqa: E731
        result = minimize(real([0.1], [1.0]), noise(3), optimizer=optimizer, steps=17, every=every, callback=callback)
        rows = [(record.evaluations, *jax.tree.leaves(record.losses), record.gradient_norm) for record in seen]
        return result.images, np.array([np.concatenate(jax.tree.map(np.ravel, row)) for row in rows])

    images, rows = run(None)
    for every in (None, 1, 7):
        other, other_rows = run(every)
        assert np.asarray(other).tobytes() == np.asarray(images).tobytes()
        np.testing.assert_array_equal(other_rows, rows)


def test_evaluations_that_went_before_are_counted_and_change_nothing():
    def run(earlier):
        seen, told = [], []

        def callback(progress):
            seen.extend(record.evaluations for record in progress.records)
            told.append(progress.records[-1].evaluations)

        return minimize(toy(), TOY_IMAGES, steps=9, every=4, earlier=earlier, callback=callback), seen, told

    (alone, *_), (result, seen, told) = run(0), run(6)
    assert seen == list(range(7, 16))
    assert {8, 12, 15} <= set(told)
    assert (alone.evaluations, result.evaluations) == (9, 15)
    np.testing.assert_array_equal(result.images, alone.images)


def test_the_result_belongs_to_its_terms(real):
    """Under L-BFGS the last evaluation may have been a rejected trial; under Adam the next step is not taken."""
    for optimizer in (DEFAULT_OPTIMIZER, ADAM):
        for steps in (1, 9):
            result = minimize(real([0.1], [1.0]), noise(3), optimizer=optimizer, steps=steps)
            expected = real([0.1], [1.0])(result.images)
            for found, wanted in zip(jax.tree.leaves(result.losses), jax.tree.leaves(expected), strict=True):
                assert isinstance(found, np.ndarray)
                np.testing.assert_allclose(found, wanted, rtol=1e-4)
            assert result.evaluations == steps


def test_one_evaluation_leaves_the_start_as_it_is(real):
    result = minimize(real([0.1], [1.0]), noise(3), steps=1)
    np.testing.assert_array_equal(result.images, noise(3))


def test_one_program_serves_all_weights_and_lengths(real):
    minimize(real([0.1], [1.0]), noise(0), steps=2)
    compiled = list(traced._ready)
    for alpha, beta, steps, every in ((2.0, 3.0, 3, None), (0.0, 1.0, 5, 2), (1.0, 0.0, 70, 66)):
        minimize(real([alpha], [beta]), noise(1), steps=steps, every=every)
    assert list(traced._ready) == compiled


@OPTIMIZERS
def test_the_callers_images_stay_the_callers(optimizer):
    images = jnp.asarray(TOY_IMAGES)
    kept = []

    def callback(progress):
        kept.append((np.asarray(progress.images), np.array(progress.images)))

    minimize(toy(), images, optimizer=optimizer, steps=6, every=1, callback=callback)
    np.testing.assert_array_equal(images, 0)
    for view, copy in kept:  # nor is written over what a callback keeps
        np.testing.assert_array_equal(view, copy)


def test_records():
    images, terms = TOY_IMAGES, toy(0.7)
    progresses = []
    result = minimize(
        terms,
        images,
        steps=20,
        every=1,
        callback=lambda p: progresses.append(p._replace(images=np.asarray(p.images))) and None,
    )
    records = [record for progress in progresses for record in progress.records]
    assert [record.evaluations for record in records] == list(range(1, 21))
    seconds = [record.seconds for record in records]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0
    for progress in progresses:
        expected = terms(progress.images)
        gradient = jax.grad(lambda x: jnp.sum(terms(x).total))(progress.images)
        record = progress.records[-1]
        for found, wanted in zip(jax.tree.leaves(record.losses), jax.tree.leaves(expected), strict=True):
            assert found.shape == (2,)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-9)
        norms = np.linalg.norm(np.reshape(gradient, (2, -1)), axis=1)
        np.testing.assert_allclose(record.gradient_norm, norms, rtol=1e-3, atol=1e-5)
        np.testing.assert_array_equal(progress.status, [RUNNING, RUNNING])
    for found, wanted in zip(jax.tree.leaves(result.losses), jax.tree.leaves(records[-1].losses), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_callback_that_returns_true_stops_the_loop():
    heard = []

    def callback(progress):
        heard.extend(progress.records)
        return heard[-1].evaluations >= 4

    result = minimize(toy(), TOY_IMAGES, steps=50, every=2, callback=callback)
    assert result.evaluations == 4
    assert [record.evaluations for record in heard] == [1, 2, 3, 4]


@pytest.mark.parametrize("every", [1, 4, 100])
def test_the_callback_hears_at_every_multiple(every):
    heard = []
    callback = lambda progress: heard.append(progress.records[-1].evaluations)  # noqa: E731
    minimize(toy(0.7), TOY_IMAGES, steps=21, every=every, callback=callback)
    assert heard == sorted(set(heard))
    assert heard[-1] == 21
    assert set(range(every, 22, every)) <= set(heard)


def test_the_loop_ends_with_the_last_lane_whatever_the_chunks():
    """One lane starts at its minimum, the other gets there."""
    terms = toy([0.0, 0.5])
    found = []
    for every in (None, 1, 5):
        numbers = []
        callback = lambda p, numbers=numbers: numbers.extend(r.evaluations for r in p.records)  # noqa: E731
        result = minimize(terms, TOY_IMAGES, steps=1000, every=every, callback=callback)
        np.testing.assert_array_equal(result.status, [CONVERGED, CONVERGED])
        np.testing.assert_allclose(result.images, jnp.broadcast_to(terms.target, result.images.shape), atol=1e-4)
        assert numbers == list(range(1, result.evaluations + 1))
        found.append(result.evaluations)
    assert found[0] < 1000
    assert len(set(found)) == 1


@OPTIMIZERS
def test_a_lane_that_never_is_finite_keeps_its_start_and_disturbs_nobody(optimizer):
    images = TOY_IMAGES
    wrong = toy([0.5, np.nan])
    statuses = []
    found = minimize(
        wrong, images, optimizer=optimizer, steps=12, callback=lambda p: statuses.append(p.status) and None
    )
    sound = minimize(toy(), images, optimizer=optimizer, steps=12)
    np.testing.assert_array_equal(found.status, [RUNNING, NOT_FINITE])
    np.testing.assert_array_equal(statuses[0], found.status)
    np.testing.assert_array_equal(found.images[1], images[1])
    assert np.isnan(found.losses.total[1])
    assert np.asarray(found.images[0]).tobytes() == np.asarray(sound.images[0]).tobytes()
    assert found.losses.total[0] == sound.losses.total[0]


def test_adam_that_runs_into_nothing_keeps_its_last_good_image():
    images = TOY_IMAGES
    result = minimize(toy(0.5, [np.inf, 0.1]), images, optimizer=ADAM, steps=30)
    np.testing.assert_array_equal(result.status, [RUNNING, NOT_FINITE])
    assert 0.05 < result.images[1, 0, 0, 0] <= 0.1
    np.testing.assert_allclose(result.losses.total, toy()(result.images).total, rtol=1e-4)


def test_lbfgs_at_a_wall_stays_before_it_and_goes_on_elsewhere():
    images = TOY_IMAGES
    result = minimize(toy(0.5, [np.inf, 0.1]), images, steps=150)
    assert np.all(np.isfinite(result.losses.total))
    assert result.images[1, 0, 0, 0] <= 0.1
    assert result.losses.total[1] < 0.5 * toy()(images).total[1]
    np.testing.assert_allclose(result.images[0], 0.5, atol=1e-4)


def test_a_run_without_any_finite_lane_ends_at_once():
    result = minimize(toy(np.nan), TOY_IMAGES, steps=1000)
    assert result.evaluations == 1
    np.testing.assert_array_equal(result.status, [NOT_FINITE, NOT_FINITE])


@pytest.mark.parametrize("argument", ["steps", "every"])
@pytest.mark.parametrize("value", [0, -3])
def test_numbers_below_one_are_refused_in_one_line(argument, value):
    with pytest.raises(InputError) as caught:
        minimize(toy(), TOY_IMAGES, **{argument: value})
    assert str(caught.value) == f"{argument}: {value} is not allowed; must be at least 1"


@pytest.mark.slow
def test_no_worse_than_scipy_after_200_evaluations_from_white_noise(params, picture):
    """128 px, α/β = 1e-3, default optimizer; scipy with memory 20, its variables in the better of two units."""
    evaluations = 200
    content, style = picture("photograph", 85, 128), picture("painting", 100, 128)
    targets = Targets(objective.content_targets(params, content[None]), objective.style_targets(params, style[None]))
    terms = Objective(vgg.prepare(params), targets, loss_weights([1e-3]))
    slope = jax.jit(
        lambda terms, image: jax.value_and_grad(lambda x: terms(x[None]).total[0])(image),
        compiler_options=compiler.options(),
    )

    def scipys(image, unit):
        def evaluate(x):
            value, gradient = slope(terms, jnp.asarray(x.reshape(image.shape) / unit, jnp.float32))
            return float(value), np.asarray(gradient, np.float64).ravel() / unit

        options = {"maxcor": 20, "maxfun": evaluations, "maxiter": evaluations, "ftol": 0, "gtol": 0}
        x = unit * np.asarray(image, np.float64).ravel()
        return scipy.optimize.minimize(evaluate, x, jac=True, method="L-BFGS-B", options=options).fun

    ratios = []
    for seed in (0, 1):
        image = start.white_noise(seed, 85, 128)
        ours = float(minimize(terms, image[None], steps=evaluations).losses.total[0])
        theirs = {unit: scipys(image, unit) for unit in (1, 255)}
        ratios.append(ours / min(theirs.values()))
        print(f"seed {seed}: {ours:.6g}; scipy in 0..1 {theirs[1]:.6g}, in 0..255 {theirs[255]:.6g}")
    assert np.mean(ratios) <= 1, ratios
