"""Vector registers: how wide they are, their Numba type, and the LLVM code that works on them.

LLVM is the compiler behind Numba. Its code is built by calls such as builder.fadd(x, y), which
appends an addition and returns its result's name; a "builder" knows where code is being added.
What kernels may use of all this are the operations in simd.py.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import models, register_model

INT = ir.IntType(64)
INT32 = ir.IntType(32)


def _host_vector_bytes() -> int:
    """The width of the vector registers that code compiled by Numba may use.

    Asked of the compiler itself: add two 64-byte vectors and see which registers it takes (zmm
    are 64 bytes wide, ymm 32). So NUMBA_CPU_NAME and NUMBA_CPU_FEATURES are followed.
    """
    triple, name, features = cpu_target.target_context.codegen().magic_tuple()
    machine = llvm.Target.from_triple(triple).create_target_machine(cpu=name, features=features)
    wide_add = """
        define <16 x float> @wide_add(<16 x float> %x) {
            %y = fadd <16 x float> %x, %x
            ret <16 x float> %y
        }"""
    assembly = machine.emit_assembly(llvm.parse_assembly(wide_add))
    return 64 if "zmm" in assembly else 32 if "ymm" in assembly else 16


VECTOR_BYTES = _host_vector_bytes()
# 32 registers with AVX-512 and on 64-bit ARM, 16 on every other x86.
VECTOR_REGISTERS = 16 if llvm.get_process_triple().startswith("x86") and VECTOR_BYTES < 64 else 32


class Vector(types.Type):
    """The Numba type of a vector register: `lanes` values of type `element`."""

    def __init__(self, element: types.Float):
        self.element = element
        self.lanes = VECTOR_BYTES * 8 // element.bitwidth
        super().__init__(name=f"Vector({self.lanes} x {element})")


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    """How LLVM represents a Vector: as the value it is, `<16 x float>`."""

    def __init__(self, manager, vector):
        super().__init__(manager, vector, llvm_vector(vector.element))


def llvm_scalar(element):
    return ir.FloatType() if element.bitwidth == 32 else ir.DoubleType()


def llvm_vector(element):
    return ir.VectorType(llvm_scalar(element), VECTOR_BYTES * 8 // element.bitwidth)


def element_pointer(context, builder, array_type, array, offset):
    """The address of array[offset]."""
    data = context.make_array(array_type)(context, builder, array).data
    element = array_type.dtype
    integer = isinstance(element, types.Integer)
    element = ir.IntType(element.bitwidth) if integer else llvm_scalar(element)
    return builder.gep(data, [offset], source_etype=element)


def table_entry(context, builder, table_type, table, index):
    """table[index] of an int64 array; an even table may be given as its step, a number."""
    if isinstance(table_type, types.Integer):
        return builder.mul(table, index)
    return builder.load(element_pointer(context, builder, table_type, table, index), typ=INT)


def load_vector(builder, element, pointer, vector=None):
    vector = vector or llvm_vector(element)
    pointer = builder.bitcast(pointer, vector.as_pointer())
    return builder.load(pointer, align=element.bitwidth // 8, typ=vector)


def store_vector(builder, element, value, pointer):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=element.bitwidth // 8)


def splat_scalar(builder, element, scalar):
    return splat_lanes(builder, llvm_vector(element), scalar)


def splat_lanes(builder, vector, scalar):
    """The vector, of any LLVM type, with `scalar` in every lane."""
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    return builder.shuffle_vector(first_lane, undefined, lane_numbers([0] * vector.count))


def zeros(element):
    vector = llvm_vector(element)
    return ir.Constant(vector, [0.0] * vector.count)


def call_llvm(builder, name, result_type, arguments):
    function_type = ir.FunctionType(result_type, [argument.type for argument in arguments])
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, function_type, name=name)
    return builder.call(function, arguments)


def suffix(element) -> str:
    """How LLVM spells the vector type in the names of its functions: v16f32."""
    return f"v{llvm_vector(element).count}f{element.bitwidth}"


def multiply_add(builder, element, x, y, z):
    """x * y + z, in one instruction where the CPU has one."""
    name = f"llvm.fmuladd.{suffix(element)}"
    return call_llvm(builder, name, llvm_vector(element), [x, y, z])


def sum_lanes(builder, values):
    """The vector of the lanes' sums of each of the values, in their order.

    Two values are summed at once: the halves of the first and the halves of the second go to the
    halves of one vector, and so on with quarters, until each sum is one lane. The order is fixed,
    so that equal input gives equal bits. Needs a power of two of values, at most as many as lanes.
    """
    part = values[0].type.count
    while part > 1:
        part //= 2
        # Each 2 * part neighbouring lanes hold what is to be summed for one value.
        if len(values) > 1:
            pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
            starts = range(0, 2 * values[0].type.count, 2 * part)
        else:
            pairs = [[values[0], ir.Constant(values[0].type, ir.Undefined)]]
            starts = range(0, values[0].type.count, 2 * part)
        low = lane_numbers([start + i for start in starts for i in range(part)])
        high = lane_numbers([start + part + i for start in starts for i in range(part)])
        values = [
            builder.fadd(builder.shuffle_vector(x, y, low), builder.shuffle_vector(x, y, high))
            for x, y in pairs
        ]
    return values[0]


def largest_lane(builder, x):
    """The greatest lane: of the two halves, of their greater lanes' halves, and so on."""
    part = x.type.count
    while part > 1:
        part //= 2
        low = builder.shuffle_vector(x, x, lane_numbers(list(range(part))))
        high = builder.shuffle_vector(x, x, lane_numbers(list(range(part, 2 * part))))
        x = builder.select(builder.fcmp_ordered(">", low, high), low, high)
    return builder.extract_element(x, ir.Constant(INT32, 0))


