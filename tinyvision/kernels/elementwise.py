"""Special functions that NumPy lacks."""

import math

import numpy as np
from numba import prange

from tinyvision.kernels import memory
from tinyvision.kernels.jit import flat, jit, jit_parallel
from tinyvision.kernels.simd import (
    add,
    div,
    exp2_of_integer,
    fma,
    lanes_of,
    load_first,
    mul,
    polynomial,
    rint,
    splat,
    store_first,
    sub,
    where_greater,
)
from tinyvision.kernels.threads import count_chunks, launch


def erf_reference(x: np.ndarray) -> np.ndarray:
    """The error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


# The C library's erf takes one number at a time. Polynomials can be evaluated for a vector of
# numbers, so erf is made of three of them:
#
#     |x| < 1:  erf(x) = x * NEAR(x^2)
#     x >= 1:   erf(x) = 1 - exp(-x^2) * FAR((x - 2) / (x + 2)), the fraction being a variable in
#               which exp(x^2) * (1 - erf(x)) is smooth from 1 to where erf is 1, LAST
#     exp(y) = 2^n * EXP(y - n * log(2)), n being y / log(2) rounded
#
# Each interpolates its function in Chebyshev points, with a relative error below half a unit in
# the last place of the type: 3e-9 in float32, 5e-18 in float64. Coefficients of x^0, x^1, ...
_NEAR = {
    4: [1.128379166, -0.3761262667, 0.1128359472, -0.02685421201, 0.005189087423,
        -0.0008016864287, 7.875875063e-5],
    8: [1.12837916709551257, -0.376126389031837481, 0.112837916709548787, -0.0268661706450767932,
        0.00522397762481801447, -0.000854832698083378991, 0.000120553311116427109,
        -1.49255952668311816e-5, 1.6461000484121368e-6, -1.6350312701054695e-7,
        1.46597752740474358e-8, -1.13728488567916737e-9, 5.9571761477489114e-11],
}  # fmt: skip
_FAR = {
    4: [0.2553956763, -0.4271858483, 0.2416581941, -0.07897847315, 0.003732908027,
        0.006993954025, -0.0008476555787, -0.0009395269022, 4.987674193e-5],
    8: [0.255395676310505744, -0.427185847413958397, 0.241658194242466464,
        -0.0789785810157321254, 0.00373289240432776392, 0.00699746173920044377,
        -0.000847143250920384401, -0.000981977026567888923, 4.35556021951547221e-5,
        0.000174361165453922637, 2.75254803612060667e-5, -2.75798646743057859e-5,
        -1.39680723017714607e-5, 1.39262118361880293e-6, 3.78921564375846397e-6,
        1.17807752156255826e-6, -5.32269685565578634e-7, -4.21530105423832099e-7],
}  # fmt: skip
_EXP = {
    4: [1.0, 1.000000038, 0.5000000047, 0.1666641551, 0.0416663529, 0.008375126398,
        0.001394110843],
    8: [1.0, 1.0, 0.500000000000001839, 0.166666666666666808, 0.0416666666664880955,
        0.00833333333331960061, 0.00138888889523147747, 0.000198412698900471137,
        2.48014854823284924e-5, 2.75572409185789698e-6, 2.76326396390410297e-7,
        2.51100376059637777e-8],
}  # fmt: skip
_LAST = {4: 4.0, 8: 6.0}


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    result = memory.empty(x.shape, x.dtype)
    near, far, exp = (np.array(c[x.itemsize], x.dtype) for c in (_NEAR, _FAR, _EXP))
    last = x.dtype.type(_LAST[x.itemsize])
    chunks = count_chunks(x.size, 60 * x.size)
    launch(_erf, _erf_parallel, chunks, flat(x), result.reshape(-1), near, far, exp, last)
    return result


@jit
def _erf(chunk, chunks, x, result, near, far, exp, last):
    lanes, number = lanes_of(x), x.dtype.type
    zero, one, two = splat(number(0)), splat(number(1)), splat(number(2))
    log2_e, minus_ln2 = splat(number(1 / np.log(2))), splat(number(-np.log(2)))
    # What is missing in minus_ln2 when it is rounded to float32.
    minus_ln2_rest = splat(number(-np.log(2) - number(-np.log(2))))
    largest, infinity = splat(last), splat(number(np.inf))
    end = x.size * (chunk + 1) // chunks
    for i in range(x.size * chunk // chunks, end, lanes):
        signed = load_first(x, i, end - i)
        square = mul(signed, signed)
        erf_near = mul(signed, polynomial(near, square))

        size = where_greater(signed, zero, signed, sub(zero, signed))
        size = where_greater(size, largest, largest, size)
        minus_square = sub(zero, mul(size, size))
        n = rint(mul(minus_square, log2_e))
        rest = fma(n, minus_ln2_rest, fma(n, minus_ln2, minus_square))
        power = mul(exp2_of_integer(n), polynomial(exp, rest))
        rest_of_one = mul(power, polynomial(far, div(sub(size, two), add(size, two))))
        erf_far = where_greater(zero, signed, sub(rest_of_one, one), sub(one, rest_of_one))

        both = where_greater(one, size, erf_near, erf_far)
        # The comparison is false but for NaN, which is its own result.
        store_first(result, i, where_greater(signed, infinity, signed, both), end - i)


@jit_parallel
def _erf_parallel(chunks, x, result, near, far, exp, last):
    for chunk in prange(chunks):
        _erf(np.int64(chunk), chunks, x, result, near, far, exp, last)
