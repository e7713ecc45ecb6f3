"""What the subcommands make: pictures, figures and features, on the real network, at 64x48 pixels.

Most run on the network's first layers alone: that compiles in a fraction of the time and takes the same paths.
"""

import errno
import json
import os
import shutil
import tempfile
import warnings
from contextlib import nullcontext
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from PIL import Image
from program import assert_refused, done, run

from nst_jax import __version__, devices, loss
from nst_jax.loss import objective, targets
from nst_jax.measures import measures
from nst_jax.optim.engine import Engine, Finished, Progress
from nst_jax.optim.status import Status
from nst_jax.pictures import files, images, noise
from nst_jax.transfer import recolor
from nst_jax.transfer.minimizing import minimize
from nst_jax.transfer.settings import Settings
from nst_jax.transfer.transfer import optimizer_of
from nst_jax.weights import weights

SIZE = ("--size", 64)
FEW = (*SIZE, "--evaluations", 6, "--content-layers", "conv2_1", "--style-layers", "conv1_1,conv2_1")
EVALUATED = FEW[4:]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory, picture):
    """A folder with pictures: none is resampled at 64 px, but for the large ones."""
    folder = tmp_path_factory.mktemp("inputs")
    images.write_image(folder / "photo.png", picture("photograph", 48, 64))
    images.write_image(folder / "painting.png", picture("painting", 48, 64))
    images.write_image(folder / "other.png", picture("painting", 64, 48).transpose(1, 0, 2)[::-1])
    images.write_image(folder / "large.png", picture("photograph", 96, 128))
    images.write_image(folder / "large_painting.png", picture("painting", 96, 80))
    return folder


@pytest.fixture(scope="module")
def stylize(inputs, tmp_path_factory):
    """stylize("out.png", more options) runs `nst-jax stylize` on the first layers; the picture's path."""

    def call(name="out.png", *options, styles=("painting.png",)):
        output = tmp_path_factory.mktemp("out") / name
        paintings = [inputs / style for style in styles]
        # Optax mixes dtypes in Adam.
        with jax.numpy_dtype_promotion("standard") if "adam" in options else nullcontext():
            call.outcome = done("stylize", inputs / "photo.png", *paintings, "-o", output, *FEW, *options)
        return output

    return call


@pytest.fixture(scope="module")
def plain(stylize):
    """A picture made with no option but those of all."""
    return stylize()


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def about(path) -> dict:
    return json.loads(images.read_settings(path)["nst_jax"])


def expected(params, paths, settings) -> dict:
    """What `evaluate` must print, from the float64 oracle: of the picture, the content, the styles as they are read."""
    picture, content, *styles = [np.asarray(path) for path in paths]
    layers = settings["style_layers"]
    (content_layer,) = settings["content_layers"]
    needed = {*layers, content_layer}
    shares = np.float64(settings.get("blend", [1.0] * len(styles)))
    network = settings["pool"], settings.get("padding", "zero")
    f = {x: oracle.matrix(a) for x, a in oracle.activations(params, picture, needed, *network).items()}
    p = oracle.activations(params, content, needed, *network)[content_layer]
    found = [oracle.activations(params, style, needed, *network) for style in styles]
    content_loss = oracle.content_loss(f[content_layer], oracle.matrix(p))
    by_layer = {}
    for layer in layers:
        mean = sum(
            share * oracle.matrix(a[layer]) @ oracle.matrix(a[layer]).T / oracle.matrix(a[layer]).shape[1]
            for share, a in zip(shares / shares.sum(), found, strict=True)
        )
        filters, positions = f[layer].shape
        by_layer[layer] = ((f[layer] @ f[layer].T / positions - mean) ** 2).sum() / (4 * filters**2)
        if len(styles) == 1:
            assert by_layer[layer] == pytest.approx(
                oracle.style_loss(f[layer], oracle.matrix(found[0][layer])), rel=1e-9
            )
    style_loss = sum(w * by_layer[x] for x, w in zip(layers, settings["weights"], strict=True))
    tv = oracle.total_variation(picture)
    total = settings["alpha"] * content_loss + settings["beta"] * style_loss + settings.get("tv", 0) * tv
    parts = {"total": total, "content": content_loss, "style": style_loss, "style_layers": by_layer}
    parts |= {"alpha": settings["alpha"], "beta": settings["beta"], "size": list(picture.shape[:2])}
    return parts | ({"tv": tv} if "tv" in settings else {})


def assert_parts_agree(found: dict, wanted: dict, relative: float = 1e-4) -> None:
    assert set(found) == set(wanted)
    assert set(found["style_layers"]) == set(wanted["style_layers"])
    assert found["size"] == wanted["size"]
    for name in set(wanted) - {"style_layers", "size"}:
        assert found[name] == pytest.approx(wanted[name], rel=relative), name
    for layer, value in wanted["style_layers"].items():
        assert found["style_layers"][layer] == pytest.approx(value, rel=relative), layer


def test_evaluate_agrees_with_the_oracle_on_the_papers_settings(inputs, plain, params):
    paths = [plain, inputs / "photo.png", inputs / "painting.png"]
    found = json.loads(done("evaluate", paths[0], "--content", paths[1], "--style", paths[2]).out)
    layers = ["conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1"]
    settings = {"style_layers": layers, "weights": [0.2] * 5, "content_layers": ("conv4_2",), "pool": "avg"}
    settings |= {"alpha": 1e-3, "beta": 1.0}
    assert_parts_agree(found, expected(params, map(images.read_image, paths), settings))


