"""affine_grid and grid_sample: values and gradients by hand, by finite differences, by PyTorch."""

import warnings

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

MODES = ["bilinear", "nearest"]
PADDINGS = ["zeros", "border", "reflection"]


def test_affine_grid_by_hand():
    identity = tv.tensor([[[1.0, 0, 0], [0, 1, 0]]])
    grid = F.affine_grid(identity, (1, 1, 2, 3), align_corners=True)
    assert grid[0, 0].tolist() == [[-1, -1], [0, -1], [1, -1]] and grid[0, 1, 0].tolist() == [-1, 1]
    grid = F.affine_grid(identity, (1, 1, 2, 2), align_corners=False)
    assert grid[0].tolist() == [[[-0.5, -0.5], [0.5, -0.5]], [[-0.5, 0.5], [0.5, 0.5]]]


def test_grid_sample_by_hand():
    x = tv.tensor([[1.0, 2.0], [3.0, 5.0]]).reshape(1, 1, 2, 2).requires_grad_()
    points = tv.tensor([[[0.0, 0.0], [1.0, -1.0]], [[0.5, 1.0], [3.0, 1.0]]])[None]
    y = F.grid_sample(x, points, align_corners=True)
    assert y.tolist() == [[[[2.75, 2.0], [4.5, 0.0]]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[[0.25, 1.25], [0.5, 1.0]]]]
    y = F.grid_sample(x, points, padding_mode="border", align_corners=True)
    assert y[0, 0, 1, 1].item() == 5
    y = F.grid_sample(x, points, "nearest", "reflection", align_corners=True)
    assert y[0, 0, 1, 1].item() == 3  # two pixels beyond the second are on the first


