"""Optimizers: each formula by hand, parameter groups, state, bad input."""

import math

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn, optim
from tinyvision.optim.optimizer import BLOCK_SIZE


def parameter(*values):
    return nn.Parameter(tv.tensor(values, dtype=tv.float64))


def steps(optimizer, param, *grads):
    """Take a step with each of the gradients; the values of `param` after each."""
    path = []
    for grad in grads:
        param.grad = tv.full(param.shape, grad, dtype=param.dtype)
        optimizer.step()
        path.append(param.detach().flatten()[0].item())
    return path


# ------------------------------------------------------------------ SGD by hand


def test_sgd_plain():
    p = parameter(1.0)
    assert steps(optim.SGD([p], lr=0.1), p, 2.0, -1.0) == pytest.approx([0.8, 0.9])


def test_sgd_weight_decay_and_maximize():
    p = parameter(1.0)
    assert steps(optim.SGD([p], 0.1, weight_decay=0.5), p, 2.0) == pytest.approx([1 - 0.1 * 2.5])
    p = parameter(1.0)
    sgd = optim.SGD([p], 0.1, weight_decay=0.5, maximize=True)
    assert steps(sgd, p, 2.0) == pytest.approx([1 - 0.1 * (-2 + 0.5)])


def test_sgd_momentum_and_dampening():
    p = parameter(0.0)
    # b = 1, then 0.9 * 1 + 0.5 * 2 = 1.9: dampening does not touch the first gradient
    path = steps(optim.SGD([p], 0.1, momentum=0.9, dampening=0.5), p, 1.0, 2.0)
    assert path == pytest.approx([-0.1, -0.29])


def test_sgd_nesterov():
    p = parameter(0.0)
    # b = 1: p -= 0.1 (1 + 0.9); b = 0.9 + 2 = 2.9: p -= 0.1 (2 + 2.61)
    path = steps(optim.SGD([p], 0.1, momentum=0.9, nesterov=True), p, 1.0, 2.0)
    assert path == pytest.approx([-0.19, -0.651])


# ------------------------------------------------------------------ Adam by hand


def test_adam_first_step_is_lr_in_the_direction_of_the_sign():
    p = parameter(1.0)
    assert steps(optim.Adam([p], 0.1, eps=0.0), p, -3.0) == pytest.approx([1.1])


def test_adam_two_steps():
    p = parameter(0.0)
    path = steps(optim.Adam([p], 0.1, betas=(0.5, 0.75), eps=1.0), p, 2.0, 4.0)
    # m = 1, v = 1; corrected 2 and 4.  m = 2.5, v = 4.75; corrected by 0.75 and 0.4375.
    first = -0.1 * 2 / (2 + 1)
    assert path == pytest.approx(
        [first, first - 0.1 * (2.5 / 0.75) / (math.sqrt(4.75 / 0.4375) + 1)]
    )


def test_adam_weight_decay_goes_through_the_gradient_and_adamw_past_it():
    p = parameter(2.0)
    # gradient 0: Adam sees g = 0.5 * 2 = 1, a full step; AdamW only shrinks p
    assert steps(optim.Adam([p], 0.1, eps=0.0, weight_decay=0.5), p, 0.0) == pytest.approx([1.9])
    p = parameter(2.0)
    assert steps(optim.AdamW([p], 0.1, weight_decay=0.5), p, 0.0) == pytest.approx([2 * 0.95])


def test_adam_amsgrad_keeps_the_largest_square():
    p = parameter(0.0)
    adam = optim.Adam([p], 0.1, betas=(0.5, 0.5), amsgrad=True)
    steps(adam, p, 4.0, 0.0)
    state = adam.state[p]
    assert state["exp_avg_sq"].item() == 4.0 and state["max_exp_avg_sq"].item() == 8.0


def test_adam_maximize_climbs():
    p, q = parameter(0.0), parameter(0.0)
    up = steps(optim.AdamW([p], maximize=True), p, 1.0, -2.0, 3.0)
    down = steps(optim.AdamW([q]), q, 1.0, -2.0, 3.0)
    assert up == pytest.approx([-x for x in down])


# ------------------------------------------------------------------ all of them

