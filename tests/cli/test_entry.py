"""What bad input gets: one line, exit code 2, before any computing. And help, streams, failures of a run."""

import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import jax
import numpy as np
import pytest
from PIL import Image
from program import assert_refused, done, run, separately

from nst_jax import __version__
from nst_jax.cli import features_commands, weights_commands
from nst_jax.loss import targets
from nst_jax.network.layers import LAYERS
from nst_jax.optim.engine import Engine
from nst_jax.pictures import images
from nst_jax.weights import weights


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, picture):
    """A folder with two good pictures, and with those that are not."""
    folder = tmp_path_factory.mktemp("pictures")
    images.write_image(folder / "photo.png", picture("photograph", 48, 64))
    images.write_image(folder / "painting.png", picture("painting", 48, 64))
    images.write_image(folder / "small.png", picture("photograph", 48, 31))
    images.write_image(folder / "thin.png", np.zeros((40, 400, 3), np.float32))
    whole = (folder / "photo.png").read_bytes()
    middle = len(whole) // 2
    (folder / "empty.png").write_bytes(b"")
    (folder / "truncated.png").write_bytes(whole[:middle])
    (folder / "corrupt.png").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    (folder / "text.png").write_text("This is no picture.\n")
    (folder / "folder.png").mkdir()
    return folder


@pytest.fixture
def folder(tmp_path, pictures):
    """The pictures, to do with as one likes."""
    return shutil.copytree(pictures, tmp_path, dirs_exist_ok=True)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Each name below the folder, with a file's bytes."""
    paths = folder.rglob("*")
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


@pytest.fixture
def refused(folder, monkeypatch):
    """refused(arguments, words): refuses in one line that holds the words, computes nothing, leaves nothing."""

    def fail(*_: object, **__: object) -> None:
        pytest.fail("it computes already")

    for module, name in (
        (Engine, "advance"),
        (targets, "content_targets"),
        (targets, "style_targets"),
        (features_commands, "style_descriptors"),
    ):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.chdir(folder)
    before = contents(folder)

    def check(arguments: list[str], *words: str) -> None:
        assert_refused(run(*arguments), *words)
        assert contents(folder) == before

    return check


@pytest.fixture
def no_weights(monkeypatch):
    """For what must be refused before even the parameters are read."""

    def fail(*_: object) -> None:
        pytest.fail("it reads parameters already")

    monkeypatch.setattr(weights, "load", fail)


STYLIZE = ["stylize", "photo.png", "painting.png", "-o", "out.png"]
EVALUATE = ["evaluate", "photo.png", "--content", "photo.png", "--style", "painting.png"]
BAD_PICTURES = {
    "missing.png": "no such file",
    "empty.png": "empty",
    "truncated.png": "cut short",
    "corrupt.png": "damaged",
    "text.png": "not a picture",
    "folder.png": "is a directory",
    "small.png": "at least 32",
}
ROLES = {
    "content": ["stylize", "{}", "painting.png", "-o", "out.png"],
    "style": ["stylize", "photo.png", "{}", "-o", "out.png"],
    "another style": ["stylize", "photo.png", "painting.png", "{}", "-o", "out.png"],
    "init": [*STYLIZE, "--init", "{}"],
    "reconstruct": ["reconstruct", "style", "{}", "-o", "new"],
    "features": ["features", "{}", "-o", "new.npz"],
    "evaluate": ["evaluate", "{}", "--content", "photo.png", "--style", "painting.png"],
    "evaluate content": ["evaluate", "photo.png", "--content", "{}", "--style", "painting.png"],
    "evaluate style": ["evaluate", "photo.png", "--content", "photo.png", "--style", "{}"],
}


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("role", "name"),
    # Of a picture that is resized, the new size counts.
    # And a folder is no bad picture where folders are taken.
    [
        (role, name)
        for role in ROLES
        for name in BAD_PICTURES
        if (role, name) != ("evaluate style", "small.png")
        and (name != "folder.png" or role not in ("features", "content", "style", "another style"))
    ],
)
def test_pictures(refused, role, name):
    size = [] if role.startswith("evaluate") else ["--size", "48"]
    refused([part.format(name) for part in ROLES[role]] + size, name, BAD_PICTURES[name])


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("role", ROLES)
def test_pictures_that_are_too_large(refused, role):
    arguments = [part.format("photo.png") for part in ROLES[role]]
    refused([*arguments, "--max-pixels", "2000"], "photo.png: 64x48", "limit is 2,000", "--max-pixels")


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([*STYLIZE, "--size", "16000"], ["photo.png: 16000x12000 (--size 16000)", "100,000,000", "--max-pixels"]),
        (["stylize", "photo.png", "thin.png", "-o", "out.png", "--size", "64"], ["thin.png", "at least 32"]),
        (["stylize", "thin.png", "painting.png", "-o", "out.png", "--size", "64"], ["thin.png", "--size 64"]),
        ([*STYLIZE, "--init", "small.png"], ["small.png", "at least 32"]),
        ([*STYLIZE, "--init", "whatever"], ["--init whatever", "noise, content or a picture file"]),
        ([*STYLIZE, "--style-blend", "1,2"], ["--style-blend", "2 given for 1 style pictures"]),
        ([*EVALUATE, "--style-blend", "1,2"], ["--style-blend", "2 given for 1 style pictures"]),
        (
            ["evaluate", "photo.png", "--content", "thin.png", "--style", "painting.png"],
            ["--content thin.png", "another aspect"],
        ),
    ],
)
def test_pictures_that_do_not_fit(refused, arguments, words):
    refused(arguments, *words)


