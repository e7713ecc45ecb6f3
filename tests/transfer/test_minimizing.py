"""The loop: on the real network at 32x48, and its bookkeeping on a toy."""

import re
import time

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

from nst_jax import loss
from nst_jax.errors import InputError
from nst_jax.loss.objective import Losses, Objective, Term
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import loss_weights
from nst_jax.network import vgg
from nst_jax.optim import compiler, engine, loop
from nst_jax.optim.compiler import Programs
from nst_jax.optim.first_order import FirstOrder
from nst_jax.optim.lbfgs import LBFGS
from nst_jax.optim.loop import DEFAULT_OPTIMIZER
from nst_jax.optim.status import CONVERGED, NOT_FINITE, RUNNING, Status
from nst_jax.pictures import noise as noises
from nst_jax.transfer.minimizing import Total, minimize
from nst_jax.transfer.sweeping import objective

ADAM = optax.adam(0.02)  # one object, since each compiles anew
OPTIMIZERS = pytest.mark.parametrize("optimizer", [DEFAULT_OPTIMIZER, ADAM], ids=["lbfgs", "adam"])
HEIGHT, WIDTH = 32, 48
LAYERS = {"content_layers": ["conv2_2"], "style_layers": ["conv1_1", "conv2_1"]}


pytestmark = pytest.mark.usefixtures("optax_mixes_dtypes")


@pytest.fixture(scope="module")
def real(params, picture):
    """real(alpha, beta): equation 7 on shallow layers of the real network."""
    with jax.numpy_dtype_promotion("standard"):
        targets = Targets(
            loss.content_targets(params, picture("photograph", HEIGHT, WIDTH)[None], ("conv2_2",)),
            loss.style_targets(params, picture("painting", 40, 32)[None], ("conv1_1", "conv2_1")),
        )
    return lambda alpha, beta: Objective(params, targets, loss_weights(alpha, beta, **LAYERS))


def noise(*seeds):
    return jnp.stack([noises.white_noise(seed, HEIGHT, WIDTH) for seed in seeds])


@flax.struct.dataclass
class Toy:
    """½ |x - target|² of each lane, NaN where its first pixel is beyond `wall`."""

    target: jax.Array
    wall: jax.Array

    def __call__(self, images):
        scales = jnp.linspace(1.0, 30.0, images[0].size).reshape(images[0].shape)
        losses = 0.5 * jnp.sum(scales * (images - self.target) ** 2, (1, 2, 3))
        total = jnp.where(images[:, 0, 0, 0] > self.wall, jnp.nan, losses)
        return Losses(total, total / 2, total / 2, {"conv1_1": total / 2}, 0 * total, {})


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
    unknown = jax.eval_shape(toy(), begin)
    unknown = jax.tree.map(lambda loss: jnp.full(loss.shape, jnp.nan, loss.dtype), unknown)
    carry = loop.begin(begin, unknown, optimizer)
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
        found = minimize(double(together), double(starts), optimizer=optimizer, evaluations=12)
        assert found.images.dtype == np.float64
        for lane, terms in enumerate(map(double, one_by_one)):
            images = double(starts[lane : lane + 1])
            alone = minimize(terms, images, optimizer=optimizer, evaluations=12)
            np.testing.assert_allclose(found.losses.total[lane], alone.losses.total[0], rtol=1e-9)
            np.testing.assert_allclose(found.images[lane], alone.images[0], atol=1e-9)
            assert alone.losses.total[0] < 0.5 * terms(images).total[0]


@OPTIMIZERS
def test_neither_a_second_run_nor_the_chunks_change_a_byte(real, optimizer):
    def run(every):
        seen = []
        result = minimize(
            real([0.1], [1.0]), noise(3), optimizer=optimizer, evaluations=17, every=every,
            callback=lambda progress: seen.extend(progress.records[0]),
        )  # fmt: skip
        assert seen == result.history[0]
        return result.images, [record._replace(seconds=0.0) for record in seen]

    images, records = run(None)
    for every in (None, 1, 7):
        other, other_records = run(every)
        assert np.asarray(other).tobytes() == np.asarray(images).tobytes()
        assert other_records == records


