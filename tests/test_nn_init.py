"""nn.init: exact bounds and statistics of the distributions."""

import math

import numpy as np
import pytest

import tinyvision as tv
from tinyvision.nn import init

N = 40_000


def generator():
    return tv.Generator().manual_seed(0)


# ------------------------------------------------------------------ gains


def test_calculate_gain_values():
    assert init.calculate_gain("linear") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("conv2d") == 1
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 1) == 1


def test_calculate_gain_rejects_unknown():
    with pytest.raises(ValueError, match="Unsupported nonlinearity swish"):
        init.calculate_gain("swish")
    with pytest.raises(ValueError, match="negative_slope True not a valid number"):
        init.calculate_gain("leaky_relu", True)


# ------------------------------------------------------------------ plain values


def test_plain_values():
    weight = tv.empty(2, 3)
    assert init.constant_(weight, 2.5) is weight and weight.tolist() == [[2.5] * 3] * 2
    assert init.zeros_(weight).tolist() == [[0.0] * 3] * 2
    assert init.ones_(weight).tolist() == [[1.0] * 3] * 2
    assert init.eye_(weight).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    with pytest.raises(ValueError, match="eye_: only tensors with 2 dimensions"):
        init.eye_(tv.empty(2))


def test_dirac_makes_an_identity_convolution():
    weight = init.dirac_(tv.empty(2, 3, 3, 3))
    x = tv.randn(1, 3, 5, 5)
    y = tv.nn.functional.conv2d(x, weight, padding=1)
    assert np.array_equal(y.numpy(), x.numpy()[:, :2])
    grouped = init.dirac_(tv.empty(4, 2, 1, 1), groups=2)
    assert grouped.reshape(4, 2).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    with pytest.raises(ValueError, match="must be divisible by groups"):
        init.dirac_(tv.empty(3, 2, 1), groups=2)
    with pytest.raises(ValueError, match="3, 4, or 5 dimensions"):
        init.dirac_(tv.empty(3, 2))


def test_init_works_on_parameters_and_bumps_their_version():
    weight = tv.nn.Parameter(tv.ones(3))
    loss = (weight * weight).sum()
    init.uniform_(weight)
    assert weight.requires_grad and weight.grad_fn is None
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# ------------------------------------------------------------------ distributions

KEEPS_DTYPE = [
    lambda w: init.uniform_(w, -3, 5),
    lambda w: init.normal_(w, 1, 2),
    lambda w: init.trunc_normal_(w),
    lambda w: init.xavier_uniform_(w),
    lambda w: init.xavier_normal_(w),
    lambda w: init.kaiming_uniform_(w),
    lambda w: init.kaiming_normal_(w),
    lambda w: init.orthogonal_(w),
]


@pytest.mark.parametrize("fill", KEEPS_DTYPE)
@pytest.mark.parametrize("dtype", [tv.float32, tv.float64])
def test_random_init_keeps_dtype_and_returns_its_tensor(fill, dtype):
    weight = tv.full((4, 5), math.nan, dtype=dtype)
    assert fill(weight) is weight and weight.dtype == dtype and not weight.isnan().any()


@pytest.mark.parametrize("fill", [getattr(init, f) for f in init.__dict__ if f.endswith("l_")])
def test_random_init_repeats_with_the_seed(fill):
    first, again = [fill(tv.empty(4, 5), generator=generator()).tolist() for _ in range(2)]
    other = fill(tv.empty(4, 5), generator=tv.Generator().manual_seed(1)).tolist()
    assert first == again != other
    tv.manual_seed(3)
    first = fill(tv.empty(4, 5)).tolist()
    tv.manual_seed(3)
    assert fill(tv.empty(4, 5)).tolist() == first


def test_uniform_statistics():
    values = init.uniform_(tv.empty(N), -3, 5, generator()).numpy()
    assert values.min() >= -3 and values.max() < 5
    assert values.mean() == pytest.approx(1, abs=0.05)
    assert values.std() == pytest.approx(8 / math.sqrt(12), rel=0.01)


def test_normal_statistics():
    values = init.normal_(tv.empty(N), 1, 2, generator()).numpy()
    assert values.mean() == pytest.approx(1, abs=0.05)
    assert values.std() == pytest.approx(2, rel=0.02)
    assert (np.abs(values - 1) < 2).mean() == pytest.approx(0.683, abs=0.01)


