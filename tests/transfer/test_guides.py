"""Regions of a picture: their shares and weights, what is left over, what is refused."""

import numpy as np
import pytest

from nst_jax.errors import InputError
from nst_jax.transfer.guides import REST, Guides, arrays_named, check_masks
from nst_jax.transfer.region_names import Region
from nst_jax.transfer.settings import Settings

LAYERS = ("conv1_1", "conv3_1")
HEIGHT, WIDTH = 40, 60


def columns(first, last, level=1.0):
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, first:last] = level
    return mask


def guides(masks, rest=False, **settings):
    region = tuple(f"{name}=painting" for name in masks)
    return Guides(
        Settings(**{"region": region, "region_edges": "inside"} | settings), masks, HEIGHT, WIDTH, LAYERS, rest=rest
    )


def test_what_no_region_covers_stays_the_photograph():
    found = guides({"left": columns(0, 15)})
    assert [region.mask for region in found.regions] == ["left"]
    np.testing.assert_array_equal(found.kept, columns(15, 60) > 0)
    np.testing.assert_allclose(found.shares, [0.25])


def test_what_no_region_covers_is_a_region_with_a_painting_of_its_own():
    found = guides({"left": columns(0, 15)}, rest=True)
    assert [region.mask for region in found.regions] == ["left", REST]
    assert found.kept is None
    np.testing.assert_allclose(found.shares, [0.25, 0.75])
    np.testing.assert_array_equal(found.masks[1], columns(15, 60))


def test_where_all_is_covered_nothing_is_left():
    for rest in (False, True):
        found = guides({"left": columns(0, 30), "right": columns(30, 60)}, rest=rest)
        assert len(found.regions) == 2
        assert found.kept is None


def test_soft_edges_count_and_what_jpeg_does_to_black_and_white_does_not():
    found = guides({"left": columns(0, 20, 0.95) + columns(20, 30, 0.5) + columns(30, 60, 0.05)})
    np.testing.assert_allclose(found.masks[0], columns(0, 20) + columns(20, 30, 0.5), atol=1e-6)


def test_masks_of_any_size():
    small = np.zeros((20, 30), bool)
    small[:, :15] = True
    found = guides({"left": small})
    np.testing.assert_array_equal(found.masks[0] >= 0.5, columns(0, 30) > 0)
    assert np.all((found.masks[0] >= 0) & (found.masks[0] <= 1))


def test_weights_are_shares_of_the_picture_times_those_given():
    """Of each lane; zero where the painting does not have the region."""
    found = guides({"left": columns(0, 15), "right": columns(15, 60)})
    painted = {"conv1_1": np.array([[True, True], [True, False]]), "conv3_1": np.array([[True, True]])}
    regions = found.of_lanes([None, (2.0, 4.0)], painted)
    np.testing.assert_allclose(regions.weights["conv1_1"], [[0.25, 0.75], [0.5, 0]])
    np.testing.assert_allclose(regions.weights["conv3_1"], [[0.25, 0.75], [0.5, 3]])
    assert regions.guides["conv1_1"].shape == (1, 40, 60, 2)
    np.testing.assert_allclose((np.asarray(regions.guides["conv3_1"]) ** 2).sum((0, 1, 2)), 1, rtol=1e-5)


def test_a_region_that_a_layer_does_not_see_is_left_out_there_and_said_so():
    found = guides({"thin": columns(0, 6), "wide": columns(6, 60)})
    assert {layer: numbers.tolist() for layer, numbers in found.present.items()} == {
        "conv1_1": [0, 1], "conv3_1": [1],
    }  # fmt: skip
    regions = found.of_lanes([None], {"conv1_1": np.ones((1, 2), bool), "conv3_1": np.ones((1, 1), bool)})
    assert regions.guides["conv3_1"].shape == (1, 10, 15, 1)
    (line,) = found.missing({})
    assert line.startswith("thin: no position of conv3_1 lies inside it")


def test_a_region_that_its_painting_has_not_at_a_layer_is_said():
    masks = {"left": columns(0, 30), "part": columns(0, 6)}
    found = Guides(
        Settings(region=("left=painting:part",), region_edges="inside"), masks, HEIGHT, WIDTH, LAYERS, rest=False
    )
    mask, guidance = found.of_painting(found.regions[0], HEIGHT, WIDTH)
    np.testing.assert_array_equal(mask, masks["part"])
    assert [guidance.present[layer].tolist() for layer in LAYERS] == [[True], [False]]
    (line,) = found.missing({layer: guidance.present[layer][None] for layer in LAYERS})
    assert line.startswith("part: no position of conv3_1")
    none = {layer: np.array([[False]]) for layer in LAYERS}
    with pytest.raises(InputError, match="region part: no position of conv1_1, conv3_1"):
        found.missing(none)


def refusal(masks, **settings):
    with pytest.raises(InputError) as caught:
        guides(masks, **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_refusals_name_the_mask():
    whole = columns(0, 60)
    assert refusal({"sky": columns(0, 60, 0.4)}).startswith("region sky: is nowhere white")
    assert "region sky: 30x40 cannot be brought to 60x40" in refusal({"sky": whole[:, :30]})
    assert "sky and sea are the same mask" in refusal({"sky": whole, "sea": whole.copy()})
    assert "2 given for 1 regions" in refusal({"sky": whole}, region_weights=(1.0, 2.0))
    assert refusal({"sky": 2 * whole}).startswith("region sky: holds values outside of 0..1")
    assert refusal({"sky": np.ones((4, 6, 3))}).startswith("region sky: float64 (4, 6, 3) is no mask")


def test_a_region_that_no_layer_sees_is_refused_with_how_much_there_is():
    dot = np.zeros((HEIGHT, WIDTH), np.float32)
    dot[20:22, 20:22] = 1
    with pytest.raises(InputError) as caught:
        guides({"dot": dot}).missing({})
    message = str(caught.value)
    assert message.startswith("region dot: no position of conv1_1, conv3_1 lies inside it, which is 0.17% of it white")
    assert guides({"dot": dot}, region_edges="all").missing({}) == []


def test_arrays_by_names_for_the_setting():
    mask, painting = np.ones((4, 6)), np.zeros((32, 40, 3), np.float32)
    settings, found = arrays_named(Settings(), [Region(mask, painting), Region(mask[:2], painting, mask)])
    assert settings.region == (
        "mask 1=painting of mask 1", "mask 2=painting of mask 2:mask 2 of the painting",
    )  # fmt: skip
    assert list(found.masks) == ["mask 1", "mask 2", "mask 2 of the painting"]
    assert list(found.paintings) == ["painting of mask 1", "painting of mask 2"]
    assert arrays_named(Settings(), []) == (Settings(), ({}, {}))
    with pytest.raises(InputError, match=r"region: tuple is no region; must be nst\.Region"):
        arrays_named(Settings(), [(mask, painting)])


def test_names_of_files_are_not_enough_from_python():
    for name, value in (("keep", "a.png"), ("region", ("a.png=b.png",))):
        with pytest.raises(InputError, match=f"{name}: .*from Python give"):
            check_masks(Settings(**{name: value}), None, None)
    check_masks(Settings(keep="a.png", region=("a=b",)), np.ones((4, 6)), {"a": np.ones((4, 6))})