def test_the_result_belongs_to_its_terms(real):
    """Under L-BFGS the last evaluation may have been a rejected trial; under Adam the next step is not taken."""
    for optimizer in (DEFAULT_OPTIMIZER, ADAM):
        for evaluations in (1, 9):
            result = minimize(real([0.1], [1.0]), noise(3), optimizer=optimizer, evaluations=evaluations)
            expected = real([0.1], [1.0])(result.images)
            for found, wanted in zip(jax.tree.leaves(result.losses), jax.tree.leaves(expected), strict=True):
                assert isinstance(found, np.ndarray)
                np.testing.assert_allclose(found, wanted, rtol=1e-4)
            assert result.evaluations == evaluations


def test_one_evaluation_leaves_the_start_as_it_is(real):
    result = minimize(real([0.1], [1.0]), noise(3), evaluations=1)
    np.testing.assert_array_equal(result.images, noise(3))


def test_one_program_serves_all_weights_and_lengths(real):
    compile = Programs()
    for alpha, beta, evaluations, every in (
        (0.1, 1.0, 2, None),
        (2.0, 3.0, 3, None),
        (0.0, 1.0, 5, 2),
        (1.0, 0.0, 70, 66),
    ):
        minimize(real([alpha], [beta]), noise(1), evaluations=evaluations, every=every, compile=compile)
        assert len(compile._known) == 1


@OPTIMIZERS
def test_the_callers_images_stay_the_callers(optimizer):
    images = jnp.asarray(TOY_IMAGES)
    kept = []

    def callback(progress):
        kept.extend((view, view.copy()) for view in progress.images().values())

    minimize(toy(), images, optimizer=optimizer, evaluations=6, every=1, callback=callback)
    np.testing.assert_array_equal(images, 0)
    for view, copy in kept:  # nor is written over what a callback keeps
        np.testing.assert_array_equal(view, copy)


def test_records():
    images, goal = TOY_IMAGES, toy(0.7)
    heard = []
    result = minimize(
        goal, images, evaluations=20, every=1,
        callback=lambda p: heard.append((p.records, p.images() or {over.lane: over.image for over in p.finished})),
    )  # fmt: skip
    for lane in range(2):
        records = [record for records, _ in heard for record in records[lane]]
        assert records == result.history[lane]
        assert [record.evaluations for record in records] == list(range(1, 21))
        seconds = [record.seconds for record in records]
        assert seconds == sorted(seconds)
        assert seconds[0] > 0
    for records, seen in heard:
        image = jnp.stack([seen[0], seen[1]])
        expected = goal(image)
        gradient = jax.grad(lambda x: jnp.sum(goal(x).total))(image)
        for lane in range(2):
            record = records[lane][-1]
            for found, wanted in zip(jax.tree.leaves(record.losses), jax.tree.leaves(expected), strict=True):
                assert isinstance(found, float)
                np.testing.assert_allclose(found, wanted[lane], rtol=1e-4, atol=1e-9)
            np.testing.assert_allclose(record.gradient_norm, np.linalg.norm(gradient[lane]), rtol=1e-3, atol=1e-5)
    for lane in range(2):
        last = jax.tree.leaves(result.history[lane][-1].losses)
        for found, wanted in zip(jax.tree.leaves(result.losses), last, strict=True):
            assert found[lane] == np.float32(wanted)


def test_a_callback_that_returns_true_stops_the_loop():
    heard = []

    def callback(progress):
        heard.extend(progress.records[0])
        return heard[-1].evaluations >= 4

    result = minimize(toy(), TOY_IMAGES, evaluations=50, every=2, callback=callback)
    assert result.evaluations == 4
    assert result.status == (Status.RUNNING, Status.RUNNING)
    assert [record.evaluations for record in heard] == [1, 2, 3, 4]


@pytest.mark.parametrize("every", [1, 4, 100])
def test_the_callback_hears_at_every_multiple(every):
    heard = []
    callback = lambda progress: heard.append(progress.records[0][-1].evaluations)  # noqa: E731
    minimize(toy(0.7), TOY_IMAGES, evaluations=21, every=every, callback=callback)
    assert heard == sorted(set(heard))
    assert heard[-1] == 21
    assert set(range(every, 22, every)) <= set(heard)


