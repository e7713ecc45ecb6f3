"""Programs for accelerators that are not there, by their own compilers: what these say, and what is committed of it."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from nst_jax.errors import InputError
from nst_jax.topologies import compiling
from nst_jax.topologies.chips import CHIPS, check_compiler, named
from nst_jax.topologies.compiling import Program, compiled
from nst_jax.topologies.planning import outlook
from nst_jax.transfer.axes import Axes
from nst_jax.transfer.lanes import table
from nst_jax.transfer.settings import Settings

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import accelerators  # noqa: E402
from accelerators import Case  # noqa: E402

COMMITTED = {
    json.dumps(figures["case"]): figures for figures in json.loads((ROOT / "docs/accelerators.json").read_text())
}


def trouble(name):
    """Why nothing can be compiled for a topology; None when it can."""
    try:
        check_compiler(named(name))
    except InputError as error:
        return str(error)
    return None


of_tpu = pytest.mark.skipif(bool(trouble("v5e:1x1")), reason=f"{trouble('v5e:1x1')}; scripts/test_topologies has it")
of_gpu = pytest.mark.skipif(bool(trouble("h100")), reason=f"{trouble('h100')}; scripts/test_topologies has it")


@pytest.mark.parametrize(("case", "ms"), [
    (Case(size=512), 11.5), (Case(size=512, precision="bfloat16"), 1.9), (Case(lanes=8, precision="bfloat16"), 3.9),
    (Case("v5e:2x2", lanes=8), 5.8), (Case("h100", size=512), 5.7),
])  # fmt: skip
def test_arithmetic(case, ms):
    """.38 TFLOP at 512 px, by hand."""
    assert compiling.arithmetic(case.program) == pytest.approx(ms, rel=0.02)


def test_a_program_is_the_same_behind_its_pipe():
    lanes = table(["photo"], ["a", "b"], Axes(rows=("A", "C"), seed=(1, 2)), Settings(size=64, style_blend=(1.0, 3.0)))
    program = Program("v5e:2x2", 43, 64, lanes, 8, (2, 1))
    assert compiling._from_json(compiling._as_json(program)) == program


@pytest.mark.skipif(not trouble("v5e:1x1"), reason="libtpu is installed")
@pytest.mark.parametrize(("arguments", "said"), [
    (["--device", "v5e:1x1"], "device v5e:1x1: libtpu "),
    (["--device", "v9:1x1"], "device 'v9:1x1': unknown; known are v4"),
])  # fmt: skip
def test_what_the_script_refuses(arguments, said):
    command = [sys.executable, accelerators.__file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"accelerators.py: {said}")
    assert done.stderr.count("\n") == 1


@pytest.fixture
def instead(monkeypatch, tmp_path):
    """Runs this Python code in place of the process that compiles; FOLDER is its folder."""
    monkeypatch.setattr(compiling, "check_compiler", lambda topology: None)

    def run(code, **options):
        script = tmp_path / "compiler"
        body = f"import sys, time, pathlib\nFOLDER = pathlib.Path(sys.argv[3])\n{code}"
        script.write_text(f"#!{sys.executable}\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return compiled(Case().program, **options)

    return run


PARTS = (
    "final = FOLDER / 'x.after_optimizations_after_buffer_assignment.txt'\n"
    "buffers = FOLDER / 'x.after_optimizations-buffer-assignment.txt'\n"
    "halves = ['ENTRY %main (x: f32[8]) -> f32[8] {\\n', '  ROOT %y = f32[8]{0} negate(%x)\\n}\\n']\n"
)


def test_texts_are_read_when_they_are_whole_and_the_process_is_ended(instead):
    """It would go on for an hour; what it writes comes in parts."""
    found = instead(
        PARTS
        + "final.write_text(halves[0]); time.sleep(0.5)\nbuffers.write_text('allocation 0: size 5, parameter 0')\n"
        "final.write_text(''.join(halves)); time.sleep(3600)"
    )
    assert (found.arguments, found.temporaries, found.traffic) == (5, 0, 32)
    assert found.seconds < 60


@pytest.mark.parametrize(("code", "message"), [
    ("(FOLDER / 'failed').write_text('RESOURCE_EXHAUSTED: 22.2G\\nof 15.75G'); sys.exit(1)", "22.2G\nof 15.75G"),
    ("import os; os.kill(os.getpid(), 9)", "ended with code -9"), ("", "wrote no program"),
])  # fmt: skip
def test_why_it_failed_is_told(instead, code, message):
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        instead(code)


def test_patience_ends(instead):
    with pytest.raises(jax.errors.JaxRuntimeError, match="DEADLINE_EXCEEDED: not compiled"):
        instead("time.sleep(3600)", patience=0.5)


@of_tpu
@pytest.mark.parametrize(
    "case", [Case(), Case(size=512), Case(lanes=8, precision="bfloat16"), Case("v5e:2x2", lanes=8)]
)
def test_as_lean_as_what_is_committed(case):
    """And within the memory; products as they were asked for; chips never wait for each other."""
    found, before = compiled(case.program), COMMITTED[json.dumps(case._asdict())]
    assert found.traffic <= 1.1 * before["traffic"]
    assert found.temporaries <= 1.1 * before["temporaries"]
    assert found.temporaries + found.arguments < CHIPS["v5e"].memory
    assert "collectives" not in found.kinds
    assert found.kinds["convolutions"].instructions == 26
    if case.precision == "float32":
        assert found.precisions == (("highest", "highest"),)


@of_tpu
def test_what_does_not_fit_is_refused_and_how_much_it_takes_is_told():
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"RESOURCE_EXHAUSTED.*\d+\.\d+G"):
        compiled(Case(size=1024, lanes=16).program)


@of_tpu
def test_a_plan_for_a_tpu():
    """Sixteen lanes of 1024 px do not fit; what does is found, and takes what the plan says."""
    program = Case(size=1024, lanes=16).program
    found = outlook(program.table, 1024, 1024, "v5e:1x1")
    assert 4 <= found.plan.batch <= 8
    assert 0.4 * CHIPS["v5e"].memory < found.plan.bytes <= 0.8 * CHIPS["v5e"].memory
    assert found.at_peak > 0.15


@of_gpu
def test_a_gpu_s_convolutions_are_fused_and_as_precise_as_asked():
    found = compiled(Case("h100").program)
    assert found.precisions == (("highest", "highest"),)
    assert found.kinds["convolutions"].instructions == 26
    assert found.temporaries + found.arguments < 1e9
