"""Square blocks of numbers in registers: as many vectors as each has lanes, to be transposed."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyvision.kernels.jit import jit_part
from tinyvision.kernels.simd import lanes_of, splat
from tinyvision.kernels.vectors import (
    INT,
    element_pointer,
    lanes_below,
    masked_load,
    masked_store,
    table_entry,
    transpose_lanes,
)

# Rows are found by tables of offsets, or, where they are evenly apart, by their distance.


@intrinsic
def load_rows(context, array, offset, offsets, first, rows, count, otherwise):
    """Row i is array[offset + offsets[first + i] :][:count], then the lanes of `otherwise`.

    Where there are fewer rows than lanes, the last is repeated. Integers become floats.
    """
    result = types.UniTuple(otherwise, otherwise.lanes)

    def emit(context, builder, signature, arguments):
        array_value, offset, table, first, rows, count, otherwise_value = arguments
        mask = lanes_below(builder, otherwise_value.type, count)
        last, block = builder.sub(rows, ir.Constant(INT, 1)), []
        for i in range(otherwise.lanes):
            i = ir.Constant(INT, i)
            i = builder.select(builder.icmp_signed("<", i, last), i, last)
            row = table_entry(context, builder, offsets, table, builder.add(first, i))
            pointer = element_pointer(
                context, builder, array, array_value, builder.add(offset, row)
            )
            block.append(masked_load(builder, array.dtype, pointer, mask, otherwise_value))
        return context.make_tuple(builder, result, block)

    ints = types.intp
    return result(array, ints, offsets, ints, ints, ints, otherwise), emit


@intrinsic
def store_rows(context, array, offset, offsets, first, block, rows, count):
    """array[offset + offsets[first + i] :][:count] = row i, for i < rows."""

    def emit(context, builder, signature, arguments):
        array_value, offset, table, first, block_value, rows, count = arguments
        for i, value in enumerate(cgutils.unpack_tuple(builder, block_value)):
            i = ir.Constant(INT, i)
            row = table_entry(context, builder, offsets, table, builder.add(first, i))
            pointer = element_pointer(
                context, builder, array, array_value, builder.add(offset, row)
            )
            stored = builder.select(builder.icmp_signed("<", i, rows), count, ir.Constant(INT, 0))
            mask = lanes_below(builder, value.type, stored)
            masked_store(builder, array.dtype, pointer, mask, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, offsets, types.intp, block, types.intp, types.intp), emit


@intrinsic
def transposed(context, block):
    """The block whose row j is column j of the given one."""

    def emit(context, builder, signature, arguments):
        rows = transpose_lanes(builder, cgutils.unpack_tuple(builder, arguments[0]))
        return context.make_tuple(builder, block, rows)

    return block(block), emit


def _of_each_row(emit_row):
    @intrinsic
    def of_each_row(context, block, vector):
        def emit(context, builder, signature, arguments):
            rows = cgutils.unpack_tuple(builder, arguments[0])
            rows = [emit_row(builder, row, arguments[1]) for row in rows]
            return context.make_tuple(builder, block, rows)

        return block(block, vector), emit

    return of_each_row


# The block with the same vector added to each row; and multiplied by it.
add_to_rows = _of_each_row(lambda builder, row, vector: builder.fadd(row, vector))
scale_rows = _of_each_row(lambda builder, row, vector: builder.fmul(row, vector))


@jit_part
def store_transposed(target, to, to_row, source, at, row, rows, columns, factor):
    """target[to + j*to_row + i] = factor * source[at + i*row + j] for i < rows and j < columns

    Of rows and columns there is at least one, and what is more than a vector's lanes is ignored;
    always as many as it has lanes are written. The source may be of unsigned integers.
    """
    lanes, zero = lanes_of(target), splat(target.dtype.type(0))
    block = load_rows(source, at, row, 0, rows, columns, zero)
    block = transposed(scale_rows(block, factor))
    store_rows(target, to, to_row, 0, block, lanes, lanes)
