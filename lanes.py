"""Arithmetic on four float32 at once: one instruction serves three axes or three colours.

For compiled functions. The compiler finds such instructions by itself where one operation meets
many numbers in a row, not where three numbers of one vertex meet three of another. Arrays have
rows of four, the last number unused. llvmlite, which writes them, comes with numba.

Covered by tests/test_lanes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

_LANES = 4
_INT = ir.IntType(32)
_FLOATS = ir.VectorType(ir.FloatType(), _LANES)
_INTS = ir.VectorType(_INT, _LANES)
_BYTES = ir.VectorType(ir.IntType(8), _LANES)
_UNDEFINED = ir.Constant(_FLOATS, ir.Undefined)
_TURNED = ir.Constant(_INTS, [1, 2, 0, 3])  # y, z, x


def _instructions(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, whose own type hides what the functions take."""
    return intrinsic(function)


@_instructions
def triangle_normal(_: Any, vertices: Any, a: Any, b: Any, c: Any) -> Any:
    """(b − a) × (c − a) and its product with a, six times the volume below the triangle.

    Args:
        vertices: (V, 4) float32, C-contiguous: x, y, z, 0.
        a: uint64, the row of a corner.
        b: likewise.
        c: likewise.

    Returns:
        x, y, z and the product, four float32.
    """
    signature = types.UniTuple(types.float32, 4)(vertices, a, b, c)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        at_a, at_b, at_c = (
            builder.load(_row(context, builder, signature.args[0], values[0], row), align=4)
            for row in values[1:]
        )
        u, v = builder.fsub(at_b, at_a), builder.fsub(at_c, at_a)
        # With y, z, x for x, y, z: u × v = (u · v' − u' · v)'.
        ahead, behind = builder.fmul(u, _turned(builder, v)), builder.fmul(_turned(builder, u), v)
        normal = _turned(builder, builder.fsub(ahead, behind))
        parts = _unpacked(builder, builder.fmul(at_a, normal))
        product = builder.fadd(builder.fadd(parts[0], parts[1]), parts[2])
        numbers = [*_unpacked(builder, normal), product]
        return context.make_tuple(builder, signature.return_type, numbers)

    return signature, generate


@_instructions
def add_to_row(_: Any, rows: Any, row: Any, x: Any, y: Any, z: Any) -> Any:
    """Adds three float32 to a row of (N, 4) float32, C-contiguous; `row` is uint64."""
    signature = types.void(rows, row, x, y, z)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        place = _row(context, builder, signature.args[0], values[0], values[1])
        zero = ir.Constant(ir.FloatType(), 0)
        added = builder.fadd(builder.load(place, align=4), _packed(builder, [*values[2:], zero]))
        builder.store(added, place, align=4)
        return context.get_dummy_value()

    return signature, generate


@_instructions
def mixed_bytes(
    _: Any, colours: Any, a: Any, b: Any, c: Any, share_a: Any, share_b: Any, share_c: Any
) -> Any:
    """Three rows' weighted sum, rounded to 0…255.

    Args:
        colours: (V, 4) float32, C-contiguous: red, green, blue in 0…255, and one unused.
        a: uint64, a row.
        b: likewise.
        c: likewise.
        share_a: float32, the weight of row a.
        share_b: of row b.
        share_c: of row c.

    Returns:
        Red, green and blue, three uint8.
    """
    signature = types.UniTuple(types.uint8, 3)(colours, a, b, c, share_a, share_b, share_c)

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: Any) -> Any:
        rows = (
            builder.load(_row(context, builder, signature.args[0], values[0], row), align=4)
            for row in values[1:4]
        )
        first, second, third = (
            builder.fmul(_packed(builder, [share] * _LANES), row)
            for share, row in zip(values[4:], rows, strict=True)
        )
        mixed = builder.fadd(builder.fadd(first, second), third)
        whole = builder.fptosi(builder.fadd(mixed, ir.Constant(_FLOATS, [0.5] * _LANES)), _INTS)
        none, white = ir.Constant(_INTS, [0] * _LANES), ir.Constant(_INTS, [255] * _LANES)
        whole = builder.select(builder.icmp_signed(">", whole, none), whole, none)
        whole = builder.select(builder.icmp_signed("<", whole, white), whole, white)
        numbers = _unpacked(builder, builder.trunc(whole, _BYTES))
        return context.make_tuple(builder, signature.return_type, numbers)

    return signature, generate


def _row(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, row: Any) -> Any:
    """Where a row of (N, 4) float32 begins."""
    data = context.make_array(kind)(context, builder, array).data
    first = builder.mul(row, ir.Constant(row.type, _LANES))
    return builder.bitcast(builder.gep(data, [first]), _FLOATS.as_pointer())


def _turned(builder: ir.IRBuilder, vector: Any) -> Any:
    return builder.shuffle_vector(vector, _UNDEFINED, _TURNED)


def _packed(builder: ir.IRBuilder, numbers: Any) -> Any:
    vector = _UNDEFINED
    for lane, number in enumerate(numbers):
        vector = builder.insert_element(vector, number, ir.Constant(_INT, lane))
    return vector


def _unpacked(builder: ir.IRBuilder, vector: Any) -> list[Any]:
    """The first three."""
    return [builder.extract_element(vector, ir.Constant(_INT, lane)) for lane in range(3)]
