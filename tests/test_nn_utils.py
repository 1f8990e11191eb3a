"""nn.utils: gradient clipping, parameters as one vector."""

import math

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn
from tinyvision.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
)


def with_grads(*grads):
    parameters = []
    for grad in grads:
        parameters.append(nn.Parameter(tv.zeros(len(grad))))
        parameters[-1].grad = tv.tensor(grad)
    return parameters


def test_clip_grad_norm_scales_all_gradients_together():
    a, b = with_grads([3.0], [0.0, 4.0])
    assert clip_grad_norm_([a, b], 1.0).item() == 5.0
    assert a.grad.tolist() == pytest.approx([0.6], rel=1e-6)
    assert b.grad.tolist() == pytest.approx([0.0, 0.8], rel=1e-6)


def test_clip_grad_norm_leaves_small_gradients_alone():
    (a,) = with_grads([3.0, 4.0])
    norm = clip_grad_norm_(a, 10.0)
    assert norm.item() == 5.0 and norm.dtype == tv.float32 and a.grad.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("norm_type", "expected"), [(1.0, 7.0), (math.inf, 4.0), (3, 91 ** (1 / 3))]
)
def test_clip_grad_norm_with_other_norms(norm_type, expected):
    a, b = with_grads([3.0], [0.0, -4.0])
    assert clip_grad_norm_([a, b], 1e9, norm_type).item() == pytest.approx(expected, rel=1e-6)


def test_clip_grad_norm_nonfinite():
    (a,) = with_grads([math.inf, 1.0])
    with pytest.raises(RuntimeError, match="total norm of order 2.0.*is non-finite"):
        clip_grad_norm_([a], 1.0, error_if_nonfinite=True)
    assert a.grad.tolist() == [math.inf, 1.0]
    assert clip_grad_norm_([a], 1.0).item() == math.inf
    assert math.isnan(a.grad[0].item()) and a.grad[1].item() == 0


def test_clip_grad_norm_without_gradients():
    assert clip_grad_norm_([nn.Parameter(tv.zeros(2))], 1.0).item() == 0
    with pytest.raises(NotImplementedError, match="foreach"):
        clip_grad_norm_([], 1.0, foreach=True)


def test_clip_grad_value_clips_each_element():
    a, b = with_grads([3.0], [-0.5, -4.0])
    clip_grad_value_(iter([a, b]), 1)
    assert a.grad.tolist() == [1.0] and b.grad.tolist() == [-0.5, -1.0]


def test_parameters_to_vector_and_back():
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1, bias=False))
    vector = parameters_to_vector(net.parameters())
    assert vector.shape == (12,)
    assert vector.tolist()[:6] == net[0].weight.flatten().tolist()
    (vector * vector).sum().backward()
    assert np.allclose(net[0].bias.grad.tolist(), 2 * np.array(net[0].bias.tolist()))
    vector_to_parameters(tv.arange(12).float(), net.parameters())
    assert net[1].weight.tolist() == [[9.0, 10.0, 11.0]] and net[1].weight.requires_grad
    vector_to_parameters(tv.ones(20), net.parameters())  # what is left over is not used
    assert net[1].weight.tolist() == [[1.0, 1.0, 1.0]]
    with pytest.raises(RuntimeError, match=r"expected a vector of 12 elements, got .*\[11\]"):
        vector_to_parameters(tv.zeros(11), net.parameters())
    with pytest.raises(TypeError, match="expected a Tensor, but got: list"):
        vector_to_parameters([1.0], net.parameters())


@pytest.mark.parity
@pytest.mark.parametrize("norm_type", [1, 2, 3.5, math.inf])
def test_clip_grad_norm_matches_pytorch(norm_type):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    values = [rng.normal(size=s) for s in (3, 5, 1)]
    results = {}
    for library in (tv, torch):
        parameters = [library.nn.Parameter(library.zeros(len(v)).double()) for v in values]
        for parameter, value in zip(parameters, values, strict=True):
            parameter.grad = library.tensor(value)
        norm = library.nn.utils.clip_grad_norm_(parameters, 0.7, norm_type)
        results[library] = [norm.item()] + sum([p.grad.tolist() for p in parameters], [])
    assert results[tv] == pytest.approx(results[torch], rel=1e-12)
