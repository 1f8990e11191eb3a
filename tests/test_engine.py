"""The backward pass: order, accumulation, release, memory."""

import gc
import threading
import weakref

import numpy as np
import pytest

import tinyvision as tv


def leaf(*values, dtype=tv.float64):
    return tv.tensor(list(values), dtype=dtype, requires_grad=True)


def test_engine_product_rule_by_hand():
    x, y = leaf(2.0), leaf(3.0)
    (x * y + x).backward()
    assert x.grad.item() == 4.0
    assert y.grad.item() == 2.0


def test_engine_diamond_visits_each_node_once_with_the_whole_gradient():
    x = leaf(3.0)
    calls = []
    middle = x * x
    middle.register_hook(lambda g: calls.append(g.item()))
    (middle * 2 + middle * 5).backward()
    assert calls == [7.0]
    assert x.grad.item() == 7 * 2 * 3.0


def test_engine_fan_out_adds_every_use():
    x = leaf(1.0)
    total = x * 0
    for k in range(100):
        total = total + x * k
    total.backward()
    assert x.grad.item() == sum(range(100))


def test_engine_nested_diamonds_stay_linear_in_time():
    x = leaf(1.0)
    y = x
    for _ in range(60):  # 2**60 paths: only one visit per node can finish
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_engine_chain_of_5000_operations_needs_no_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y + 1
    y.backward()
    assert x.grad.item() == 1.0
    del y  # freeing the chain must not recurse either


def test_engine_leaf_accumulates_over_passes():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    (x * 4).sum().backward()
    assert x.grad.tolist() == [7.0, 7.0]


def test_engine_accumulation_keeps_the_grad_object():
    x = leaf(1.0)
    (x * 3).backward()
    grad = x.grad
    (x * 4).backward()
    assert x.grad is grad
    assert grad.item() == 7.0


def test_engine_grads_of_two_leaves_do_not_share_memory():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).sum().backward()
    x.grad.zero_()
    assert y.grad.tolist() == [1.0, 1.0]


def test_engine_given_gradient_is_not_kept():
    x = leaf(1.0, 2.0)
    seed = tv.tensor([1.0, 1.0], dtype=tv.float64)
    x.clone().backward(seed)
    seed.zero_()
    assert x.grad.tolist() == [1.0, 1.0]


def test_engine_second_pass_raises_unless_retained():
    x = leaf(2.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8.0
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.backward()


def test_engine_second_pass_of_an_operation_that_saves_nothing_works_as_in_pytorch():
    x = leaf(2.0)
    y = x + 1
    y.backward()
    y.backward()
    assert x.grad.item() == 2.0


def test_engine_buffers_are_released_while_the_pass_goes_on():
    x = leaf(2.0)
    first = x.exp()
    saved = weakref.ref(first._data)
    node = first.grad_fn
    last = first.exp()
    del first
    assert saved() is not None
    last.backward()
    del last
    with pytest.raises(RuntimeError, match="a second time"):
        _ = node.saved
    assert saved() is None


def test_engine_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        hidden = (x * 2).tanh()
        hidden.retain_grad()
        loss = (hidden * hidden).sum()
        references = [weakref.ref(hidden), weakref.ref(loss.grad_fn), weakref.ref(hidden._data)]
        loss.backward()
        del hidden, loss
        assert [r() for r in references] == [None] * 3
    finally:
        gc.enable()


def test_engine_unused_graph_is_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0)
        y = (x * 2).exp()
        reference = weakref.ref(y.grad_fn)
        del y
        assert reference() is None
    finally:
        gc.enable()


def test_engine_unused_output_counts_as_zero():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    left, _ = x.split(2)
    left.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0, 0.0, 0.0]


def test_engine_integer_output_has_no_history():
    x = leaf(1.0, 3.0, 2.0)
    values, indices = x.max(dim=0)
    assert values.requires_grad
    assert not indices.requires_grad
    assert indices.grad_fn is None


# ------------------------------------------------------------------ grad modes


def test_no_grad_records_nothing_and_restores_the_mode_after_an_error():
    x = leaf(1.0)
    with pytest.raises(KeyError), tv.no_grad():
        assert not (x * 2).requires_grad
        raise KeyError
    assert (x * 2).requires_grad


def test_enable_grad_inside_no_grad_records():
    x = leaf(1.0)
    with tv.no_grad(), tv.enable_grad():
        assert (x * 2).requires_grad


@pytest.mark.parametrize("decorator", [tv.no_grad, tv.no_grad()])
def test_no_grad_decorates_functions_even_recursive_ones(decorator):
    @decorator
    def depth(n):
        assert not tv.is_grad_enabled()
        return n if n == 0 else depth(n - 1)

    assert depth(3) == 0
    assert tv.is_grad_enabled()