OUTPUTS = [
    ("out.gif", "is an animation's, and CONTENT photo.png is a still picture; known are .png .jpg"),
    ("out.xyz", "unknown ending; known are .png .jpg"),
    ("out", "unknown ending"),
    ("folder.png", "is a directory"),
    ("missing/out.png", "no folder missing"),
    ("text.png/out.png", "no folder text.png"),
    ("/proc/out.png", "cannot write there"),
    ("a" * 300 + ".png", "too long"),
    ("photo.png", "is an input picture"),
    ("folder.png/../painting.png", "is an input picture"),
]


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(("output", "complaint"), OUTPUTS)
def test_outputs(refused, output, complaint):
    refused([*STYLIZE[:-1], output], "--output", output, complaint)


@pytest.mark.usefixtures("no_weights")
def test_outputs_are_checked_before_pictures_are_read(refused):
    refused(["stylize", "missing.png", "painting.png", "-o", "missing/out.png"], "no folder missing")


@pytest.mark.usefixtures("no_weights")
def test_numbered_outputs_are_checked_too(refused):
    name = "a" * 250 + ".png"
    refused([*STYLIZE[:-1], name, "--save-every", "10"], "--output", "too long")


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("command", "output", "complaint"),
    [
        (["features", "photo.png"], "out.txt", "must be .npz"),
        (["features", "photo.png"], "missing/out.npz", "no folder missing"),
        (["weights", "convert", "text.png"], "out.txt", "must be .h5"),
        (["weights", "convert", "text.png"], "missing/out.h5", "no folder missing"),
        (["weights", "normalize", "."], "out.txt", "must be .h5"),
        (["weights", "normalize", "."], "missing/out.h5", "no folder missing"),
    ],
)
def test_outputs_of_other_commands(refused, command, output, complaint):
    refused([*command, "-o", output], "--output", output, complaint)


@pytest.mark.parametrize(
    ("output", "complaint"),
    [("text.png", "is a file"), (".", "not empty; --force"), ("text.png/new", "cannot be made")],
)
def test_folders_to_write_into(refused, output, complaint):
    refused(["reconstruct", "content", "photo.png", "-o", output], "--output", output, complaint)


