"""Hooks of modules: before and after forward, around backward."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn

# ------------------------------------------------------------------ forward hooks


def test_forward_hooks_see_and_replace_inputs_and_output():
    layer = nn.Identity()
    seen = []

    def before(module, args):
        seen.append(("before", module is layer, args))
        return args[0] + 1

    def after(module, args, output):
        seen.append(("after", module is layer, args, output))
        return output * 10

    handles = [layer.register_forward_pre_hook(before), layer.register_forward_hook(after)]
    assert layer(1) == 20
    assert seen == [("before", True, (1,)), ("after", True, (2,), 2)]
    for handle in handles:
        handle.remove()
    assert layer(1) == 1


def test_forward_hooks_run_in_order_and_prepend():
    layer = nn.Identity()
    order = []
    layer.register_forward_hook(lambda *_: order.append("a"))
    layer.register_forward_hook(lambda *_: order.append("b"))
    layer.register_forward_hook(lambda *_: order.append("c"), prepend=True)
    layer(0)
    assert order == ["c", "a", "b"]


def test_forward_hooks_with_kwargs():
    class Scale(nn.Module):
        def forward(self, x, factor):
            return x * factor

    layer = Scale()
    layer.register_forward_pre_hook(lambda m, a, k: (a, {"factor": 5}), with_kwargs=True)
    layer.register_forward_hook(lambda m, a, k, out: (out, k), with_kwargs=True)
    assert layer(2, factor=3) == (10, {"factor": 5})
    layer.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match="None or a tuple of .new_args, new_kwargs."):
        layer(2, factor=3)


def test_forward_hook_always_call_is_refused():
    with pytest.raises(NotImplementedError, match="always_call"):
        nn.ReLU().register_forward_hook(lambda *_: None, always_call=True)


# ------------------------------------------------------------------ backward hooks


def test_full_backward_hook_sees_input_and_output_gradients():
    layer = nn.Linear(2, 1, bias=False)
    with tv.no_grad():
        layer.weight.copy_(tv.tensor([[2.0, 3.0]]))
    seen = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((m, gi, go)))
    x = tv.ones(1, 2, requires_grad=True)
    (layer(x) * 5).sum().backward()
    module, grad_input, grad_output = seen[0]
    assert module is layer and len(seen) == 1
    assert grad_output[0].tolist() == [[5.0]] and grad_input[0].tolist() == [[10.0, 15.0]]
    assert x.grad.tolist() == [[10.0, 15.0]] and layer.weight.grad.tolist() == [[5.0, 5.0]]


def test_full_backward_hook_replaces_the_input_gradient():
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 7,))
    x = tv.ones(2, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]


def test_full_backward_hook_runs_where_no_input_needs_gradients():
    layer = nn.Linear(2, 1)
    seen = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].shape)))
    layer(tv.ones(3, 2)).sum().backward()
    assert seen == [((None,), (3, 1))]


def test_full_backward_hook_with_several_inputs_and_outputs():
    class Swap(nn.Module):
        def forward(self, a, number, b):
            return b * 2, a * number

    layer = Swap()
    seen = []
    layer.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go)))
    a, b = tv.ones(2, requires_grad=True), tv.ones(3, requires_grad=True)
    first, second = layer(a, 3.0, b)
    (first.sum() + 10 * second.sum()).backward()
    grad_input, grad_output = seen[0]
    assert [g.tolist() for g in grad_output] == [[1.0] * 3, [10.0] * 2]
    assert grad_input[1] is None
    assert [grad_input[0].tolist(), grad_input[2].tolist()] == [[30.0] * 2, [2.0] * 3]
    assert a.grad.tolist() == [30.0] * 2 and b.grad.tolist() == [2.0] * 3


def test_full_backward_pre_hook_replaces_the_output_gradient():
    layer = nn.Identity()
    order = []
    layer.register_full_backward_hook(lambda m, gi, go: order.append(go[0].tolist()))
    layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,))
    x = tv.ones(2, requires_grad=True)
    layer(x).sum().backward()
    assert order == [[3.0, 3.0]] and x.grad.tolist() == [3.0, 3.0]


def test_full_backward_hook_is_quiet_under_no_grad():
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda *_: pytest.fail("there is no backward"))
    with tv.no_grad():
        assert not layer(tv.ones(1, 2)).requires_grad


def test_full_backward_hook_rejects_wrong_gradients_and_odd_outputs():
    layer = nn.Identity()
    handle = layer.register_full_backward_hook(lambda m, gi, go: (gi[0].sum(),))
    x = tv.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="expected grad_input with shapes"):
        layer(x).sum().backward()
    handle.remove()

    class Named(nn.Module):
        def forward(self, x):
            return {"out": x}

    named = Named()
    named.register_full_backward_hook(lambda *_: None)
    with pytest.raises(NotImplementedError, match="Named: full backward hooks.*dict"):
        named(x)


def test_full_backward_hook_keeps_inputs_and_output_apart():
    layer = nn.Identity()
    layer.register_full_backward_hook(lambda *_: None)
    x = tv.ones(2, requires_grad=True) * 3
    y = layer(x)
    y += 1
    assert x.tolist() == [3.0, 3.0] and y.tolist() == [4.0, 4.0]


def test_full_backward_hook_allows_inplace_use_of_the_output():
    layer = nn.Linear(2, 2)
    layer.register_full_backward_hook(lambda *_: None)
    out = layer(tv.ones(1, 2))
    out += 1
    out.sum().backward()
    assert layer.bias.grad.tolist() == [1.0, 1.0]


# ------------------------------------------------------------------ against PyTorch


@pytest.mark.parity
def test_full_backward_hooks_match_pytorch():
    torch = pytest.importorskip("torch")
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    weight = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    seen = {}
    for library in (tv, torch):
        layer = library.nn.Linear(2, 2, bias=False)
        with library.no_grad():
            layer.weight.copy_(library.tensor(weight))
        x = library.tensor(values, requires_grad=True)
        layer.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
        layer.register_full_backward_hook(lambda m, gi, go: (gi[0] + go[0].sum(),))
        (layer(x) ** 2).sum().backward()
        seen[library] = (x.grad.tolist(), layer.weight.grad.tolist())
    assert seen[tv] == seen[torch]