@pytest.mark.parametrize(("pool", "padding"), [("avg", "replicate"), ("binomial", "reflect"), ("max", "zero")])
def test_evaluate_agrees_with_the_oracle_on_other_settings(inputs, plain, params, pool, padding):
    """Two styles of sizes of their own, network, layers, weights, and total variation; a larger content picture."""
    command = ["evaluate", plain, "--content", inputs / "large.png", "--style"]
    command += [inputs / "large_painting.png", inputs / "painting.png", "--style-size", 96, "--style-blend", "3,1"]
    command += ["--alpha", 2, "--beta", 30, "--tv", 1e-3, "--pool", pool, "--padding", padding]
    command += ["--content-layers", "pool2", "--style-layers", "conv3_1,conv1_2", "--style-weights", "0.25,4"]
    found = json.loads(done(*command).out)
    picture = images.read_image(plain)
    content = images.resize(images.read_image(inputs / "large.png"), 48, 64)
    styles = [images.read_image(inputs / name, size=96) for name in ("large_painting.png", "painting.png")]
    assert [style.shape for style in styles] == [(96, 80, 3), (72, 96, 3)]
    settings = {"style_layers": ["conv3_1", "conv1_2"], "weights": [0.25, 4.0], "content_layers": ("pool2",)}
    settings |= {"alpha": 2.0, "beta": 30.0, "tv": 1e-3, "blend": [3, 1], "pool": pool, "padding": padding}
    assert_parts_agree(found, expected(params, [picture, content, *styles], settings))


def test_evaluate_takes_losses_too_large_for_json(inputs, plain):
    outcome = done(
        *("evaluate", plain, "--content", inputs / "photo.png", "--style", inputs / "painting.png", *EVALUATED),
        *("--alpha", 1e30, "--beta", 1e30, "--tv", 1e30),
    )
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    assert found["total"] is None
    assert found["content"] > 0


@pytest.mark.parametrize("network", [{}, {"pool": "max", "padding": "reflect"}], ids=str)
def test_evaluate_measures_when_asked(inputs, plain, params, network):
    """The columns of a sweep's measures.csv, whatever the order of the layers; two paintings count as their mean."""
    command = ["evaluate", plain, "--content", inputs / "large.png", "--style", inputs / "painting.png"]
    command += ["--style-layers", "conv2_1,conv1_1"]
    command += [f"--{name}={value}" for name, value in network.items()]
    without = json.loads(done(*command).out)
    found = json.loads(done(*command, "--measures").out)
    measured = found.pop("measures")
    assert found == without
    pictures = [images.read_image(path) for path in (plain, inputs / "large.png", inputs / "painting.png")]
    pictures[1] = images.resize(pictures[1], 48, 64)
    expected = measures.measure(params, *pictures, ("conv2_1", "conv1_1"), **network)
    assert list(measured) == measures.columns(["conv2_1", "conv1_1"])
    np.testing.assert_allclose(list(measured.values()), expected.row(), rtol=1e-4)
    twice = json.loads(done(*command, "--style", *[inputs / "painting.png"] * 2, "--measures").out)["measures"]
    np.testing.assert_allclose(list(twice.values()), expected.row(), rtol=1e-4)


def test_evaluate_prints_null_for_what_cannot_be_measured(inputs):
    painting = inputs / "painting.png"
    command = ["evaluate", painting, "--content", painting, "--style", painting, *EVALUATED, "--measures"]
    found = json.loads(done(*command).out, parse_constant=pytest.fail)["measures"]
    assert found["ssim"] == pytest.approx(1)
    assert found["conv1_1_to_noise"] == pytest.approx(0, abs=1e-5)
    assert found["conv1_1_to_content"] is None  # the photograph is the painting


def test_the_picture_says_how_it_was_made(inputs, plain):
    assert pixels(plain).shape == (48, 64, 3)
    written = about(plain)
    assert written["version"] == __version__
    assert written["weights_sha256"] == weights.verify().sha256
    roles = {"content": ["photo.png"], "style": ["painting.png"], "init": []}
    assert written["inputs"] == {
        role: [{"file": name, "sha256": files.sha256(inputs / name)} for name in names] for role, names in roles.items()
    }
    settings = written["settings"]
    assert (settings["size"], settings["evaluations"], settings["seed"]) == (64, 6, 0)
    assert settings["style_layers"] == ["conv1_1", "conv2_1"]


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(stylize, plain):
    again, other = stylize(), stylize("out.png", "--seed", 1)
    assert again.read_bytes() == plain.read_bytes()
    assert np.any(pixels(other) != pixels(plain))


def test_more_evaluations_get_further(inputs, stylize, plain):
    def loss(path) -> float:
        evaluated = ("--content", inputs / "photo.png", "--style", inputs / "painting.png", *EVALUATED)
        return json.loads(done("evaluate", path, *evaluated).out)["total"]

    start, few, more = stylize("out.png", "--evaluations", 1), plain, stylize("out.png", "--evaluations", 40)
    assert loss(more) < 0.5 * loss(few) < 0.5 * loss(start)


