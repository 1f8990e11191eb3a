"""The functions of mathematics that have no instruction of their own, for vectors.

The C library's exp and erf take one number at a time. Polynomials can be evaluated for a vector of
numbers, so these are made of them. Each polynomial interpolates its function in Chebyshev points,
with a relative error below half a unit in the last place: 3e-9 in float32, 5e-18 in float64.
"""

import math

from tinyvision.kernels.jit import jit_part
from tinyvision.kernels.simd import (
    add,
    constant,
    div,
    fma,
    make_polynomial,
    maximum,
    minimum,
    mul,
    power_of_two,
    rint,
    sub,
    times_power_of_two,
    where_greater,
)

# Coefficients of x^0, x^1, ... by the bits of the type: e^x for |x| <= log(2) / 2.
_exp_near_zero = make_polynomial({
    32: [1.0, 1.000000038, 0.5000000047, 0.1666641551, 0.0416663529, 0.008375126398,
         0.001394110843],
    64: [1.0, 1.0, 0.500000000000001839, 0.166666666666666808, 0.0416666666664880955,
         0.00833333333331960061, 0.00138888889523147747, 0.000198412698900471137,
         2.48014854823284924e-5, 2.75572409185789698e-6, 2.76326396390410297e-7,
         2.51100376059637777e-8],
})  # fmt: skip
_LOG2_E, _LN_2 = 1 / math.log(2), math.log(2)
# log(2) in two parts, of which n times the first is exact for the n that occur: 0x1.62e4p-1 has
# ten bits to spare in float32.
_LN_2_FIRST = float.fromhex("0x1.62e4p-1")
_LN_2_REST = float.fromhex("0x1.7f7d1cf79abcap-20")
# Beyond these e^x and 2^x are 0 or infinite in float64, and all the more in float32.
_LEAST, _MOST = -1100.0, 1100.0


@jit_part
def exp(x):
    """e^x = 2^n * e^(x - n * log(2)), n being x / log(2) rounded."""
    x = minimum(constant(x, _MOST), maximum(constant(x, _LEAST), x))
    n = rint(mul(x, constant(x, _LOG2_E)))
    rest = fma(n, constant(x, -_LN_2_REST), fma(n, constant(x, -_LN_2_FIRST), x))
    return times_power_of_two(_exp_near_zero(rest), n)


@jit_part
def exp2(x):
    """2^x = 2^n * e^((x - n) * log(2)), n being x rounded."""
    x = minimum(constant(x, _MOST), maximum(constant(x, _LEAST), x))
    n = rint(x)
    return times_power_of_two(_exp_near_zero(mul(sub(x, n), constant(x, _LN_2))), n)


@jit_part
def sigmoid(x):
    """1 / (1 + e^-x)"""
    one = constant(x, 1.0)
    return div(one, add(one, exp(sub(constant(x, 0.0), x))))


_least_power = make_polynomial({32: [-127 * _LN_2], 64: [-1023 * _LN_2]})


@jit_part
def exp_of_negative(x):
    """e^x for x <= 0, with half the work of exp; results that are not normal numbers become 0.

    log(2) is taken in one part, at the price of up to |x| / 6 units in the last place: nothing next
    to a sum of such numbers of which the largest is 1.
    """
    x = maximum(_least_power(x), x)
    n = rint(mul(x, constant(x, _LOG2_E)))
    n = minimum(n, constant(x, 1.0))  # which makes a number of NaN, whose bits are undefined
    return mul(power_of_two(n), _exp_near_zero(fma(n, constant(x, -_LN_2), x)))


