"""linear and conv2d: values, gradients, and PyTorch's behaviour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=20, deadline=None)


def leaf(rng, *shape):
    return tv.tensor(rng.standard_normal(shape), requires_grad=True)


# ------------------------------------------------------------------ linear


def test_linear_by_hand():
    input = tv.tensor([[1.0, 2.0], [3.0, 4.0]])
    weight = tv.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    bias = tv.tensor([10.0, 20.0, 30.0])
    assert F.linear(input, weight, bias).tolist() == [[11, 22, 29], [13, 24, 29]]
    assert F.linear(input, weight).tolist() == [[1, 2, -1], [3, 4, -1]]


def test_linear_gradients_by_hand():
    input = tv.tensor([[1.0, 2.0]], requires_grad=True)
    weight = tv.tensor([[3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    bias = tv.zeros(2, requires_grad=True)
    F.linear(input, weight, bias).backward(tv.tensor([[1.0, 10.0]]))
    assert input.grad.tolist() == [[53, 64]]  # 3 + 50, 4 + 60
    assert weight.grad.tolist() == [[1, 2], [10, 20]]
    assert bias.grad.tolist() == [1, 10]


def test_linear_of_one_vector_and_with_a_weight_vector():
    x, matrix, vector = tv.tensor([1.0, 2.0]), tv.tensor([[1.0, 1.0]]), tv.tensor([3.0, 4.0])
    assert F.linear(x, matrix).tolist() == [3]
    assert F.linear(x, vector).item() == 11
    assert F.linear(tv.zeros(0, 2), matrix).shape == (0, 1)


@few
@given(
    lead=st.lists(st.integers(1, 3), max_size=3),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    with_bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_linear_gradient(lead, sizes, with_bias, seed):
    rng = np.random.default_rng(seed)
    inputs = [leaf(rng, *lead, sizes[0]), leaf(rng, sizes[1], sizes[0])]
    inputs += [leaf(rng, sizes[1])] if with_bias else []
    assert gradcheck(F.linear, inputs)


# ------------------------------------------------------------------ conv2d


def test_conv2d_by_hand():
    input = tv.arange(9).float().reshape(1, 1, 3, 3)
    weight = tv.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    # 1*0 + 2*1 + 3*3 + 4*4 = 27, and 10 more for every step to the right, 30 down
    assert F.conv2d(input, weight).tolist() == [[[[27, 37], [57, 67]]]]
    assert F.conv2d(input, weight, tv.tensor([1.0])).tolist() == [[[[28, 38], [58, 68]]]]
    assert F.conv2d(input, weight, stride=2).tolist() == [[[[27]]]]
    assert F.conv2d(input, weight, dilation=2).tolist() == [[[[0 + 2 * 2 + 3 * 6 + 4 * 8]]]]


def test_conv2d_gradients_by_hand():
    input = tv.arange(4).float().reshape(1, 1, 2, 2).requires_grad_()
    weight = tv.tensor([[[[1.0, 10.0]]]], requires_grad=True)
    bias = tv.zeros(1, requires_grad=True)
    F.conv2d(input, weight, bias).backward(tv.tensor([[[[1.0], [2.0]]]]))
    assert input.grad.tolist() == [[[[1, 10], [2, 20]]]]
    assert weight.grad.tolist() == [[[[0 + 2 * 2, 1 + 2 * 3]]]]
    assert bias.grad.tolist() == [3]


def test_conv2d_groups_see_only_their_own_channels():
    input = tv.tensor([1.0, 10.0]).reshape(1, 2, 1, 1)
    weight = tv.tensor([2.0, 3.0, 4.0, 5.0]).reshape(4, 1, 1, 1)
    assert F.conv2d(input, weight, groups=2).flatten().tolist() == [2, 3, 40, 50]


def test_conv2d_same_padding_puts_the_odd_zero_below_and_right():
    input = tv.ones(1, 1, 2, 3)
    weight = tv.ones(1, 1, 2, 2)
    expected = [[[[4, 4, 2], [2, 2, 1]]]]
    assert F.conv2d(input, weight, padding="same").tolist() == expected
    by_hand = F.conv2d(F.pad(input, (0, 1, 0, 1)), weight, padding="valid")
    assert by_hand.tolist() == expected


def test_conv2d_unbatched_is_a_batch_of_one_without_its_dim():
    rng = np.random.default_rng(0)
    image, weight = leaf(rng, 2, 5, 4), leaf(rng, 3, 2, 2, 3)
    alone, batch = (
        F.conv2d(image, weight, padding=1),
        F.conv2d(image.unsqueeze(0), weight, padding=1),
    )
    assert alone.shape == (3, 6, 4)
    np.testing.assert_array_equal(alone.detach(), batch.squeeze(0).detach())
    assert gradcheck(lambda i, w: F.conv2d(i, w, padding="same"), [image, weight])


def test_conv2d_of_an_empty_batch_has_zero_gradients():
    weight, bias = tv.ones(4, 3, 2, 2, requires_grad=True), tv.ones(4, requires_grad=True)
    input = tv.zeros(0, 3, 5, 5, requires_grad=True)
    output = F.conv2d(input, weight, bias)
    assert output.shape == (0, 4, 4, 4)
    output.sum().backward()
    assert input.grad.shape == (0, 3, 5, 5)
    assert not weight.grad.any() and not bias.grad.any()
    assert weight.grad.shape == weight.shape


def test_conv2d_stride_beyond_the_image_leaves_one_output():
    input = tv.arange(9).float().reshape(1, 1, 3, 3).requires_grad_()
    output = F.conv2d(input, tv.ones(1, 1, 2, 2), stride=2**30)
    assert output.tolist() == [[[[0 + 1 + 3 + 4]]]]
    output.sum().backward()
    assert input.grad.tolist() == [[[[1, 1, 0], [1, 1, 0], [0, 0, 0]]]]


def test_conv2d_takes_views_that_are_not_contiguous():
    rng = np.random.default_rng(0)
    input, weight = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((3, 2, 3, 4))
    views = tv.tensor(input).permute(0, 3, 1, 2), tv.tensor(weight).permute(3, 0, 1, 2)
    copies = [v.contiguous() for v in views]
    np.testing.assert_array_equal(F.conv2d(*views).numpy(), F.conv2d(*copies).numpy())


def test_conv2d_computes_no_gradient_for_the_image_unless_needed():
    output = F.conv2d(tv.ones(1, 1, 3, 3), tv.ones(1, 1, 2, 2, requires_grad=True))
    grads = output.grad_fn.op.backward(output.grad_fn, np.ones((1, 1, 2, 2), np.float32))
    assert [g is None for g in grads] == [True, False, True]


@st.composite
def convolutions(draw):
    """(shapes of input, weight and bias, keyword arguments) of a convolution that fits."""
    groups, N = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    C_in, C_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel, stride, dilation, padding, size = [], [], [], [], []
    for _ in range(2):
        kernel.append(draw(st.integers(1, 3)))
        stride.append(draw(st.integers(1, 3)))
        dilation.append(draw(st.integers(1, 2)))
        padding.append(draw(st.integers(0, 2)))
        span = dilation[-1] * (kernel[-1] - 1) + 1
        size.append(max(1, span - 2 * padding[-1]) + draw(st.integers(0, 3)))
    shapes = (N, C_in, *size), (C_out, C_in // groups, *kernel), (C_out,)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    return shapes, {"groups": groups} | {k: tuple(v) for k, v in options.items()}


@few
@given(case=convolutions(), with_bias=st.booleans(), seed=st.integers(0, 99))
def test_conv2d_gradient(case, with_bias, seed):
    shapes, options = case
    rng = np.random.default_rng(seed)
    inputs = [leaf(rng, *shape) for shape in shapes[: 2 + with_bias]]
    assert gradcheck(lambda *args: F.conv2d(*args, **options), inputs)


@few
@given(
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    seed=st.integers(0, 99),
)
def test_conv2d_same_padding_keeps_the_size_and_has_the_gradient(kernel, dilation, seed):
    rng = np.random.default_rng(seed)
    inputs = [leaf(rng, 1, 1, 4, 3), leaf(rng, 2, 1, *kernel)]
    assert F.conv2d(*inputs, padding="same", dilation=dilation).shape == (1, 2, 4, 3)
    assert gradcheck(lambda i, w: F.conv2d(i, w, padding="same", dilation=dilation), inputs)


# ------------------------------------------------------------------ PyTorch


def compare(call, arrays, tolerance):
    """Values, dtypes and all gradients of call(F, *tensors), here and in PyTorch."""
    torch = pytest.importorskip("torch")
    ours = [tv.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = call(F, *ours), call(torch.nn.functional, *theirs)
    assert (y.shape, str(y.dtype)) == (tuple(z.shape), str(z.dtype).removeprefix("torch."))
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
    seed = np.random.default_rng(1).standard_normal(y.shape).astype(arrays[0].dtype)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=tolerance, atol=tolerance)


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@few
@given(case=convolutions(), seed=st.integers(0, 99))
def test_conv2d_equals_pytorch(dtype, case, seed):
    shapes, options = case
    rng = np.random.default_rng(seed)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    tolerance = 1e-5 if dtype == np.float32 else 1e-12
    compare(lambda F, *args: F.conv2d(*args, **options), arrays, tolerance)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("kernel", [(1, 1), (2, 3), (3, 2), (4, 5)])
@pytest.mark.parametrize("dilation", [1, (2, 3)])
def test_conv2d_same_padding_equals_pytorch(kernel, dilation):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((2, 3, 7, 6)), rng.standard_normal((4, 3, *kernel))]
    compare(lambda F, i, w: F.conv2d(i, w, padding="same", dilation=dilation), arrays, 1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_equals_pytorch(lead, dtype):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s).astype(dtype) for s in ((*lead, 5), (4, 5), (4,))]
    compare(lambda F, *args: F.linear(*args), arrays, 1e-5 if dtype == np.float32 else 1e-12)
    arrays = [arrays[0], arrays[1][0]]
    compare(lambda F, *args: F.linear(*args), arrays, 1e-5 if dtype == np.float32 else 1e-12)