def test_summary_and_progress(stylize):
    output = stylize()
    outcome = stylize.outcome
    assert outcome.out.startswith(f"{output}: 64x48, loss ")
    assert " after 6 evaluations, " in outcome.out
    assert outcome.out.count("\n") == 1
    lines = outcome.err.splitlines()
    assert lines[0] == "out.png: compiling"
    assert lines[1].startswith("out.png: 1/6, loss ")
    assert lines[-1].startswith("out.png: 6/6, loss ")
    assert lines[-1].endswith(" left")


def test_quiet_prints_nothing(stylize, plain):
    output = stylize("out.png", "--quiet")
    assert stylize.outcome == (0, "", "")
    assert output.read_bytes() == plain.read_bytes()


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_json_summary_is_what_evaluate_says(inputs, stylize, optimizer):
    """After one evaluation the picture is still the start, whose values are those of 8 bits already."""
    start = inputs / "other.png"
    output = stylize("out.png", "--init", start, "--evaluations", 1, "--json", "--quiet", "--optimizer", optimizer)
    summary = json.loads(stylize.outcome.out)
    assert summary.pop("output") == str(output)
    assert summary.pop("evaluations") == 1
    assert summary.pop("seconds") > 0
    np.testing.assert_array_equal(pixels(output), pixels(start))
    evaluated = ("--content", inputs / "photo.png", "--style", inputs / "painting.png", *EVALUATED)
    assert_parts_agree(json.loads(done("evaluate", output, *evaluated).out), summary, 1e-5)


def test_json_summary_is_what_evaluate_says_but_for_rounding_to_8_bits(inputs, stylize):
    output = stylize("out.png", "--json", "--tv", 1e-6)
    summary = json.loads(stylize.outcome.out)
    for name in ("output", "evaluations", "seconds"):
        del summary[name]
    evaluated = ("--content", inputs / "photo.png", "--style", inputs / "painting.png", *EVALUATED, "--tv", 1e-6)
    assert_parts_agree(json.loads(done("evaluate", output, *evaluated).out), summary, 0.02)


def test_save_every_writes_numbered_pictures(stylize, plain):
    output = stylize("out.png", "--save-every", 2, "--evaluations", 10)
    assert sorted(path.name for path in output.parent.iterdir()) == [
        *("out.png", "out_02.png", "out_04.png", "out_06.png", "out_08.png")
    ]
    sixth = output.with_name("out_06.png")
    np.testing.assert_array_equal(pixels(sixth), pixels(plain))  # saving changes nothing
    assert about(sixth) == about(output)


@pytest.fixture
def full(tmp_path, monkeypatch):
    """A folder where a disk is full by the time a picture is to be written, and the temporary folder, which is not."""
    folder, spare = tmp_path / "full", tmp_path / "spare"
    folder.mkdir()
    spare.mkdir()
    written = files.atomic

    def atomic(path):
        if Path(path).parent == folder:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return written(path)

    monkeypatch.setattr(files, "atomic", atomic)
    monkeypatch.setattr(tempfile, "tempdir", str(spare))
    return folder, spare


def test_a_picture_that_cannot_be_written_is_elsewhere(inputs, full, plain):
    """Also those on the way; a failure to save one of them ended the run."""
    folder, spare = full
    pictures = inputs / "photo.png", inputs / "painting.png"
    outcome = run("stylize", *pictures, "-o", folder / "out.png", *FEW, "--save-every", 4)
    assert outcome.code == 1
    assert list(folder.iterdir()) == []
    numbered, last = sorted(spare.iterdir(), key=lambda path: path.stat().st_mtime)
    told = f"nst-jax: {folder / 'out.png'}: cannot be written (No space left on device); the picture is in {last}\n"
    assert told in outcome.err
    assert f"{folder / 'out_4.png'}: cannot be written (No space left on device); the picture is in {numbered}" in (
        outcome.err
    )
    assert outcome.out.startswith(f"{last}: 64x48, loss ")
    np.testing.assert_array_equal(pixels(last), pixels(plain))
    assert about(last) == about(plain)


def test_reconstructions_that_cannot_be_written_are_elsewhere(inputs, full):
    folder, spare = full
    options = ("--layers", "conv1_1,conv2_1", *SIZE, "--evaluations", 2)
    outcome = run("reconstruct", "content", inputs / "photo.png", "-o", folder, *options)
    assert outcome.code == 1
    assert sorted(path.name[:13] for path in spare.iterdir()) == ["content_conv1", "content_conv2"]
    assert outcome.out.splitlines() == sorted(map(str, spare.iterdir()))
    assert outcome.err.count("the picture is in") == 2


