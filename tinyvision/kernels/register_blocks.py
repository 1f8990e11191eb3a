"""Square blocks of numbers in registers: as many vectors as each has lanes, to be transposed."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyvision.kernels.vectors import (
    INT,
    Vector,
    element_pointer,
    lanes_below,
    llvm_vector,
    masked_load,
    masked_store,
    transpose_lanes,
    zeros,
)


def _row_pointers(context, builder, array_type, array, offset, places_type, places, first, rows):
    """The addresses of array[offset + places[first + i]] for i < rows."""
    for i in range(rows):
        index = builder.add(first, ir.Constant(INT, i))
        pointer = element_pointer(context, builder, places_type, places, index)
        place = builder.add(offset, builder.load(pointer, typ=INT))
        yield element_pointer(context, builder, array_type, array, place)


@intrinsic
def load_rows(context, array, offset, places, first, count):
    """Row i is array[offset + places[first + i] :][:count], followed by zeros."""
    vector = Vector(array.dtype)
    result = types.UniTuple(vector, vector.lanes)

    def emit(context, builder, signature, arguments):
        array_value, offset, places_value, first, count = arguments
        mask = lanes_below(builder, llvm_vector(array.dtype), count)
        pointers = _row_pointers(
            context, builder, array, array_value, offset, places, places_value, first, vector.lanes
        )
        zero = zeros(array.dtype)
        rows = [masked_load(builder, array.dtype, pointer, mask, zero) for pointer in pointers]
        return context.make_tuple(builder, result, rows)

    return result(array, types.intp, places, types.intp, types.intp), emit


@intrinsic
def store_rows(context, array, offset, places, first, block, rows, count):
    """array[offset + places[first + i] :][:count] = row i, for i < rows."""

    def emit(context, builder, signature, arguments):
        array_value, offset, places_value, first, block_value, rows, count = arguments
        pointers = _row_pointers(
            context, builder, array, array_value, offset, places, places_value, first, block.count
        )
        values = cgutils.unpack_tuple(builder, block_value)
        for i, (pointer, value) in enumerate(zip(pointers, values, strict=True)):
            stored = builder.icmp_signed("<", ir.Constant(INT, i), rows)
            mask = lanes_below(
                builder, value.type, builder.select(stored, count, ir.Constant(INT, 0))
            )
            masked_store(builder, array.dtype, pointer, mask, value)
        return context.get_dummy_value()

    return types.void(array, types.intp, places, types.intp, block, types.intp, types.intp), emit


@intrinsic
def transposed(context, block):
    """The block whose row j is column j of the given one."""

    def emit(context, builder, signature, arguments):
        rows = transpose_lanes(builder, cgutils.unpack_tuple(builder, arguments[0]))
        return context.make_tuple(builder, block, rows)

    return block(block), emit


@intrinsic
def add_to_rows(context, block, vector):
    """The block with the vector added to each row."""

    def emit(context, builder, signature, arguments):
        rows = cgutils.unpack_tuple(builder, arguments[0])
        rows = [builder.fadd(row, arguments[1]) for row in rows]
        return context.make_tuple(builder, block, rows)

    return block(block, vector), emit
