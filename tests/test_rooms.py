"""The rooms: what each is for, which others it may use, and what it lets in lazily."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import nst_jax

PACKAGE = Path(str(nst_jax.__file__)).parent
ROOMS = ("pictures", "network", "weights", "loss", "optim", "measures", "transfer", "topologies", "runs", "cli")
"""From the top down: a room may import those before it, `devices` and `errors`."""
PURE = ("network", "loss", "optim", "measures")
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The modules of this package that a module imports anywhere, also for type checkers, such as "loss.objective"."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "nst_jax":
            inside = node.module.removeprefix("nst_jax").lstrip(".")
            found |= {inside} if inside and (PACKAGE / inside.replace(".", "/")).with_suffix(".py").is_file() else {
                f"{inside}.{alias.name}".lstrip(".") for alias in node.names
            }  # fmt: skip
        elif isinstance(node, ast.Import):
            found |= {a.name.removeprefix("nst_jax.") for a in node.names if a.name.startswith("nst_jax.")}
    return found


def test_every_folder_of_the_package_is_a_room_with_a_charter():
    assert {path.parts[0] for path in MODULES if len(path.parts) > 1} == set(ROOMS)
    for room in ROOMS:
        charter = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")))
        assert charter
        assert len(charter.splitlines()) == 1


@pytest.mark.parametrize("path", [path for path in MODULES if len(path.parts) > 1], ids=str)
def test_a_room_imports_only_rooms_above_it(path):
    allowed = (*ROOMS[: ROOMS.index(path.parts[0]) + 1], "devices", "errors", "__version__", "lazily")
    for name in imported(PACKAGE / path):
        assert name.split(".")[0] in allowed, f"{path} imports {name}"


def test_no_module_imports_in_a_circle():
    """Within the rooms too."""
    arrows = {
        ".".join(path.with_suffix("").parts): imported(PACKAGE / path) for path in MODULES if path.name != "__init__.py"
    }
    while arrows:
        leaves = [name for name, others in arrows.items() if not others & arrows.keys()]
        assert leaves, f"a circle among {sorted(arrows)}"
        for name in leaves:
            del arrows[name]


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_touch_nothing_of_the_world(room):
    """No files, no printing, no environment, no allocator."""
    for path in (PACKAGE / room).glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not modules & {"os", "sys", "ctypes", "subprocess", "shutil", "tempfile"}, path
        assert "open" not in names, path
        assert "print" not in names, path


@pytest.mark.parametrize("package", ["nst_jax", *(f"nst_jax.{room}" for room in ROOMS)])
def test_public_names_are_there_and_known_to_type_checkers(package):
    module = importlib.import_module(package)
    names = getattr(module, "__all__", [])
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    typed = [
        alias.asname for node in ast.walk(tree) if isinstance(node, ast.If) for inner in node.body
        if isinstance(inner, ast.ImportFrom) for alias in inner.names
    ]  # fmt: skip
    assert sorted(map(str, typed)) == names
    assert set(names) <= set(dir(module))
    within = {path.stem for path in Path(str(module.__file__)).parent.iterdir()}
    assert not set(names) & within  # importing the module would hide the name
    for name in names:
        assert getattr(module, name).__doc__ or not callable(getattr(module, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = module.nothing


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_load_by_their_name(room):
    """In a process where nothing else has imported them."""
    script = f"import nst_jax; print(nst_jax.{room}.__name__, *(hasattr(p, 'nil') for p in (nst_jax, nst_jax.{room})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"nst_jax.{room} False False\n"


def test_every_module_has_its_test():
    """`tests/ROOM/test_MODULE.py`; the command line's modules that share a name with another's have `test_cli_...`."""
    tests = Path(__file__).parent
    for path in MODULES:
        if len(path.parts) > 1 and path.name != "__init__.py":
            own = tests / path.parts[0] / f"test_{path.name}"
            assert own.is_file() or own.with_name(f"test_{path.parts[0]}_{path.name}").is_file(), own


def test_importing_a_room_imports_no_jax():
    """What `--help` needs is quick; each room's names load when they are first used."""
    script = "import sys\n" + "".join(f"import nst_jax.{room}\n" for room in ROOMS)
    script += "print(*sorted({'jax', 'numpy', 'PIL', 'h5py', 'flax', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_the_command_line_s_help_imports_no_jax():
    script = "import sys\nfrom nst_jax.cli import main\ntry: main(['stylize', '--help'])\nexcept SystemExit: pass\n"
    script += "print(sorted({'jax', 'numpy', 'PIL', 'h5py', 'flax', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
