"""Functions of single numbers that NumPy lacks: erf, and the activations GELU and SiLU.

    erf(x)  = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x
    gelu(x) = x * Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2 being the normal distribution's
              P(X <= x); approximately x * sigmoid(2 u), u = sqrt(2 / pi) * (x + 0.044715 x^3)
    silu(x) = x * sigmoid(x), sigmoid(x) = 1 / (1 + e^-x)

Gradients:
    d_gelu = Phi(x) + x * phi(x), phi(x) = e^(-x^2 / 2) / sqrt(2 pi); approximately, with
              s = sigmoid(2 u): s + x * s * (1 - s) * 2 u'
    d_silu = s + x * s * (1 - s), with s = sigmoid(x)

Source: Hendrycks and Gimpel 2016, arXiv 1606.08415.
"""

import math

import numpy as np

from tinyvision.kernels import memory, vector_math
from tinyvision.kernels.jit import flat, jit, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import (
    add,
    constant,
    fma,
    lanes_of,
    load_part,
    mul,
    store_part,
    sub,
)
from tinyvision.kernels.threads import count_chunks, launch

_U, _CUBE = math.sqrt(2 / math.pi), 0.044715
_SQRT_HALF, _PHI_0 = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)


def erf_reference(x: np.ndarray) -> np.ndarray:
    """The error function."""
    return np.vectorize(math.erf, otypes=[x.dtype])(x)


def gelu_forward_reference(x: np.ndarray, approximate: bool) -> np.ndarray:
    """x * Phi(x), or its approximation."""
    return x * (_gate(x) if approximate else 0.5 * (1 + erf_reference(x * _SQRT_HALF)))


def gelu_backward_reference(
    grad_output: np.ndarray, x: np.ndarray, approximate: bool
) -> np.ndarray:
    """grad_output times the derivative at x."""
    if approximate:
        s, slope = _gate(x), 2 * _U * (1 + 3 * _CUBE * x * x)
        return grad_output * (s + x * s * (1 - s) * slope)
    phi = np.exp(-0.5 * x * x) * _PHI_0
    return grad_output * (0.5 * (1 + erf_reference(x * _SQRT_HALF)) + x * phi)


def _gate(x: np.ndarray) -> np.ndarray:
    return _sigmoid(2 * _U * (x + _CUBE * x * x * x))


def silu_forward_reference(x: np.ndarray) -> np.ndarray:
    """x * sigmoid(x)."""
    return x * _sigmoid(x)


def silu_backward_reference(grad_output: np.ndarray, x: np.ndarray) -> np.ndarray:
    """grad_output times the derivative at x."""
    s = _sigmoid(x)
    return grad_output * (s + x * s * (1 - s))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))


# Fast: one pass over the array, on vectors (vector_math.py), where NumPy makes a dozen passes and
# as many temporary arrays. The function is chosen by a number, once for the whole array, so that
# there are only two kernels to compile, one for values and one for gradients.

ERF, GELU, GELU_APPROXIMATE, SILU = range(4)


@twin_of(erf_reference)
def erf(x: np.ndarray) -> np.ndarray:
    """The error function."""
    return _run(ERF, x)


@twin_of(gelu_forward_reference)
def gelu_forward(x: np.ndarray, approximate: bool) -> np.ndarray:
    """x * Phi(x), or its approximation."""
    return _run(GELU_APPROXIMATE if approximate else GELU, x)


@twin_of(gelu_backward_reference)
def gelu_backward(grad_output: np.ndarray, x: np.ndarray, approximate: bool) -> np.ndarray:
    """grad_output times the derivative at x."""
    return _run_backward(GELU_APPROXIMATE if approximate else GELU, grad_output, x)


@twin_of(silu_forward_reference)
def silu_forward(x: np.ndarray) -> np.ndarray:
    """x * sigmoid(x)."""
    return _run(SILU, x)


@twin_of(silu_backward_reference)
def silu_backward(grad_output: np.ndarray, x: np.ndarray) -> np.ndarray:
    """grad_output times the derivative at x."""
    return _run_backward(SILU, grad_output, x)


def _run(function: int, x: np.ndarray) -> np.ndarray:
    result = memory.empty(x.shape, x.dtype)
    chunks = count_chunks(x.size, x.size)
    launch(_values, chunks, function, flat(x), result.reshape(-1))
    return result


def _run_backward(function: int, grad_output: np.ndarray, x: np.ndarray) -> np.ndarray:
    result = memory.empty(x.shape, x.dtype)
    chunks = count_chunks(x.size, 2 * x.size)
    launch(
        _gradients, chunks, function, flat(grad_output), flat(x),
        result.reshape(-1),
    )  # fmt: skip
    return result


@jit
def _values(chunk, function, x, result):
    start, end = begin(chunk, x.size)
    if function == ERF:
        _map(vector_math.erf, x, result, start, end)
    elif function == GELU:
        _map(_gelu, x, result, start, end)
    elif function == GELU_APPROXIMATE:
        _map(_approximate_gelu, x, result, start, end)
    else:
        _map(_silu, x, result, start, end)


@jit_part
def _map(function, x, result, start, end):
    for i in range(start, end, lanes_of(x)):
        store_part(result, i, function(load_part(x, i, end - i)), end - i)


@jit_part
def _gelu(x):
    return mul(x, vector_math.normal_distribution(x, vector_math.normal_bell(x)))


@jit_part
def _approximate_gelu(x):
    return mul(x, _approximate_gate(x))


@jit_part
def _silu(x):
    return mul(x, vector_math.sigmoid(x))


@jit
def _gradients(chunk, function, grad_output, x, result):
    start, end = begin(chunk, x.size)
    if function == GELU:
        _map_slope(_gelu_slope, grad_output, x, result, start, end)
    elif function == GELU_APPROXIMATE:
        _map_slope(_approximate_gelu_slope, grad_output, x, result, start, end)
    else:
        _map_slope(_silu_slope, grad_output, x, result, start, end)


@jit_part
def _map_slope(slope, grad_output, x, result, start, end):
    for i in range(start, end, lanes_of(x)):
        factor = slope(load_part(x, i, end - i))
        store_part(result, i, mul(load_part(grad_output, i, end - i), factor), end - i)


@jit_part
def _gelu_slope(x):
    bell = vector_math.normal_bell(x)
    phi = mul(bell, constant(x, _PHI_0))
    return fma(x, phi, vector_math.normal_distribution(x, bell))


@jit_part
def _approximate_gelu_slope(x):
    inner = fma(mul(x, x), constant(x, 6 * _U * _CUBE), constant(x, 2 * _U))
    return _slope_of_gated(_approximate_gate(x), mul(x, inner))


@jit_part
def _silu_slope(x):
    return _slope_of_gated(vector_math.sigmoid(x), x)


@jit_part
def _slope_of_gated(s, u):
    """The derivative s + u * s * (1 - s) of x * s, where s' = s * (1 - s) * u / x."""
    return fma(u, mul(s, sub(constant(s, 1.0), s)), s)


@jit_part
def _approximate_gate(x):
    cubed = mul(mul(x, x), mul(x, constant(x, _CUBE)))
    return vector_math.sigmoid(mul(add(x, cubed), constant(x, 2 * _U)))