def test_the_loop_ends_with_the_last_lane_whatever_the_chunks():
    """One lane starts at its minimum, the other gets there."""
    terms = toy([0.0, 0.5])
    found = []
    for every in (None, 1, 5):
        numbers = []

        def callback(progress, numbers=numbers):
            numbers.append(sorted({r.evaluations for own in progress.records.values() for r in own}))

        result = minimize(terms, TOY_IMAGES, evaluations=1000, every=every, callback=callback)
        np.testing.assert_array_equal(result.status, [CONVERGED, CONVERGED])
        np.testing.assert_allclose(result.images, jnp.broadcast_to(terms.target, result.images.shape), atol=1e-4)
        assert [n for some in numbers for n in some] == list(range(1, result.evaluations + 1))
        found.append(result.evaluations)
    assert found[0] < 1000
    assert len(set(found)) == 1


@OPTIMIZERS
def test_a_lane_that_never_is_finite_keeps_its_start_and_disturbs_nobody(optimizer):
    images = TOY_IMAGES
    wrong = toy([0.5, np.nan])
    over = []
    found = minimize(wrong, images, optimizer=optimizer, evaluations=12, callback=lambda p: over.append(p.finished))
    sound = minimize(toy(), images, optimizer=optimizer, evaluations=12)
    np.testing.assert_array_equal(found.status, [RUNNING, NOT_FINITE])
    assert [(done.lane, done.status) for done in over[0]] == [(1, NOT_FINITE)]  # heard of at once
    np.testing.assert_array_equal(found.images[1], images[1])
    assert np.isnan(found.losses.total[1])
    assert np.asarray(found.images[0]).tobytes() == np.asarray(sound.images[0]).tobytes()
    assert found.losses.total[0] == sound.losses.total[0]


def test_adam_that_runs_into_nothing_keeps_its_last_good_image():
    images = TOY_IMAGES
    result = minimize(toy(0.5, [np.inf, 0.1]), images, optimizer=ADAM, evaluations=30)
    np.testing.assert_array_equal(result.status, [RUNNING, NOT_FINITE])
    assert 0.05 < result.images[1, 0, 0, 0] <= 0.1
    np.testing.assert_allclose(result.losses.total, toy()(result.images).total, rtol=1e-4)


def test_lbfgs_at_a_wall_stays_before_it_and_goes_on_elsewhere():
    images = TOY_IMAGES
    result = minimize(toy(0.5, [np.inf, 0.1]), images, evaluations=150)
    assert np.all(np.isfinite(result.losses.total))
    assert result.images[1, 0, 0, 0] <= 0.1
    assert result.losses.total[1] < 0.5 * toy()(images).total[1]
    np.testing.assert_allclose(result.images[0], 0.5, atol=1e-4)


def test_a_run_without_any_finite_lane_ends_at_once():
    result = minimize(toy(np.nan), TOY_IMAGES, evaluations=1000)
    assert result.evaluations == 1
    np.testing.assert_array_equal(result.status, [NOT_FINITE, NOT_FINITE])


@pytest.mark.parametrize("argument", ["evaluations", "every"])
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
    targets = Targets(loss.content_targets(params, content[None]), loss.style_targets(params, style[None]))
    goal = Objective(vgg.prepare(params), targets, loss_weights([1e-3]))
    slope = jax.jit(
        lambda terms, image: jax.value_and_grad(lambda x: terms(x[None]).total[0])(image),
        compiler_options=compiler.options("cpu"),
    )

    def scipys(image, unit):
        def evaluate(x):
            value, gradient = slope(goal, jnp.asarray(x.reshape(image.shape) / unit, jnp.float32))
            return float(value), np.asarray(gradient, np.float64).ravel() / unit

        options = {"maxcor": 20, "maxfun": evaluations, "maxiter": evaluations, "ftol": 0, "gtol": 0}
        x = unit * np.asarray(image, np.float64).ravel()
        return scipy.optimize.minimize(evaluate, x, jac=True, method="L-BFGS-B", options=options).fun

    image = noises.white_noise(0, 85, 128)
    ours = float(minimize(goal, image[None], evaluations=evaluations).losses.total[0])
    theirs = {unit: scipys(image, unit) for unit in (1, 255)}
    assert ours <= min(theirs.values()), theirs


