"""What XLA's final HLO for a TPU or a GPU says of a program: its instructions, how they lie in memory, what they move.

HLO is read as XLA writes it behind `after_optimizations` or in a compiled program's `as_text`. Shapes hold layouts such
as `f32[2,64,64,3]{2,1,3,0:T(8,128)S(1)}`: the order of the axes, the tile to which the last ones are padded, and the
memory, where S(1) is the core's own (VMEM) and all else the device's (HBM).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from math import ceil, prod
from typing import NamedTuple

_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s16": 2, "u16": 2, "f32": 4, "s32": 4, "u32": 4, "f64": 8,
          "c64": 8, "s64": 8, "u64": 8}  # fmt: skip
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\](?:\{([\d,]*)(?::([^}]*))?\})?")
_HEAD = re.compile(r"(ENTRY )?%([\w.\-]+) \(.*\{$")
_LINE = re.compile(r"\s+(?:ROOT )?%([\w.\-]+) = (.*)$")
_FREE = {"parameter", "constant", "tuple", "get-tuple-element", "bitcast", "while", "conditional", "call", "copy-done",
         "async-done", "after-all", "partition-id"}  # fmt: skip
"""What moves nothing itself."""
_MOVES = {"copy", "transpose", "bitcast", "parameter", "reshape", "tuple", "constant", "get-tuple-element"}
"""What a fusion consists of that only copies."""
_TOGETHER = ("all-", "collective-", "reduce-scatter")
"""How the opcodes begin for which chips wait for each other."""


class Array(NamedTuple):
    """One array of a shape."""

    dtype: str
    dims: tuple[int, ...]
    size: int
    """Bytes, with the padding of its tiles."""
    padding: int
    """Bytes of `size` that are no element's."""
    in_vmem: bool


class Instruction(NamedTuple):
    """One line."""

    name: str
    arrays: tuple[Array, ...]
    """Of its result."""
    opcode: str
    operands: tuple[str, ...]
    rest: str
    """What stands behind the opcode."""

    def called(self, key: str) -> list[str]:
        """The computations that an attribute names."""
        found = re.search(rf"\b{key}=(?:%([\w.\-]+)|\{{([^}}]*)\}})", self.rest)
        return re.findall(r"[\w.\-]+", found[1] or found[2]) if found else []

    @property
    def origin(self) -> str:
        """Where in the traced program it comes from."""
        found = re.search(r'op_name="([^"]*)"', self.rest)
        return found[1] if found else ""

    @property
    def cycles(self) -> int:
        """The compiler's estimate, in fully compiled programs; else zero."""
        found = re.search(r'"estimated_cycles":"(\d+)"', self.rest)
        return int(found[1]) if found else 0


class Cost(NamedTuple):
    """Of what one kind of instruction does in one step of the loop."""

    instructions: int
    traffic: int
    """Bytes of HBM that are read and written, padding included: at most, since neighbors may share."""
    padding: int
    """Bytes of them that are no element's, of what is written."""
    cycles: int


def costs(text: str) -> dict[str, Cost]:
    """Adds up one turn of the program's largest loop, or all of a program without one.

    Args:
      text: HLO.

    Returns:
      {kind of instruction: its cost}.
    """
    computations, entry = _parsed(text)
    shapes = {each.name: each.arrays for one in computations.values() for each in one}
    loops = [body for each in computations[entry] if each.opcode == "while" for body in each.called("body")]
    body = max(loops, key=lambda name: len(computations[name]), default=entry)
    found: dict[str, Cost] = {}
    for each, times in _run(computations, body):
        if each.opcode in _FREE:
            continue
        kind = _kind(computations, each)
        before = found.get(kind, Cost(0, 0, 0, 0))
        written = sum(array.padding for array in each.arrays if not array.in_vmem)
        own = (1, _traffic(computations, shapes, each), written, each.cycles)
        found[kind] = Cost(*(old + times * new for old, new in zip(before, own, strict=True)))
    return found


def precisions(text: str) -> set[tuple[str, ...]]:
    """The precisions of the factors of all convolutions and other products; on a TPU these are convolutions too."""
    found = set()
    for line in text.splitlines():
        if re.search(r" (convolution|dot)\(|__cudnn\$conv|__cublas\$gemm", line):
            asked = re.search(r"operand_precision=\{(\w+),(\w+)\}", line)
            found.add((asked[1], asked[2]) if asked else ("default", "default"))
    return found


def memory(buffers: str) -> dict[str, int]:
    """Adds up the device's memory.

    Args:
      buffers: XLA's text of a program's buffer assignment.

    Returns:
      Bytes of "arguments", those whose place the result takes included once, and of "temporaries".
    """
    found = {"arguments": 0, "temporaries": 0}
    for size, about in re.findall(r"allocation \d+: size (\d+), (.*)", buffers):
        kind = "arguments" if "parameter" in about else "temporaries" if "temp" in about else None
        if kind and "color" not in about:  # those with a color are in other memories
            found[kind] += int(size)
    return found


