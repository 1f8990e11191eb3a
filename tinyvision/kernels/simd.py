"""Vectors as Numba values: the operations the kernels are written in.

A CPU adds or multiplies a whole vector register (4, 8 or 16 float32) in one instruction. The
compiler finds vectors by itself in simple loops, but not reliably in the loops that matter here,
so kernels name them. `load(x, i)` is the vector x[i], x[i+1], ..., x[i+lanes-1]; `splat(s)` is
s in every lane; the arithmetic is lane by lane. None of it checks bounds: the caller must know
that the lanes exist, or use `load_first` / `store_first`, which touch only the first `count`.

Each is a Numba `intrinsic`: given the types of the arguments it returns a signature and a
function that emits LLVM code (vectors.py). Arrays are flat (1-d, C-contiguous) and of float32 or
float64; `store_first` can also store into one of integers.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinyvision.kernels.jit import jit_inline
from tinyvision.kernels.vectors import (
    INT,
    INT32,
    VECTOR_BYTES,
    Vector,
    call_llvm,
    element_pointer,
    evaluate_polynomial,
    lane_numbers,
    lanes_below,
    largest_lane,
    llvm_vector,
    load_vector,
    make_power_of_two,
    mask_of_bits,
    masked_load,
    masked_store,
    multiply_add,
    multiply_by_power_of_two,
    splat_scalar,
    store_vector,
    suffix,
    sum_lanes,
    whole_numbers,
    zeros,
)


@intrinsic
def lanes_of(typing_context, array):
    """The number of lanes of a vector of the array's element type."""
    count = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        return ir.Constant(INT, count)

    return types.intp(array), emit