# -- what a researcher brings


def halves(images):
    return ((images - 0.5) ** 2).sum((1, 2, 3))


@pytest.mark.parametrize("function", [halves, lambda images: 2 * halves(images)], ids=["function", "lambda"])
@OPTIMIZERS
def test_any_function_of_images(function, optimizer):
    result = minimize(function, TOY_IMAGES, optimizer=optimizer, evaluations=200)
    assert isinstance(result.losses, Total)
    np.testing.assert_allclose(result.losses.total, 0, atol=1e-4)
    np.testing.assert_allclose(result.images, 0.5, atol=1e-2)


@pytest.mark.parametrize("optimizer", [DEFAULT_OPTIMIZER, ADAM], ids=["lbfgs", "adam"])
@pytest.mark.parametrize(("dtype", "loss"), [(jnp.bfloat16, jnp.float32), (jnp.float32, jnp.bfloat16)])
def test_images_and_losses_have_dtypes_of_their_own(dtype, loss, optimizer):
    def function(images):
        return halves(images.astype(jnp.float32)).astype(loss)

    result = minimize(function, TOY_IMAGES.astype(dtype), optimizer=optimizer, evaluations=100)
    assert result.images.dtype == dtype
    assert result.losses.total.dtype == loss
    np.testing.assert_allclose(result.images.astype(jnp.float32), 0.5, atol=0.02)


def test_a_lane_within_its_tolerance_says_so():
    result = minimize(halves, TOY_IMAGES, optimizer=optax.sgd(1e-4), evaluations=100, tolerance=0.1)
    assert result.evaluations == 40
    assert {status.message for status in result.status} == {"its loss fell by less than the tolerance asks for"}


def test_compiling_does_not_count_for_the_length_of_chunks(monkeypatch):
    monkeypatch.setattr(engine, "SECONDS_PER_CHUNK", 0.3)

    class Slow(Programs):
        def compiled(self, *given):
            time.sleep(0.4)
            return super().compiled(*given)

    lengths = []
    callback = lambda progress: lengths.append(len(progress.records[0]))  # noqa: E731
    minimize(halves, TOY_IMAGES, optimizer=optax.sgd(0.1), evaluations=7, callback=callback, compile=Slow())
    assert lengths == [1, 2, 4]


def test_images_of_any_shape():
    result = minimize(lambda x: ((x - jnp.arange(3.0)) ** 2).sum(1), np.zeros((2, 3), np.float32), optimizer=LBFGS())
    np.testing.assert_allclose(result.images, [[0, 1, 2]] * 2, atol=1e-4)
    assert result.status == (Status.CONVERGED, Status.CONVERGED)
    with pytest.raises(InputError, match=r"each image has shape \(3,\); must be \[height, width, channels\]"):
        minimize(lambda x: (x**2).sum(1), np.zeros((2, 3), np.float32))


@pytest.mark.parametrize("transformation", [
    optax.adam(0.02), optax.sgd(1e-9), optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(0.02)),
    optax.adam(optax.cosine_decay_schedule(0.02, 5)),
], ids=["adam", "sgd", "chain", "schedule"])  # fmt: skip
def test_any_optax_transformation(real, transformation):
    result = minimize(real([0.1, 1.0], [1.0, 0.0]), noise(0, 1), optimizer=transformation, evaluations=5)
    for lane in range(2):
        totals = [record.losses.total for record in result.history[lane]]
        assert len(totals) == 5
        assert totals[-1] < totals[0]


