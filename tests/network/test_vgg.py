"""The network: names, order, shapes, where it stops, its pools, its refusals, and its values against NumPy float64."""

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

from nst_jax.errors import InputError
from nst_jax.loss.targets import style_targets
from nst_jax.network import conv, pooling, vgg
from nst_jax.network.layers import CONVOLUTIONS, LAYERS, PADDINGS, POOLS


def shapes(height, width, layers=LAYERS, pool="avg"):
    """Of each activation, without computing any."""
    layer = {
        name: {
            "kernel": jax.ShapeDtypeStruct((3, 3, *c), jnp.float32),
            "bias": jax.ShapeDtypeStruct(c[1:], jnp.float32),
        }
        for name, c in CONVOLUTIONS.items()
    }
    colors = jax.ShapeDtypeStruct((3,), jnp.float32)
    params = {"params": layer, "preprocessing": {"mean": colors, "scale": colors}}
    image = jax.ShapeDtypeStruct((height, width, 3), jnp.float32)
    found = jax.eval_shape(lambda p, x: vgg.features(p, x, layers, pool=pool), params, image)
    return {name: value.shape for name, value in found.items()}


def test_layers_have_the_papers_names_and_order():
    assert list(LAYERS) == oracle.NETWORK
    assert set(shapes(32, 32)) == set(oracle.NETWORK)
    assert vgg.check_layers(reversed(LAYERS)) == LAYERS
    assert vgg.check_layers(["pool1", "conv1_1", "pool1"]) == ("conv1_1", "pool1")
    assert vgg.check_layers("conv1_1") == ("conv1_1",)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47), (63, 64), (95, 33)], ids=str)
def test_each_pool_halves_and_drops_an_odd_row_or_column(size, pool):
    height, width = size
    found = shapes(height, width, pool=pool)
    channels = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
    for name in oracle.NETWORK:
        block = int(name.removeprefix("conv").removeprefix("pool")[0])
        halvings = block if name.startswith("pool") else block - 1
        assert found[name] == (height >> halvings, width >> halvings, channels[block]), name


@pytest.mark.parametrize(("layer", "convolutions"), [("conv1_1", 1), ("pool1", 2), ("conv4_2", 10), ("pool5", 16)])
def test_the_network_stops_at_the_deepest_layer(params, layer, convolutions):
    layers = ("conv1_1", layer)
    jaxpr = jax.make_jaxpr(lambda image: vgg.features(params, image, layers))(np.zeros((32, 32, 3), np.float32))
    assert str(jaxpr).count("name=_conv3x3_relu") == convolutions


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("size", [(32, 32), (33, 47)], ids=str)
def test_activations_against_numpy_float64(params, kind, size):
    image = np.random.default_rng(1).uniform(size=(*size, 3)).astype(np.float32)
    found = vgg.features(params, image, LAYERS, pool=kind)
    expected = oracle.activations(params, image, LAYERS, kind)
    for layer in LAYERS:
        difference = np.moveaxis(found[layer], -1, 0) - expected[layer]
        assert np.linalg.norm(difference) <= 1e-5 * np.linalg.norm(expected[layer]), layer


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize("size", [(32, 32), (33, 47)], ids=str)
def test_other_paddings_against_numpy_float64(params, padding, size):
    image = np.random.default_rng(1).uniform(size=(*size, 3)).astype(np.float32)
    found = vgg.features(params, image, LAYERS, pool="binomial", padding=padding)
    expected = oracle.activations(params, image, LAYERS, "binomial", padding)
    for layer in LAYERS:
        difference = np.moveaxis(found[layer], -1, 0) - expected[layer]
        assert np.linalg.norm(difference) <= 1e-5 * np.linalg.norm(expected[layer]), layer


@pytest.mark.parametrize("padding", PADDINGS)
def test_gradient_by_finite_differences_of_the_oracle(params, padding):
    """In float64, through pools of odd sides and convolutions of each kind."""
    random = np.random.default_rng(1)
    image, direction = random.uniform(size=(33, 35, 3)), random.normal(size=(33, 35, 3))
    layer, step = "conv3_1", 1e-7

    def value(image):
        return np.sum(np.sin(1e-3 * oracle.activations(params, image, [layer], "binomial", padding)[layer]))

    with jax.enable_x64(True):
        wide = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), params)

        def of_features(image):
            found = vgg.features(wide, image, [layer], pool="binomial", padding=padding)
            return jnp.sum(jnp.sin(1e-3 * found[layer]))

        found, slope = jax.jit(jax.value_and_grad(of_features))(image)
    assert found == pytest.approx(value(image), rel=1e-10)
    expected = (value(image + step * direction) - value(image - step * direction)) / (2 * step)
    assert np.sum(np.asarray(slope) * direction) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