@pytest.mark.parametrize("align_corners", [False, True])
def test_identity_is_the_image(align_corners):
    x = tv.randn(2, 3, 5, 7)
    theta = tv.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(2, 2, 3)
    grid = F.affine_grid(theta, x.shape, align_corners=align_corners)
    for mode in MODES:
        for padding in PADDINGS:
            y = F.grid_sample(x, grid, mode, padding, align_corners)
            np.testing.assert_allclose(y, x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("align_corners", [False, True])
def test_gradients_by_finite_differences(padding, align_corners):
    x = tv.randn(2, 2, 4, 3, dtype=tv.float64, requires_grad=True)
    theta = tv.randn(2, 2, 3, dtype=tv.float64, requires_grad=True)

    def transformed(x, theta):
        grid = F.affine_grid(theta, (2, 2, 3, 5), align_corners)
        return F.grid_sample(x, grid, padding_mode=padding, align_corners=align_corners)

    assert gradcheck(transformed, (x, theta))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_points_that_are_nowhere_read_nothing(mode, padding):
    grid = tv.tensor([[[[np.nan, 0.0], [np.inf, 0.0], [0.0, -np.inf], [1e30, 1e30]]]])
    x = tv.ones(1, 1, 3, 3)
    y = F.grid_sample(x, grid.requires_grad_(), mode, padding, align_corners=False)
    y.sum().backward()
    if padding == "zeros":
        assert y.tolist() == [[[[0, 0, 0, 0]]]] and not grid.grad[0, 0, 1:].any()
    assert set(y.flatten().tolist()) <= {0.0, 1.0}


WRONG = {
    "mode": lambda lib, F, x, g: F.grid_sample(x, g, "linear"),
    "padding": lambda lib, F, x, g: F.grid_sample(x, g, padding_mode="circular"),
    "batch": lambda lib, F, x, g: F.grid_sample(x[:1], g),
    "last dim": lambda lib, F, x, g: F.grid_sample(x, g[..., :1]),
    "dims": lambda lib, F, x, g: F.grid_sample(x[0], g),
    "dims of the grid": lambda lib, F, x, g: F.grid_sample(x, g[0]),
    "dtype": lambda lib, F, x, g: F.grid_sample(x, g.double()),
    "empty": lambda lib, F, x, g: F.grid_sample(x[:, :, :0], g),
    "theta": lambda lib, F, x, g: F.affine_grid(lib.ones(2, 3, 3), (2, 1, 4, 4)),
    "integers": lambda lib, F, x, g: F.affine_grid(lib.ones(2, 2, 3).long(), (2, 1, 4, 4)),
    "size": lambda lib, F, x, g: F.affine_grid(lib.ones(2, 2, 3), (2, 1, 4)),
    "size of nothing": lambda lib, F, x, g: F.affine_grid(lib.ones(2, 2, 3), (2, 1, 0, 4)),
    "other N": lambda lib, F, x, g: F.affine_grid(lib.ones(2, 2, 3), (3, 1, 4, 4)),
}


def test_what_is_not_supported_is_named():
    x, grid = tv.ones(2, 3, 4, 5), tv.zeros(2, 6, 7, 2)
    with pytest.raises(NotImplementedError, match="bicubic"):
        F.grid_sample(x, grid, mode="bicubic", align_corners=False)
    with pytest.raises(NotImplementedError, match="5D"):
        F.grid_sample(x[None], grid[None], align_corners=False)
    with pytest.raises(NotImplementedError, match="N, C, H, W"):
        F.affine_grid(tv.ones(2, 3, 4), (2, 1, 3, 4, 5), align_corners=False)


@pytest.mark.parity
@pytest.mark.parametrize("name", WRONG)
def test_errors_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    errors = []
    for lib in (tv, torch):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(Exception) as caught:  # noqa: B017 - it is compared
                x, grid = lib.ones(2, 3, 4, 5), lib.zeros(2, 6, 7, 2)
                WRONG[name](lib, lib.nn.functional, x, grid)
        errors.append(caught.type)
    assert errors[0] is errors[1]


def _run(lib, x, theta, grid, size, mode, padding, align_corners):
    x, theta, grid = (lib.tensor(a, requires_grad=True) for a in (x, theta, grid))
    Fs = lib.nn.functional
    own = Fs.affine_grid(theta, size, align_corners)
    results = [own]
    for g in (own, grid):
        y = Fs.grid_sample(x, g, mode, padding, align_corners)
        weights = np.random.default_rng(1).standard_normal(tuple(y.shape))
        (y * lib.tensor(weights, dtype=y.dtype)).sum().backward()
        results.append(y)
    return [t.detach().numpy() for t in (*results, x.grad, theta.grad, grid.grad)]


@pytest.mark.parity
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("mode", MODES)
def test_values_and_gradients_are_pytorchs(mode, padding, align_corners, dtype):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for H, W in ((5, 7), (1, 4), (3, 1)):
        x, theta = rng.standard_normal((2, 3, H, W)), rng.standard_normal((2, 2, 3))
        theta[0] = [[1, 0, 0], [0, 1, 0]]
        grid = rng.uniform(-3, 3, (2, 4, 6, 2))
        grid[0, 0] = [[-1, -1], [1, 1], [-1, 1], [0, 0], [9999, 0], [0, -100]]
        if mode == "nearest":  # half way, the last bit decides
            theta[0] += rng.standard_normal((2, 3)) * 0.01
            grid[0, 0, :4] *= 0.97
        arrays = [a.astype(dtype) for a in (x, theta, grid)]
        size = (2, 3, 6, 5)
        ours, theirs = (
            _run(lib, *arrays, size, mode, padding, align_corners) for lib in (tv, torch)
        )
        tolerance = 1e-9 if dtype == np.float64 else 2e-3
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parity
def test_the_warning_is_pytorchs():
    torch = pytest.importorskip("torch")
    found = []
    for lib in (tv, torch):
        functions = lib.nn.functional
        with pytest.warns(UserWarning, match="align_corners=False") as caught:
            grid = functions.affine_grid(lib.ones(1, 2, 3), (1, 1, 2, 2))
            functions.grid_sample(lib.ones(1, 1, 2, 2), grid)
        found.append([str(w.message) for w in caught])
    assert found[0] == found[1]