MAKERS = [
    lambda ps, **o: optim.SGD(ps, 0.1, **o),
    lambda ps, **o: optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.01, **o),
    lambda ps, **o: optim.SGD(ps, 0.1, momentum=0.9, nesterov=True, **o),
    lambda ps, **o: optim.Adam(ps, 0.01, weight_decay=0.01, **o),
    lambda ps, **o: optim.AdamW(ps, 0.01, amsgrad=True, **o),
]


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_find_a_minimum(make):
    target = tv.tensor([1.0, -2.0])
    p = nn.Parameter(tv.zeros(2))
    optimizer = make([p])
    for _ in range(600):
        optimizer.zero_grad()
        ((p - target) ** 2).sum().backward()
        optimizer.step()
    assert p.tolist() == pytest.approx([1, -2], abs=0.03)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("size", [BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 2 * BLOCK_SIZE + 3])
def test_optimizers_treat_every_element_alike_across_blocks(make, size):
    large, small = nn.Parameter(tv.ones(size)), nn.Parameter(tv.ones(1))
    optimizer = make([large, small])
    for value in (0.5, -1.0, 2.0):
        large.grad, small.grad = tv.full((size,), value), tv.full((1,), value)
        optimizer.step()
    assert np.unique(large.detach().numpy()).tolist() == small.tolist()


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_update_strided_and_scalar_parameters(make):
    base = tv.arange(6, dtype=tv.float64).reshape(2, 3)
    strided, plain = nn.Parameter(base.t()), nn.Parameter(base.t().contiguous())
    scalar = nn.Parameter(tv.tensor(1.0))
    optimizer = make([strided, plain, scalar])
    for _ in range(3):
        ((strided**2).sum() + (plain**2).sum() + scalar**2).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert strided.tolist() == plain.tolist() == base.t().tolist()
    assert scalar.item() < 1 and strided[1, 1].item() < 4


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_leave_alone_what_has_no_gradient(make):
    p, q = parameter(1.0), parameter(1.0)
    optimizer = make([p, q])
    steps(optimizer, p, 1.0)
    assert q.item() == 1.0 and q not in optimizer.state


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_keep_float32(make):
    p = nn.Parameter(tv.ones(3))
    optimizer = make([p])
    optimizer.param_groups[0]["lr"] = np.float64(0.1)  # as a scheduler written with NumPy sets it
    steps(optimizer, p, 1.0, 2.0)
    assert p.dtype == tv.float32
    assert all(value.dtype == tv.float32 for value in optimizer.state[p].values())


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_are_noticed_by_graphs_that_need_the_old_values(make):
    p = parameter(1.0)
    optimizer = make([p])
    loss = (p * p).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("make", MAKERS)
def test_optimizers_overflow_silently(make):
    p = nn.Parameter(tv.tensor([3e38, 1.0]))
    optimizer = make([p])
    for _ in range(2):
        p.grad = tv.tensor([-3e38, math.nan])
        optimizer.step()
    assert math.isnan(p[1].item())


def test_step_returns_the_loss_of_a_closure_run_with_gradients():
    p = parameter(3.0)
    sgd = optim.SGD([p], 0.1)

    def closure():
        sgd.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tv.no_grad():
        assert sgd.step(closure).item() == 9.0
    assert p.item() == pytest.approx(3 - 0.1 * 6)
    assert sgd.step() is None


def test_zero_grad_forgets_or_zeroes():
    p = parameter(1.0)
    p.grad = tv.ones(1, dtype=tv.float64)
    sgd = optim.SGD([p], 0.1)
    sgd.zero_grad(set_to_none=False)
    assert p.grad.tolist() == [0.0]
    sgd.zero_grad()
    assert p.grad is None
    sgd.zero_grad(set_to_none=False)


# ------------------------------------------------------------------ parameter groups


def test_param_groups_have_their_own_options():
    p, q, r = parameter(1.0), parameter(1.0), parameter(1.0)
    groups = [{"params": [p]}, {"params": q, "lr": 1.0, "momentum": 0.0}]
    sgd = optim.SGD(groups, lr=0.1, momentum=0.5)
    sgd.add_param_group({"params": iter([r]), "weight_decay": 1.0})
    assert [g["lr"] for g in sgd.param_groups] == [0.1, 1.0, 0.1]
    for param in (p, q, r):
        param.grad = tv.ones(1, dtype=tv.float64)
    sgd.step()
    assert [t.item() for t in (p, q, r)] == pytest.approx([0.9, 0.0, 0.8])
    assert q not in sgd.state


def test_optimizer_does_not_change_the_groups_it_is_given():
    group = {"params": [parameter(1.0)]}
    optim.SGD([group], 0.1)
    assert list(group) == ["params"]


