"""In-place changes: what they do to values, history, views and version counters."""

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.autograd import gradcheck


def leaf(*values):
    return tv.tensor(list(values), dtype=tv.float64, requires_grad=True)


def test_inplace_add_in_the_graph_by_hand():
    x, y = leaf(1.0, 2.0), leaf(10.0, 20.0)
    z = x * 3
    same = z
    z += y
    assert z is same
    assert z.tolist() == [13.0, 26.0]
    z.sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]
    assert y.grad.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    "change",
    [
        lambda z, y: z.add_(y, alpha=2),
        lambda z, y: z.sub_(y),
        lambda z, y: z.mul_(y),
        lambda z, y: z.div_(y),
        lambda z, y: z.pow_(3),
        lambda z, y: z.clamp_(-0.5, 0.5),
        lambda z, y: z.exp_(),
        lambda z, y: z.tanh_(),
        lambda z, y: z.sigmoid_(),
        lambda z, y: z.abs_(),
        lambda z, y: z.neg_(),
        lambda z, y: z.lerp_(y, 0.3),
        lambda z, y: z.addcmul_(y, y, value=0.5),
        lambda z, y: z.addcdiv_(y, y * y, value=-3),
        lambda z, y: z.div_(y, rounding_mode=None),
        lambda z, y: z.index_add_(0, tv.tensor([2, 0, 2]), y, alpha=2),
        lambda z, y: z.scatter_(0, tv.tensor([2, 0]), y),
        lambda z, y: z.scatter_(0, tv.tensor([2, 0]), value=0.5),
        lambda z, y: z.scatter_add_(0, tv.tensor([2, 2, 0]), y),
        lambda z, y: z.copy_(y),
        lambda z, y: z.zero_(),
        lambda z, y: z.masked_fill_(tv.tensor([True, False, True]), 2.0),
    ],
)
def test_inplace_gradients_agree_with_finite_differences(change):
    rng = np.random.default_rng(0)
    x = tv.tensor(rng.uniform(0.6, 2, 3), requires_grad=True)
    y = tv.tensor(rng.uniform(0.6, 2, 3), requires_grad=True)

    def through(x, y):
        z = x * 1.5
        change(z, y)
        return z * z

    assert gradcheck(through, (x, y))


def test_inplace_scatter_takes_what_pytorchs_takes():
    index, src = tv.tensor([[0, 2]]), tv.tensor([[5.0, 6.0]])
    for x in (
        tv.zeros(2, 3).scatter_(1, index, 4.0),
        tv.zeros(2, 3).scatter_(1, index, value=4.0),
        tv.zeros(2, 3).scatter_(dim=1, index=index, value=4),
        tv.zeros(2, 3).scatter_(1, index, value=tv.tensor(4)),
    ):
        assert x.tolist() == [[4, 0, 4], [0, 0, 0]]
    assert tv.zeros(2, 3).scatter_(dim=1, index=index, src=src).tolist() == [[5, 0, 6], [0, 0, 0]]
    assert tv.zeros(2, dtype=tv.int64).scatter_(0, index[0, :1], 1.5).tolist() == [1, 0]
    with pytest.raises(TypeError, match="src or value"):
        tv.zeros(2, 3).scatter_(1, index, src=src, value=4.0)
    with pytest.raises(TypeError, match="'src' must be Tensor"):
        tv.zeros(2, 3).scatter_(1, index)
    with pytest.raises(RuntimeError, match="self.dtype to be equal to src.dtype"):
        tv.zeros(2, 3).scatter_(1, index, src.double())


def test_inplace_scatter_add_and_index_add_add_up_repeated_places():
    x = tv.ones(2, 3)
    assert x.scatter_add_(1, tv.tensor([[2, 2]]), tv.tensor([[5.0, 6.0]])) is x
    assert x.tolist() == [[1, 1, 12], [1, 1, 1]]
    with pytest.raises(TypeError, match="'src' must be Tensor, not float"):
        x.scatter_add_(1, tv.tensor([[2]]), 1.0)
    x.index_add_(dim=0, index=tv.tensor([1, 1]), source=tv.ones(2, 3), alpha=-2)
    assert x.tolist() == [[1, 1, 12], [-3, -3, -3]]
    with pytest.raises(RuntimeError, match="same scalar type"):
        x.index_add_(0, tv.tensor([0]), tv.ones(1, 3, dtype=tv.float64))


