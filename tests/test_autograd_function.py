"""User-defined differentiable functions."""

import gc
import weakref

import pytest

import tinyvision as tv
from tinyvision.autograd import Function, gradcheck


class Cube(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        return grad_output * 3 * x**2


class Affine(Function):
    """x * scale + shift, where scale is a plain number."""

    @staticmethod
    def forward(ctx, x, scale, shift):
        ctx.scale = scale
        assert not tv.is_grad_enabled()
        return x * scale + shift

    @staticmethod
    def backward(ctx, grad_output):
        assert ctx.needs_input_grad[1] is False
        return grad_output * ctx.scale, None, grad_output


def doubles(*shape):
    return tv.randn(*shape, dtype=tv.float64, requires_grad=True)


def test_function_by_hand():
    x = tv.tensor([2.0], requires_grad=True)
    y = Cube.apply(x)
    assert y.item() == 8.0
    assert y.grad_fn.name() == "CubeBackward"
    y.backward()
    assert x.grad.item() == 12.0


def test_function_with_plain_arguments_and_broadcast_gradient():
    assert gradcheck(lambda x, shift: Affine.apply(x, 2.5, shift), (doubles(3, 2), doubles(2)))


def test_function_wrong_gradient_is_caught_by_gradcheck():
    class Wrong(Cube):
        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return grad_output * 2 * x**2

    assert not gradcheck(Wrong.apply, (doubles(3),), raise_exception=False)


def test_function_several_outputs_and_indices():
    class Sorted(Function):
        @staticmethod
        def forward(ctx, x):
            values, indices = x.sort()
            ctx.mark_non_differentiable(indices)
            ctx.save_for_backward(indices)
            return values, indices

        @staticmethod
        def backward(ctx, grad_values, grad_indices):
            (indices,) = ctx.saved_tensors
            return tv.zeros_like(grad_values).scatter(0, indices, grad_values)

    x = doubles(5)
    assert not Sorted.apply(x)[1].requires_grad
    assert gradcheck(lambda x: Sorted.apply(x)[0], (x,))


def test_function_setup_context_style():
    class Square(Function):
        @staticmethod
        def forward(x):
            return x * x

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx, grad_output):
            (x,) = ctx.saved_tensors
            return 2 * x * grad_output

    assert gradcheck(Square.apply, (doubles(3),))


def test_function_returning_its_input_keeps_the_graph_right():
    class Reverse(Function):  # gradient reversal, as in domain-adversarial training
        @staticmethod
        def forward(ctx, x):
            return x

        @staticmethod
        def backward(ctx, grad_output):
            return -grad_output

    x = doubles(2)
    y = Reverse.apply(x)
    assert y is not x
    y.sum().backward()
    assert x.grad.tolist() == [-1.0, -1.0]


def test_function_materializes_unused_gradients_unless_told_not_to():
    class Twice(Function):
        materialize = True

        @classmethod
        def configured(cls, ctx):
            ctx.set_materialize_grads(cls.materialize)

        @staticmethod
        def forward(ctx, x):
            Twice.configured(ctx)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, first, second):
            assert (second is None) == (not Twice.materialize)
            return first * 2

    for materialize in (True, False):
        Twice.materialize = materialize
        x = doubles(2)
        Twice.apply(x)[0].sum().backward()
        assert x.grad.tolist() == [2.0, 2.0]


def test_function_errors():
    class Count(Cube):
        @staticmethod
        def backward(ctx, grad_output):
            return grad_output, grad_output

    class Shape(Cube):
        @staticmethod
        def backward(ctx, grad_output):
            return tv.ones(7)

    class NoTensor(Function):
        @staticmethod
        def forward(ctx, x):
            return 3

    with pytest.raises(RuntimeError, match="incorrect number of gradients .expected 1, got 2"):
        Count.apply(doubles(2)).sum().backward()
    with pytest.raises(RuntimeError, match=r"invalid gradient at index 0 - got \(7,\)"):
        Shape.apply(doubles(2)).sum().backward()
    with pytest.raises(TypeError, match="must return Tensors"):
        NoTensor.apply(doubles(2))
    with pytest.raises(NotImplementedError, match="forward"):
        Function.apply(doubles(2))


def test_function_saved_input_changed_in_place_is_caught():
    x = doubles(2)
    z = x * 1
    y = Cube.apply(z)
    z += 1
    with pytest.raises(RuntimeError, match="CubeBackward "):
        y.sum().backward()


def test_function_second_backward_raises():
    y = Cube.apply(doubles(1))
    y.backward()
    with pytest.raises(RuntimeError, match="a second time"):
        y.backward()


def test_function_needs_no_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        y = Cube.apply(doubles(2))
        reference = weakref.ref(y.grad_fn)
        del y
        assert reference() is None
    finally:
        gc.enable()


def test_gradients_of_arguments_left_out_may_be_none():
    class Affine(Function):
        @staticmethod
        def forward(ctx, x, weight, bias=None):
            ctx.save_for_backward(x, weight)
            return x * weight if bias is None else x * weight + bias

        @staticmethod
        def backward(ctx, grad):
            x, weight = ctx.saved_tensors
            return grad * weight, grad * x, None

    x, weight = (tv.tensor([v], requires_grad=True) for v in (2.0, 3.0))
    Affine.apply(x, weight).backward()
    assert x.grad.item() == 3 and weight.grad.item() == 2