def transpose_lanes(builder, rows):
    """The columns of the square matrix whose rows are the vectors `rows`.

    Of each two by two lanes those off the diagonal change places, then of each four by four those
    two by two, and so on.
    """
    lanes, part = len(rows), 1
    rows = list(rows)
    while part < lanes:
        upper = lane_numbers([i if not i & part else i - part + lanes for i in range(lanes)])
        lower = lane_numbers([i + part if not i & part else i + lanes for i in range(lanes)])
        for i in range(lanes):
            if not i & part:
                x, y = rows[i], rows[i + part]
                rows[i] = builder.shuffle_vector(x, y, upper)
                rows[i + part] = builder.shuffle_vector(x, y, lower)
        part *= 2
    return rows


def evaluate_polynomial(builder, element, coefficients, x):
    """Horner's rule: c[0] + x * (c[1] + x * (c[2] + ...))."""
    lanes = x.type.count
    result, *others = (ir.Constant(x.type, [c] * lanes) for c in reversed(coefficients))
    for coefficient in others:
        result = multiply_add(builder, element, result, x, coefficient)
    return result


def whole_numbers(builder, element, x):
    """The lanes of x, which are whole, as integers of as many bits."""
    return builder.fptosi(x, ir.VectorType(ir.IntType(element.bitwidth), x.type.count))


def make_power_of_two(builder, element, n):
    """2^n for integers n, made from its bits: the exponent plus a bias, shifted past the fraction.

    2^n must be a normal number; the next smaller n gives 0.
    """
    fraction_bits, bias = (23, 127) if element.bitwidth == 32 else (52, 1023)
    exponent = builder.add(n, ir.Constant(n.type, [bias] * n.type.count))
    bits = builder.shl(exponent, ir.Constant(n.type, [fraction_bits] * n.type.count))
    return builder.bitcast(bits, llvm_vector(element))


def multiply_by_power_of_two(builder, element, x, n):
    """x * 2^n, n being whole numbers: in two steps, as 2^n itself may not be representable.

    AVX-512, which alone has vectors of 64 bytes, has one instruction for all of it.
    """
    if VECTOR_BYTES == 64:
        name = f"llvm.x86.avx512.mask.scalef.{'ps' if element.bitwidth == 32 else 'pd'}.512"
        all_lanes = ir.Constant(ir.IntType(x.type.count), -1)
        current_rounding = ir.Constant(INT32, 4)
        return call_llvm(builder, name, x.type, [x, n, x, all_lanes, current_rounding])
    limit = 250.0 if element.bitwidth == 32 else 2000.0
    # "Not greater" and "not less", so that NaN, whose conversion is undefined, becomes a limit.
    most = ir.Constant(x.type, [limit] * x.type.count)
    least = ir.Constant(x.type, [-limit] * x.type.count)
    n = builder.select(builder.fcmp_ordered("<", n, most), n, most)
    n = builder.select(builder.fcmp_ordered(">", n, least), n, least)
    n = whole_numbers(builder, element, n)
    half = builder.ashr(n, ir.Constant(n.type, [1] * n.type.count))
    for exponent in (half, builder.sub(n, half)):
        x = builder.fmul(x, make_power_of_two(builder, element, exponent))
    return x


def lane_numbers(numbers):
    return ir.Constant(ir.VectorType(INT32, len(numbers)), numbers)


def lanes_below(builder, vector, count):
    """The mask that is true in the lanes whose number is less than `count`."""
    numbers = lane_numbers(list(range(vector.count)))
    # Clamp to 0 ... vector.count, so that the count fits the lanes' 32 bits.
    none, all_ = ir.Constant(INT, 0), ir.Constant(INT, vector.count)
    count = builder.select(builder.icmp_signed("<", count, none), none, count)
    count = builder.select(builder.icmp_signed("<", count, all_), count, all_)
    counts = splat_lanes(builder, numbers.type, builder.trunc(count, INT32))
    return builder.icmp_signed("<", numbers, counts)


def mask_of_bits(builder, vector, bits):
    """The mask that is true in the lanes whose bit of the 16-bit number is 1."""
    booleans = ir.VectorType(ir.IntType(1), vector.count)
    if vector.count < 16:
        bits = builder.trunc(bits, ir.IntType(vector.count))
    return builder.bitcast(bits, booleans)


def masked_load(builder, element, pointer, mask, otherwise):
    """The vector at `pointer` in the lanes of the mask; unsigned integers become floats."""
    alignment = ir.Constant(INT32, element.bitwidth // 8)
    if isinstance(element, types.Integer):
        vector = ir.VectorType(ir.IntType(element.bitwidth), mask.type.count)
        name = f"llvm.masked.load.v{vector.count}i{element.bitwidth}.p0"
        pointer = builder.bitcast(pointer, vector.as_pointer())
        none = ir.Constant(vector, [0] * vector.count)
        integers = call_llvm(builder, name, vector, [pointer, alignment, mask, none])
        return builder.select(mask, builder.uitofp(integers, otherwise.type), otherwise)
    pointer = builder.bitcast(pointer, llvm_vector(element).as_pointer())
    name = f"llvm.masked.load.{suffix(element)}.p0"
    return call_llvm(builder, name, otherwise.type, [pointer, alignment, mask, otherwise])


def masked_store(builder, element, pointer, mask, value):
    kind = "i" if isinstance(element, types.Integer) else "f"
    alignment = ir.Constant(INT32, element.bitwidth // 8)
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    name = f"llvm.masked.store.v{value.type.count}{kind}{element.bitwidth}.p0"
    call_llvm(builder, name, ir.VoidType(), [value, pointer, alignment, mask])