def _parsed(text: str) -> tuple[dict[str, list[Instruction]], str]:
    """The computations by name, and the name of the entry."""
    computations: dict[str, list[Instruction]] = {}
    entry, current = "", None
    for line in text.splitlines():
        if head := _HEAD.match(line):
            current = computations[head[2]] = []
            entry = head[2] if head[1] else entry
        elif (found := _LINE.match(line)) and current is not None:
            end = _closing(found[2]) + 1 if found[2].startswith("(") else found[2].index(" ")
            opcode, _, rest = found[2][end:].strip().partition("(")
            operands = tuple(re.findall(r"%([\w.\-]+)", rest[: _closing("(" + rest)]))
            current.append(Instruction(found[1], tuple(_arrays(found[2][:end])), opcode, operands, rest))
    return computations, entry


def _closing(text: str) -> int:
    """Where the bracket closes that the text begins with."""
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            return i
    return len(text)


def _arrays(shape: str) -> Iterator[Array]:
    for dtype, listed, order, layout in _ARRAY.findall(shape):
        dims = tuple(int(side) for side in listed.split(",") if side)
        physical = [dims[int(axis)] for axis in reversed(order.split(","))] if order and dims else list(dims)
        if tile := re.match(r"T\(([\d,]+)\)", layout or ""):
            for back, edge in enumerate(reversed([int(edge) for edge in tile[1].split(",")]), start=1):
                if back <= len(physical):
                    physical[-back] = ceil(physical[-back] / edge) * edge
        size, plain = (prod(sides) * _BYTES.get(dtype, 4) for sides in (physical, dims))
        yield Array(dtype, dims, size, size - plain, "S(1)" in (layout or ""))


def _run(
    computations: Mapping[str, Sequence[Instruction]], name: str, times: int = 1
) -> Iterator[tuple[Instruction, int]]:
    """All that runs in a computation, loops, calls and branches included, and how often."""
    for each in computations[name]:
        yield each, times
        if each.opcode == "while":
            inner, count = each.called("body"), _turns(computations, each)
        else:
            inner, count = [*each.called("to_apply"), *each.called("branch_computations")], 1
            inner = inner if each.opcode in ("call", "async-start", "conditional") else []
        for one in inner:
            yield from _run(computations, one, times * count)


def _turns(computations: Mapping[str, Sequence[Instruction]], loop: Instruction) -> int:
    """How often a loop runs: as XLA has noted it, or up to what its condition compares with; else once."""
    if noted := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.rest):
        return int(noted[1])
    for condition in loop.called("condition"):
        *before, last = computations[condition]
        limits = [each.rest for each in before if each.opcode == "constant" and each.name in last.operands]
        if last.opcode == "compare" and "direction=LT" in last.rest and limits:
            return int(limits[0].partition(")")[0])
    return 1


def _inside(computations: Mapping[str, Sequence[Instruction]], each: Instruction) -> set[str]:
    """The opcodes of a fusion, or its own."""
    called = each.called("calls")
    if not called:
        library = re.search(r'custom_call_target="__\w+\$(conv|gemm)', each.rest)
        return {{"conv": "convolution", "gemm": "dot"}[library[1]] if library else each.opcode}
    return {opcode for one in computations[called[0]] for opcode in _inside(computations, one)}


def _kind(computations: Mapping[str, Sequence[Instruction]], each: Instruction) -> str:
    inside, origin = _inside(computations, each), each.origin
    of_network = re.search(r"VGG19|Objective|jvp|transpose\(", origin)
    product = re.search(r"dot_general|einsum", origin) and not re.search(r"conv\d_\d", origin)
    kinds = (
        ("collectives", each.opcode.startswith(_TOGETHER)),
        ("prefetch", each.opcode in ("copy-start", "async-start")),
        ("Fourier", "fft" in inside or "fft" in origin),
        ("convolutions", "convolution" in inside and not product),
        ("Gram", inside & {"convolution", "dot"} and of_network),
        ("copies", inside <= _MOVES),
        ("network's rest", of_network),
    )
    return next((kind for kind, so in kinds if so), "L-BFGS")


def _traffic(
    computations: Mapping[str, Sequence[Instruction]], shapes: Mapping[str, Sequence[Array]], each: Instruction
) -> int:
    def in_hbm(arrays: Sequence[Array]) -> int:
        return sum(array.size for array in arrays if not array.in_vmem)

    if each.opcode == "copy-start":  # its result is (to, from, context)
        return in_hbm(each.arrays[:2])
    if each.opcode == "async-start":  # a slice: ((from), to, ...)
        return each.arrays[-2 if len(each.arrays) > 2 else -1].size
    read, inside = [in_hbm(shapes.get(name, ())) for name in each.operands], _inside(computations, each)
    if "dynamic-update-slice" in inside:  # in place
        return 2 * sum(read[1:2] if each.opcode == "dynamic-update-slice" else [n for n in read if n < max(read)])
    if inside & {"dynamic-slice", "slice", "gather"}:
        most = max((array.size for array in each.arrays), default=0)
        read = [min(size, most) for size in read]
    return in_hbm(each.arrays) + sum(read)