def test_scales_are_a_coarser_picture_and_then_the_picture_from_there(inputs, tmp_path, params):
    """As by hand, with a painting of another size; numbered pictures have the picture's size at every scale."""
    sizes = ("--size", 128, "--style-size", 96, "--scales", 2, "--evaluations", 10, "--save-every", 3)
    command = ["stylize", inputs / "large.png", inputs / "large_painting.png", "-o", tmp_path / "out.png"]
    outcome = done(*command, *FEW, *sizes)
    assert "out.png: 1/10, 64x48, loss " in outcome.err
    assert "out.png: 10/10, 128x96, loss " in outcome.err
    numbers = ("out_03.png", "out_06.png", "out_09.png", "out.png")
    assert {path.name for path in tmp_path.iterdir()} == set(numbers)
    assert {pixels(tmp_path / name).shape for name in numbers} == {(96, 128, 3)}
    assert about(tmp_path / "out.png")["strips"] == [[], []]

    photo = images.read_image(inputs / "large.png")
    painting = images.read_image(inputs / "large_painting.png")
    layers = ("conv1_1", "conv2_1")
    image = noise.white_noise(0, 48, 64)
    for divisor, evaluations in ((2, 4), (1, 6)):
        here = images.resize(photo, 96 // divisor, 128 // divisor)
        there = images.resize(painting, 96 // divisor, 80 // divisor)
        both = loss.Targets(
            loss.content_targets(params, here[None], ("conv2_1",)),
            loss.style_targets(params, there[None], layers),
        )
        loss_weights = loss.loss_weights(  # equation 1 has a quarter of the positions at half the size
            1e-3 * divisor**2, 1.0, content_layers=("conv2_1",), style_layers=layers
        )
        if divisor == 1:
            image = (
                images.resize(np.asarray(image), 96, 128) + here - images.resize(images.resize(here, 48, 64), 96, 128)
            )
        goal = objective.Objective(params, both, loss_weights)
        image = minimize(goal, image[None], evaluations=evaluations).images[0]
    assert np.abs(pixels(tmp_path / "out.png") - 255.0 * np.clip(image, 0, 1)).max() < 1.6


@pytest.mark.slow
@pytest.mark.parametrize(("start", "count"), [("noise", 3), ("content", 1), ("large.png", 1)])
def test_by_default_there_are_scales_where_they_pay(inputs, tmp_path, start, count):
    large = ("--size", 256, "--evaluations", 3, "--init", inputs / start if start.endswith("png") else start)
    done("stylize", inputs / "photo.png", inputs / "painting.png", "-o", tmp_path / "out.png", *FEW, *large)
    assert about(tmp_path / "out.png")["strips"] == [[]] * count


@pytest.mark.slow
def test_memory_is_bounded_by_strips(inputs, tmp_path):
    """To the same picture, but for rounding; the bound leaves 50 MB to the program, and then 1 MB."""
    larger = (*FEW, "--size", 256, "--scales", 1, "--evaluations", 3, "--history", 2, "--init", "content")
    made = {}
    for name, options in (("whole.png", ()), ("strips.png", ("--memory", "1050MB"))):
        done("stylize", inputs / "photo.png", inputs / "painting.png", "-o", tmp_path / name, *larger, *options)
        made[name] = tmp_path / name
    assert about(made["whole.png"])["strips"] == [[]]
    assert max(about(made["strips.png"])["strips"][0]) > 1
    whole, cut = (pixels(path).astype(int) for path in made.values())
    assert np.abs(whole - cut).max() <= 1
    outcome = run(
        "stylize",
        inputs / "photo.png",
        inputs / "painting.png",
        "-o",
        tmp_path / "no.png",
        *larger,
        "--memory",
        "1001MB",
        "--quiet",
    )
    assert_refused(outcome, "memory: ", " GB are allowed", "--size")
    assert not (tmp_path / "no.png").exists()


def test_init_from_a_file(inputs, stylize):
    same, large = (
        stylize("out.png", "--init", inputs / name, "--evaluations", 1) for name in ("other.png", "large.png")
    )
    np.testing.assert_array_equal(pixels(same), pixels(inputs / "other.png"))
    resized = images.resize(images.read_image(inputs / "large.png"), 48, 64)
    np.testing.assert_array_equal(pixels(large), np.rint(255 * resized))
    assert about(large)["inputs"]["init"] == [{"file": "large.png", "sha256": files.sha256(inputs / "large.png")}]


def test_style_blend(stylize, plain):
    two = ("painting.png", "other.png")
    only_first = stylize("out.png", "--style-blend", "2,0", styles=two)
    np.testing.assert_array_equal(pixels(only_first), pixels(plain))
    equal, said = stylize(styles=two), stylize("out.png", "--style-blend", "3,3", styles=two)
    np.testing.assert_array_equal(pixels(equal), pixels(said))
    assert np.any(pixels(equal) != pixels(plain))
    assert [style["file"] for style in about(equal)["inputs"]["style"]] == list(two)


@pytest.mark.parametrize(
    "options",
    [pytest.param(("--pool", "max"), marks=pytest.mark.slow), ("--optimizer", "adam"), ("--noise", 40)],
    ids=lambda options: options[0],
)
def test_options_that_change_the_picture(stylize, plain, options):
    changed = stylize("out.png", *options)
    assert np.any(pixels(changed) != pixels(plain))
    assert about(changed)["settings"][options[0].removeprefix("--")] == options[1]


def test_options_of_the_optimizer():
    assert optimizer_of(Settings(history=3)).history == 3  # type: ignore[attr-defined]
    adam = optimizer_of(Settings(optimizer="adam", learning_rate=0.5))
    with jax.numpy_dtype_promotion("standard"):
        state = adam.tell(adam.init(jnp.zeros((1, 2))), jnp.zeros(1), jnp.asarray([[3.0, -4.0]]))
    np.testing.assert_allclose(adam.ask(state), [[-0.5, 0.5]], rtol=1e-5)  # Adam's first step: the sign alone


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("webp", "WEBP"), ("TIFF", "TIFF")])
def test_other_formats(stylize, plain, ending, kind):
    output = stylize(f"out.{ending}", "--save-every", 4)
    numbered = output.with_name(f"out_4.{ending}")
    for path in (output, numbered):
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == (kind, (64, 48))
    difference = np.abs(np.int32(pixels(output)) - pixels(plain))
    assert difference.mean() < (0.01 if kind == "TIFF" else 6)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_with_16_bits_the_file_holds_what_was_minimized(inputs, stylize, plain, ending):
    output = stylize(f"out.{ending}", "--bits", 16, "--save-every", 4, "--json")
    summary = json.loads(stylize.outcome.out)
    evaluated = ("--content", inputs / "photo.png", "--style", inputs / "painting.png", *EVALUATED)
    assert json.loads(done("evaluate", output, *evaluated).out)["total"] == pytest.approx(summary["total"], rel=2e-4)
    image = images.read_image(output)
    np.testing.assert_allclose(image, pixels(plain) / 255, rtol=0, atol=0.51 / 255)
    for path in (output, output.with_name(f"out_4.{ending}")):
        assert len(np.unique(images.read_image(path))) > 256
    if ending == "png":
        assert about(output)["settings"] == about(plain)["settings"] | {"bits": 16}


