"""Float32 results and gradients are about as near to float64's as PyTorch's are."""

import numpy as np
import pytest

import tinyvision as tv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.parity

# Root mean square errors may be so many times as large. Where PyTorch's happens to be next to
# none, one unit in the last place of the largest value is none either.
FACTOR, LAST_PLACE = 4, 2.0**-24


def conv(channels, filters, size, kernel, N=4, **options):
    def call(lib, x, weight, bias):
        return lib.nn.functional.conv2d(x, weight, bias, **options)

    weight = (filters, channels // options.get("groups", 1), kernel, kernel)
    return call, [(N, channels, size, size), weight, (filters,)]


def function(name, *shapes, **options):
    return lambda lib, *inputs: getattr(lib.nn.functional, name)(*inputs, **options), shapes


def attention_with_a_mask_of(offset):
    def call(lib, query, key, value):
        mask = lib.full((65, 65), offset, dtype=query.dtype)
        return lib.nn.functional.scaled_dot_product_attention(query, key, value, mask)

    return call, [(16, 65, 32)] * 3  # of 3 dims, for which PyTorch's kernel gets it right


CASES = {
    "conv 3x3 of 3 channels": conv(3, 16, 32, 3, padding=1),
    "conv 3x3 of 64 channels": conv(64, 64, 16, 3, padding=1),
    "conv 3x3 of 256 channels": conv(256, 256, 8, 3, padding=1),
    "conv 3x3 of one image": conv(64, 64, 32, 3, N=1, padding=1),
    "conv 3x3 stride 2": conv(64, 128, 16, 3, stride=2, padding=1),
    "conv 5x5": conv(6, 16, 14, 5),
    "conv 1x1": conv(64, 256, 16, 1),
    "conv 3x3 depthwise": conv(64, 64, 16, 3, padding=1, groups=64),
    "conv of patches": conv(3, 128, 32, 4, stride=4),
    "linear": function("linear", (512, 400), (120, 400), (120,)),
    "linear of many": function("linear", (64, 3136), (128, 3136), (128,)),
    "attention": function("scaled_dot_product_attention", *[(4, 4, 65, 32)] * 3),
    "causal attention": function(
        "scaled_dot_product_attention", *[(2, 2, 300, 64)] * 3, is_causal=True
    ),
    "attention of large queries": (
        lambda lib, q, k, v: lib.nn.functional.scaled_dot_product_attention(100 * q, 100 * k, v),
        [(16, 65, 32)] * 3,
    ),
    "attention with a mask of 1e5": attention_with_a_mask_of(1e5),
    "attention with a mask of -1e9": attention_with_a_mask_of(-1e9),
    "attention with a mask of -3e38": attention_with_a_mask_of(-3e38),
    "layer norm": (
        lambda lib, x, w, b: lib.nn.functional.layer_norm(x, (128,), w, b),
        [(500, 128), (128,), (128,)],
    ),
    "batch norm": (
        lambda lib, x, w, b: lib.nn.functional.batch_norm(x, None, None, w, b, training=True),
        [(32, 16, 16, 16), (16,), (16,)],
    ),
    "group norm": (
        lambda lib, x, w, b: lib.nn.functional.group_norm(x, 4, w, b),
        [(8, 16, 16, 16), (16,), (16,)],
    ),
    "max pool": function("max_pool2d", (8, 16, 32, 32), kernel_size=3, stride=2),
    "avg pool": function("avg_pool2d", (8, 16, 32, 32), kernel_size=2),
    "GELU": function("gelu", (400, 256)),
    "GELU by tanh": function("gelu", (400, 256), approximate="tanh"),
    "softmax": function("softmax", (500, 65), dim=1),
    "log softmax": function("log_softmax", (128, 1000), dim=1),
    "sigmoid": function("sigmoid", (400, 256)),
    "tanh": (lambda lib, x: lib.tanh(x), [(400, 256)]),
    "exp": (lambda lib, x: lib.exp(x), [(400, 256)]),
    "sum": (lambda lib, x: x.sum(0), [(5000, 33)]),
    "mean": (lambda lib, x: x.mean((0, 2)), [(50, 33, 100)]),
    "var": (lambda lib, x: x.var(1), [(50, 3333)]),
    "cross-entropy": (
        lambda lib, x: lib.nn.functional.cross_entropy(x, lib.arange(128) % 10), [(128, 10)]
    ),
}  # fmt: skip


def results(lib, dtype, call, arrays, cotangent):
    """The output and the gradients of all inputs, as float64 arrays."""
    inputs = [lib.tensor(a, dtype=dtype, requires_grad=True) for a in arrays]
    output = call(lib, *inputs)
    (output * lib.tensor(cotangent(tuple(output.shape)), dtype=dtype)).sum().backward()
    tensors = [output.detach(), *[x.grad for x in inputs]]
    return [np.asarray(t).astype(np.float64) for t in tensors]


@pytest.mark.parametrize("name", CASES)
def test_float32_is_as_accurate_as_pytorchs(name):
    call, shapes = CASES[name]
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]

    def cotangent(shape):
        return np.random.default_rng(1).standard_normal(shape).astype(np.float32)

    exact = results(torch, torch.float64, call, arrays, cotangent)
    ours = results(tv, tv.float32, call, arrays, cotangent)
    theirs = results(torch, torch.float32, call, arrays, cotangent)
    for what, (right, own, other) in enumerate(zip(exact, ours, theirs, strict=True)):
        own_error, other_error = (np.sqrt(np.mean((x - right) ** 2)) for x in (own, other))
        floor = LAST_PLACE * np.abs(right).max()
        assert own_error <= FACTOR * max(other_error, floor), (what, own_error, other_error, floor)