@pytest.mark.parametrize(("function", "words"), [
    (lambda images: images.sum(), "objective: returns float32 (); must be one loss a lane, float (2,)"),
    (lambda images: images, "objective: returns float32 (2, 4, 4, 3); must be one loss a lane, float (2,)"),
    (lambda images: (images > 0).sum((1, 2, 3)), "objective: returns int32 (2,); must be one loss a lane, float (2,)"),
    (lambda images: {"loss": halves(images)}, "objective: returns dict; must be one loss a lane"),
    ("a loss", "objective: str is not a function of images"),
])  # fmt: skip
def test_what_is_no_objective_is_refused_before_anything_is_compiled(function, words):
    compile = Programs()
    with pytest.raises(InputError) as caught:
        minimize(function, TOY_IMAGES, compile=compile)
    assert str(caught.value) == words
    assert not compile._known


@pytest.mark.parametrize("start", [np.zeros((2, 4, 4, 3), int), np.float32(1), TOY_IMAGES[:0]])
def test_what_is_no_start_is_refused(start):
    with pytest.raises(InputError, match=r"^start: "):
        minimize(halves, start)


def test_a_term_is_added_with_its_weight(real):
    """Of images alone, and of activations; in each lane with a weight of its own."""
    goal = real([0.1, 0.1], [1.0, 1.0])
    means = Term(lambda images, activations: activations["conv1_2"].mean((1, 2, 3)), 5.0, "means", ("conv1_2",))
    more = goal.plus(Term(halves, np.array([0.0, 1e4]), "grey"), means)
    images = noise(0, 1)
    before, after = goal(images), more(images)
    assert list(after.terms) == ["grey", "means"]
    np.testing.assert_allclose(after.terms["grey"], halves(images), rtol=1e-5)
    activation = vgg.features(goal.params, images, ["conv1_2"])["conv1_2"]
    np.testing.assert_allclose(after.terms["means"], activation.mean((1, 2, 3)), rtol=1e-5)
    added = np.array([0.0, 1e4]) * after.terms["grey"] + 5.0 * after.terms["means"]
    np.testing.assert_allclose(after.total, before.total + added, rtol=1e-6)
    result = minimize(more, images, evaluations=6)
    assert result.losses.terms["grey"].shape == (2,)
    assert result.losses.total[1] < after.total[1]


def test_a_term_s_gradient_reaches_the_image_through_strips(real):
    """As whole, and as finite differences have it."""
    means = Term(lambda images, activations: activations["conv2_1"].sum((1, 2, 3)), 1.0, "sum", ("conv2_1",))
    goal = real([1e-9], [0.0]).plus(means)
    slope = lambda goal: jax.grad(lambda x: goal(x).total.sum())(noise(0))  # noqa: E731
    whole, cut = slope(goal), slope(goal.replace(strips=(4, 2)))
    np.testing.assert_allclose(cut, whole, rtol=1e-3, atol=1e-3 * float(jnp.abs(whole).max()))
    assert float(jnp.abs(whole).max()) > 0


@pytest.mark.parametrize(("term", "words"), [
    (Term(lambda images: images.sum(), name="bad"), "term 'bad': returns shape (); must be one loss a lane, (1,)"),
    (Term(lambda images: jnp.log(-1 - halves(images)), name="lost"), "term 'lost': is nan at the start of lane 0"),
    (Term(halves, weight=-1.0), "term 'halves': weight: -1 is not allowed; must be a finite number, zero or more"),
    (Term(halves, weight=np.nan), "term 'halves': weight: nan is not allowed; must be a finite number, zero or more"),
    (Term(halves, layers=("conv9_9",)), "term 'halves': layers: unknown layer 'conv9_9'; known are conv1_1"),
])  # fmt: skip
def test_a_term_that_cannot_be_is_named(real, term, words):
    with pytest.raises(InputError) as caught:
        minimize(real([0.1], [1.0]).plus(term), noise(0), evaluations=3)
    assert str(caught.value).startswith(words)


def test_two_terms_of_one_name_are_refused(real):
    with pytest.raises(InputError, match="two terms have this name"):
        real([0.1], [1.0]).plus(Term(halves), Term(halves))


