"""The steps of SGD and of Adam, for all tensors of a group of parameters in one call.

The formulas stand in optim/sgd.py and optim/adam.py. A network has dozens of tensors, most of them
small, and each goes through memory once here: a plain NumPy step goes through it a dozen times.
"""

import ctypes
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinyvision.kernels.jit import jit, jit_part, twin_of
from tinyvision.kernels.signals import begin
from tinyvision.kernels.simd import array_at
from tinyvision.kernels.threads import count_chunks, launch

Arrays = Sequence[np.ndarray]


class KnownAddresses(dict[int, Any]):
    """Lists of arrays and their addresses, which the caller keeps from step to step."""

    def __deepcopy__(self, memo: dict) -> "KnownAddresses":
        return KnownAddresses()  # copied arrays lie elsewhere


def sgd_step_reference(
    params: Arrays, grads: Arrays, buffers: Arrays, options: np.ndarray,
    known: KnownAddresses | None = None,
) -> None:  # fmt: skip
    """b = momentum * b + (1 - dampening) * g; p -= lr * b or, if nesterov, lr * (g + momentum * b)

    g = sign * grad + decay * p; without buffers, p -= lr * g.
    options: for each tensor (sign, decay, lr, momentum, 1 - dampening, nesterov).
    known: for the fast version, and the next step of the same tensors.
    """
    for i, (p, grad) in enumerate(zip(params, grads, strict=True)):
        sign, decay, lr, momentum, one_minus_dampening, nesterov = options[i].tolist()
        g = sign * grad
        if decay != 0:
            g += decay * p
        if buffers:
            b = buffers[i]
            b *= momentum
            b += one_minus_dampening * g
            g = g + momentum * b if nesterov else b
        p -= lr * g


def adam_step_reference(
    params: Arrays, grads: Arrays, means: Arrays, squares: Arrays, largest: Arrays,
    options: np.ndarray, known: KnownAddresses | None = None,
) -> None:  # fmt: skip
    """m += (1 - beta1) * (g - m); v = beta2 * v + (1 - beta2) * g^2
    p -= lr * m / (sqrt(v) * scale + eps)

    g = sign * grad + decay * p, and p = shrink * p first. If there are arrays `largest`, they are
    kept as the largest v so far and stand in for it.
    options: for each tensor (sign, decay, shrink, 1 - beta1, beta2, 1 - beta2, lr, scale, eps).
    known: for the fast version, and the next step of the same tensors.
    """
    for i, (p, grad, m, v) in enumerate(zip(params, grads, means, squares, strict=True)):
        sign, decay, shrink, one_minus_beta1, beta2, one_minus_beta2, lr, scale, eps = options[
            i
        ].tolist()
        g = sign * grad
        if decay != 0:
            g += decay * p
        p *= shrink
        m += one_minus_beta1 * (g - m)
        v *= beta2
        v += one_minus_beta2 * (g * g)
        if largest:
            v = np.maximum(largest[i], v, out=largest[i])
        p -= lr * (m / (np.sqrt(v) * scale + eps))


@twin_of(sgd_step_reference)
def sgd_step(
    params: Arrays, grads: Arrays, buffers: Arrays, options: np.ndarray,
    known: KnownAddresses | None = None,
) -> None:  # fmt: skip
    """See sgd_step_reference."""
    lists = params, grads, buffers or params
    if not _launch(_sgd, lists, options, bool(buffers), known):
        sgd_step_reference(params, grads, buffers, options)


@twin_of(adam_step_reference)
def adam_step(
    params: Arrays, grads: Arrays, means: Arrays, squares: Arrays, largest: Arrays,
    options: np.ndarray, known: KnownAddresses | None = None,
) -> None:  # fmt: skip
    """See adam_step_reference."""
    lists = params, grads, means, squares, largest or squares
    if not _launch(_adam, lists, options, bool(largest), known):
        adam_step_reference(params, grads, means, squares, largest, options)


GRADS = 1  # which of the lists has new arrays in each step; to keep them would cost memory


