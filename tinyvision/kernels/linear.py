"""The linear map of a fully connected layer: three products of matrices.

    output[m, n] = bias[n] + sum over k of input[m, k] * weight[n, k]

Shapes: input (M, K), weight (N, K), bias (N,), output (M, N).

Gradients:
    d_input[m, k] = sum over n of d_output[m, n] * weight[n, k]
    d_weight[n, k] = sum over m of d_output[m, n] * input[m, k]
    d_bias[n] = sum over m of d_output[m, n]
"""

import numpy as np

from tinyvision.kernels.gemm import product
from tinyvision.kernels.jit import flat, strided, twin_of

Gradients = tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None]


def linear_forward_reference(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None
) -> np.ndarray:
    """input weight^T + bias"""
    output = input @ weight.T  # (M, K) @ (K, N)
    return output if bias is None else output + bias


def linear_backward_reference(
    grad_output: np.ndarray, input: np.ndarray | None, weight: np.ndarray | None, needs_input: bool,
    needs_weight: bool, needs_bias: bool,
) -> Gradients:  # fmt: skip
    """The gradients that are needed, None for the others.

    Without needs_weight input may be None, and without needs_input weight.
    """
    return (
        grad_output @ weight if needs_input else None,  # (M, N) @ (N, K)
        grad_output.T @ input if needs_weight else None,  # (N, M) @ (M, K)
        grad_output.sum(axis=0) if needs_bias else None,
    )


# Three products, by the kernel in gemm.py, which adds the bias to its blocks of the output while
# they are in a cache. The bias' gradient is the sum of each row of grad_output^T; these are summed
# as they are read for the weight's gradient.


@twin_of(linear_forward_reference)
def linear_forward(input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """input weight^T + bias"""
    (rows, row_strides), (columns, column_strides) = strided(input), strided(weight)
    sizes = (*input.shape, len(weight))
    bias = None if bias is None else flat(bias)
    return product(rows, row_strides, columns, column_strides[::-1], sizes, bias)


@twin_of(linear_backward_reference)
def linear_backward(
    grad_output: np.ndarray, input: np.ndarray | None, weight: np.ndarray | None, needs_input: bool,
    needs_weight: bool, needs_bias: bool,
) -> Gradients:  # fmt: skip
    """The gradients that are needed, None for the others.

    Without needs_weight input may be None, and without needs_input weight.
    """
    (M, N), grad = grad_output.shape, flat(grad_output)
    grad_input = grad_weight = grad_bias = None
    if needs_input:
        assert weight is not None
        grad_input = product(grad, (N, 1), *strided(weight), (M, N, weight.shape[1]))
    if needs_bias:
        grad_bias = np.zeros(N, grad.dtype)
    if needs_weight:
        assert input is not None
        sizes = (N, M, input.shape[1])
        grad_weight = product(grad, (1, N), *strided(input), sizes, row_sums=grad_bias)
    if needs_bias and (grad_weight is None or grad_weight.size == 0):
        one = np.ones(1, grad.dtype)
        grad_bias = product(one, (0, 0), grad, (N, 1), (1, M, N)).reshape(N)
    return grad_input, grad_weight, grad_bias
