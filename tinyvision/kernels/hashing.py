"""Random numbers that follow from where they stand: a hash of seed, row and column.

A generator that steps from one number to the next has to store what it drew, if that is needed
again. A hash can be computed again, for any part of a matrix and in any order. Dropout in attention
does so: its matrix of kept weights, as large as that of all scores, never exists.

    bits = mix(mix(row + seed) ^ (seed >> 32) ^ (column * CONSTANT))        in 32 bits

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3", for the idea; mix is
lowbias32 of Wellons 2018, "Prospecting for hash functions": each bit depends on all.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyvision.kernels.vectors import INT32, lane_numbers, llvm_vector, splat_lanes

# Shifts to the right and factors; the golden ratio's bits, to keep columns apart.
_ROUNDS = (16, 0x7FEB352D), (15, 0x846CA68B)
_LAST_SHIFT = 16
_CONSTANT = 0x9E3779B9


def hash_uniform(rows: int, columns: int, seed: int) -> np.ndarray:
    """The numbers, in [0, 1), of a whole matrix: what to read beside `uniform`, below."""
    row, column = np.ogrid[:rows, :columns]
    bits = _mix((row + seed % 2**32).astype(np.uint32)) ^ np.uint32(seed >> 32)
    bits = _mix(bits ^ (column * _CONSTANT).astype(np.uint32))
    return (bits >> np.uint32(8)) * 2.0**-24


def _mix(x: np.ndarray) -> np.ndarray:
    for shift, factor in _ROUNDS:
        x = (x ^ x >> np.uint32(shift)) * np.uint32(factor)
    return x ^ x >> np.uint32(_LAST_SHIFT)


@intrinsic
def uniform(typing_context, x, row, column, seed):
    """The numbers of row, row + 1, ... of a column, in as many lanes as x has."""

    def emit(context, builder, signature, arguments):
        _, row, column, seed = arguments
        integers = ir.VectorType(INT32, x.lanes)

        def everywhere(number):  # in 64 bits, of which the upper ones do not matter
            return splat_lanes(builder, integers, builder.trunc(number, INT32))

        def mix(bits):
            for shift, factor in _ROUNDS:
                bits = builder.xor(bits, builder.lshr(bits, constant(shift)))
                bits = builder.mul(bits, constant(factor))
            return builder.xor(bits, builder.lshr(bits, constant(_LAST_SHIFT)))

        def constant(number):
            return ir.Constant(integers, [number] * x.lanes)

        rows = builder.add(everywhere(builder.add(row, seed)), lane_numbers(list(range(x.lanes))))
        bits = builder.xor(mix(rows), everywhere(builder.lshr(seed, ir.Constant(seed.type, 32))))
        bits = mix(builder.xor(bits, builder.mul(everywhere(column), constant(_CONSTANT))))
        numbers = builder.uitofp(builder.lshr(bits, constant(8)), llvm_vector(x.element))
        scale = ir.Constant(numbers.type, [2.0**-24] * x.lanes)
        return builder.fmul(numbers, scale)

    return x(x, types.int64, types.int64, types.int64), emit
