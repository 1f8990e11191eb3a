"""The products of a linear layer; test_kernels.py compares them with their twins as well."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.kernels import gemm, linear

BACKWARDS = [linear.linear_backward, linear.linear_backward_reference]
# Few rows and many, rows of whole vectors and not, several blocks of each kind.
SHAPES = [(1, 784, 100), (15, 1040, 37), (128, 300, 10), (300, 40, 530), (520, 100, 65)]
sizes = st.one_of(
    st.integers(0, 20),
    st.sampled_from([24, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 513, 530]),
)


def _arguments(shape, dtype, seed=0):
    """input, weight, bias and grad_output."""
    (M, K, N), rng = shape, np.random.default_rng(seed)
    return [rng.standard_normal(s).astype(dtype) for s in ((M, K), (N, K), (N,), (M, N))]


def _results(input, weight, bias, grad_output):
    backward = linear.linear_backward(grad_output, input, weight, True, True, True)
    return [linear.linear_forward(input, weight, bias), *backward]


def test_linear_of_hand_computed_matrices():
    input = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    weight = np.array([[1, 0, -1], [2, 2, 2]], np.float32)
    output = linear.linear_forward(input, weight, np.array([10, 20], np.float32))
    np.testing.assert_array_equal(output, [[8, 32], [8, 50]])
    np.testing.assert_array_equal(linear.linear_forward(input, weight, None), [[-2, 12], [-2, 30]])


@pytest.mark.parametrize("backward", BACKWARDS)
def test_linear_backward_of_hand_computed_matrices(backward):
    input = np.array([[1, 2, 3], [4, 5, 6]], np.float64)
    weight = np.array([[1, 0, -1], [2, 2, 2]], np.float64)
    grad_output = np.array([[1, 0], [10, 100]], np.float64)
    grads = backward(grad_output, input, weight, True, True, True)
    np.testing.assert_array_equal(grads[0], [[1, 0, -1], [210, 200, 190]])
    np.testing.assert_array_equal(grads[1], [[41, 52, 63], [400, 500, 600]])
    np.testing.assert_array_equal(grads[2], [11, 100])


@settings(max_examples=150, deadline=None)
@given(M=sizes, K=sizes, N=sizes, dtype=st.sampled_from([np.float32, np.float64]))
def test_linear_of_small_whole_numbers_is_exact(M, K, N, dtype):
    rng = np.random.default_rng(M * 10**6 + K * 1000 + N)
    shapes = (M, K), (N, K), (N,), (M, N)
    whole = input, weight, bias, grad_output = [rng.integers(-9, 10, shape) for shape in shapes]
    expected = [
        linear.linear_forward_reference(input, weight, bias),
        *linear.linear_backward_reference(grad_output, input, weight, True, True, True),
    ]
    for actual, exact in zip(_results(*[a.astype(dtype) for a in whole]), expected, strict=True):
        assert actual.dtype == dtype
        np.testing.assert_array_equal(actual, exact)


@pytest.mark.parametrize("backward", BACKWARDS)
def test_linear_backward_computes_what_is_needed_from_what_that_needs(backward):
    input, weight, _, grad_output = _arguments((5, 7, 3), np.float64)
    complete = backward(grad_output, input, weight, True, True, True)
    for needs in np.ndindex(2, 2, 2):
        arrays = input if needs[1] else None, weight if needs[0] else None
        grads = backward(grad_output, *arrays, *(bool(need) for need in needs))
        for grad, expected, need in zip(grads, complete, needs, strict=True):
            if need:
                np.testing.assert_array_equal(grad, expected)
            else:
                assert grad is None


@pytest.mark.parametrize("shape", SHAPES)
def test_linear_gives_equal_bits_for_any_division_of_the_work(shape, monkeypatch):
    arguments, digests = _arguments(shape, np.float32), set()
    for chunks in (1, 2, 3, 5, 100):
        monkeypatch.setattr(gemm, "count_chunks", lambda items, _, n=chunks: min(n, items))
        digests.add(b"".join([result.tobytes() for result in _results(*arguments)]))
    assert len(digests) == 1


@pytest.mark.parametrize("shape", [*SHAPES, (64, 3136, 50), (4000, 30, 40)])
def test_linear_float32_is_as_exact_as_blas(shape):
    arguments = input, weight, bias, grad_output = _arguments(shape, np.float32)
    blas = [
        input @ weight.T + bias,
        grad_output @ weight,
        grad_output.T @ input,
        np.ones(len(input), np.float32) @ grad_output,
    ]
    exact = _results(*[a.astype(np.float64) for a in arguments])
    for actual, other, expected in zip(_results(*arguments), blas, exact, strict=True):
        assert _rms(actual - expected) <= 3 * max(
            _rms(other - expected), np.finfo(np.float32).eps * _rms(expected)
        )


def _rms(x):
    return np.sqrt(np.mean(x**2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_reads_nothing_around_its_arguments(shape, dtype):
    arguments, guarded = _arguments(shape, dtype), []
    for array in arguments:
        room = np.full(array.size + 2000, np.nan, dtype)
        room[1000:-1000] = array.ravel()
        guarded.append(room[1000:-1000].reshape(array.shape))
    for actual, expected in zip(_results(*guarded), _results(*arguments), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_writes_nothing_around_its_results(shape, dtype, monkeypatch):
    rooms = []

    def guarded_empty(shape, dtype):
        room = np.full(int(np.prod(shape)) + 2000, 77, dtype)
        rooms.append(room)
        return room[1000:-1000].reshape(shape)

    monkeypatch.setattr(gemm.memory, "empty", guarded_empty)
    _results(*_arguments(shape, dtype))
    assert len(rooms) == 3
    for room in rooms:
        assert (room[:1000] == 77).all() and (room[-1000:] == 77).all()


def test_linear_takes_arrays_of_any_layout():
    arguments = _arguments((40, 30, 20), np.float64)
    arguments[3] = np.broadcast_to(arguments[3][:1], (40, 20))  # the gradient of a sum
    others = [np.asfortranarray(a) if a.ndim > 1 else np.repeat(a, 2)[::2] for a in arguments]
    assert not others[0].flags.c_contiguous and not others[2].flags.c_contiguous
    for actual, expected in zip(_results(*others), _results(*arguments), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_linear_function_runs_on_this_kernel(monkeypatch):
    calls = []

    def spy(*arguments):
        calls.append(arguments[-1])
        return linear.linear_forward_reference(*arguments)

    monkeypatch.setattr(tv.kernels, "linear_forward", spy)
    assert F.linear(tv.ones(2, 1, 3), tv.ones(4, 3)).shape == (2, 1, 4)
    assert calls == [None]


def test_linear_reference_can_be_chosen():
    script = (
        "import tinyvision as tv\n"
        "from tinyvision import kernels\n"
        "from tinyvision.kernels import linear\n"
        "assert kernels.linear_forward is linear.linear_forward_reference\n"
        "assert kernels.linear_backward is linear.linear_backward_reference\n"
        "x, w = tv.ones(2, 3, requires_grad=True), tv.ones(4, 3, requires_grad=True)\n"
        "tv.nn.functional.linear(x, w).sum().backward()\n"
        "print(x.grad.sum().item(), w.grad.sum().item())\n"
    )
    environment = {**os.environ, "TINYVISION_KERNELS": "reference"}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=100
    )
    assert process.stdout.split() == ["24.0", "24.0"], process.stderr