def test_reconstruct_with_16_bits(inputs, tmp_path):
    options = (*SIZE, "--evaluations", 2, "--layers", "conv1_1", "--quiet", "--bits", 16)
    done("reconstruct", "style", inputs / "painting.png", "-o", tmp_path, *options)
    (written,) = tmp_path.iterdir()
    assert len(np.unique(images.read_image(written))) > 256


def test_16_bits_in_a_jpeg_are_refused_before_anything_is_read(tmp_path):
    outcome = run("stylize", tmp_path / "none.jpg", tmp_path / "nil.jpg", "-o", tmp_path / "out.jpg", "--bits", 16)
    assert_refused(outcome, f"--output {tmp_path / 'out.jpg'}: JPEG holds 8 bits", "--bits 16 takes .png .tif .tiff")
    outcome = run("stylize", tmp_path / "none.jpg", tmp_path / "nil.jpg", "-o", tmp_path / "out.png", "--bits", 12)
    assert_refused(outcome, "--bits: 12 is unknown; known are 8, 16")


@pytest.fixture(scope="module")
def soft(inputs, tmp_path_factory, picture):
    """A photograph of 128x96 pixels that fades to nothing at its sides, with 16 bits, and its alpha."""
    path = tmp_path_factory.mktemp("soft") / "soft.png"
    y, x = np.mgrid[:96, :128] / 96
    alpha = np.clip(3 - 6 * np.hypot(x - 2 / 3, y - 0.5), 0, 1).astype(np.float32)
    images.write_image(path, picture("photograph", 96, 128), bits=16, alpha=alpha)
    return path, images.resize(alpha[..., None], 48, 64)[..., 0]


@pytest.fixture(scope="module")
def over_white(inputs, soft):
    """The picture that is made of it unless anything else is asked for, with 16 bits."""
    output = soft[0].with_name("white.png")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        outcome = done("stylize", soft[0], inputs / "painting.png", "-o", output, *FEW, "--bits", 16)
    assert "soft.png: transparent; laid over white" in outcome.err
    return output


@pytest.mark.parametrize(("ending", "bits"), [("png", 16), ("webp", 8), ("tif", 8)])
def test_a_photograph_s_transparency_is_kept(inputs, soft, over_white, tmp_path, ending, bits):
    """At the picture's size, in those on the way too; what is under it is the picture that lies over white."""
    path, alpha = soft
    output = tmp_path / f"out.{ending}"
    command = ("stylize", path, inputs / "painting.png", "-o", output, *FEW, "--bits", bits, "--save-every", 4)
    done(*command, "--transparency", "keep")  # nothing is said of white, which would be an error here
    if ending == "png":
        assert (about(output)["transparency"], about(over_white).get("transparency")) == ("keep", None)
    for made in (output, tmp_path / f"out_4.{ending}"):
        found, own = images.read_with_alpha(made)
        assert own is not None
        np.testing.assert_allclose(own, alpha, rtol=0, atol=0.51 / (2**bits - 1) + 1 / 65535)  # as it was read, too
    under, none = images.read_with_alpha(over_white)
    assert none is None
    found, own = images.read_with_alpha(output)
    assert own is not None
    expected = under * own[..., None] + 1 - own[..., None]
    np.testing.assert_allclose(found, expected, rtol=0, atol={"png": 1e-4, "tif": 0.01, "webp": 0.2}[ending])
    with Image.open(output) as both:
        hidden = np.asarray(both)[..., :3][alpha == 0]
    assert hidden.std() > 5  # styled, though nobody sees it


def test_an_opaque_photograph_gives_an_opaque_picture(stylize, plain):
    assert stylize("out.png", "--transparency", "keep").read_bytes() == plain.read_bytes()