NUMBERS = {
    "--ratio": ["-1", "-0.001", "inf", "-inf", "nan", "1e40", "x", ""],
    "--alpha": ["-1", "inf", "nan", "1e40"],
    "--beta": ["-1", "inf", "nan", "1e40"],
    "--tv": ["-1", "inf", "nan"],
    "--style-weights": ["-1,1,1,1,1", "1,inf,1,1,1", "1,1,nan,1,1", "0,0,0,0,0", "1,1", "1,,1", ""],
    "--style-blend": ["-1", "inf", "nan", "0", "x"],
    "--size": ["31", "16384", "-64", "0", "64.5", "nan", "x", "9" * 5000],
    "--style-size": ["31", "16384", "x"],
    "--max-pixels": ["0", "1023", "1e6"],
    "--noise": ["-1", "inf", "nan", "10001"],
    "--seed": ["-1", "4294967296", "1.5"],
    "--evaluations": ["0", "-1", "1000001", "1e3"],
    "--history": ["0", "1001"],
    "--scales": ["0", "-1", "10", "2.5", "9"],
    "--learning-rate": ["0", "-1", "inf", "nan"],
    "--save-every": ["0", "-5", "x"],
    "--content-layers": ["conv6_1", "", "conv4_2,conv4_2", "conv4_2:x", "conv4_2:-1", "conv4_2:0"],
    "--style-layers": ["conv1_1,relu2", "", ",", "conv1_1,conv1_1"],
    "--pool": ["mean"],
    "--padding": ["same", "edge"],
    "--precision": ["float16"],
    "--optimizer": ["sgd"],
}


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(("option", "value"), [(option, value) for option, found in NUMBERS.items() for value in found])
def test_values(refused, option, value):
    refused([*STYLIZE, f"{option}={value}"], option)


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("option", ["--ratio", "--style-weights", "--tv"])
@pytest.mark.parametrize("value", ["-1", "-1e-3", "-inf"])
def test_a_negative_number_after_a_space(refused, option, value):
    refused([*STYLIZE, option, value], option)


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize("pair", [("--alpha=0", "--beta=0"), ("--alpha=1e-60", "--beta=0")])
def test_alpha_and_beta_that_are_both_zero(refused, pair):
    for command in (STYLIZE, EVALUATE):
        refused([*command, *pair], "alpha", "beta", "both are zero")


@pytest.mark.usefixtures("no_weights")
def test_ratio_with_alpha_or_beta(refused):
    refused([*STYLIZE, "--ratio", "1", "--beta", "1"], "--ratio", "--alpha or --beta")


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    "arguments",
    [
        [*STYLIZE, "--content-layers", "conv6_1"],
        [*STYLIZE, "--style-layers", "conv1_1,conv6_1"],
        [*EVALUATE, "--content-layers", "conv6_1"],
        ["features", "photo.png", "-o", "out.npz", "--style-layers", "conv6_1"],
        ["reconstruct", "content", "photo.png", "-o", "new", "--layers", "conv1_1,conv6_1"],
    ],
)
def test_an_unknown_layer_is_answered_with_the_known_ones(refused, arguments):
    refused(arguments, "layer", "'conv6_1'", ", ".join(LAYERS))


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "COMMAND"),
        (["stylize"], "stylize"),
        (["stylize"], "CONTENT"),
        (["stylize", "photo.png", "-o", "out.png"], "STYLE"),
        (STYLIZE[:-2], "--output"),
        ([*STYLIZE, "--sise", "64"], "--sise"),
        ([*STYLIZE, "--size"], "--size"),
        ([*STYLIZE, "--two\nlines"], "--two lines"),
        (["reconstruct", "color", "photo.png", "-o", "new"], "color"),
        (["weights"], "COMMAND"),
        (["weights", "drop"], "drop"),
        (["weights", "convert", "text.png", "-o", "new.h5", "--preprocessing", "bgr"], "bgr"),
    ],
)
def test_wrong_command_lines(refused, arguments, word):
    refused(arguments, word)


@pytest.fixture(scope="module")
def bad_weights(tmp_path_factory):
    """Weights that are not sound, by what is wrong with them."""
    folder = tmp_path_factory.mktemp("bad")
    shipped = weights.verify().path
    made = {name: folder / name for name in ("corrupt.h5", "shape.h5", "differs/ours.h5")}
    (folder / "differs").mkdir()
    for path in made.values():
        shutil.copyfile(shipped, path)
    with made["corrupt.h5"].open("r+b") as file:
        file.seek(10_000_000)
        byte = file.read(1)[0]
        file.seek(10_000_000)
        file.write(bytes([byte ^ 1]))
    with h5py.File(made["shape.h5"], "r+") as file:
        del file["conv3_2/bias"]
        file["conv3_2/bias"] = np.zeros(255, np.float32)
    (folder / "differs" / "SHA256SUMS").write_text(f"{64 * '0'}  ours.h5\n")
    (folder / "empty.h5").touch()
    (folder / "text.h5").write_text("This is no HDF5 file.\n")
    with (folder / "truncated.h5").open("wb") as file:
        file.write(shipped.read_bytes()[:1_000_000])
    return folder


