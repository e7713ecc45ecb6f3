"""What is installed, and what is committed."""

import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from nst_jax import __version__

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def output(*command: object, **options) -> str:
    """What a command prints; it must end well."""
    completed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def built(backend: Path, kind: str, source: Path, folder: Path) -> Path:
    """What the build backend makes of a folder; `kind` is "sdist" or "wheel"."""
    script = f"import sys; from hatchling.build import build_{kind}; print(build_{kind}(sys.argv[1]))"
    printed = output(sys.executable, "-c", script, folder, cwd=source, env={**os.environ, "PYTHONPATH": str(backend)})
    return folder / printed.split()[-1]


def git(*arguments: str) -> set[str]:
    """The paths that a command of git names, each with a zero byte after it; none where this is no checkout."""
    listed = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return set(filter(None, listed.stdout.split("\0"))) if listed.returncode == 0 else set()


def committed() -> set[str]:
    """The files that are."""
    return git("ls-files", "-z") or pytest.skip("this is no git checkout, so that what is committed cannot be told")


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    """A folder with the build backend, from the registry that pip is configured with."""
    folder = tmp_path_factory.mktemp("backend")
    command = [*PIP, "install", "--quiet", "--retries", "1", "--target", folder, "hatchling"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("the package registry, which has the build backend hatchling, is out of reach")
    return folder


@pytest.fixture(scope="module")
def sdist(backend, tmp_path_factory):
    return built(backend, "sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """The wheel that pip builds from the sdist."""
    folder = tmp_path_factory.mktemp("wheel")
    output(*PIP, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, sdist)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of an environment with nothing but the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    output(*PIP, "--python", folder / SCRIPTS / "python", "install", "--quiet", "--no-compile", wheel)
    return folder / SCRIPTS


def contents(sdist: Path) -> set[str]:
    """The files of an sdist, without the folder that they are in."""
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if not member.isdir()}


@pytest.mark.slow
def test_sdist_holds_what_is_committed(sdist):
    """So it has what builds the wheel and what tests it, and no caches, environments or pictures of somebody's."""
    files = committed()
    untracked = git("ls-files", "--others", "--exclude-standard", "-z")
    assert contents(sdist) - {"PKG-INFO"} - untracked == files
    assert sdist.stat().st_size < 25e6


@pytest.mark.slow
def test_wheel_of_the_sdist_is_that_of_the_checkout(backend, wheel, tmp_path):
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(built(backend, "wheel", ROOT, tmp_path)) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        assert {entry.filename: entry.CRC for entry in one.infolist()} == {
            entry.filename: entry.CRC for entry in other.infolist()
        }


@pytest.mark.slow
def test_wheel_holds_weights_samples_and_page(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
    package = {f"nst_jax/{path.relative_to(ROOT / 'nst_jax').as_posix()}" for path in (ROOT / "nst_jax").rglob("*.py")}
    assert package <= names
    for name in (
        "data/vgg19.h5",
        "data/vgg19-normalized.h5",
        "data/SHA256SUMS",
        "data/README.md",
        "runs/report_page/page.html",
        "runs/report_page/page.js",
    ):
        assert f"nst_jax/{name}" in names
    samples = {name for name in names if name.startswith("nst_jax/samples/")}
    assert {Path(name).name for name in samples} == {path.name for path in (ROOT / "nst_jax" / "samples").iterdir()}
    for name in ("LICENSE", "weights/README.md", "nst_jax/samples/README.md"):
        assert f"nst_jax-{__version__}.dist-info/licenses/{name}" in names
    assert not any(name.startswith(("tests/", "scripts/")) for name in names)
    assert wheel.stat().st_size < 25e6


@pytest.mark.slow
def test_wheel_alone_makes_a_picture_in_another_folder(installed, tmp_path):
    """In an environment that has nothing else; of few layers, since all is compiled there."""
    package = Path(output(installed / "python", "-c", "import nst_jax; print(nst_jax.__file__)", cwd=tmp_path).strip())
    assert installed.parent in package.parents
    program = installed / "nst-jax"
    assert output(program, "--version", cwd=tmp_path) == f"{__version__}\n"
    assert output(program, "weights", "verify", cwd=tmp_path).startswith("vgg19: sound; 16 layers, 8-bit, ")
    samples = package.parent / "samples"
    command = [program, "stylize", samples / "schwerin_palace.jpg", samples / "van_gogh_street_in_auvers.jpg"]
    command += [
        "--content-layers",
        "conv2_2",
        "--style-layers",
        "conv1_1,conv2_1",
        "--size",
        "48",
        "--evaluations",
        "4",
    ]
    summary = json.loads(output(*command, "--json", "--quiet", "-o", "out.png", cwd=tmp_path))
    assert summary["evaluations"] == 4
    with Image.open(tmp_path / "out.png") as picture:
        assert max(picture.size) == 48


def test_importing_the_package_imports_nothing_else():
    script = "import sys; before = set(sys.modules); import nst_jax; print(*sorted(set(sys.modules) - before))"
    assert output(sys.executable, "-c", script) == "nst_jax\n"


def test_nothing_committed_tells_where_it_was_made():
    """No path of one machine, and no host of a package registry."""
    forbidden = re.compile(
        rb"(?<![\w.])/work/|/tmp/\w+/|/opt/\w+/|\.\./shared|/root/|/home/\w+/|pythonhosted\.org|pypi\.org"
    )
    found = []
    for name in committed():
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        text = path.read_bytes()
        if b"\0" not in text[:8000]:  # as git tells text from the rest
            found += [f"{name}: {match.decode()}" for match in forbidden.findall(text)]
    assert found == []