def test_transparency_that_a_format_cannot_keep_is_refused_before_anything_is_read(tmp_path):
    outcome = run("stylize", "a.png", "b.jpg", "-o", tmp_path / "out.jpg", "--transparency", "keep")
    told = f"--output {tmp_path / 'out.jpg'}: JPEG holds no transparency; what does is .png .webp .tif .tiff"
    assert_refused(outcome, told)
    outcome = run("stylize", "a.png", "b.jpg", "-o", tmp_path / "out.bmp", "--transparency", "keep")
    assert_refused(outcome, "unknown ending")
    outcome = run("stylize", "a.png", "b.jpg", "-o", tmp_path / "out.png", "--transparency", "black")
    assert_refused(outcome, "--transparency", "white")


def test_the_photograph_s_own_size(stylize, plain):
    """Is that number in every respect, and in what the picture says."""
    assert stylize("out.png", "--size", "original").read_bytes() == plain.read_bytes()


def test_a_photograph_without_a_size_of_its_own(inputs, tmp_path):
    command = ("-o", tmp_path / "out.png", "--size", "original")
    assert_refused(run("stylize", tmp_path / "none.png", inputs / "painting.png", *command), "none.png: no such file")
    images.write_image(tmp_path / "long.png", np.zeros((32, 16_384, 3), np.float32))
    outcome = run("stylize", tmp_path / "long.png", inputs / "painting.png", *command)
    assert_refused(outcome, "--size: 16384 is not allowed; must be from 32 to 16383")


def test_an_output_is_replaced(inputs, stylize, plain, tmp_path):
    output = tmp_path / "out.png"
    shutil.copyfile(inputs / "large.png", output)
    done("stylize", inputs / "photo.png", inputs / "painting.png", "-o", output, *FEW)
    assert output.read_bytes() == plain.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_a_loss_that_is_not_finite_keeps_the_last_good_picture(inputs, tmp_path):
    output = tmp_path / "out.png"
    outcome = run(
        *("stylize", inputs / "photo.png", inputs / "painting.png", "-o", output, *FEW),
        *("--init", "content", "--tv", 1e30, "--beta", 1e30, "--style-weights", "1e9,1e9", "--json"),
    )
    assert outcome.code == 1
    assert outcome.err.splitlines()[-1] == f"nst-jax: {output}: the loss is not finite; kept the last good picture"
    assert json.loads(outcome.out, parse_constant=pytest.fail)["total"] is None
    np.testing.assert_array_equal(pixels(output), pixels(inputs / "photo.png"))


@pytest.mark.slow
def test_reconstruct_content(inputs, tmp_path):
    folder = tmp_path / "new" / "folder"
    outcome = done(
        *("reconstruct", "content", inputs / "photo.png", "-o", folder, *SIZE, "--evaluations", 30),
        *("--layers", "conv2_1,conv1_1"),
    )
    names = ["content_conv1_1.png", "content_conv2_1.png"]
    assert outcome.out.splitlines() == [str(folder / name) for name in names]
    assert sorted(path.name for path in folder.iterdir()) == names
    original = np.float32(pixels(inputs / "photo.png"))
    for name, layers in zip(names, ({"conv1_1": 1, "conv2_1": 0}, {"conv1_1": 0, "conv2_1": 1}), strict=True):
        assert (about(folder / name)["reconstruct"], about(folder / name)["layers"]) == ("content", layers)
        made = np.float32(pixels(folder / name))
        assert np.corrcoef(made.ravel(), original.ravel())[0, 1] > 0.9, name
    assert np.any(pixels(folder / names[0]) != pixels(folder / names[1]))


@pytest.mark.slow
def test_reconstruct_style(inputs, tmp_path):
    options = (*SIZE, "--evaluations", 30, "--layers", "conv1_1,conv2_1", "--quiet")
    assert done("reconstruct", "style", inputs / "painting.png", "-o", tmp_path, *options) == (0, "", "")
    first, second = tmp_path / "style_to_conv1_1.png", tmp_path / "style_to_conv2_1.png"
    assert sorted(tmp_path.iterdir()) == [first, second]
    assert about(first)["layers"] == {"conv1_1": 1, "conv2_1": 0}
    assert about(second)["layers"] == {"conv1_1": 0.5, "conv2_1": 0.5}
    evaluated = ("--style", inputs / "painting.png", "--content", inputs / "painting.png", *EVALUATED)
    losses = [json.loads(done("evaluate", path, *evaluated).out)["style_layers"] for path in (first, second)]
    assert losses[1]["conv2_1"] < losses[0]["conv2_1"]  # only the second was asked for it


@pytest.fixture
def no_run(monkeypatch):
    """Reconstructions that stay at their start: what is around the run is tested then."""

    def stay(engine: Engine) -> Progress:
        lanes = range(len(engine.problem))
        engine.status = dict.fromkeys(lanes, Status.RUNNING)
        starts = np.asarray(engine.problem.starts(lanes))
        return Progress({}, [Finished(lane, starts[lane], Status.RUNNING) for lane in lanes], dict)

    monkeypatch.setattr(Engine, "advance", stay)