def test_optimizer_repr_is_pytorchs():
    assert repr(optim.SGD([parameter(1.0)], 0.1)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n"
        "    fused: None\n    lr: 0.1\n    maximize: False\n    momentum: 0\n    nesterov: False\n"
        "    weight_decay: 0\n)"
    )


BAD_PARAMETERS = [
    ([], ValueError, "optimizer got an empty parameter list"),
    (tv.zeros(2), TypeError, "should be an iterable of Tensors or dicts, but got Tensor"),
    ([1], TypeError, "can only optimize Tensors, but one of the params is int"),
    ([tv.zeros(2, requires_grad=True) * 2], ValueError, "can't optimize a non-leaf Tensor"),
    ([{"params": tv.zeros(2)}, 3], TypeError, "param_group must be a dict, but got <class 'int'>"),
    ([{"params": {tv.zeros(2)}}], TypeError, "ordered collections"),
    ([{"lr": 1}], KeyError, "params"),
    ([("name", tv.zeros(2)), tv.zeros(2)], ValueError, "Some param names are missing"),
    ([{"params": [("a", tv.zeros(2))]}, {"params": [tv.zeros(2)]}], ValueError, "with/without nam"),
    ([("name", 1)], TypeError, "can only optimize Tensors, but one of the params is int"),
]


@pytest.mark.parametrize(("params", "error", "message"), BAD_PARAMETERS)
def test_optimizer_rejects_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        optim.SGD(params, 0.1)


def test_optimizer_rejects_parameters_given_twice():
    p = parameter(1.0)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        optim.SGD([{"params": [p]}, {"params": [p]}], 0.1)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p], 0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: optim.SGD(p, -0.1), "Invalid learning rate: -0.1"),
        (lambda p: optim.SGD(p, math.nan), "Invalid learning rate: nan"),
        (lambda p: optim.SGD(p, 0.1, momentum=-1), "Invalid momentum value: -1"),
        (lambda p: optim.SGD(p, 0.1, weight_decay=-1), "Invalid weight_decay value: -1"),
        (
            lambda p: optim.SGD(p, 0.1, nesterov=True),
            "Nesterov momentum requires a momentum and zero dampening",
        ),
        (
            lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.1, nesterov=True),
            "Nesterov momentum requires a momentum and zero dampening",
        ),
        (lambda p: optim.Adam(p, -1.0), "Invalid learning rate: -1.0"),
        (lambda p: optim.Adam(p, eps=-1.0), "Invalid epsilon value: -1.0"),
        (lambda p: optim.Adam(p, betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
        (lambda p: optim.Adam(p, betas=(0.9, -0.1)), "Invalid beta parameter at index 1: -0.1"),
        (lambda p: optim.Adam(p, betas=(0, 0.9)), "betas must be both floats"),
        (lambda p: optim.AdamW(p, weight_decay=-1), "Invalid weight_decay value: -1"),
    ],
)
def test_optimizer_rejects_bad_options(make, message):
    with pytest.raises(ValueError, match=message):
        make([parameter(1.0)])


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
@pytest.mark.parametrize("option", ["differentiable"])
def test_optimizer_refuses_what_it_does_not_support(kind, option):
    with pytest.raises(NotImplementedError, match=f"{kind.__name__}: {option}=True"):
        kind([parameter(1.0)], 0.1, **{option: True})
    with pytest.raises(NotImplementedError, match=f"{option}=True"):
        kind([{"params": [parameter(1.0)], option: True}], 0.1)


def test_optimizer_refuses_capturable_and_tensor_options():
    with pytest.raises(NotImplementedError, match="Adam: capturable=True"):
        optim.Adam([parameter(1.0)], capturable=True)
    with pytest.raises(NotImplementedError, match="a Tensor as learning rate"):
        optim.SGD([parameter(1.0)], tv.tensor(0.1))


def test_optimizer_rejects_a_gradient_of_another_shape():
    p = parameter(1.0)
    p.grad = tv.ones(1, dtype=tv.float64)
    p.data = tv.ones(2, dtype=tv.float64)  # leaves the gradient of the earlier values behind
    with pytest.raises(
        RuntimeError, match=r"gradient has shape .*\[1\].*but the parameter .*\[2\]"
    ):
        optim.SGD([p], 0.1).step()


def test_optimizer_base_needs_a_formula():
    p = parameter(1.0)
    p.grad = tv.ones(1, dtype=tv.float64)
    with pytest.raises(NotImplementedError):
        optim.Optimizer([p], {"lr": 1}).step()