def test_inplace_addcdiv_and_rounded_division():
    x = tv.tensor([1.0, 2.0])
    assert x.addcdiv_(tv.tensor([6.0, 8.0]), tv.tensor([2.0, 4.0]), value=2) is x
    assert x.tolist() == [7, 6]
    whole = tv.tensor([-5, 7])
    assert whole.clone().div_(2, rounding_mode="floor").tolist() == [-3, 3]
    assert whole.clone().div_(2, rounding_mode="trunc").tolist() == [-2, 3]
    with pytest.raises(RuntimeError, match="rounding_mode"):
        whole.div_(2, rounding_mode="up")
    ones = tv.ones(2, dtype=tv.int64)
    with pytest.raises(RuntimeError, match="can't be cast"):
        ones.addcdiv_(ones, ones.float())
    with pytest.raises(RuntimeError, match="Integer division with addcdiv"):
        ones.addcdiv_(ones, ones)


def test_inplace_operator_leaves_the_other_operand_its_turn():
    class Other:
        def __radd__(self, tensor):
            return "other's sum"

    x = tv.zeros(2)
    x += Other()
    assert x == "other's sum"


def test_inplace_methods_are_named_and_explained():
    assert tv.Tensor.add_.__name__ == "add_" and tv.Tensor.__iadd__.__name__ == "__iadd__"
    assert tv.Tensor.lerp_.__doc__ == "The same as lerp, in place: self + weight * (end - self)."


def test_inplace_tensor_without_gradient_joins_the_graph():
    buffer, x = tv.zeros(2, dtype=tv.float64), leaf(1.0, 2.0)
    buffer += x * 2
    assert buffer.requires_grad
    buffer.sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_inplace_on_leaf_that_requires_grad_raises():
    x = leaf(1.0)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        x += 1
    with pytest.raises(RuntimeError, match="a view of a leaf Variable"):
        x[:1].add_(1)
    with tv.no_grad():
        x += 1
    assert x.item() == 2.0


def test_inplace_on_a_view_changes_the_history_of_its_base():
    x = leaf(1.0, 2.0)
    z = x * 2
    z[0].mul_(3)
    assert z.tolist() == [6, 4] and type(z.grad_fn).__name__ == "Node"
    (z * tv.tensor([1.0, 10.0])).sum().backward()
    assert x.grad.tolist() == [6, 20]


def test_inplace_on_a_view_gives_a_plain_buffer_a_history():
    x = leaf(1.0, 2.0)
    buffer = tv.zeros(3, 2, dtype=tv.float64)
    first, rest = buffer[0], buffer[1:]
    first.add_(x)
    rest[0] += x * 3
    rest[:, 1].mul_(2)
    assert buffer.requires_grad and first.requires_grad
    assert buffer.tolist() == [[1, 2], [3, 12], [0, 0]]
    (buffer.sum() + first[1] * 100).backward()
    assert x.grad.tolist() == [4, 1 + 6 + 100]


def test_inplace_change_of_a_base_is_followed_by_earlier_views():
    x = leaf(1.0, 2.0)
    z = x * 2
    view = z[0]
    z *= 5
    assert view.item() == 10.0
    view.backward()
    assert x.grad.tolist() == [10.0, 0.0]


def test_inplace_on_a_view_made_without_gradients_is_refused():
    z = leaf(1.0, 2.0) * 2
    with tv.no_grad():
        view = z[0]
        view.mul_(2)
    with pytest.raises(RuntimeError, match="created in no_grad mode"):
        view.mul_(2)


def test_what_was_saved_before_a_view_changed_is_missed():
    x = leaf(1.0, 2.0)
    z = x.exp()
    z[0].mul_(3)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


VIEWS = [
    lambda t: t[1],
    lambda t: t[:, 1:],
    lambda t: t[::2, 0],
    lambda t: t.t(),
    lambda t: t.reshape(12)[3:9],
    lambda t: t.unsqueeze(0).transpose(0, 2)[1],
    lambda t: t.diagonal(),
    lambda t: t.flatten(),
]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("is_transposed", [False, True])
def test_inplace_on_views_equals_the_same_out_of_place(view, is_transposed):
    """Writing f(view) into the view is base + scatter(f(view) - view)."""
    rng = np.random.default_rng(0)
    x = tv.tensor(rng.standard_normal((3, 4)), requires_grad=True)
    mask = tv.zeros(3, 4, dtype=tv.float64)
    view(mask).fill_(1)

    def base():
        y = x * 2
        return y if not is_transposed else (x.t() * 2).exp().t().contiguous().log()

    def inplace():
        z = base()
        early = z[0]
        view(z).mul_(3).add_(1)
        return (z * z * early).sum()

    def out_of_place():
        z = base()
        z = z * (1 - mask) + (z * 3 + 1) * mask
        return (z * z * z[0]).sum()

    results = []
    for function in (inplace, out_of_place):
        loss = function()
        results.append((loss.item(), tv.autograd.grad(loss, x)[0].numpy()))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-12)