@pytest.mark.parametrize(
    ("decorator", "mode"),
    [
        (tv.no_grad, False),
        (tv.no_grad(), False),
        (tv.enable_grad(), True),
        (tv.inference_mode(), False),
        (tv.set_grad_enabled(True), True),
    ],
)
def test_grad_modes_of_a_generator_hold_while_its_body_runs(decorator, mode):
    seen = []

    @decorator
    def generator(n):
        try:
            for _ in range(n):
                sent = yield tv.is_grad_enabled()
                seen.append((sent, tv.is_grad_enabled()))
        except KeyError:
            yield tv.is_grad_enabled()
        finally:
            seen.append(("closed", tv.is_grad_enabled()))
        return "returned"

    with tv.set_grad_enabled(not mode):
        items = generator(2)
        assert (next(items), tv.is_grad_enabled()) == (mode, not mode)
        assert (items.send(7), tv.is_grad_enabled()) == (mode, not mode)
        with pytest.raises(StopIteration, match="returned"):
            next(items)
        assert seen == [(7, mode), (None, mode), ("closed", mode)]
        for end in (lambda items: items.throw(KeyError()), lambda items: items.close()):
            seen.clear()
            items = generator(2)
            next(items)
            assert end(items) in (mode, None)
            assert tv.is_grad_enabled() is not mode
            del items
            assert seen == [("closed", mode)]
        assert list(generator(3)) == [mode] * 3
        assert tv.is_grad_enabled() is not mode


def test_grad_modes_decorate_a_generator_twice_the_inner_one_wins():
    @tv.no_grad()
    @tv.enable_grad()
    def generator():
        yield tv.is_grad_enabled()

    assert list(generator()) == [True]


def test_grad_modes_of_a_function_called_in_two_threads_stay_apart():
    started, leave, after = threading.Event(), threading.Event(), []

    @tv.no_grad()
    def run(body):
        body()

    def wait():
        started.set()
        assert leave.wait(10)

    def in_a_thread():
        tv.set_grad_enabled(False)
        run(wait)
        after.append(tv.is_grad_enabled())

    thread = threading.Thread(target=in_a_thread)

    def let_the_first_leave():
        leave.set()
        thread.join()

    thread.start()
    assert started.wait(10)
    run(let_the_first_leave)  # enters second, leaves second
    assert after == [False] and tv.is_grad_enabled()


def test_inference_mode_false_records_whatever_is_around_it():
    x = leaf(1.0)
    with tv.no_grad(), tv.inference_mode(False):
        assert (x * 2).requires_grad
    with tv.inference_mode():
        with tv.inference_mode(False):
            assert (x * 2).requires_grad and not tv.is_inference_mode_enabled()
        assert tv.is_inference_mode_enabled() and not tv.is_grad_enabled()
    assert tv.is_grad_enabled()
    with pytest.raises(TypeError, match="mode must be a bool, got str"):
        tv.inference_mode("yes")


def test_inference_mode_decorates_without_parentheses():
    @tv.inference_mode
    def mode():
        return tv.is_inference_mode_enabled()

    assert mode() and not tv.is_inference_mode_enabled()


def test_set_grad_enabled_decorates_and_can_be_entered_again():
    @tv.set_grad_enabled(False)
    def mode():
        return tv.is_grad_enabled()

    assert tv.is_grad_enabled() and not mode() and not mode() and tv.is_grad_enabled()
    off = tv.set_grad_enabled(False)
    tv.set_grad_enabled(True)
    for _ in range(2):
        with off:
            assert not tv.is_grad_enabled()
        assert tv.is_grad_enabled()


def test_set_grad_enabled_works_as_function_and_as_context():
    tv.set_grad_enabled(False)
    assert not tv.is_grad_enabled()
    with tv.set_grad_enabled(True):
        assert tv.is_grad_enabled()
    assert not tv.is_grad_enabled()
    tv.set_grad_enabled(True)
    assert tv.is_grad_enabled()


