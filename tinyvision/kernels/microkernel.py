"""The inner loop of convolution, forward and backward: a tile of sums kept in registers.

A core can start one or two vector multiply-adds per clock cycle, but not load their operands at
that rate. So every loaded value has to be used several times while it is in a register: a tile of
`rows` x `columns` sums is kept in rows * columns registers, and one step of the loop over k loads
rows + columns operands for rows * columns multiply-adds. Two such loops carry everything here:

- `outer_tile`: sums[r, v] += a[r, k] * b[k, v] with a scalar a and a vector b. Matrix product.
- `dot_tile`: sums[r, c] += a[r, k] * b[c, k] with two vectors, whose lanes are added at the end.

The steps k need not lie evenly: where a and b are found in a step is read from tables of offsets.
That is the generality convolution needs: with offsets that jump from one filter tap to the next it
runs over an image as it is, and the matrix that "im2col" would build is never built.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyvision.kernels.jit import jit_part
from tinyvision.kernels.simd import lanes_of
from tinyvision.kernels.vectors import (
    INT,
    VECTOR_BYTES,
    VECTOR_REGISTERS,
    element_pointer,
    llvm_scalar,
    llvm_vector,
    load_vector,
    multiply_add,
    splat_scalar,
    store_vector,
    sum_lanes,
    table_entry,
    zeros,
)

# The sums must fit in the registers beside their operands, of which the compiler likes to load all
# of a step's in advance: 8 x 2 or 4 x 4 sums in the 32 registers of AVX-512 and ARM, 6 x 2 or 4 x 2
# in the 16 of other x86. Fewer rows take more columns.
MAX_ROWS, MORE_COLUMNS = (8, 4) if VECTOR_REGISTERS == 32 else (6, 2)
DOT_COLUMNS = 4 if VECTOR_BYTES == 64 else 2
# All tiles there are, (rows, columns); what is left over is done one column at a time.
OUTER_TILES = [(MAX_ROWS, 2), (4, MORE_COLUMNS), (2, 4), (1, 4)]
DOT_TILES = [(4, DOT_COLUMNS), (2, DOT_COLUMNS), (1, DOT_COLUMNS)]


def _number(value):
    return ir.Constant(INT, value)


def _advance(builder, element, pointer, offset):
    return builder.gep(pointer, [offset], source_etype=llvm_scalar(element))


def _row_pointers(builder, element, pointer, stride, rows):
    offsets = [builder.mul(stride, _number(i)) for i in range(rows)]
    return [_advance(builder, element, pointer, offset) for offset in offsets]


def _accumulate(builder, element, rows, columns, steps, load_operands):
    """Emit `for s in range(steps)` around the multiply-adds; return the sums. Needs steps >= 1.

    load_operands(s) emits the loads of step s: the list b, and a function that loads a[row].
    """
    tile = [(i, j) for i in range(rows) for j in range(columns)]
    vector = llvm_vector(element)
    before = builder.block
    body, after = builder.append_basic_block("step"), builder.append_basic_block("done")
    builder.branch(body)
    builder.position_at_end(body)
    step = builder.phi(INT)
    sums = {position: builder.phi(vector) for position in tile}
    load_a, b = load_operands(step)
    updated = {}
    for i in range(rows):
        a = load_a(i)
        for j in range(columns):
            updated[i, j] = multiply_add(builder, element, a, b[j], sums[i, j])
    next_step = builder.add(step, _number(1))
    for phi, first, then in [
        (step, _number(0), next_step),
        *((sums[position], zeros(element), updated[position]) for position in tile),
    ]:
        phi.add_incoming(first, before)
        phi.add_incoming(then, body)
    again = builder.cbranch(builder.icmp_signed("<", next_step, steps), body, after)
    again.set_metadata("llvm.loop", _no_unrolling(builder.module))
    builder.position_at_end(after)
    return updated


def _no_unrolling(module):
    """Marks a loop not to be unrolled: two steps at a time would need more registers than exist."""
    disable = module.add_metadata(["llvm.loop.unroll.disable"])
    loop = module.add_metadata([disable, str(len(module.metadata))])
    # LLVM tells loops apart by a first operand that refers to the node itself.
    loop.operands = (loop, disable)
    return loop


def _choose_tile(builder, tiles, rows, columns, emit_tile):
    """Emit each of the tiles, and the jump to the one of so many rows and columns."""
    done = builder.append_basic_block("done")
    choice = builder.switch(builder.add(builder.mul(rows, _number(8)), columns), done)
    for height, widest in tiles:
        for width in (widest, 1):
            block = builder.append_basic_block("tile")
            choice.add_case(_number(8 * height + width), block)
            builder.position_at_end(block)
            emit_tile(height, width)
            builder.branch(done)
    builder.position_at_end(done)


@intrinsic
def outer_tile(context, C, c, c_row, A, a, a_row, a_steps, B, b, b_steps, k, steps, adding, rows,
               vectors):  # fmt: skip
    """For i < rows and every lane n of `vectors` vectors, for one of OUTER_TILES:
    C[c + i*c_row + n] =
        sum over k <= s < k + steps of A[a + i*a_row + a_steps[s]] * B[b + b_steps[s] + n]
    plus, if `adding`, what C held before.
    """
    ints = types.intp
    signature = types.void(
        C, ints, ints, A, ints, ints, a_steps, B, ints, b_steps, ints, ints, types.boolean, ints,
        ints,
    )  # fmt: skip

    def emit(context, builder, signature, arguments):
        def emit_tile(rows, vectors):
            _emit_outer_tile(context, builder, signature.args, arguments[:-2], rows, vectors)

        _choose_tile(builder, OUTER_TILES, *arguments[-2:], emit_tile)
        return context.get_dummy_value()

    return signature, emit


def _emit_outer_tile(context, builder, types_, arguments, rows, vectors):
    C, c, c_row, A, a, a_row, a_steps, B, b, b_steps, k, steps, adding = arguments
    element = types_[3].dtype
    lanes = llvm_vector(element).count
    start_c = element_pointer(context, builder, types_[0], C, c)
    start_a = element_pointer(context, builder, types_[3], A, a)
    start_b = element_pointer(context, builder, types_[7], B, b)
    rows_a = _row_pointers(builder, element, start_a, a_row, rows)
    rows_c = _row_pointers(builder, element, start_c, c_row, rows)

    def load_operands(step):
        s = builder.add(k, step)
        to_a = table_entry(context, builder, types_[6], a_steps, s)
        to_b = table_entry(context, builder, types_[9], b_steps, s)
        first = _advance(builder, element, start_b, to_b)
        pointers = [_advance(builder, element, first, _number(v * lanes)) for v in range(vectors)]

        def load_a(i):
            pointer = _advance(builder, element, rows_a[i], to_a)
            return splat_scalar(builder, element, builder.load(pointer, typ=llvm_scalar(element)))

        return load_a, [load_vector(builder, element, pointer) for pointer in pointers]

    sums = _accumulate(builder, element, rows, vectors, steps, load_operands)
    pointers = {(i, v): _advance(builder, element, rows_c[i], _number(v * lanes)) for i, v in sums}
    with builder.if_else(adding) as (then, otherwise):
        with then:
            for position, pointer in pointers.items():
                before = load_vector(builder, element, pointer)
                total = builder.fadd(before, sums[position])
                store_vector(builder, element, total, pointer)
        with otherwise:
            for position, pointer in pointers.items():
                store_vector(builder, element, sums[position], pointer)


@intrinsic
def dot_tile(context, C, c, c_row, A, a, a_row, a_steps, B, b, b_columns, j, b_steps, steps, rows,
             columns):  # fmt: skip
    """For i < rows and n < columns, for one of DOT_TILES:
    C[c + i*c_row + n] +=
        sum over s < steps and the lanes l of a vector of
        A[a + i*a_row + a_steps[s] + l] * B[b + b_columns[j + n] + b_steps[s] + l]
    """
    ints = types.intp
    signature = types.void(
        C, ints, ints, A, ints, ints, a_steps, B, ints, b_columns, ints, b_steps, ints, ints, ints
    )

    def emit(context, builder, signature, arguments):
        def emit_tile(rows, columns):
            _emit_dot_tile(context, builder, signature.args, arguments[:-2], rows, columns)

        _choose_tile(builder, DOT_TILES, *arguments[-2:], emit_tile)
        return context.get_dummy_value()

    return signature, emit


def _emit_dot_tile(context, builder, types_, arguments, rows, columns):
    C, c, c_row, A, a, a_row, a_steps, B, b, b_columns, j, b_steps, steps = arguments
    element = types_[3].dtype
    start_c = element_pointer(context, builder, types_[0], C, c)
    start_a = element_pointer(context, builder, types_[3], A, a)
    start_b = element_pointer(context, builder, types_[7], B, b)
    rows_a = _row_pointers(builder, element, start_a, a_row, rows)
    rows_c = _row_pointers(builder, element, start_c, c_row, rows)
    to_columns = [
        table_entry(context, builder, types_[9], b_columns, builder.add(j, _number(n)))
        for n in range(columns)
    ]
    columns_b = [_advance(builder, element, start_b, offset) for offset in to_columns]

    def load_operands(step):
        to_a = table_entry(context, builder, types_[6], a_steps, step)
        to_b = table_entry(context, builder, types_[11], b_steps, step)
        pointers = [_advance(builder, element, column, to_b) for column in columns_b]

        def load_a(i):
            return load_vector(builder, element, _advance(builder, element, rows_a[i], to_a))

        return load_a, [load_vector(builder, element, pointer) for pointer in pointers]

    sums = _accumulate(builder, element, rows, columns, steps, load_operands)
    for i in range(rows):
        totals = sum_lanes(builder, [sums[i, n] for n in range(columns)])
        before = load_vector(builder, element, rows_c[i], totals.type)
        store_vector(builder, element, builder.fadd(before, totals), rows_c[i])


@jit_part
def multiply_rows(C, c, c_row, A, a, a_row, a_steps, B, b, b_steps, k, steps, rows, vectors,
                  adding=False):  # fmt: skip
    """The product of `outer_tile` for any number of rows and vectors.

    Rows are taken MAX_ROWS at a time, the rest by 4, 2 and 1, so that no work is wasted on rows
    that do not exist. C must have whole vectors. With `adding`, they are added to C.
    """
    lanes, i = lanes_of(C), 0
    while i < rows:
        left, v = rows - i, 0
        height = MAX_ROWS if left >= MAX_ROWS else 4 if left >= 4 else 2 if left >= 2 else 1
        widest = 2 if height == MAX_ROWS else MORE_COLUMNS if height == 4 else 4
        while v < vectors:
            width = widest if v + widest <= vectors else 1
            outer_tile(C, c + i * c_row + v * lanes, c_row, A, a + i * a_row, a_row, a_steps,
                       B, b + v * lanes, b_steps, k, steps, adding, height, width)  # fmt: skip
            v += width
        i += height


@jit_part
def add_dot_products(C, c, c_row, A, a, a_row, a_steps, B, b, b_columns, b_steps, steps, rows):
    """The sums of `dot_tile` for any number of rows and all columns of the table b_columns."""
    i = 0
    while i < rows:
        height, j = 4 if rows - i >= 4 else 2 if rows - i >= 2 else 1, 0
        while j < b_columns.size:
            width = DOT_COLUMNS if j + DOT_COLUMNS <= b_columns.size else 1
            dot_tile(C, c + i * c_row + j, c_row, A, a + i * a_row, a_row, a_steps,
                     B, b, b_columns, j, b_steps, steps, height, width)  # fmt: skip
            j += width
        i += height