BAD_WEIGHTS = {
    "corrupt.h5": "cannot be read as HDF5",
    "shape.h5": "conv3_2/bias has shape (255,), not (256,)",
    "differs/ours.h5": "sha256",
    "empty.h5": "cannot be read as HDF5",
    "text.h5": "cannot be read as HDF5",
    "truncated.h5": "cannot be read as HDF5",
    "missing.h5": "no such file; give vgg19",
    ".": "no such file",
}
USERS = {
    "stylize": STYLIZE,
    "reconstruct": ["reconstruct", "style", "photo.png", "-o", "new"],
    "evaluate": EVALUATE,
    "features": ["features", "photo.png", "-o", "new.npz"],
}


@pytest.mark.parametrize("name", BAD_WEIGHTS)
def test_weights(refused, bad_weights, name):
    refused([*STYLIZE, "--size", "48", "--weights", bad_weights / name], str(bad_weights / name), BAD_WEIGHTS[name])
    refused(["weights", "verify", bad_weights / name], str(bad_weights / name), BAD_WEIGHTS[name])


@pytest.mark.parametrize("user", USERS)
def test_weights_of_every_command(refused, bad_weights, user):
    refused([*USERS[user], "--weights", bad_weights / "shape.h5"], BAD_WEIGHTS["shape.h5"])


def test_weights_that_were_not_fetched(refused, folder, monkeypatch):
    monkeypatch.setenv("NST_JAX_CACHE", str(folder / "cache"))
    refused([*STYLIZE, "--weights", "vgg19-full"], "vgg19-full", "nst-jax weights fetch")


@pytest.mark.parametrize("name", [name for name in BAD_WEIGHTS if name not in ("corrupt.h5", "differs/ours.h5")])
def test_weights_to_convert(refused, bad_weights, name):
    refused(["weights", "convert", bad_weights / name, "-o", "new.h5"], str(bad_weights / name))


@pytest.mark.usefixtures("no_weights")
@pytest.mark.parametrize(("name", "complaint"), [("missing", "not a folder"), ("text.png", "not a folder")])
def test_folders_to_normalize_over(refused, name, complaint):
    refused(["weights", "normalize", name, "-o", "new.h5"], "FOLDER", name, complaint)


@pytest.mark.usefixtures("no_weights")
def test_a_folder_without_pictures(refused):
    refused(["weights", "normalize", "folder.png", "-o", "new.h5"], "FOLDER folder.png", "no pictures")


def test_one_bad_picture_in_a_folder_is_found_before_any_computing(folder, monkeypatch):
    from nst_jax.weights import mean_activations  # noqa: PLC0415

    monkeypatch.setattr(mean_activations, "_sums", lambda *_, **__: pytest.fail("it computes already"))
    (folder / "several").mkdir()
    shutil.copyfile(folder / "photo.png", folder / "several" / "a.png")
    shutil.copyfile(folder / "corrupt.png", folder / "several" / "b.png")
    outcome = run("weights", "normalize", folder / "several", "-o", folder / "new.h5", "--size", "48")
    assert_refused(outcome, "b.png", "damaged")
    assert not (folder / "new.h5").exists()


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("no_weights")
def test_remarks_on_a_picture_are_a_line(folder):
    with Image.open(folder / "photo.png") as photo:
        photo.putalpha(100)
        photo.save(folder / "alpha.png")
    outcome = run("stylize", folder / "alpha.png", folder / "missing.png", "-o", folder / "out.png", "--size", "48")
    note, refusal = outcome.err.splitlines()
    assert note == f"nst-jax: note: {folder / 'alpha.png'}: transparent; laid over white"
    assert "missing.png" in refusal


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device"), "nst-jax: [Errno 28] No space left on device\n"),
        (MemoryError(), "nst-jax: MemoryError\n"),
        (
            jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory\nallocating 9 bytes."),
            "nst-jax: RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes. (a smaller --size takes less memory)\n",
        ),
        (
            jax.errors.JaxRuntimeError("INVALID_ARGUMENT: Disallowed host-to-device transfer."),
            "nst-jax: INVALID_ARGUMENT: Disallowed host-to-device transfer.\n",
        ),
        (
            FloatingPointError("invalid value (nan)\nencountered in mul"),
            "nst-jax: JAX_DEBUG_NANS or JAX_DEBUG_INFS is set, and JAX found such a value: "
            "invalid value (nan) encountered in mul\n",
        ),
    ],
)
def test_a_run_that_fails_is_a_line_and_code_1(monkeypatch, error, line):
    def fail() -> None:
        raise error

    monkeypatch.setattr(weights_commands, "show_all", fail)
    outcome = run("weights", "list")
    assert outcome == (1, "", line)


