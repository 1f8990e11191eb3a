"""interpolate and unfold: values, gradients, errors, PyTorch's behaviour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tests.compare import outcome
from tinyvision import nn
from tinyvision.autograd import gradcheck

few = settings(max_examples=25, deadline=None)


def leaf(rng, *shape):
    return tv.tensor(rng.standard_normal(shape), requires_grad=True)


# ------------------------------------------------------------------ interpolate


def test_interpolate_nearest_by_hand():
    x = tv.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert F.interpolate(x, (3, 4)).tolist() == [
        [[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4]]],
    ]
    x = tv.arange(5.0).reshape(1, 1, 5)  # pixels 0, 5/3, 10/3; centres 5/6, 15/6, 25/6
    assert F.interpolate(x, 3).tolist() == [[[0, 1, 3]]]
    assert F.interpolate(x, 3, mode="nearest-exact").tolist() == [[[0, 2, 4]]]


def test_interpolate_bilinear_by_hand():
    x = tv.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    y = F.interpolate(x, scale_factor=2, mode="bilinear")  # the centres are at 0, 1/4, 3/4, 1
    assert y.tolist() == [[[[0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]]]]
    y = F.interpolate(x, (2, 3), mode="bilinear", align_corners=True)
    assert y.tolist() == [[[[0, 2, 4], [8, 10, 12]]]]
    assert F.interpolate(x, 1, mode="bilinear", align_corners=True).tolist() == [[[[0]]]]


def test_interpolate_recomputed_scale_steps_by_the_ratio_of_sizes():
    x = tv.arange(4.0).reshape(1, 1, 4)
    given = F.interpolate(x, scale_factor=1.3, mode="linear")  # 5.2 -> 5 values, steps of 1 / 1.3
    np.testing.assert_allclose(given[0, 0, 2], 2.5 / 1.3 - 0.5, rtol=1e-6)
    ratio = F.interpolate(x, scale_factor=1.3, mode="linear", recompute_scale_factor=True)
    np.testing.assert_allclose(ratio[0, 0, 2], 2.5 * 4 / 5 - 0.5, rtol=1e-6)
    assert ratio.tolist() == F.interpolate(x, 5, mode="linear").tolist()


def test_interpolate_nan_spreads_only_to_its_neighbours():
    x = tv.zeros(1, 1, 8, 8)
    x[0, 0, 3, 3] = np.nan
    y = F.interpolate(x, scale_factor=2, mode="bilinear")
    rows, columns = np.nonzero(np.isnan(y[0, 0].numpy()))
    assert {rows.min(), columns.min()} == {5} and {rows.max(), columns.max()} == {8}


@few
@given(
    shape=st.tuples(st.integers(0, 2), st.integers(1, 2), *[st.integers(1, 5)] * 2),
    size=st.tuples(*[st.integers(1, 9)] * 2),
    mode=st.sampled_from(["nearest", "nearest-exact", "bilinear", "aligned"]),
    given_as_factor=st.booleans(),
    seed=st.integers(0, 99),
)
def test_interpolate_gradient(shape, size, mode, given_as_factor, seed):
    x = leaf(np.random.default_rng(seed), *shape)
    arguments = {"size": size, "mode": mode}
    if given_as_factor:
        factors = [(n + 0.4) / m for n, m in zip(size, shape[2:], strict=True)]
        arguments = {"scale_factor": factors, "mode": mode}
    if mode == "aligned":
        arguments |= {"mode": "bilinear", "align_corners": True}
    assert F.interpolate(x, **arguments).shape == shape[:2] + size
    assert gradcheck(lambda x: F.interpolate(x, **arguments), [x])


def test_interpolate_takes_strided_input_and_other_numbers_of_dims():
    rng = np.random.default_rng(0)
    x = tv.tensor(rng.standard_normal((5, 4, 3, 2)))
    strided = x.permute(3, 2, 1, 0)
    for mode in ("nearest", "bilinear"):
        y = F.interpolate(strided, (3, 7), mode=mode)
        z = F.interpolate(strided.contiguous(), (3, 7), mode=mode)
        np.testing.assert_array_equal(y, z)
    volume = tv.arange(8.0).reshape(1, 1, 2, 2, 2)
    middle = F.interpolate(volume, 3, mode="trilinear", align_corners=True)[0, 0, 1, 1, 1]
    assert middle.item() == 3.5
    assert F.interpolate(tv.ones(1, 1, 2, dtype=tv.uint8), 4).dtype == tv.uint8


# ------------------------------------------------------------------ unfold


def test_unfold_by_hand():
    x = tv.arange(9.0).reshape(1, 1, 3, 3)
    columns = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    assert F.unfold(x, 2).tolist() == [columns]
    assert F.unfold(x[0], 2).tolist() == columns
    assert F.unfold(x, 2, dilation=2).tolist() == [[[0], [2], [6], [8]]]
    assert F.unfold(x, (1, 3), padding=(0, 1), stride=(2, 2)).tolist() == [
        [[0, 1, 0, 7], [0, 2, 6, 8], [1, 0, 7, 0]]
    ]


def test_unfold_makes_a_convolution_a_matrix_product():
    rng = np.random.default_rng(0)
    x, weight = tv.tensor(rng.standard_normal((2, 3, 7, 6))), rng.standard_normal((4, 3, 3, 2))
    columns = F.unfold(x, (3, 2), padding=1, stride=2)
    product = tv.tensor(weight).flatten(1) @ columns
    expected = F.conv2d(x, tv.tensor(weight), padding=1, stride=2)
    np.testing.assert_allclose(product.reshape(expected.shape), expected, rtol=1e-10)


@few
@given(
    shape=st.tuples(st.integers(0, 2), st.integers(1, 2), *[st.integers(5, 7)] * 2),
    batched=st.booleans(),
    kernel=st.tuples(*[st.integers(1, 3)] * 2),
    dilation=st.tuples(*[st.integers(1, 2)] * 2),
    padding=st.tuples(*[st.integers(0, 2)] * 2),
    stride=st.tuples(*[st.integers(1, 3)] * 2),
    seed=st.integers(0, 99),
)
def test_unfold_gradient(shape, batched, kernel, dilation, padding, stride, seed):
    x = leaf(np.random.default_rng(seed), *shape[0 if batched else 1 :])
    assert gradcheck(lambda x: F.unfold(x, kernel, dilation, padding, stride), [x])


# ------------------------------------------------------------------ errors, PyTorch

ERRORS = [
    (lambda f, x: f.interpolate(x), ValueError, "either size or scale_factor"),
    (lambda f, x: f.interpolate(x, 2, 2), ValueError, "only one of size or scale_factor"),
    (lambda f, x: f.interpolate(x, (2, 2, 2)), ValueError, r"\[3, 4\] and size of \(2, 2, 2\)"),
    (lambda f, x: f.interpolate(x, scale_factor=[2]), ValueError, "scale_factor of"),
    (lambda f, x: f.interpolate(x, 2, align_corners=True), ValueError, "align_corners"),
    (lambda f, x: f.interpolate(x, 2, recompute_scale_factor=True), ValueError, "explicit size"),
    (lambda f, x: f.interpolate(x, 2.0), TypeError, "size must be an int, got float"),
    (lambda f, x: f.interpolate(x, scale_factor="2"), TypeError, "'scale_factor' must be float"),
    (lambda f, x: f.interpolate(x, 2, None, "bilinear", 1), TypeError, "'align_corners'.*bool"),
    (lambda f, x: f.interpolate(x, (2, 0)), RuntimeError, r"greater than 0.*\(2, 0\)"),
    (lambda f, x: f.interpolate(x, scale_factor=0.1), RuntimeError, r"greater than 0.*\(0, 0\)"),
    (lambda f, x: f.interpolate(x, scale_factor=-1.0), RuntimeError, r"greater than 0.*\(-3, -4\)"),
    (lambda f, x: f.interpolate(x, scale_factor=float("nan")), RuntimeError, "finite"),
    (lambda f, x: f.interpolate(x[:, :0], 2), RuntimeError, r"\[1, 0, 3, 4\]"),
    (lambda f, x: f.interpolate(x[:, :, :0], 2), RuntimeError, r"\[1, 2, 0, 4\]"),
    (lambda f, x: f.interpolate(x.long(), 2), NotImplementedError, "'Long'"),
    (lambda f, x: f.interpolate(x.long(), 2, None, "bilinear"), NotImplementedError, "'Long'"),
    (lambda f, x: f.interpolate(x, 2, mode="cubic"), NotImplementedError, "'cubic'"),
    (lambda f, x: f.interpolate(x, 2, mode="linear"), NotImplementedError, "4D input.*3D"),
    (lambda f, x: f.interpolate(x[0], 2, mode="bilinear"), NotImplementedError, "3D input.*4D"),
    (lambda f, x: f.interpolate(x[0, 0], 2), NotImplementedError, "Got 2D input"),
    (lambda f, x: f.unfold([1], 2), TypeError, "must be Tensor, not list"),
    (lambda f, x: f.unfold(x, 2.0), TypeError, "kernel_size must be an int, got float"),
    (lambda f, x: f.unfold(x, 0), RuntimeError, "kernel_size must be at least 1"),
    (lambda f, x: f.unfold(x, 2, 0), RuntimeError, "dilation must be at least 1"),
    (lambda f, x: f.unfold(x, 2, 1, -1), RuntimeError, "padding must be at least 0"),
    (lambda f, x: f.unfold(x, 2, 1, 0, 0), RuntimeError, "stride must be at least 1"),
    (lambda f, x: f.unfold(x, (4, 1)), RuntimeError, r"\(4, 1\).*no room"),
    (lambda f, x: f.unfold(x, (1, 2, 3)), RuntimeError, "two ints"),
    (lambda f, x: f.unfold(x[:, :0], 2), RuntimeError, r"\[1, 0, 3, 4\]"),
    (lambda f, x: f.unfold(x.long(), 2), NotImplementedError, "'Long'"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_vision_errors(call, error, message):
    with pytest.raises(error, match=message):
        call(F, tv.ones(1, 2, 3, 4))


@pytest.mark.parity
@pytest.mark.parametrize("call", [call for call, _, _ in ERRORS])
def test_vision_errors_are_pytorchs(call):
    torch = pytest.importorskip("torch")
    ours = outcome(lambda: call(F, tv.ones(1, 2, 3, 4)))
    assert isinstance(ours, str)
    assert ours == outcome(lambda: call(torch.nn.functional, torch.ones(1, 2, 3, 4)))


@pytest.mark.parametrize("arguments", [{"mode": "bicubic"}, {"mode": "area"}, {"antialias": True}])
def test_interpolate_names_what_it_does_not_support(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(NotImplementedError, match=f"{name}={value!r} is not supported"):
        F.interpolate(tv.ones(1, 1, 2, 2), 3, **arguments)


def compare(call, x):
    """Value, dtype and gradient of call(F, tensor), here and in PyTorch."""
    torch = pytest.importorskip("torch")
    a, b = tv.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, z = call(F, a), call(torch.nn.functional, b)
    assert (y.shape, str(y.dtype)) == (tuple(z.shape), str(z.dtype).removeprefix("torch."))
    g = np.random.default_rng(1).standard_normal(y.shape).astype(x.dtype)
    y.backward(tv.tensor(g))
    z.backward(torch.tensor(g))
    tolerance = 1e-12 if x.dtype == np.float64 else 2e-5
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(a.grad, b.grad, rtol=tolerance, atol=tolerance)


MODES = {
    3: [("nearest", None), ("nearest-exact", None), ("linear", False), ("linear", True)],
    4: [("nearest", None), ("nearest-exact", None), ("bilinear", None), ("bilinear", True)],
    5: [("nearest", None), ("nearest-exact", None), ("trilinear", None), ("trilinear", True)],
}


@pytest.mark.parity
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_interpolate_equals_pytorch(data):
    def draw(*values):
        return data.draw(st.sampled_from(values))

    ndim = draw(3, 4, 4, 5)
    mode, align_corners = draw(*MODES[ndim])
    shape = draw(0, 1, 2), draw(1, 3), *[draw(1, 2, 3, 5, 8) for _ in range(ndim - 2)]
    arguments = {"mode": mode, "align_corners": align_corners}
    if draw(True, False):
        arguments["size"] = [draw(1, 2, 4, 5, 7, 16) for _ in shape[2:]]
    else:
        # Not 1.1 or 2.1: for 3 and 5 dims PyTorch's own forward and backward differ there.
        arguments["scale_factor"] = [draw(1, 2, 3, 1.5, 2.7) for _ in shape[2:]]
        arguments["recompute_scale_factor"] = draw(None, True)
    x = np.random.default_rng(0).standard_normal(shape).astype(draw("float32", "float64"))
    compare(lambda F, x: F.interpolate(x, **arguments), x)


@pytest.mark.parity
@pytest.mark.parametrize("factor", [1.1, 1.2, 2.1, 0.7, 1 / 3])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear"])
def test_interpolate_by_a_fraction_equals_pytorch(factor, mode):
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6))
    compare(lambda F, x: F.interpolate(x, scale_factor=factor, mode=mode), x)


@pytest.mark.parity
@pytest.mark.parametrize("shape", [(2, 3, 7, 8), (3, 7, 8), (0, 2, 6, 6)])
@pytest.mark.parametrize(
    "arguments", [(2,), ((3, 2), 2), (3, 1, 1, 2), ((2, 4), (2, 1), (1, 2), (3, 1)), (5, 1, 9, 4)]
)
def test_unfold_equals_pytorch(shape, arguments):
    x = np.random.default_rng(0).standard_normal(shape)
    compare(lambda F, x: F.unfold(x, *arguments), x)


@pytest.mark.parity
@pytest.mark.parametrize(
    "make",
    [
        lambda n: n.Upsample(scale_factor=2),
        lambda n: n.Upsample(scale_factor=(2, 1.5), mode="bilinear", recompute_scale_factor=True),
        lambda n: n.Upsample((5, 7), mode="bilinear", align_corners=True),
        lambda n: n.Unfold(2),
        lambda n: n.Unfold((2, 3), 1, (0, 1), stride=2),
    ],
)
def test_vision_layers_equal_pytorchs(make):
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6)).astype(np.float32)
    np.testing.assert_allclose(ours(tv.tensor(x)), theirs(torch.tensor(x)), rtol=1e-5, atol=1e-6)
