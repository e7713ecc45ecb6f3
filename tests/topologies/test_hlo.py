"""What is read off XLA's final HLO, by a small program whose figures are known."""

import pytest

from nst_jax.topologies import hlo

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


GPU = """HloModule jit_step

%gemm (param_0: f32[8,8]) -> f32[8,8] {
  %param_0 = f32[8,8]{1,0} parameter(0)
  ROOT %dot.1 = f32[8,8]{1,0} dot(%param_0, %param_0), operand_precision={high,high}, lhs_contracting_dims={1}
}

ENTRY %main (x: f32[1,8,8,64]) -> f32[8,8] {
  %x = f32[1,8,8,64]{3,2,1,0} parameter(0)
  %conv = (f32[1,8,8,64]{3,2,1,0}, u8[0]{0}) custom-call(%x, %x), window={size=3x3 pad=1_1x1_1}, dim_labels=b01f_o01i->b01f, operand_precision={high,high}, custom_call_target="__cudnn$convBiasActivationForward", metadata={op_name="jit(step)/while/body/jvp(VGG19)/conv1_1/conv_general_dilated"}
  %y = f32[1,8,8,64]{3,2,1,0} get-tuple-element(%conv), index=0
  %sum = f32[8,8]{1,0} reduce(%y, %zero), dimensions={0}, to_apply=%add
  ROOT %gram = f32[8,8]{1,0} fusion(%sum), kind=kCustom, calls=%gemm, metadata={op_name="jit(step)/while/body/jvp(Objective)/dot_general"}
}
"""  # noqa: E501


def test_libraries_of_a_gpu_are_what_they_compute():
    """cuDNN's convolutions and products within fusions; nothing is padded, and no memory is the core's own."""
    activation, matrix = 8 * 8 * 64 * 4, 8 * 8 * 4
    assert hlo.costs(GPU) == {
        "convolutions": hlo.Cost(1, 3 * activation, 0, 0),
        "L-BFGS": hlo.Cost(1, activation + matrix, 0, 0),
        "Gram": hlo.Cost(1, 2 * matrix, 0, 0),
    }
    assert hlo.precisions(GPU) == {("high", "high")}


@pytest.mark.parametrize(("noted", "compared", "turns"), [
    ('backend_config={"known_trip_count":{"n":"5"}}', "direction=LT", 5), ("", "direction=LT", 16),
    ("", "direction=EQ", 1),
])  # fmt: skip
def test_a_loop_within_the_loop_counts_as_often_as_it_runs(noted, compared, turns):
    inner = f"""
%until (i: (s32[])) -> pred[] {{
  %i = (s32[]{{:T(128)}}) parameter(0)
  %limit = s32[]{{:T(128)}} constant(16)
  %at = s32[]{{:T(128)}} get-tuple-element(%i), index=0
  ROOT %more = pred[] compare(%at, %limit), {compared}
}}

%strip (i.1: (s32[])) -> (s32[]) {{
  %i.1 = (s32[]{{:T(128)}}) parameter(0)
  ROOT %far = f32[8,128]{{1,0:T(8,128)}} broadcast(%i.1), metadata={{op_name="jit(step)/while/body/mul"}}
}}

%body (state: (s32[], f32[8,3])) -> (s32[], f32[8,3]) {{
  %strips = (s32[]{{:T(128)}}) while(%start), condition=%until, body=%strip, {noted}"""
    program = PROGRAM.replace("\n%body (state: (s32[], f32[8,3])) -> (s32[], f32[8,3]) {", inner)
    before, found = hlo.costs(PROGRAM)["L-BFGS"], hlo.costs(program)["L-BFGS"]
    assert found.traffic - before.traffic == turns * (8 * 128 * 4 + 4)  # and its operand, a number