def test_a_value_that_is_not_finite_is_a_line_where_jax_is_to_stop_at_it(folder):
    pictures = [folder / "photo.png", "--content", folder / "painting.png", "--style", folder / "painting.png"]
    with jax.debug_infs(True):
        outcome = run("evaluate", *pictures, "--style-layers", "conv1_1", "--content-layers=conv3_1", "--alpha=1e30")
    assert outcome.code == 1
    assert outcome.err.startswith("nst-jax: JAX_DEBUG_NANS or JAX_DEBUG_INFS is set, and JAX found such a value: ")
    assert outcome.err.count("\n") == 1


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    def fail() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(weights_commands, "show_all", fail)
    with pytest.raises(RuntimeError, match="a fault"):
        run("weights", "list")


def test_help_and_version():
    assert done("--version").out == f"{__version__}\n"
    overview = done("--help").out
    for command in ("stylize", "reconstruct", "evaluate", "features", "weights"):
        assert command in overview
        assert f"nst-jax {command} " in done(command, "--help").out
    stylize = " ".join(done("stylize", "--help").out.split())
    for option in NUMBERS:
        assert option in stylize
    assert "(default: conv1_1,conv2_1,conv3_1,conv4_1,conv5_1)" in stylize


COMMANDS = (
    "", "stylize", "reconstruct", "evaluate", "features", "sweep", "figure", "resume", "weights", "weights list",
    "weights verify", "weights convert", "weights normalize", "weights fetch",
)  # fmt: skip


@pytest.mark.parametrize("command", [*([*command.split(), "--help"] for command in COMMANDS), ["--version"]], ids=str)
def test_help_is_quick_and_needs_no_unicode(command, tmp_path):
    """Nothing heavy is imported for it, and α is shown in some way even where standard output is ASCII."""
    script = (
        "import sys; from nst_jax.cli import main\ntry: main()\n"
        "finally: print(*{'jax', 'flax', 'optax', 'PIL', 'numpy', 'h5py', 'rich'} & {*sys.modules}, file=sys.stderr)"
    )
    environment = {"PYTHONIOENCODING": "ascii", "NST_JAX_CACHE": str(tmp_path / "cache")}
    completed = subprocess.run(
        [sys.executable, "-c", script, *command], capture_output=True, text=True, env=environment, cwd=tmp_path,
        check=False,
    )  # fmt: skip
    assert (completed.returncode, completed.stderr) == (0, "\n")
    assert completed.stdout
    assert not [*tmp_path.iterdir()]  # and nothing is kept


def test_as_a_program_of_its_own(folder):
    completed = separately(*STYLIZE[:-1], "missing/out.png", cwd=folder)
    assert completed.returncode == 2
    assert completed.stdout == ""
    assert completed.stderr == "nst-jax: --output missing/out.png: there is no folder missing\n"


def test_the_installed_script_is_this_program():
    script = Path(sys.executable).with_name("nst-jax")
    if not script.exists():
        pytest.skip("nst-jax is not installed beside this Python")
    completed = subprocess.run([script, "--version"], capture_output=True, text=True, check=False)
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, f"{__version__}\n", "")