@intrinsic
def array_at(typing_context, address, first, count, like):
    """The part [first : first + count] of the array at an address in memory, of the type of `like`.

    Whoever calls the kernel keeps that memory alive.
    """
    array = types.Array(like.dtype, 1, "C")

    def emit(context, builder, signature, arguments):
        address, first, count, _ = arguments
        made = context.make_array(array)(context, builder)
        itemsize = ir.Constant(INT, like.dtype.bitwidth // 8)
        start = builder.add(address, builder.mul(first, itemsize))
        made.data = builder.inttoptr(start, context.get_data_type(like.dtype).as_pointer())
        made.shape, made.strides = [cgutils.pack_array(builder, [n]) for n in (count, itemsize)]
        made.itemsize, made.nitems = itemsize, count
        made.meminfo = made.parent = context.get_constant_null(types.voidptr)  # no owner
        return made._getvalue()

    return array(types.int64, types.intp, types.intp, like), emit


@intrinsic
def load(typing_context, array, offset):
    """array[offset : offset + lanes]"""

    def emit(context, builder, signature, arguments):
        pointer = element_pointer(context, builder, array, *arguments)
        return load_vector(builder, array.dtype, pointer)

    return Vector(array.dtype)(array, types.intp), emit


@intrinsic
def load_masked(typing_context, array, offset, mask):
    """array[offset + lane] in the lanes whose bit of `mask` is 1, and 0 in the others.

    The memory of the others is not read, and need not exist.
    """

    def emit(context, builder, signature, arguments):
        vector = llvm_vector(array.dtype)
        pointer = element_pointer(context, builder, array, *arguments[:2])
        lanes = mask_of_bits(builder, vector, arguments[2])
        return masked_load(builder, array.dtype, pointer, lanes, zeros(array.dtype))

    return Vector(array.dtype)(array, types.intp, types.uint16), emit


@intrinsic
def load_between(typing_context, array, offset, first, last, otherwise):
    """array[offset + first : offset + last] in these lanes, `otherwise` in those around them."""

    def emit(context, builder, signature, arguments):
        vector = llvm_vector(array.dtype)
        pointer = element_pointer(context, builder, array, *arguments[:2])
        before = lanes_below(builder, vector, arguments[2])
        mask = builder.and_(lanes_below(builder, vector, arguments[3]), builder.not_(before))
        return masked_load(builder, array.dtype, pointer, mask, arguments[4])

    vector = Vector(array.dtype)
    return vector(array, types.intp, types.intp, types.intp, vector), emit


@intrinsic
def store(typing_context, array, offset, value):
    """array[offset : offset + lanes] = value"""

    def emit(context, builder, signature, arguments):
        pointer = element_pointer(context, builder, array, *arguments[:2])
        store_vector(builder, array.dtype, arguments[2], pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), emit


@intrinsic
def store_first(typing_context, array, offset, value, count):
    """array[offset : offset + count] = the first `count` lanes of value

    In an array of integers the values are stored as these.
    """

    def emit(context, builder, signature, arguments):
        element, lanes = array.dtype, arguments[2]
        pointer = element_pointer(context, builder, array, *arguments[:2])
        mask = lanes_below(builder, lanes.type, arguments[3])
        if isinstance(element, types.Integer):
            integers = ir.VectorType(ir.IntType(element.bitwidth), lanes.type.count)
            lanes = builder.fptosi(lanes, integers)
        masked_store(builder, element, pointer, mask, lanes)
        return context.get_dummy_value()

    return types.void(array, types.intp, value, types.intp), emit


@intrinsic
def store_by_twos(typing_context, array, offset, value, count):
    """array[offset + 2 * lane] = value in its first `count` lanes"""
    signature = types.void(array, types.intp, value, types.intp)

    def emit(context, builder, signature, arguments):
        target, offset, value, count = arguments
        lanes, element = value.type.count, array.dtype
        for half in range(2):
            # Lane i goes to lane 2 * i of both halves; what is between them is masked off.
            sources = [half * lanes // 2 + i // 2 for i in range(lanes)]
            expanded = builder.shuffle_vector(value, value, lane_numbers(sources))
            is_even = ir.Constant(ir.VectorType(ir.IntType(1), lanes), [1, 0] * (lanes // 2))
            left = builder.sub(builder.add(count, count), ir.Constant(INT, half * lanes))
            mask = builder.and_(lanes_below(builder, value.type, left), is_even)
            to = builder.add(offset, ir.Constant(INT, half * lanes))
            pointer = element_pointer(context, builder, array, target, to)
            masked_store(builder, element, pointer, mask, expanded)
        return context.get_dummy_value()

    return signature, emit


@intrinsic
def splat(typing_context, scalar):
    """The vector with `scalar` in every lane."""

    def emit(context, builder, signature, arguments):
        return splat_scalar(builder, scalar, arguments[0])

    return Vector(scalar)(scalar), emit


@intrinsic
def constant(typing_context, x, value):
    """The vector like x with the float64 `value`, rounded to x's type, in every lane."""

    def emit(context, builder, signature, arguments):
        value = arguments[1]
        if x.element.bitwidth == 32:
            value = builder.fptrunc(value, ir.FloatType())
        return splat_scalar(builder, x.element, value)

    return x(x, types.float64), emit


@intrinsic
def evens(typing_context, x, y):
    """Every second lane, from the first on, of x and then of y."""

    def emit(context, builder, signature, arguments):
        return builder.shuffle_vector(*arguments, lane_numbers(list(range(0, 2 * x.lanes, 2))))

    return x(x, y), emit


def _lanewise(count, emit_lanes):
    """The operation that takes `count` vectors of one type, 1 to 3, to another of that type.

    emit_lanes: (builder, element type, *vectors) -> vector, which emits the code for it.
    """

    def typed(x, *others):
        def emit(context, builder, signature, arguments):
            return emit_lanes(builder, x.element, *arguments)

        return x(x, *others), emit

    # Numba reads the number of arguments off the function.
    by_count = {
        1: lambda typing_context, x: typed(x),
        2: lambda typing_context, x, y: typed(x, y),
        3: lambda typing_context, x, y, z: typed(x, y, z),
    }
    return intrinsic(by_count[count])


add = _lanewise(2, lambda builder, _, x, y: builder.fadd(x, y))
sub = _lanewise(2, lambda builder, _, x, y: builder.fsub(x, y))
mul = _lanewise(2, lambda builder, _, x, y: builder.fmul(x, y))
div = _lanewise(2, lambda builder, _, x, y: builder.fdiv(x, y))
# x * y + z
fma = _lanewise(3, multiply_add)
# The greater, and the smaller, of x and y; y where one of them is not a number.
maximum = _lanewise(
    2, lambda builder, _, x, y: builder.select(builder.fcmp_ordered(">", x, y), x, y)
)
minimum = _lanewise(
    2, lambda builder, _, x, y: builder.select(builder.fcmp_ordered("<", x, y), x, y)
)
# x rounded to whole numbers.
rint = _lanewise(
    1, lambda builder, element, x: call_llvm(builder, f"llvm.rint.{suffix(element)}", x.type, [x])
)
# 2^n for whole numbers n whose 2^n is a normal number, and 0 for the next smaller n.
power_of_two = _lanewise(
    1,
    lambda builder, element, n: make_power_of_two(
        builder, element, whole_numbers(builder, element, n)
    ),
)
# x * 2^n for whole numbers n, up to infinity and down to 0.
times_power_of_two = _lanewise(2, multiply_by_power_of_two)


def make_polynomial(coefficients):
    """c[0] + c[1] * x + c[2] * x^2 + ... with the coefficients for the bits of x's type."""
    return _lanewise(
        1,
        lambda builder, element, x: evaluate_polynomial(
            builder, element, coefficients[element.bitwidth], x
        ),
    )


@intrinsic
def where_greater(typing_context, x, y, a, b):
    """a in the lanes where x is greater than y, or not a number, and b in the others."""

    def emit(context, builder, signature, arguments):
        x, y, a, b = arguments
        greater = builder.fcmp_ordered(">", x, y)
        return builder.select(builder.or_(greater, builder.fcmp_unordered("uno", x, x)), a, b)

    return a(x, y, a, b), emit


@intrinsic
def total(typing_context, x):
    """The sum of the lanes of x."""

    def emit(context, builder, signature, arguments):
        sums = sum_lanes(builder, [arguments[0]])
        return builder.extract_element(sums, ir.Constant(INT32, 0))

    return x.element(x), emit


@intrinsic
def largest(typing_context, x):
    """The greatest lane of x, if all are numbers."""

    def emit(context, builder, signature, arguments):
        return largest_lane(builder, arguments[0])

    return x.element(x), emit


# Built from these ------------------------------------------------------------------------------


@jit_inline
def sum_run(array, start, count):
    """The sum of array[start : start + count], one partial sum per lane of a vector."""
    lanes, sums = lanes_of(array), splat(array.dtype.type(0))
    for i in range(start, start + count - lanes + 1, lanes):
        sums = add(sums, load(array, i))
    if count % lanes > 0:
        sums = add(sums, load_first(array, start + count // lanes * lanes, count % lanes))
    return total(sums)


@jit_inline
def sums_about(array, start, count, centre):
    """The sums of array - centre and of its square over a run of the array."""
    lanes, centres = lanes_of(array), splat(centre)
    sums = squares = splat(array.dtype.type(0))
    for i in range(start, start + count - lanes + 1, lanes):
        difference = sub(load(array, i), centres)
        sums, squares = add(sums, difference), fma(difference, difference, squares)
    if count % lanes > 0:
        rest = load_between(array, start + count // lanes * lanes, 0, count % lanes, centres)
        difference = sub(rest, centres)
        sums, squares = add(sums, difference), fma(difference, difference, squares)
    return total(sums), total(squares)


@jit_inline
def load_first(array, offset, count):
    """array[offset : offset + count], and 0 in the lanes after it, whose memory is not read."""
    return load_between(array, offset, 0, count, splat(array.dtype.type(0)))


@jit_inline
def load_or(array, offset, left, otherwise):
    """The next vector of the `left` values from the offset on; `otherwise` in lanes beyond them."""
    if left >= lanes_of(array):
        return load(array, offset)
    return load_between(array, offset, 0, left, otherwise)


@jit_inline
def load_part(array, offset, left):
    """The next vector of the `left` values from the offset on; 0 in lanes beyond them."""
    return load_or(array, offset, left, splat(array.dtype.type(0)))


@jit_inline
def store_part(array, offset, value, left):
    """array[offset : offset + min(lanes, left)] = the first lanes of value"""
    if left >= lanes_of(array):
        store(array, offset, value)
    else:
        store_first(array, offset, value, left)