def test_pictures_stay_within_0_and_1_and_other_variables_go_anywhere(real):
    """By default; bounds given count for either."""
    goal, start = real([1e-5], [1.0]), noise(0)
    default = minimize(goal, start, evaluations=30)
    assert (default.images.min(), default.images.max()) == (0, 1)
    free = minimize(goal, start, evaluations=30, bounds=(-np.inf, np.inf))
    assert free.images.min() < 0
    zeros = jnp.zeros((1, 4))
    plain = {"optimizer": LBFGS(), "evaluations": 30}
    np.testing.assert_allclose(minimize(lambda x: ((x - 3) ** 2).sum(1), zeros, **plain).images, 3, rtol=1e-5)
    bounded = minimize(lambda x: ((x - 3) ** 2).sum(1), zeros, bounds=(0.5, 2.0), **plain)
    np.testing.assert_array_equal(bounded.images, jnp.full((1, 4), 2.0))
    assert bounded.status == (Status.CONVERGED,)


def test_frozen_variables():
    start = np.arange(8, dtype=np.float32).reshape(1, 2, 4)
    mask = np.array([[True], [False]])
    found = minimize(lambda x: (x**2).sum((1, 2)), start, optimizer=LBFGS(), evaluations=30, frozen=mask).images
    np.testing.assert_array_equal(found[0, 0], start[0, 0])
    np.testing.assert_allclose(found[0, 1], 0, atol=1e-5)


@pytest.mark.parametrize(("given", "words"), [
    ({"bounds": (1.0, 0.0)}, "bounds: (1.0, 0.0) is not allowed; must be the least value and a greater one"),
    ({"bounds": (0.0, float("nan"))}, "bounds: (0.0, nan) is not allowed; must be the least value and a greater one"),
    ({"frozen": np.zeros((3, 4), bool)}, "frozen: bool (3, 4); must be bool (2, 4)"),
    ({"frozen": np.zeros((2, 4), int)}, "frozen: int64 (2, 4); must be bool (2, 4)"),
    ({"frozen": np.zeros(4, bool)}, "frozen: bool (4,); must be bool (2, 4)"),
])  # fmt: skip
def test_bounds_and_masks_that_cannot_be(given, words):
    with pytest.raises(InputError, match=f"^{re.escape(words)}"):
        minimize(lambda x: (x**2).sum((1, 2)), np.zeros((1, 2, 4), np.float32), optimizer=LBFGS(), **given)


def color_grain(image):
    """Root mean square of red minus green above 0.35 cycles a pixel, in levels."""
    difference = 255 * (image[..., 0] - image[..., 1])
    down, across = (np.fft.fftfreq(side) for side in difference.shape)
    fine = np.hypot(down[:, None], across) > 0.35
    return np.sqrt((np.abs(np.fft.fft2(difference)[fine]) ** 2).sum()) / difference.size


def test_no_higher_than_bounded_scipy_on_the_real_objective_and_as_clean_as_the_painting(params, picture):
    """Equation 7 from white noise at 128 px after 200 evaluations each, within the same bounds."""
    photo, painting = (picture(name, 85, 128) for name in ("photograph", "painting"))
    goal = objective(photo, painting, params=params, ratio=1e-3)
    start = noises.white_noise(0, 85, 128)
    slope = jax.jit(jax.value_and_grad(lambda image, goal: goal(image[None]).total[0]))
    theirs = []

    def evaluate(x):
        loss, gradient = slope(jnp.asarray(x.reshape(start.shape), jnp.float32), goal)
        theirs.append(float(loss))
        return theirs[-1] / 1e6, np.asarray(gradient, np.float64).ravel() / 1e6

    options = {"maxcor": 20, "maxfun": 200, "maxiter": 200, "ftol": 0, "gtol": 0}
    begin = np.asarray(start, np.float64).ravel()
    bounds = [(0, 1)] * begin.size
    scipy.optimize.minimize(evaluate, begin, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    ours = minimize(goal, start[None], evaluations=200)
    assert len(theirs) >= 200
    assert ours.losses.total[0] <= min(theirs[:200])
    assert (ours.images.min(), ours.images.max()) == (0, 1)
    assert color_grain(np.asarray(ours.images[0])) < 0.75 * color_grain(painting)  # clipped again and again: 1.2