def normal_cdf(x):
    return (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


@pytest.mark.parametrize(
    ("mean", "std", "a", "b"),
    [
        (0, 1, -2, 2),
        (0.5, 2, -1, 4),
        (0, 1, 0.1, 0.2),  # narrow
        (0, 1, 1.5, 3),  # in the tail
        (0, 0.02, -2, 2),  # as transformers use it
    ],
)
def test_trunc_normal_has_the_truncated_distribution(mean, std, a, b):
    values = np.sort(init.trunc_normal_(tv.empty(N), mean, std, a, b, generator()).numpy())
    assert values[0] >= np.float32(a) and values[-1] <= np.float32(b)
    low, high = normal_cdf(np.array([(a - mean) / std, (b - mean) / std]))
    expected = (normal_cdf((values - mean) / std) - low) / (high - low)
    # Kolmogorov-Smirnov: 1.95 / sqrt(n) is exceeded by chance once in a thousand seeds.
    assert np.abs(expected - np.arange(N) / N).max() < 1.95 / math.sqrt(N)


def test_trunc_normal_warns_and_rejects():
    with pytest.warns(UserWarning, match="mean is more than 2 std from"):
        values = init.trunc_normal_(tv.empty(100), 0, 1, 3, 4).numpy()
    assert values.min() >= 3 and values.max() <= 4
    with pytest.raises(ValueError, match="std > 0 and a < b"):
        init.trunc_normal_(tv.empty(2), a=2, b=-2)
    with pytest.raises(ValueError, match="mean=nan"):  # all draws would be outside, for ever
        init.trunc_normal_(tv.empty(2), mean=math.nan)


@pytest.mark.parametrize("shape", [(100, 400), (40, 10, 10, 10)])
def test_xavier_bounds(shape):
    fan_in, fan_out = (400, 100) if len(shape) == 2 else (1000, 4000)
    std = 3 * math.sqrt(2 / (fan_in + fan_out))
    values = init.xavier_uniform_(tv.empty(*shape), 3, generator()).numpy()
    assert np.abs(values).max() <= math.sqrt(3) * std < np.abs(values).max() * 1.001
    assert values.std() == pytest.approx(std, rel=0.02)
    values = init.xavier_normal_(tv.empty(*shape), 3, generator()).numpy()
    assert values.std() == pytest.approx(std, rel=0.02)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
@pytest.mark.parametrize(
    ("a", "nonlinearity"), [(0, "leaky_relu"), (0.5, "leaky_relu"), (0, "tanh")]
)
def test_kaiming_bounds(mode, a, nonlinearity):
    weight = tv.empty(40, 10, 10, 10)
    std = init.calculate_gain(nonlinearity, a) / math.sqrt(1000 if mode == "fan_in" else 4000)
    values = init.kaiming_uniform_(weight, a, mode, nonlinearity, generator()).numpy()
    assert np.abs(values).max() <= math.sqrt(3) * std < np.abs(values).max() * 1.001
    assert values.std() == pytest.approx(std, rel=0.02)
    values = init.kaiming_normal_(weight, a, mode, nonlinearity, generator()).numpy()
    assert values.std() == pytest.approx(std, rel=0.02)


def test_kaiming_and_xavier_reject():
    with pytest.raises(ValueError, match="Mode fan_avg not supported"):
        init.kaiming_uniform_(tv.empty(2, 2), mode="fan_avg")
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        init.xavier_uniform_(tv.empty(2))
    with pytest.warns(UserWarning, match="zero-element"):
        init.kaiming_normal_(tv.empty(0, 2))


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (6, 2, 2, 1)])
def test_orthogonal_is_orthogonal(shape):
    q = init.orthogonal_(tv.empty(*shape, dtype=tv.float64), gain=2).numpy().reshape(shape[0], -1)
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_orthogonal_has_no_preferred_sign():
    g = generator()
    draws = [init.orthogonal_(tv.empty(2, 2), generator=g).numpy() for _ in range(400)]
    positive = np.mean([d > 0 for d in draws], axis=0)
    assert np.abs(positive - 0.5).max() < 0.1
    with pytest.raises(ValueError, match="2 or more dimensions"):
        init.orthogonal_(tv.empty(2))


# ------------------------------------------------------------------ against PyTorch


@pytest.mark.parity
def test_gains_and_deterministic_inits_match_pytorch():
    torch = pytest.importorskip("torch")
    for name in ("linear", "conv2d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    for shape, groups in (((4, 2, 3), 2), ((3, 3, 2, 3), 1), ((2, 5, 3, 3, 1), 1)):
        theirs = torch.nn.init.dirac_(torch.empty(shape), groups)
        assert init.dirac_(tv.empty(*shape), groups).tolist() == theirs.tolist()
