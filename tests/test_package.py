"""What is installed, and what is committed."""

import json
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"


def output(*command: object, **options) -> str:
    """What a command prints; it must end well."""
    completed = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    backend = [*pip, "download", "--quiet", "--no-deps", "--dest", folder / "backend", "hatchling"]
    if subprocess.run(backend, capture_output=True, check=False).returncode:
        pytest.skip("the package registry, which has the build backend hatchling, is out of reach")
    output(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of programs of a fresh environment with the wheel; its dependencies are this environment's."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = folder / SCRIPTS / "python"
    output(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
    site = Path(output(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # The .pth files of a folder that is added so are not heeded, so that an editable nst_jax there is not seen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / SCRIPTS


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
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "scripts/")) for name in names)
    assert wheel.stat().st_size < 25e6


@pytest.mark.slow
def test_installed_wheel_works_from_any_directory(installed, tmp_path):
    package = Path(output(installed / "python", "-c", "import nst_jax; print(nst_jax.__file__)", cwd=tmp_path).strip())
    assert installed.parent in package.parents
    program = installed / "nst-jax"
    assert output(program, "weights", "verify", cwd=tmp_path).startswith("vgg19: sound; 16 layers, 8-bit, ")
    samples = package.parent / "samples"
    command = [program, "stylize", samples / "schwerin_palace.jpg", samples / "van_gogh_street_in_auvers.jpg"]
    command += ["--size", "48", "--evaluations", "4", "--json", "--quiet"]
    summary = json.loads(output(*command, "-o", "out.png", cwd=tmp_path))
    assert summary["evaluations"] == 4
    with Image.open(tmp_path / "out.png") as picture:
        assert max(picture.size) == 48
    output(*command, "-o", "again.png", cwd=tmp_path)
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "out.png").read_bytes()


def test_importing_the_package_imports_nothing_else():
    script = "import sys; before = set(sys.modules); import nst_jax; print(*sorted(set(sys.modules) - before))"
    assert output(sys.executable, "-c", script) == "nst_jax\n"


def test_nothing_committed_tells_where_it_was_made():
    """No path of one machine, and no host of a package registry, but in tests and in the benchmark."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode or not listed.stdout:
        pytest.skip("this is no git checkout, so that what is committed cannot be told")
    forbidden = re.compile(rb"(?<![\w.])/work/|\.\./shared|/root/|/home/\w+/|files\.pythonhosted\.org|pypi\.org")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if name.startswith("tests/") or name == "scripts/benchmark.py" or not path.is_file():
            continue
        text = path.read_bytes()
        if b"\0" not in text[:8000]:  # as git tells text from the rest
            found += [f"{name}: {match.decode()}" for match in forbidden.findall(text)]
    assert found == []