@pytest.mark.parametrize("pool", POOLS)
def test_what_is_one_color_stays_so_to_the_border(params, pool, padding):
    """Odd rows, which pools drop, change nothing of it; behind zeros it does not stay so."""
    image = np.broadcast_to(np.float32([0.2, 0.6, 0.4]), (37, 34, 3))
    found = vgg.features(params, image, ("conv1_1", "pool2", "conv3_1"), pool=pool, padding=padding)
    for layer, activation in found.items():
        np.testing.assert_allclose(
            activation, np.broadcast_to(activation[:1, :1], activation.shape), rtol=1e-4, atol=1e-2
        )
        assert np.asarray(activation).any(), layer
    zero = np.asarray(vgg.features(params, image, ("conv3_1",), pool=pool)["conv3_1"])
    assert np.abs(zero - zero[4:5, 4:5]).max() > 10


@pytest.mark.parametrize("padding", ["reflect", "replicate"])
def test_lanes_prepared_and_jit_give_the_same_with_other_borders(params, padding):
    images = np.random.default_rng(3).uniform(size=(2, 33, 36, 3)).astype(np.float32)
    options = {"pool": "binomial", "padding": padding}
    together = vgg.features(vgg.prepare(params, ["conv2_2"]), images, ["conv2_2"], **options)["conv2_2"]
    alone = jax.jit(lambda image: vgg.features(params, image, ["conv2_2"], **options)["conv2_2"])
    plain = vgg.features(params, images, ["conv2_2"], **options, plain=True)["conv2_2"]
    np.testing.assert_allclose(together, np.stack([alone(image) for image in images]), rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(together, plain, rtol=1e-4, atol=1e-2)


def test_preprocessing_is_of_the_parameters(params):
    """(255 image - mean) scale, and zeros around that: the border sees mean grey, not black."""
    preprocessing = {"mean": np.float32([10, 20, 30]), "scale": np.float32([0.1, 0.2, 0.4])}
    changed = {"params": params["params"], "preprocessing": preprocessing}
    image = np.random.default_rng(2).uniform(size=(32, 40, 3)).astype(np.float32)
    found = vgg.features(changed, image, ["conv1_1"])["conv1_1"]
    expected = oracle.activations(changed, image, ["conv1_1"])["conv1_1"]
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("leading", [(), (1,), (3,), (2, 3)], ids=str)
def test_any_leading_axes(params, leading):
    images = np.random.default_rng(3).uniform(size=(*leading, 32, 36, 3)).astype(np.float32)
    found = vgg.features(params, images, ["pool2", "conv1_2"])
    assert list(found) == ["conv1_2", "pool2"]
    assert found["pool2"].shape == (*leading, 8, 9, 128)
    flat = images.reshape(-1, 32, 36, 3)
    for got, image in zip(found["pool2"].reshape(-1, 8, 9, 128), flat, strict=True):
        alone = vgg.features(params, image, ["pool2"])["pool2"]
        np.testing.assert_allclose(got, alone, rtol=1e-4, atol=1e-2)


def test_init_makes_parameters_of_the_shipped_shapes(params):
    image = jnp.ones((1, 32, 32, 3))
    whole = jax.eval_shape(vgg.VGG19(("pool5",)).init, jax.random.key(0), image)
    assert jax.tree.map(jnp.shape, whole) == jax.tree.map(jnp.shape, params)
    made = vgg.VGG19(("conv1_2",)).init(jax.random.key(0), image)
    assert list(made["params"]) == ["conv1_1", "conv1_2"]
    found = vgg.features(made, image, ["conv1_2"])["conv1_2"]
    assert np.all(np.isfinite(found))
    assert np.any(found > 0)


@pytest.mark.parametrize("kind", POOLS)
def test_layers_that_hand_on_bfloat16(params, picture, kind):
    """Every layer's result is rounded to 8 bits before the next one; what is told of it is float32."""
    image, layers = picture("photograph", 33, 47), ("conv1_1", "pool1", "conv2_2", "conv4_2")
    options = {"pool": kind, "precision": "bfloat16-activations"}
    found = vgg.features(params, image, layers, **options)
    exact = vgg.features(params, image, layers, pool=kind)
    x, rounded = jnp.asarray(255 * image[None] - params["preprocessing"]["mean"]), {}
    x *= params["preprocessing"]["scale"]
    for name in LAYERS[: LAYERS.index("conv4_2") + 1]:
        x = conv.plain3x3_relu(x, **params["params"][name]) if name in CONVOLUTIONS else pooling.pool(x, kind)
        rounded[name] = x = jnp.asarray(x).astype(jnp.bfloat16).astype(jnp.float32)
    for layer in layers:
        assert found[layer].dtype == jnp.float32
        assert (found[layer] == found[layer].astype(jnp.bfloat16).astype(jnp.float32)).all()
        of_plain = vgg.features(params, image, [layer], plain=True, **options)[layer]
        np.testing.assert_array_equal(of_plain, rounded[layer][0])
        # Winograd's differ in their last bits, and so now and then in one of bfloat16's.
        np.testing.assert_allclose(found[layer], of_plain, rtol=2**-7, atol=2**-7 * float(jnp.abs(of_plain).max()) / 4)
        assert (found[layer] == of_plain).mean() > 0.8
        assert 1e-4 < relative(found[layer], exact[layer]) < 1e-2


def test_gradients_through_bfloat16(params, picture):
    """Those of the rounded layers: nearly as JAX's own rules give them, and a few hundredths from float32's."""
    image = jnp.asarray(picture("photograph", 32, 40))

    def slope(**options):
        def loss(image):
            found = vgg.features(params, image, ["conv3_1", "conv1_2"], **options)
            return sum((x**2).sum() / x.size for x in found.values())

        return jax.grad(loss)(image)

    rounded, plain = (slope(precision="bfloat16-activations", plain=plain) for plain in (False, True))
    assert rounded.dtype == jnp.float32
    assert relative(rounded, plain) < 1e-2
    assert 1e-4 < relative(rounded, slope()) < 5e-2


def relative(found, right):
    return float(jnp.linalg.norm(found - right) / jnp.linalg.norm(right))


IMAGE = np.zeros((32, 32, 3), np.float32)


@pytest.mark.parametrize(
    ("image", "layers", "options", "words"),
    [
        (IMAGE, ["conv6_1"], {}, ["layers", "'conv6_1'", "conv1_1", "pool5"]),
        (IMAGE, ["conv1_1", "relu1_1", "x"], {}, ["layers", "'relu1_1', 'x'"]),
        (IMAGE, [], {}, ["layers", "no layer"]),
        (IMAGE, ["conv1_1"], {"pool": "mean"}, ["pool", "'mean'", "avg, binomial, max"]),
        (IMAGE, ["conv1_1"], {"padding": "same"}, ["padding", "'same'", "zero, reflect, replicate"]),
        (IMAGE, ["conv1_1"], {"precision": "float16"}, ["precision", "'float16'", "float32", "bfloat16"]),
        (IMAGE[:31], ["conv1_1"], {}, ["images", "(31, 32, 3)", "32"]),
        (IMAGE[:, :31], ["conv1_1"], {}, ["images", "(32, 31, 3)", "32"]),
        (IMAGE[..., :1], ["conv1_1"], {}, ["images", "(32, 32, 1)", "3]"]),
        (IMAGE[..., 0], ["conv1_1"], {}, ["images", "(32, 32)"]),
        (IMAGE[None][:0], ["conv1_2"], {}, ["images", "(0, 32, 32, 3)", "one or more"]),
    ],
)
def test_refusals_are_one_line(params, image, layers, options, words):
    with pytest.raises(InputError) as caught:
        vgg.features(params, image, layers, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


@pytest.mark.parametrize("platform", [None, "cpu", "gpu", "tpu"])
def test_prepared_parameters_give_the_same(params, platform):
    """On whichever platform they are used: here it is CPU."""
    prepared = vgg.prepare(params, ("conv1_1", "conv2_1"), platform)
    assert list(prepared["params"]) == ["conv1_1", "conv1_2", "conv2_1"]
    assert list(prepared["transformed"]) == (["conv1_2", "conv2_1"] if platform in (None, "cpu") else [])
    image = np.random.default_rng(0).uniform(size=(32, 40, 3)).astype(np.float32)
    found, expected = (vgg.features(p, image, ("conv2_1",))["conv2_1"] for p in (prepared, params))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("platform", ["cpu", "tpu"])
def test_prepared_parameters_are_prepared_already(params, platform):
    once = vgg.prepare(params, ("conv3_1",), platform)
    twice, less = (vgg.prepare(once, layers, platform) for layers in ("conv3_1", "conv1_2"))
    assert jax.tree.structure(twice) == jax.tree.structure(once)
    assert all(a is b for a, b in zip(jax.tree.leaves(twice), jax.tree.leaves(once), strict=True))
    assert jax.tree.structure(less) == jax.tree.structure(vgg.prepare(params, "conv1_2", platform))


@pytest.mark.parametrize("use", [
    lambda prepared: vgg.features(prepared, IMAGE, ["pool1", "conv2_2"]),
    lambda prepared: vgg.prepare(prepared, ["conv2_2"]),
    lambda prepared: style_targets(prepared, IMAGE[None], ["conv2_2"]),
], ids=["features", "prepare", "targets"])  # fmt: skip
def test_parameters_that_do_not_reach_a_layer_say_so(params, use):
    prepared = vgg.prepare(params, ["conv2_1"])
    with pytest.raises(InputError, match=r"^layers: need conv2_2, .* prepared without; name it "):
        use(prepared)


@pytest.mark.parametrize("shape", [(32, 40, 3), (2, 33, 47, 3)])
def test_plain_convolutions_give_the_same(params, shape):
    image = np.random.default_rng(0).uniform(size=shape).astype(np.float32)
    found, expected = (vgg.features(params, image, ("conv2_1", "pool2"), plain=plain) for plain in (True, False))
    assert list(found) == list(expected)
    for layer, activation in expected.items():
        np.testing.assert_allclose(found[layer], activation, rtol=1e-4, atol=1e-2)


def test_prepare_needs_layers_there_are(params):
    with pytest.raises(InputError, match=r"unknown layer 'conv6_1'"):
        vgg.prepare(params, ("conv6_1",))
