"""Vectors as Numba values: the small vocabulary the kernels are written in.

A CPU adds or multiplies a whole vector register (4, 8 or 16 float32) in one instruction. The
compiler finds vectors by itself in simple loops, but not reliably in the loops that matter here,
so kernels name them. `load(x, i)` is the vector x[i], x[i+1], ..., x[i+lanes-1]; `splat(s)` is
s in every lane; the arithmetic is lane by lane. None of it checks bounds: the caller must know
that the lanes exist, or use `load_first` / `store_first`, which touch only the first `count`.

Each function below is a Numba `intrinsic`: given the argument types it returns a signature and a
function that emits the LLVM instructions. Arrays are flat (1-d, C-contiguous) float32 or float64.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

from tinyvision.kernels.jit import jit_part

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


# Building blocks of LLVM code, shared with microkernel.py -------------------------------------


def llvm_scalar(element):
    return ir.FloatType() if element.bitwidth == 32 else ir.DoubleType()


def llvm_vector(element):
    return ir.VectorType(llvm_scalar(element), VECTOR_BYTES * 8 // element.bitwidth)


def element_pointer(context, builder, array_type, array, offset):
    """The address of array[offset]."""
    data = context.make_array(array_type)(context, builder, array).data
    element = INT if array_type.dtype == types.int64 else llvm_scalar(array_type.dtype)
    return builder.gep(data, [offset], source_etype=element)


def load_vector(builder, element, pointer, vector=None):
    vector = vector or llvm_vector(element)
    pointer = builder.bitcast(pointer, vector.as_pointer())
    return builder.load(pointer, align=element.bitwidth // 8, typ=vector)


def store_vector(builder, element, value, pointer):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=element.bitwidth // 8)


def splat_scalar(builder, element, scalar):
    vector = llvm_vector(element)
    undefined = ir.Constant(vector, ir.Undefined)
    first_lane = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    everywhere = ir.Constant(ir.VectorType(INT32, vector.count), [0] * vector.count)
    return builder.shuffle_vector(first_lane, undefined, everywhere)


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
        low = _lane_numbers([start + i for start in starts for i in range(part)])
        high = _lane_numbers([start + part + i for start in starts for i in range(part)])
        values = [
            builder.fadd(builder.shuffle_vector(x, y, low), builder.shuffle_vector(x, y, high))
            for x, y in pairs
        ]
    return values[0]


def _lane_numbers(numbers):
    return ir.Constant(ir.VectorType(INT32, len(numbers)), numbers)


def _first_lanes(builder, element, count):
    """The mask that is true in the first `count` lanes (all of them for a larger count)."""
    lanes = llvm_vector(element).count
    numbers = ir.Constant(ir.VectorType(INT32, lanes), list(range(lanes)))
    most = ir.Constant(count.type, lanes)
    count = builder.select(builder.icmp_signed("<", count, most), count, most)
    count = builder.trunc(count, INT32)
    undefined = ir.Constant(numbers.type, ir.Undefined)
    first_lane = builder.insert_element(undefined, count, ir.Constant(INT32, 0))
    everywhere = ir.Constant(numbers.type, [0] * lanes)
    counts = builder.shuffle_vector(first_lane, undefined, everywhere)
    return builder.icmp_signed("<", numbers, counts)


# The vocabulary --------------------------------------------------------------------------------


@intrinsic
def lanes_of(typing_context, array):
    """The number of lanes of a vector of the array's element type."""
    count = VECTOR_BYTES * 8 // array.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        return ir.Constant(INT, count)

    return types.intp(array), emit


@intrinsic
def load(typing_context, array, offset):
    """array[offset : offset + lanes]"""

    def emit(context, builder, signature, arguments):
        pointer = element_pointer(context, builder, array, *arguments)
        return load_vector(builder, array.dtype, pointer)

    return Vector(array.dtype)(array, types.intp), emit


@intrinsic
def load_first(typing_context, array, offset, count):
    """array[offset : offset + count], and 0 in the lanes after it, whose memory is not read."""

    def emit(context, builder, signature, arguments):
        element, vector = array.dtype, llvm_vector(array.dtype)
        pointer = element_pointer(context, builder, array, *arguments[:2])
        pointer = builder.bitcast(pointer, vector.as_pointer())
        mask = _first_lanes(builder, element, arguments[2])
        alignment = ir.Constant(INT32, element.bitwidth // 8)
        zero = ir.Constant(vector, [0.0] * vector.count)
        name = f"llvm.masked.load.{suffix(element)}.p0"
        return call_llvm(builder, name, vector, [pointer, alignment, mask, zero])

    return Vector(array.dtype)(array, types.intp, types.intp), emit


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
    """array[offset : offset + count] = the first `count` lanes of value"""

    def emit(context, builder, signature, arguments):
        element, vector = array.dtype, llvm_vector(array.dtype)
        pointer = element_pointer(context, builder, array, *arguments[:2])
        pointer = builder.bitcast(pointer, vector.as_pointer())
        mask = _first_lanes(builder, element, arguments[3])
        alignment = ir.Constant(INT32, element.bitwidth // 8)
        name = f"llvm.masked.store.{suffix(element)}.p0"
        call_llvm(builder, name, ir.VoidType(), [arguments[2], pointer, alignment, mask])
        return context.get_dummy_value()

    return types.void(array, types.intp, value, types.intp), emit


@intrinsic
def splat(typing_context, scalar):
    """The vector with `scalar` in every lane."""

    def emit(context, builder, signature, arguments):
        return splat_scalar(builder, scalar, arguments[0])

    return Vector(scalar)(scalar), emit


@intrinsic
def evens(typing_context, x, y):
    """Every second lane, from the first on, of x and then of y."""

    def emit(context, builder, signature, arguments):
        return builder.shuffle_vector(*arguments, _lane_numbers(list(range(0, 2 * x.lanes, 2))))

    return x(x, y), emit


@intrinsic
def add(typing_context, x, y):
    """x + y"""

    def emit(context, builder, signature, arguments):
        return builder.fadd(*arguments)

    return x(x, y), emit


@intrinsic
def sub(typing_context, x, y):
    """x - y"""

    def emit(context, builder, signature, arguments):
        return builder.fsub(*arguments)

    return x(x, y), emit


@intrinsic
def fma(typing_context, x, y, z):
    """x * y + z"""

    def emit(context, builder, signature, arguments):
        return multiply_add(builder, x.element, *arguments)

    return x(x, y, z), emit


@intrinsic
def total(typing_context, x):
    """The sum of the lanes of x."""

    def emit(context, builder, signature, arguments):
        sums = sum_lanes(builder, [arguments[0]])
        return builder.extract_element(sums, ir.Constant(INT32, 0))

    return x.element(x), emit


# Built from the vocabulary ---------------------------------------------------------------------


@jit_part
def sum_run(array, start, count):
    """The sum of array[start : start + count], one partial sum per lane of a vector."""
    lanes = lanes_of(array)
    totals = splat(array.dtype.type(0))
    for i in range(start, start + count - lanes + 1, lanes):
        totals = add(totals, load(array, i))
    rest = load_first(array, start + count // lanes * lanes, count % lanes)
    return total(add(totals, rest))