# erf(x) = x * NEAR(x^2) for |x| < 1, and for x >= 1
# erf(x) = 1 - e^(-x^2) * FAR((x - 2) / (x + 2)), the fraction being a variable in which
# e^(x^2) * (1 - erf(x)) is smooth from 1 to where erf is 1: 4 in float32, 6 in float64.
_erf_near = make_polynomial({
    32: [1.128379166, -0.3761262667, 0.1128359472, -0.02685421201, 0.005189087423,
         -0.0008016864287, 7.875875063e-5],
    64: [1.12837916709551257, -0.376126389031837481, 0.112837916709548787, -0.0268661706450767932,
         0.00522397762481801447, -0.000854832698083378991, 0.000120553311116427109,
         -1.49255952668311816e-5, 1.6461000484121368e-6, -1.6350312701054695e-7,
         1.46597752740474358e-8, -1.13728488567916737e-9, 5.9571761477489114e-11],
})  # fmt: skip
_erf_far = make_polynomial({
    32: [0.2553956763, -0.4271858483, 0.2416581941, -0.07897847315, 0.003732908027,
         0.006993954025, -0.0008476555787, -0.0009395269022, 4.987674193e-5],
    64: [0.255395676310505744, -0.427185847413958397, 0.241658194242466464,
         -0.0789785810157321254, 0.00373289240432776392, 0.00699746173920044377,
         -0.000847143250920384401, -0.000981977026567888923, 4.35556021951547221e-5,
         0.000174361165453922637, 2.75254803612060667e-5, -2.75798646743057859e-5,
         -1.39680723017714607e-5, 1.39262118361880293e-6, 3.78921564375846397e-6,
         1.17807752156255826e-6, -5.32269685565578634e-7, -4.21530105423832099e-7],
})  # fmt: skip
_erf_last = make_polynomial({32: [4.0], 64: [6.0]})


@jit_part
def erf(x):
    """2 / sqrt(pi) * integral of e^(-t^2) from 0 to x."""
    zero, one, two = constant(x, 0.0), constant(x, 1.0), constant(x, 2.0)
    near = mul(x, _erf_near(mul(x, x)))
    size = minimum(_erf_last(x), maximum(x, sub(zero, x)))
    power = exp(sub(zero, mul(size, size)))
    rest_of_one = mul(power, _erf_far(div(sub(size, two), add(size, two))))
    far = where_greater(zero, x, sub(rest_of_one, one), sub(one, rest_of_one))
    both = where_greater(one, size, near, far)
    # The comparison is false but for NaN, which is its own result.
    return where_greater(x, constant(x, math.inf), x, both)


# P(X > x) = e^(-x^2 / 2) * r * TAIL(r), r = 1 / (1 + x / 4), has the form of Abramowitz and
# Stegun's formula 7.1.26. TAIL interpolates from x = 0 to 6 in float32, 8 in float64, with errors
# of P below 3e-8 and 5e-17; beyond, P is next to nothing.
_normal_tail = make_polynomial({
    32: [0.09824538428, 0.1172107493, 0.006979485497, 0.3142354457, -0.3008575004, 0.3597993497,
         -0.09561293747],
    64: [0.0997357034953991893, 0.0997310752534649112, 0.0935730059268238197,
         0.0803396292714329408, 0.068253496691467555, 0.0192829659651691366,
         0.115805259956150764, -0.270806148744772037, 0.656414567597032154, -1.24430463243503167,
         1.82548440075954158, -2.10886222985676382, 1.85246546543639588, -1.1911141683614186,
         0.540978193932288098, -0.164699799825263501, 0.030272284621710084,
         -0.00254906968362651285],
})  # fmt: skip


@jit_part
def normal_bell(x):
    """e^(-x^2 / 2)"""
    return exp2(mul(mul(x, x), constant(x, -0.5 * _LOG2_E)))


@jit_part
def normal_distribution(x, bell):
    """P(X <= x) of the normal distribution, given bell = e^(-x^2 / 2)."""
    zero, one = constant(x, 0.0), constant(x, 1.0)
    r = div(one, fma(maximum(x, sub(zero, x)), constant(x, 0.25), one))
    tail = mul(mul(bell, r), _normal_tail(r))
    return where_greater(x, zero, sub(one, tail), tail)
