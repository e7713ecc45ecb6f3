"""Measures: what is known of the photograph, the painting and noise themselves; float64; blends; what is a file's."""

import math
from functools import partial
from itertools import pairwise

import numpy as np
import oracle
import pytest

from nst_jax.errors import InputError
from nst_jax.loss import strips
from nst_jax.loss.bures import NOISE
from nst_jax.measures import measures, structure
from nst_jax.measures.measures import measure
from nst_jax.network.layers import POOLS, STYLE_LAYERS
from nst_jax.pictures import images

HEIGHT, WIDTH = 64, 80


@pytest.fixture(scope="module")
def photo(picture):
    return measured(picture("photograph", HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def painting(picture):
    return measured(picture("painting", HEIGHT, WIDTH))


@pytest.fixture(scope="module")
def noise():
    return measured(measures.noise_reference(HEIGHT, WIDTH))


def measured(image: np.ndarray) -> np.ndarray:
    """As a file holds it."""
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8).astype(np.float32) / 255


def assert_equal(found: measures.Measures, expected: measures.Measures, **tolerance) -> None:
    assert [*found.to_noise, *found.to_content] == [*expected.to_noise, *expected.to_content]
    np.testing.assert_allclose(found.row(), expected.row(), **tolerance)


def test_the_photograph_itself(params, photo, painting):
    found = measure(params, photo, photo, painting)
    assert found.ssim == pytest.approx(1, abs=1e-12)
    assert found.correlation == pytest.approx(1, abs=1e-12)
    assert list(found.to_content.values()) == [1.0] * 5
    assert min(found.to_noise.values()) > 0.01


def test_the_painting_itself(params, photo, painting):
    found = measure(params, painting, photo, painting)
    assert list(found.to_noise) == list(STYLE_LAYERS)
    np.testing.assert_allclose([*found.to_noise.values(), *found.to_content.values()], 0, atol=1e-4)
    np.testing.assert_allclose([*found.mean_std.values(), *found.wasserstein.values()], 0, atol=2e-3)
    assert found.ssim < 0.5
    assert found.correlation < 0.5


def test_noise_itself(params, photo, painting, noise):
    found = measure(params, noise, photo, painting)
    assert list(found.to_noise.values()) == [1.0] * 5
    assert [*found.mean_std.values(), *found.wasserstein.values()] == [1.0] * 10
    assert found.ssim < 0.2
    assert found.correlation < 0.3
    assert found.scale == pytest.approx(0.76, abs=0.05)


def test_two_prints_of_the_painting_are_close_to_it(params, photo, painting):
    """Gram matrices are per position, so that a painting of any size can be compared with."""
    two = measure(params, painting, photo, np.concatenate([painting, painting[::-1]]))
    one = measure(params, photo, photo, painting)
    for layer in STYLE_LAYERS[:3]:  # higher up, borders are most of so small a picture
        assert 0 < two.to_noise[layer] < 0.5 * one.to_noise[layer]


def test_against_numpy_float64(params, picture):
    """All of it on 32x40 pictures, from the oracle's network."""
    layers = ("conv1_1", "conv3_1")
    made, photo = (measured(picture("photograph", 32, 40)[::step]) for step in (-1, 1))
    painting, noise = measured(picture("painting", 36, 32)), measured(measures.noise_reference(32, 40))
    seen = [oracle.activations(params, image, {*layers, "conv4_2"}) for image in (made, photo, painting, noise)]
    grams = {
        layer: [matrix @ matrix.T / matrix.shape[1] for matrix in (oracle.matrix(one[layer]) for one in seen)]
        for layer in layers
    }
    from_style = {layer: [np.sqrt(((g - a) ** 2).sum()) for g in (x, p, n)] for layer, (x, p, a, n) in grams.items()}

    def over_noise(loss):
        of_layers = {layer: [oracle.matrix(one[layer]) for one in seen] for layer in layers}
        return {layer: (loss(x, a) / loss(n, a)) ** 0.5 for layer, (x, _, a, n) in of_layers.items()}

    planes = [image.astype(np.float64) @ [0.299, 0.587, 0.114] for image in (made, photo)]
    expected = measures.Measures(
        ssim=structure.similarity(*planes),  # nothing to bring down; tested on its own
        correlation=np.corrcoef(seen[0]["conv4_2"].ravel(), seen[1]["conv4_2"].ravel())[0, 1],
        scale=structure.correlation_length(planes[0]),
        grids=structure.grids(planes[0]),
        to_noise={layer: x / n for layer, (x, _, n) in from_style.items()},
        to_content={layer: x / p for layer, (x, p, _) in from_style.items()},
        mean_std=over_noise(oracle.mean_std_loss),
        wasserstein=over_noise(partial(oracle.wasserstein_loss, share=NOISE)),
    )
    assert_equal(measure(params, made, photo, painting, layers), expected, rtol=1e-4)


def test_from_the_photograph_to_noise(params, photo, painting, noise):
    blends = [measure(params, (1 - t) * photo + t * noise, photo, painting) for t in (0, 0.25, 0.5, 0.75, 1)]
    for before, after in pairwise(blends):
        assert after.ssim < before.ssim
        assert after.correlation < before.correlation
        assert after.scale < before.scale


def test_from_the_painting_to_the_photograph(params, photo, painting):
    """Side by side, since a mixture of pixels has the contrast of neither."""
    columns = [0, WIDTH // 4, WIDTH // 2, 3 * WIDTH // 4, WIDTH]
    joined = [np.concatenate([photo[:, :at], painting[:, at:]], axis=1) for at in columns]
    found = [measure(params, image, photo, painting) for image in joined]
    for before, after in pairwise(found):
        assert after.ssim > before.ssim
        assert after.correlation > before.correlation
        assert sum(after.to_content.values()) > sum(before.to_content.values())


def test_a_large_picture_is_measured_in_strips(params, picture, monkeypatch):
    """Trap: the network whole, in gigabytes, after a picture that was made in strips for want of memory."""
    cut, cuts = strips._cut, []
    monkeypatch.setattr(strips, "_cut", lambda segment, *given: cuts.append(segment.strips) or cut(segment, *given))
    monkeypatch.setattr(strips, "SLAB_PIXELS", 640)
    image = measured(picture("painting", 36, 44))
    layers = ("conv2_1", "conv1_1")
    found = measures.summarize(params, image, layers)
    assert cuts == [3, 2, 2]
    expected = {x: oracle.matrix(f) for x, f in oracle.activations(params, image, {*layers, "conv4_2"}).items()}
    np.testing.assert_allclose(
        oracle.matrix(np.moveaxis(found.content, -1, 0)), expected["conv4_2"], rtol=1e-3, atol=0.1
    )
    for layer in layers:
        gram = expected[layer] @ expected[layer].T / expected[layer].shape[1]
        assert np.linalg.norm(found.style[layer][:, :-1] - gram) < 1e-5 * np.linalg.norm(gram)
        np.testing.assert_allclose(found.style[layer][:, -1], expected[layer].mean(1), rtol=1e-3, atol=1e-2)


def test_an_unknown_style_layer_is_refused(params, photo):
    with pytest.raises(InputError, match=r"^style_layers: unknown layer 'conv9_1'; known are "):
        measure(params, photo, style_layers=("conv9_1",))


def test_structure_is_compared_at_a_coarse_scale(params, picture):
    """Grain as fine as a pixel does not hide the arrangement; a picture that is small already is not enlarged."""
    photo = picture("photograph", 144, 192)
    grain = 0.2 * np.random.default_rng(0).normal(size=photo.shape).astype(np.float32)
    plane = structure.luminance(photo)
    assert structure.similarity(plane, structure.luminance(photo + grain)) < 0.4
    found = measure(params, photo + grain, photo, style_layers=())
    assert found.ssim > 0.7
    assert measures.summarize(params, photo, ()).coarse.shape == (48, 64)
    assert measures.summarize(params, photo[:40], ()).coarse.shape == (40, 192)


def test_as_a_file_would_hold_it(params, photo, painting, tmp_path):
    image = photo + 0.3 * np.random.default_rng(1).normal(size=photo.shape).astype(np.float32)
    images.write_image(tmp_path / "out.png", image)
    written = images.read_image(tmp_path / "out.png")
    assert_equal(measure(params, image, photo, painting), measure(params, written, photo, painting), rtol=0)


def test_what_is_not_there_cannot_be_told(params, photo, painting):
    neither = measure(params, photo)
    assert [math.isnan(value) for value in neither.row()] == [True] * 2 + [False] * 4 + [True] * 20
    no_painting, no_photo = measure(params, photo, photo), measure(params, photo, style=painting)
    assert [math.isnan(value) for value in no_painting.row()] == [False] * 6 + [True] * 20
    assert [math.isnan(value) for value in no_photo.row()] == [True] * 2 + [False] * 9 + [True] * 5 + [False] * 10
    both = measure(params, photo, photo, painting)
    assert no_photo.to_noise == both.to_noise
    assert (no_painting.ssim, no_painting.correlation) == (both.ssim, both.correlation)
    assert neither.scale == both.scale


def test_what_cannot_be_told_though_it_is_there(params, painting):
    """A blank picture has no scale, and no grid; the distance of the painting from itself compares nothing."""
    blank = np.full_like(painting, 0.5)
    found = measure(params, blank)
    assert math.isnan(found.scale)
    assert found.grids == pytest.approx({2: 1, 4: 1, 8: 1}, abs=1e-6)
    assert all(map(math.isnan, measure(params, blank, painting, painting).to_content.values()))


@pytest.mark.parametrize("pool", POOLS)
def test_once_seen_and_often_compared(params, photo, painting, noise, pool):
    layers = ("conv2_1", "conv1_1")
    seen = [measures.summarize(params, image, layers, pool=pool) for image in (photo * 0.5, noise, photo, painting)]
    made, of_noise, of_photo, of_painting = seen
    found = measures.compare(made, of_photo, measures.style_reference(of_painting.style, of_noise))
    assert_equal(found, measure(params, photo * 0.5, photo, painting, layers, pool=pool), rtol=1e-4)
    names = measures.columns(layers)
    assert names == ["ssim", "correlation", "scale", "grid_2", "grid_4", "grid_8", "conv2_1_to_noise",
                     "conv1_1_to_noise", "conv2_1_to_content", "conv1_1_to_content", "conv2_1_mean_std",
                     "conv1_1_mean_std", "conv2_1_wasserstein", "conv1_1_wasserstein"]  # fmt: skip
    by_name = dict(zip(names, found.row(), strict=True))
    assert by_name["grid_4"] == found.grids[4]
    assert by_name["conv1_1_to_noise"] == found.to_noise["conv1_1"]
    assert by_name["conv2_1_to_content"] == found.to_content["conv2_1"]


def test_in_words():
    row = [0.51234, math.nan, 3.0, 1.75, 1.0, math.nan, 0.25, 1.5, 0.5, 0.75]
    told = measures.described(row, ["conv1_1"])
    assert told == {
        "structural similarity": "0.512",
        "scale of structure, pixels": "3",
        "power of a 2-pixel grid, over that around": "1.75",
        "power of a 4-pixel grid, over that around": "1",
        "conv1_1 from style, over noise": "0.25",
        "conv1_1 from style, over photograph": "1.5",
        "conv1_1 from style, by means and deviations, over noise": "0.5",
        "conv1_1 from style, by Wasserstein's distance, over noise": "0.75",
    }
    assert measures.described([], ["conv1_1"]) == {}


def test_a_photograph_of_another_size_is_refused(params, photo, painting):
    with pytest.raises(InputError, match=r"content: its height and width are \(48, 80\), the picture's \(64, 80\)"):
        measure(params, photo, photo[:48], painting)