def test_grad_mode_belongs_to_the_thread():
    seen = []
    with tv.no_grad():
        thread = threading.Thread(target=lambda: seen.append(tv.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_inference_tensor_cannot_be_saved_for_backward():
    x = leaf(1.0)
    with tv.inference_mode():
        frozen = x * 2
    assert frozen.is_inference()
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        x * frozen
    assert (x * frozen.clone()).requires_grad


def test_inference_tensor_cannot_require_grad_outside():
    with tv.inference_mode():
        frozen = tv.ones(2)
    with pytest.raises(RuntimeError, match="inference tensor"):
        frozen.requires_grad_()


# ------------------------------------------------------------------ roots


def test_backward_without_history_raises():
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        tv.ones(1).backward()


def test_backward_of_several_elements_needs_a_gradient():
    with pytest.raises(RuntimeError, match="grad can be implicitly created only for scalar"):
        (leaf(1.0, 2.0) * 2).backward()


def test_backward_gradient_of_other_shape_raises():
    with pytest.raises(RuntimeError, match=r"Mismatch in shape.*\(3,\).*\(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(tv.ones(3))


def test_backward_create_graph_is_named_as_not_supported():
    with pytest.raises(NotImplementedError, match="create_graph"):
        (leaf(1.0) * 2).backward(create_graph=True)


def test_backward_inputs_accumulates_only_there():
    x, y = leaf(2.0), leaf(3.0)
    (x * y).backward(inputs=[x])
    assert x.grad.item() == 3.0
    assert y.grad is None


# ------------------------------------------------------------------ autograd.grad


def test_grad_returns_and_leaves_grad_alone():
    x, y = leaf(2.0), leaf(3.0)
    gx, gy = tv.autograd.grad(x * x * y, [x, y])
    assert (gx.item(), gy.item()) == (12.0, 4.0)
    assert x.grad is None


def test_grad_with_respect_to_an_intermediate_tensor():
    x = leaf(2.0)
    middle = x * 3
    (g,) = tv.autograd.grad(middle * middle, middle)
    assert g.item() == 12.0


def test_grad_does_not_visit_what_does_not_lead_to_its_inputs():
    x, y = leaf(2.0), leaf(3.0)
    visited = []
    side = y * 2
    side.register_hook(lambda g: visited.append("side"))
    other = side.exp()
    tv.autograd.grad(x * other, x)
    assert visited == []
    other.backward()  # its buffers were not released
    assert y.grad is not None


def test_grad_unused_input():
    x, y = leaf(2.0), leaf(3.0)
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        tv.autograd.grad(x * 2, y)
    assert tv.autograd.grad(x * 2, y, allow_unused=True) == (None,)
    (zero,) = tv.autograd.grad(x * 2, y, materialize_grads=True)
    assert zero.tolist() == [0.0]


# ------------------------------------------------------------------ hooks


def test_hook_can_replace_the_gradient_and_be_removed():
    x = leaf(1.0)
    handle = x.register_hook(lambda g: g * 10)
    (x * 2).backward()
    assert x.grad.item() == 20.0
    handle.remove()
    (x * 2).backward()
    assert x.grad.item() == 22.0


def test_hook_on_leaf_sees_the_sum_of_all_uses_once():
    x, seen = leaf(1.0), []
    x.register_hook(lambda g: seen.append(g.item()))
    (x * 2 + x * 3).backward()
    assert seen == [5.0]


def test_hook_on_intermediate_tensor():
    x = leaf(1.0)
    y = x * 2
    y.register_hook(lambda g: g * 3)
    (y * 5).backward()
    assert x.grad.item() == 30.0


def test_hook_returning_another_shape_raises():
    x = leaf(1.0)
    x.register_hook(lambda g: tv.ones(3, dtype=tv.float64))
    with pytest.raises(RuntimeError, match="changed the size"):
        (x * 2).backward()


def test_retain_grad_keeps_the_gradient_of_an_intermediate_tensor():
    x = leaf(2.0)
    y = x * 3
    assert not y.retains_grad
    y.retain_grad()
    assert y.retains_grad
    (y * y).backward()
    assert y.grad.item() == 12.0


# ------------------------------------------------------------------ anomalies


def test_detect_anomaly_names_the_operation_and_where_it_was_called():
    x = leaf(0.0)
    with (
        np.errstate(all="ignore"),
        tv.autograd.detect_anomaly(),
        pytest.raises(RuntimeError, match="SqrtBackward0.*nan") as error,
    ):
        y = (x.sqrt() * 0).sum()  # planted: the gradient of sqrt at 0 is inf, times 0
        y.backward()
    assert "x.sqrt() * 0" in str(error.value)


def test_detect_anomaly_is_silent_where_gradients_are_finite():
    x = leaf(1.0)
    with tv.autograd.detect_anomaly():
        x.sqrt().backward()
    assert x.grad.item() == 0.5


def test_the_graph_can_be_walked_from_a_result():
    x, y = tv.ones(2, requires_grad=True), tv.ones(2)
    product = x * y
    total = product.sum()
    assert total.grad_fn.next_functions == ((product.grad_fn, 0),)
    assert product.grad_fn.next_functions[0][0] is x
    assert product.grad_fn.next_functions[1] == (None, 0)