def test_inplace_view_without_gradients_shows_in_the_base():
    base = tv.zeros(2, 3)
    base[1].add_(7)
    base.t()[0].fill_(1)
    assert base.tolist() == [[1, 0, 0], [1, 7, 7]]


def test_inplace_cannot_change_shape_or_lower_the_dtype():
    with pytest.raises(RuntimeError, match=r"output with shape \(2,\)"):
        tv.zeros(2).add_(tv.zeros(3, 2))
    with pytest.raises(RuntimeError, match="result type Float can't be cast .* Long"):
        tv.zeros(2, dtype=tv.int64).add_(1.5)
    narrow = tv.zeros(2)
    narrow += tv.ones(2, dtype=tv.float64)
    assert narrow.dtype == tv.float32


def test_inplace_on_expanded_memory_raises():
    with pytest.raises(RuntimeError, match="clone"):
        tv.zeros(1).expand(3).add_(1)


def test_inplace_scalar_division_of_integers_raises():
    with pytest.raises(RuntimeError, match="can't be cast"):
        tv.ones(2, dtype=tv.int64).div_(2)


def test_inplace_unknown_operand_raises_type_error():
    with pytest.raises(TypeError):
        tv.zeros(2).add_("x")
    x = tv.zeros(2)
    with pytest.raises(TypeError):
        x += "x"


# ------------------------------------------------------------------ item assignment


def test_setitem_writes_and_broadcasts():
    x = tv.zeros(2, 3)
    x[0] = 1
    x[:, 2] = tv.tensor([5.0, 6.0])
    x[1, tv.tensor([0, 1])] = 9
    assert x.tolist() == [[1, 1, 5], [9, 9, 6]]


def test_setitem_boolean_mask():
    x = tv.arange(4.0)
    x[x > 1] = -1
    assert x.tolist() == [0, 1, -1, -1]


def test_setitem_gradients_agree_with_finite_differences():
    x = tv.randn(3, 4, dtype=tv.float64, requires_grad=True)
    value = tv.randn(4, dtype=tv.float64, requires_grad=True)

    def through(x, value):
        z = x * 2
        z[1] = value
        z[tv.tensor([0, 2]), 1:3] = value[:2] * 3
        return z.exp()

    assert gradcheck(through, (x, value))


def test_setitem_on_leaf_that_requires_grad_raises():
    x = leaf(1.0, 2.0)
    with pytest.raises(RuntimeError, match="leaf Variable"):
        x[0] = 3.0


def test_setitem_wrong_shape_and_index_raise():
    x = tv.zeros(2, 3)
    with pytest.raises(RuntimeError, match="shape"):
        x[0] = tv.zeros(4)
    with pytest.raises(IndexError):
        x[5] = 1


# ------------------------------------------------------------------ version counters


def test_version_change_of_a_saved_input_is_caught_and_named():
    x, y = leaf(1.0, 2.0), tv.tensor([3.0, 4.0], dtype=tv.float64)
    z = x * y
    y += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation.*MulBackward0"):
        z.sum().backward()


def test_version_change_of_a_saved_output_is_caught():
    x = leaf(1.0)
    y = x.exp()
    y += 1
    with pytest.raises(RuntimeError, match="ExpBackward0"):
        y.backward()


def test_version_change_through_a_view_or_alias_is_caught():
    for alias in (lambda t: t[0], lambda t: t.detach(), lambda t: t.reshape(-1, 1).t()):
        x, y = leaf(1.0, 2.0), tv.tensor([3.0, 4.0], dtype=tv.float64)
        z = x * y
        alias(y).zero_()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.sum().backward()


def test_version_change_of_what_backward_does_not_need_is_fine():
    x, y = leaf(1.0, 2.0), tv.tensor([3.0, 4.0], dtype=tv.float64)
    z = x + y
    y += 1
    z.sum().backward()
    assert x.grad.tolist() == [1.0, 1.0]


def test_version_item_assignment_counts_too():
    x, y = leaf(1.0, 2.0), tv.tensor([3.0, 4.0], dtype=tv.float64)
    z = x * y
    y[0] = 0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parametrize("dim", [0, 1])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_a_softmax_that_was_changed_is_missed_in_backward(name, dim):
    x = tv.ones(2, 3, requires_grad=True)
    y = getattr(x, name)(dim)
    y *= 5
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y[0, 0].backward()


@pytest.mark.parametrize(
    "change", [lambda x: x.fill_(3.0), lambda x: x.copy_(tv.ones(2)), lambda x: x.zero_()]
)
def test_inplace_new_values_take_no_gradient_to_the_old_ones(change):
    a = tv.ones(2, requires_grad=True)
    x = a * 2
    change(x)
    (x * a).sum().backward()
    assert a.grad.tolist() == x.tolist()