@pytest.mark.usefixtures("no_run")
def test_reconstruct_refuses_a_folder_with_something_in_it_unless_forced(inputs, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    command = ("reconstruct", "content", inputs / "photo.png", "-o", tmp_path, *SIZE, "--layers", "conv1_1", "--quiet")
    assert_refused(run(*command), str(tmp_path), "--force")
    assert done(*command, "--force") == (0, "", "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["content_conv1_1.png", "mine.txt"]


@pytest.mark.usefixtures("no_run")
@pytest.mark.parametrize("kind", ["content", "style"])
def test_reconstruct_reads_no_input_after_the_run(inputs, tmp_path, monkeypatch, kind):
    """Hours of work are not lost because an input was moved meanwhile."""
    image = shutil.copyfile(inputs / "photo.png", tmp_path / "photo.png")
    stay = Engine.advance

    def remove_and_stay(engine):
        image.unlink()
        return stay(engine)

    monkeypatch.setattr(Engine, "advance", remove_and_stay)
    done("reconstruct", kind, image, "-o", tmp_path / "new", *SIZE, "--layers", "conv1_1")
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_reconstruct_compares_at_one_precision(inputs, tmp_path, monkeypatch):
    """The target's and the image's, on any platform; on a CPU the outcome would not show it."""
    monkeypatch.setattr(devices, "platform", lambda: "gpu")
    found = []

    def note(_, __, ___, *, precision, **____):
        found.append(precision)
        raise MemoryError

    for name in ("content_targets", "style_targets"):
        monkeypatch.setattr(targets, name, note)
    for kind in ("content", "style"):
        command = ("reconstruct", kind, inputs / "photo.png", "-o", tmp_path / kind, *SIZE)
        assert run(*command, "--precision", "bfloat16").code == 1
        assert run(*command).code == 1
    assert found == ["bfloat16", "float32"] * 2


@pytest.mark.parametrize("color", ["painting", "luminance"])
def test_what_is_kept_stays_the_photograph(inputs, tmp_path, color):
    """Through all scales, in any color; and the file says which mask it was."""
    mask = np.zeros((128, 160, 3), np.float32)
    mask[:, :48] = 1
    images.write_image(tmp_path / "mask.png", mask)
    photo = images.resize(images.read_image(inputs / "photo.png"), 64, 80)
    images.write_image(tmp_path / "photo.png", photo)
    low = ("--content-layers", "conv1_2", "--style-layers", "conv1_1", "--evaluations", "6", "--scales", "2")
    done("stylize", tmp_path / "photo.png", inputs / "painting.png", "-o", tmp_path / "out.png", "--size", "80",
         "--keep", tmp_path / "mask.png", "--color", color, *low, "--quiet")  # fmt: skip
    made = images.read_image(tmp_path / "out.png")
    np.testing.assert_allclose(made[:, :24], images.read_image(tmp_path / "photo.png")[:, :24], atol=0.51 / 255)
    assert np.abs(made[:, 26:] - photo[:, 26:]).max() > 0.05
    assert [mask["file"] for mask in about(tmp_path / "out.png")["inputs"]["masks"]] == ["mask.png"]


def mask_file(path, first, last, height=48, width=64):
    """A picture that is white from one column to another."""
    mask = np.zeros((height, width, 3), np.float32)
    mask[:, first:last] = 1
    images.write_image(path, mask)
    return path


LOW = ("--content-layers", "conv1_2", "--style-layers", "conv1_1,conv2_1", "--evaluations", "3", "--size", "80")


def test_a_region_with_a_painting_and_the_photograph_around_it(inputs, tmp_path):
    sky, part = mask_file(tmp_path / "sky.png", 0, 32), mask_file(tmp_path / "part.png", 10, 40, 36, 48)
    images.write_image(tmp_path / "one.png", images.resize(images.read_image(inputs / "painting.png"), 36, 48))
    done("stylize", inputs / "photo.png", "-o", tmp_path / "out.png", *LOW, "--quiet",
         "--region", f"{sky}={tmp_path / 'one.png'}:{part}")  # fmt: skip
    made = images.read_image(tmp_path / "out.png")
    photo = images.fit(images.read_image(inputs / "photo.png"), 80)
    share = made.shape[1] // 2
    np.testing.assert_allclose(made[:, share + 1 :], photo[:, share + 1 :], atol=0.51 / 255)
    assert np.abs(made[:, : share - 1] - photo[:, : share - 1]).max() > 0.05
    named = [mask["file"] for mask in about(tmp_path / "out.png")["inputs"]["masks"]]
    assert named == ["sky.png", "one.png", "part.png"]
    told = json.loads(done("evaluate", tmp_path / "out.png", "--content", inputs / "photo.png", *LOW[:4],
                           "--region", f"{sky}={tmp_path / 'one.png'}:{part}", "--measures").out)  # fmt: skip
    assert told["style"] > 0
    assert all(value is not None for value in told["measures"].values())


def test_regions_that_cannot_be(inputs, tmp_path):
    photo, painting = inputs / "photo.png", inputs / "painting.png"
    rows, columns = images.read_image(photo).shape[:2]
    black = mask_file(tmp_path / "black.png", 0, 0, rows, columns)
    long, dot = mask_file(tmp_path / "long.png", 0, 9, 64, 640), mask_file(tmp_path / "dot.png", 30, 31, rows, columns)
    half = mask_file(tmp_path / "half.png", 0, columns // 2, rows, columns)
    shutil.copy(half, tmp_path / "copy.png")

    def refused(*regions, words, more=()):
        given = [part for mask in regions for part in ("--region", f"{mask}={painting}")]
        assert_refused(run("stylize", photo, "-o", tmp_path / "out.png", *LOW, *given, *more), "--region", *words)
        assert not (tmp_path / "out.png").exists()

    refused(black, words=["black.png: is nowhere white"])
    refused(long, words=["long.png: 640x64 cannot be brought to", "another aspect"])
    refused(half, tmp_path / "copy.png", words=["half.png and", "copy.png are the same mask"])
    refused(dot, words=["dot.png: no position of", "lies inside it"], more=("--region-edges", "inside"))
    refused(half, words=["--region-weights: 2 given for 1 regions"], more=("--region-weights", "1,2"))
    assert_refused(run("stylize", photo, "-o", tmp_path / "out.png", "--region", "sky.png"), "MASK=PAINTING")
    assert_refused(run("stylize", photo, "-o", tmp_path / "out.png"), "STYLE: no painting is given", "--region")
    command = ("stylize", photo, "-o", tmp_path / "out.png", "--region", f"{tmp_path / 'none.png'}={painting}")
    assert_refused(run(*command), "none.png")


def test_masks_that_keep_nothing_or_cannot_be(inputs, tmp_path):
    images.write_image(tmp_path / "black.png", np.zeros((64, 64, 3), np.float32))
    images.write_image(tmp_path / "long.png", np.ones((64, 640, 3), np.float32))
    command = ("stylize", inputs / "photo.png", inputs / "painting.png", "-o", tmp_path / "out.png", *SIZE)
    photo = images.read_image(inputs / "photo.png")
    images.write_image(tmp_path / "black.png", np.zeros_like(photo))
    assert_refused(run(*command, "--keep", tmp_path / "black.png"), "--keep", "black.png: is nowhere white")
    assert_refused(run(*command, "--keep", tmp_path / "long.png"), "--keep", "another aspect")
    assert not (tmp_path / "out.png").exists()


def test_recolor(inputs, tmp_path):
    """A finished picture with a photograph's colors at each pixel, or by mean and covariance."""
    photo, painting = (images.read_image(inputs / name) for name in ("photo.png", "painting.png"))
    picture = images.resize(painting, *photo.shape[:2])
    images.write_image(tmp_path / "made.png", picture)
    command = ("recolor", tmp_path / "made.png", "--like", inputs / "photo.png", "-o")
    done(*command, tmp_path / "light.png")
    light = images.read_image(tmp_path / "light.png")
    np.testing.assert_allclose(recolor.chroma(light), recolor.chroma(photo), atol=1 / 255)
    done(*command, tmp_path / "match.png", "--color", "match", "--color-match", "monge", "--quiet")
    matched = images.read_image(tmp_path / "match.png")
    np.testing.assert_allclose(matched.mean((0, 1)), photo.mean((0, 1)), atol=0.02)  # but for what is clipped
    assert_refused(run(*command, tmp_path / "made.png"), "--output", "is an input picture")
    assert_refused(run(*command[:3], inputs / "gone.png", "-o", tmp_path / "x.png"), "gone.png: no such file")


def test_blend_styles_starts_from_the_coarse_one(inputs, tmp_path):
    """Equation 5 of low layers of the fine one alone, from the coarse one: that is a stylize with these settings."""
    small = ("--size", "64", "--evaluations", "3", "--quiet")
    fine, coarse = inputs / "painting.png", inputs / "photo.png"
    done("blend-styles", fine, coarse, "-o", tmp_path / "blend.png", *small)
    done("stylize", coarse, fine, "-o", tmp_path / "same.png", *small, "--alpha", "0", "--init", "content",
         "--style-layers", "conv1_1,conv2_1", "--scales", "1")  # fmt: skip
    made, same = (images.read_image(tmp_path / name) for name in ("blend.png", "same.png"))
    np.testing.assert_array_equal(made, same)
    assert about(tmp_path / "blend.png")["inputs"]["content"][0]["file"] == "photo.png"


def test_presence_is_searched_for_and_said(inputs, stylize, plain):
    """On the network itself. The picture's text has the ratio, with which it can be had again without the search."""
    made = stylize("out.png", "--presence", "0.5", "--json")
    said = stylize.outcome.err.splitlines()
    assert said[0] == "nst-jax: presence 0.5: searching for its α/β on small pictures"
    assert said[1].startswith(("nst-jax: presence 0.5: α/β ", "nst-jax: note: presence 0.5: cannot be reached; the"))
    found = about(made)
    assert json.loads(stylize.outcome.out)["presence"] == found["presence"]
    assert (found["presence"]["asked"], found["settings"]["presence"]) == (0.5, None)
    assert f"{json.loads(stylize.outcome.out)['alpha']:g}" == f"{found['settings']['ratio']:g}"
    again = stylize("out.png", "--ratio", found["settings"]["ratio"], "--quiet")
    assert stylize.outcome.err == ""
    np.testing.assert_array_equal(pixels(again), pixels(made))
    assert "presence" not in about(again)


def test_presence_and_a_ratio(inputs, tmp_path):
    command = ["stylize", inputs / "photo.png", inputs / "painting.png", "-o", tmp_path / "out.png", "--presence"]
    both = "--presence: not allowed together with --ratio, --alpha or --beta; give one or the other"
    assert_refused(run(*command, "0.5", "--alpha", "2"), both)
    assert_refused(run(*command, "60"), "--presence: 60.0 is not allowed; must be from 0 to 1")
