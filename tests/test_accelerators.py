"""Programs for TPUs that are not there: what their compiler says of them, and how that is read off."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

import accelerators  # noqa: E402
import hlo  # noqa: E402
from accelerators import Case  # noqa: E402

trouble = accelerators.libtpu_trouble()
compiler = pytest.mark.skipif(trouble is not None, reason=f"{trouble}; scripts/test_tpu has it")
COMMITTED = {
    json.dumps(figures["case"]): figures for figures in json.loads((ROOT / "docs/accelerators.json").read_text())
}
V5E_BYTES = 15.75 * 2**30

PROGRAM = """HloModule jit_step

%fused (param_0: f32[8,3]) -> f32[8,3] {
  %param_0 = f32[8,3]{1,0:T(8,128)} parameter(0)
  ROOT %copy.1 = f32[8,3]{0,1:T(4,128)} copy(%param_0)
}

%body (state: (s32[], f32[8,3])) -> (s32[], f32[8,3]) {
  %state = (s32[]{:T(128)}, f32[8,3]{1,0:T(8,128)}) parameter(0)
  %x = f32[8,3]{1,0:T(8,128)} get-tuple-element(%state), index=1
  %moved = f32[8,3]{0,1:T(4,128)} fusion(%x), kind=kLoop, calls=%fused, backend_config={"estimated_cycles":"7"}
  %near = f32[8,3]{1,0:T(8,128)S(1)} add(%x, %x), metadata={op_name="jit(step)/while/body/mul"}
  %conv = f32[1,8,8,64]{3,2,1,0:T(8,128)} convolution(%near, %x), operand_precision={highest,highest}, metadata={op_name="jit(step)/while/body/jvp(VGG19)/conv1_1/conv_general_dilated"}, backend_config={"estimated_cycles":"90"}
  %sum = f32[8,3]{1,0:T(8,128)} all-reduce(%x), to_apply=%fused
  ROOT %next = (s32[]{:T(128)}, f32[8,3]{1,0:T(8,128)}) tuple(%i, %sum)
}

%turn (state: (s32[], f32[8,3])) -> pred[] {
  ROOT %more = pred[] constant(true)
}

ENTRY %main (x: f32[8,3]) -> f32[8,3] {
  %x.1 = f32[8,3]{1,0:T(8,128)} parameter(0)
  %start = (s32[]{:T(128)}, f32[8,3]{1,0:T(8,128)}) tuple(%zero, %x.1)
  ROOT %loop = (s32[]{:T(128)}, f32[8,3]{1,0:T(8,128)}) while(%start), condition=%turn, body=%body
}
"""  # noqa: E501


def test_costs_of_a_loop():
    """An axis of three is padded to 128, or to the tile of four rows when the axes are turned; VMEM is no traffic."""
    tile, turned, activation = 8 * 128 * 4, 4 * 128 * 4, 8 * 8 * 128 * 4
    assert hlo.costs(PROGRAM) == {
        "copies": hlo.Cost(1, tile + turned, turned - 96, 7),
        "L-BFGS": hlo.Cost(1, 2 * tile, 0, 0),
        "convolutions": hlo.Cost(1, activation + tile, activation // 2, 90),
        "collectives": hlo.Cost(1, 2 * tile, tile - 96, 0),
    }
    assert hlo.precisions(PROGRAM) == {("highest", "highest")}
    assert hlo.precisions(PROGRAM.replace("operand_precision={highest,highest}, ", "")) == {("default", "default")}


def test_memory_of_a_device():
    buffers = """
    allocation 0: size 1000, parameter 0, shape |f32[250]| at ShapeIndex {}:
    allocation 1: size 500, preallocated-temp:
    allocation 2: size 70, color 1, preallocated-temp:
    allocation 3: size 24, output shape is |f32[]|, maybe-live-out:
    """
    assert hlo.memory(buffers) == {"arguments": 1000, "temporaries": 500}


@pytest.mark.parametrize(("case", "ms"), [
    (Case(size=512), 11.5), (Case(size=512, precision="bfloat16"), 1.9), (Case(lanes=8, precision="bfloat16"), 3.9),
    (Case("v5e:2x2", lanes=8), 5.8),
])  # fmt: skip
def test_arithmetic(case, ms):
    """.38 TFLOP at 512 px, by hand."""
    assert accelerators.arithmetic(case) == pytest.approx(ms, rel=0.02)


@pytest.mark.skipif(trouble is None, reason="libtpu is installed")
def test_without_libtpu_the_extra_is_named():
    done = subprocess.run([sys.executable, accelerators.__file__], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("accelerators.py: libtpu ")
    assert "nst_jax[tpu-compile]" in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_libtpu_than_jax_wants(monkeypatch):
    monkeypatch.setattr(accelerators, "version", lambda name: "0.0.1" if name == "libtpu" else "0.10.2")
    assert str(accelerators.libtpu_trouble()).startswith("libtpu 0.0.1 is not the one that JAX 0.10.2 wants, libtpu==")


def test_a_topology_that_is_not_known():
    command = [sys.executable, accelerators.__file__, "--device", "v9:1x1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "'v5e:1x1', 'v5e:2x2'" in done.stderr


@compiler
@pytest.mark.parametrize(
    "case", [Case(), Case(size=512), Case(lanes=8, precision="bfloat16"), Case("v5e:2x2", lanes=8)]
)
def test_as_lean_as_what_is_committed(case):
    """And within the memory; products as they were asked for; chips never wait for each other."""
    found, before = accelerators.figures(case), COMMITTED[json.dumps(case._asdict())]
    assert found["traffic"] <= 1.1 * before["traffic"]
    assert found["temporaries"] <= 1.1 * before["temporaries"]
    assert found["temporaries"] + found["arguments"] < V5E_BYTES
    assert "collectives" not in found["kinds"]
    assert found["kinds"]["convolutions"]["instructions"] == 26
    if case.precision == "float32":
        assert found["precisions"] == [["highest", "highest"]]


@compiler
def test_what_does_not_fit_is_refused_and_how_much_it_takes_is_told():
    found = accelerators.figures(Case(size=1024, lanes=16))
    assert "RESOURCE_EXHAUSTED" in found["refused"]
