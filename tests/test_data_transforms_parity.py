"""Resampling, padding and grey values against PyTorch, which torchvision computes them with."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinyvision.creation import from_numpy
from tinyvision.data import Grayscale, InterpolationMode, Pad, Resize

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

SIDES = st.integers(1, 40)


def _skip_pytorchs_bug(W, size, antialias):
    """Where a width is 1, PyTorch 2.13 does not interpolate rows if it is to antialias."""
    assume(not antialias or min(W, size[1]) > 1)


@given(H=SIDES, W=SIDES, size=st.tuples(SIDES, SIDES), antialias=st.booleans())
def test_resize_bilinear_is_pytorchs(H, W, size, antialias):
    _skip_pytorchs_bug(W, size, antialias)
    images = np.random.default_rng(H).random((2, 3, H, W))
    out = Resize(size, antialias=antialias)(from_numpy(images)).numpy()
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images), size, mode="bilinear", antialias=antialias
    )
    np.testing.assert_allclose(out, expected.numpy(), rtol=1e-10, atol=1e-12)


@given(H=SIDES, W=SIDES, size=st.tuples(SIDES, SIDES), antialias=st.booleans())
def test_resize_of_integers_is_torchvisions(H, W, size, antialias):
    _skip_pytorchs_bug(W, size, antialias)
    images = np.random.default_rng(H).integers(0, 256, (2, 3, H, W)).astype(np.uint8)
    out = Resize(size, antialias=antialias)(from_numpy(images)).numpy()
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images).float(), size, mode="bilinear", antialias=antialias
    )
    # Where a value is half way, the last bit decides which integer it becomes.
    assert out.dtype == np.uint8
    assert np.abs(out - expected.numpy()).max() < 0.5 + 1e-3


@given(n=st.integers(1, 300), n_out=st.integers(1, 300))
def test_resize_nearest_is_pytorchs(n, n_out):
    row = np.arange(n, dtype=np.float32).reshape(1, 1, n)
    out = Resize((1, n_out), InterpolationMode.NEAREST)(from_numpy(row)).numpy()
    expected = torch.nn.functional.interpolate(torch.from_numpy(row[None]), (1, n_out))
    np.testing.assert_array_equal(out, expected.numpy()[0])


@pytest.mark.parametrize("mode, torchs", [("edge", "replicate"), ("reflect", "reflect")])
def test_pad_is_pytorchs(mode, torchs):
    image = np.random.default_rng(0).random((3, 6, 5))
    expected = torch.nn.functional.pad(torch.from_numpy(image), (1, 3, 2, 4), torchs)
    out = Pad((1, 2, 3, 4), padding_mode=mode)(from_numpy(image))
    np.testing.assert_array_equal(out.numpy(), expected.numpy())


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_grayscale_is_torchvisions(dtype):
    image = np.random.default_rng(0).integers(0, 256, (3, 50, 50)).astype(dtype)
    red, green, blue = torch.from_numpy(image)
    expected = (0.2989 * red + 0.587 * green + 0.114 * blue).to(torch.from_numpy(image).dtype)
    out = Grayscale()(from_numpy(image)).numpy()[0]
    np.testing.assert_allclose(out, expected.numpy(), rtol=1e-6)