def _launch(
    kernel: Callable, lists: tuple[Arrays, ...], options: np.ndarray, has_last: bool,
    known: KnownAddresses | None,
) -> bool:  # fmt: skip
    """Run the kernel, unless the arrays are of several types or not contiguous: then False."""
    dtype, table = lists[0][0].dtype, []
    known = KnownAddresses() if known is None else known
    for number, arrays in enumerate(lists):
        of_before, addresses = known.get(number, ((), None))
        # To find out addresses takes longer than to change a small tensor. All arrays but the
        # gradients are the same as in the step before.
        if len(of_before) != len(arrays) or not all(map(operator.is_, of_before, arrays)):
            addresses = _addresses(arrays, dtype)
            if addresses is None:
                return False
            if number != GRADS:
                known[number] = tuple(arrays), addresses
        table.append(addresses)
    sizes = np.array([p.size for p in lists[0]])
    total = int(sizes.sum())
    chunks = count_chunks(total, total)
    launch(kernel, chunks, np.array(table), sizes, options.astype(dtype), has_last)
    return True


def _addresses(arrays: Arrays, dtype: np.dtype) -> list[int] | None:
    """Where the arrays' numbers are in memory; None if they are not contiguous and of one dtype."""
    found = []
    for array in arrays:
        if array.dtype != dtype or not array.flags.carray:
            return None
        if array.size > 0:  # in a quarter of the time that array.ctypes.data takes
            found.append(ctypes.addressof(ctypes.c_char.from_buffer(array)))  # type: ignore[arg-type]
        else:
            found.append(0)
    return found


# Many tensors, one kernel: it is told their addresses. The loops over their numbers are simple
# enough for the compiler to turn them into vector instructions.


@jit_part
def _sgd_range(p, grad, b, o, has_buffers):
    sign, decay, lr, momentum, one_minus_dampening, nesterov = o[0], o[1], o[2], o[3], o[4], o[5]
    for i in range(p.size):
        g = sign * grad[i]
        if decay != 0:
            g += decay * p[i]
        if has_buffers:
            b[i] = momentum * b[i] + one_minus_dampening * g
            g = g + momentum * b[i] if nesterov != 0 else b[i]
        p[i] -= lr * g


@jit_part
def _adam_range(p, grad, m, v, largest, o, has_largest):
    sign, decay, shrink, one_minus_beta1, beta2, one_minus_beta2 = (
        o[0],
        o[1],
        o[2],
        o[3],
        o[4],
        o[5],
    )
    lr, scale, eps = o[6], o[7], o[8]
    for i in range(p.size):
        g = sign * grad[i]
        if decay != 0:
            g += decay * p[i]
        m[i] += one_minus_beta1 * (g - m[i])
        v[i] = beta2 * v[i] + one_minus_beta2 * (g * g)
        square = v[i]
        if has_largest:
            square = np.maximum(largest[i], square)
            largest[i] = square
        p[i] = shrink * p[i] - lr * (m[i] / (np.sqrt(square) * scale + eps))


@jit
def _sgd(chunk, addresses, sizes, options, has_buffers):
    first, last = begin(chunk, sizes.sum())
    for t in range(sizes.size):
        i, count = max(first, 0), min(last, sizes[t]) - max(first, 0)
        if count > 0:
            p = array_at(addresses[0, t], i, count, options)
            grad = array_at(addresses[1, t], i, count, options)
            b = array_at(addresses[2, t], i, count, options)
            _sgd_range(p, grad, b, options[t], has_buffers)
        first, last = first - sizes[t], last - sizes[t]


@jit
def _adam(chunk, addresses, sizes, options, has_largest):
    first, last = begin(chunk, sizes.sum())
    for t in range(sizes.size):
        i, count = max(first, 0), min(last, sizes[t]) - max(first, 0)
        if count > 0:
            p = array_at(addresses[0, t], i, count, options)
            grad = array_at(addresses[1, t], i, count, options)
            m = array_at(addresses[2, t], i, count, options)
            v = array_at(addresses[3, t], i, count, options)
            largest = array_at(addresses[4, t], i, count, options)
            _adam_range(p, grad, m, v, largest, options[t], has_largest)
        first, last = first - sizes[t], last - sizes[t]
