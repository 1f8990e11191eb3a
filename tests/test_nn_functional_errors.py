"""Bad calls of nn.functional: each raises PyTorch's exception type and says what is wrong.

A call is a function of (F, t): the functional module and the library, so that the same bad call
can be made to PyTorch.
"""

import warnings

import pytest

import tinyvision as tv
import tinyvision.nn.functional as F


def image(t, *shape):
    return t.zeros(*(shape or (1, 3, 5, 5)))


def filters(t, *shape):
    return t.zeros(*(shape or (8, 3, 3, 3)))


def classes(t, *values):
    return t.tensor(list(values)).long()


LINEAR = [
    (lambda F, t: F.linear(t.zeros(2, 3), t.zeros(4, 5)), RuntimeError, r"\[4, 5\].*\[2, 3\]"),
    (
        lambda F, t: F.linear(t.zeros(2, 3), t.zeros(4, 3), t.zeros(5)),
        RuntimeError,
        r"bias.*\[5\]",
    ),
    (lambda F, t: F.linear(t.zeros(()), t.zeros(4, 3)), RuntimeError, "at least 1D"),
    (lambda F, t: F.linear(t.zeros(2, 3), t.zeros(1, 4, 3)), RuntimeError, r"matrix.*\[1, 4, 3\]"),
    (lambda F, t: F.linear(t.zeros(2, 3), t.zeros(3), t.zeros(1)), RuntimeError, "matrix"),
    (lambda F, t: F.linear(t.zeros(2, 3), t.zeros(4, 3).double()), RuntimeError, "weight.*Double"),
    (
        lambda F, t: F.linear(t.zeros(2, 3), t.zeros(4, 3), t.zeros(4).double()),
        RuntimeError,
        "bias.*Float.*Double",
    ),
    (lambda F, t: F.linear([1.0], t.zeros(4, 3)), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.linear(t.zeros(2, 3), None), TypeError, "'weight'.*NoneType"),
    (lambda F, t: F.linear(t.zeros(2, 3), t.zeros(4, 3), 1.0), TypeError, "'bias'.*float"),
]

CONV = [
    (
        lambda F, t: F.conv2d(image(t), filters(t, 8, 4, 3, 3)),
        RuntimeError,
        "4 input channels.*has 3",
    ),
    (
        lambda F, t: F.conv2d(image(t, 5, 5), filters(t)),
        RuntimeError,
        r"3D \(unbatched\).*\[5, 5\]",
    ),
    (lambda F, t: F.conv2d(image(t, 1, 1, 3, 5, 5), filters(t)), RuntimeError, "or 4D"),
    (lambda F, t: F.conv2d(image(t), filters(t, 8, 3, 3)), RuntimeError, r"weight.*\[8, 3, 3\]"),
    (lambda F, t: F.conv2d(image(t), filters(t, 3, 3)), RuntimeError, r"weight.*\[3, 3\]"),
    (lambda F, t: F.conv2d(image(t), filters(t, 0, 3, 3, 3)), RuntimeError, r"\[0, 3, 3, 3\]"),
    (lambda F, t: F.conv2d(image(t), filters(t, 8, 3, 0, 3)), RuntimeError, r"\[8, 3, 0, 3\]"),
    (lambda F, t: F.conv2d(image(t), filters(t), t.zeros(7)), RuntimeError, r"\(8,\).*\[7\]"),
    (lambda F, t: F.conv2d(image(t), filters(t), t.zeros(8, 1)), RuntimeError, r"\[8, 1\]"),
    (lambda F, t: F.conv2d(image(t), filters(t).double()), RuntimeError, "weight.*Float.*Double"),
    (lambda F, t: F.conv2d(image(t).double(), filters(t)), RuntimeError, "weight.*Double.*Float"),
    (
        lambda F, t: F.conv2d(image(t), filters(t), t.zeros(8).double()),
        RuntimeError,
        "bias.*Float.*Double",
    ),
    (lambda F, t: F.conv2d(image(t), filters(t, 8, 3, 6, 6)), RuntimeError, r"\(6, 6\).*\(5, 5\)"),
    (lambda F, t: F.conv2d(image(t), filters(t), dilation=3), RuntimeError, r"spans \(7, 7\)"),
    (lambda F, t: F.conv2d(image(t, 1, 3, 0, 5), filters(t)), RuntimeError, r"\[1, 3, 0, 5\]"),
    (
        lambda F, t: F.conv2d(image(t, 1, 3, 0, 5), filters(t), padding=3),
        RuntimeError,
        r"non-zero size.*\[1, 3, 0, 5\]",
    ),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=0), RuntimeError, "stride.*at least 1"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=-1), RuntimeError, "stride.*at least 1"),
    (lambda F, t: F.conv2d(image(t), filters(t), padding=-1), RuntimeError, "padding.*at least 0"),
    (lambda F, t: F.conv2d(image(t), filters(t), dilation=0), RuntimeError, "dilation.*at least 1"),
    (lambda F, t: F.conv2d(image(t), filters(t), groups=0), RuntimeError, "groups.*0"),
    (lambda F, t: F.conv2d(image(t), filters(t), groups=2), RuntimeError, "groups=2 expects 6"),
    (
        lambda F, t: F.conv2d(image(t, 1, 4, 5, 5), filters(t, 7, 2, 3, 3), groups=2),
        RuntimeError,
        "divisible by groups=2.*7",
    ),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=(1, 2, 3)), RuntimeError, r"\(1, 2, 3\)"),
    (lambda F, t: F.conv2d(image(t), filters(t), padding=()), RuntimeError, r"padding.*\(\)"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=1.5), TypeError, "stride.*float"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=(1.5, 1)), TypeError, "stride.*float"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride="a"), TypeError, "stride.*str"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=True), TypeError, "stride.*bool"),
    (lambda F, t: F.conv2d(image(t), filters(t), stride=None), TypeError, "stride.*None"),
    (lambda F, t: F.conv2d(image(t), filters(t), groups=1.5), TypeError, "groups.*float"),
    (lambda F, t: F.conv2d(image(t), filters(t), padding=1.5), TypeError, "padding.*float"),
    (lambda F, t: F.conv2d(image(t), filters(t), padding="full"), RuntimeError, "'full'"),
    (
        lambda F, t: F.conv2d(image(t), filters(t), padding="same", stride=2),
        RuntimeError,
        r"strided.*\(2, 2\)",
    ),
    (lambda F, t: F.conv2d([1], filters(t)), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.conv2d(image(t), None), TypeError, "'weight'.*NoneType"),
    (lambda F, t: F.conv2d(image(t), filters(t), 3.0), TypeError, "'bias'.*float"),
]

POOL = [
    (lambda F, t: F.max_pool2d(image(t, 4, 4), 2), RuntimeError, r"\[4, 4\]"),
    (lambda F, t: F.max_pool2d(image(t, 1, 1, 1, 4, 4), 2), RuntimeError, r"\[1, 1, 1, 4, 4\]"),
    (lambda F, t: F.max_pool2d(image(t), 6), RuntimeError, r"too small.*\(0, 0\)"),
    (lambda F, t: F.max_pool2d(image(t), 5, dilation=2), RuntimeError, "too small.*dilation"),
    (lambda F, t: F.max_pool2d(image(t), 2, padding=2), RuntimeError, "at most half"),
    (lambda F, t: F.max_pool2d(image(t), 2, padding=-1), RuntimeError, "padding.*at least 0"),
    (lambda F, t: F.max_pool2d(image(t), 2, stride=0), RuntimeError, "stride.*at least 1"),
    (lambda F, t: F.max_pool2d(image(t), 0), RuntimeError, "kernel_size.*at least 1"),
    (lambda F, t: F.max_pool2d(image(t), -1), RuntimeError, "kernel_size.*at least 1"),
    (lambda F, t: F.max_pool2d(image(t), 2, dilation=0), RuntimeError, "dilation.*at least 1"),
    (lambda F, t: F.max_pool2d(image(t), (2, 2, 2)), RuntimeError, r"\(2, 2, 2\)"),
    (lambda F, t: F.max_pool2d(image(t), 3, stride=2**40), RuntimeError, "stride.*at most"),
    (lambda F, t: F.max_pool2d(image(t), 2.0), TypeError, "kernel_size.*float"),
    (lambda F, t: F.max_pool2d(image(t), "a"), TypeError, "kernel_size.*str"),
    (lambda F, t: F.max_pool2d(image(t), 3, ceil_mode=1), TypeError, "ceil_mode.*int"),
    (lambda F, t: F.max_pool2d(image(t, 1, 0, 4, 4), 2), RuntimeError, r"\[1, 0, 4, 4\]"),
    (lambda F, t: F.max_pool2d(image(t, 1, 1, 0, 4), 2), RuntimeError, r"\[1, 1, 0, 4\]"),
    (lambda F, t: F.max_pool2d(image(t).bool(), 2), NotImplementedError, "'Bool'"),
    (lambda F, t: F.max_pool2d([1], 2), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.avg_pool2d(image(t), 6), RuntimeError, r"too small.*\(0, 0\)"),
    (lambda F, t: F.avg_pool2d(image(t), 2, padding=2), RuntimeError, "at most half"),
    (lambda F, t: F.avg_pool2d(image(t), 2, padding=-1), RuntimeError, "padding.*at least 0"),
    (lambda F, t: F.avg_pool2d(image(t), 2, stride=-2), RuntimeError, "stride.*at least 1"),
    (lambda F, t: F.avg_pool2d(image(t), 0), RuntimeError, "kernel_size.*at least 1"),
    (lambda F, t: F.avg_pool2d(image(t), (2, 2, 2)), RuntimeError, r"\(2, 2, 2\)"),
    (lambda F, t: F.avg_pool2d(image(t), 2.0), TypeError, "kernel_size.*float"),
    (lambda F, t: F.avg_pool2d(image(t), 2, ceil_mode="a"), TypeError, "ceil_mode.*str"),
    (lambda F, t: F.avg_pool2d(image(t), 2, divisor_override=0), RuntimeError, "not zero"),
    (lambda F, t: F.avg_pool2d(image(t), 2, divisor_override=1.5), TypeError, "divisor.*float"),
    (lambda F, t: F.avg_pool2d(image(t, 1, 0, 4, 4), 2), RuntimeError, r"\[1, 0, 4, 4\]"),
    (lambda F, t: F.avg_pool2d([1], 2), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t, 4, 4), 3), RuntimeError, r"\[4, 4\]"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), (3,)), RuntimeError, r"output_size.*\(3,\)"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), (3, 3, 3)), RuntimeError, r"\(3, 3, 3\)"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), -1), RuntimeError, "output_size.*at least 0"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), 1.5), TypeError, "output_size.*float"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), None), TypeError, "output_size.*None"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t), True), TypeError, "output_size.*bool"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t, 1, 1, 0, 4), 2), RuntimeError, r"\[1, 1, 0, 4\]"),
    (lambda F, t: F.adaptive_avg_pool2d(image(t).long(), 2), NotImplementedError, "'Long'"),
    (lambda F, t: F.adaptive_max_pool2d(image(t, 4, 4), 3), RuntimeError, r"\[4, 4\]"),
    (lambda F, t: F.adaptive_max_pool2d(image(t), (3,)), RuntimeError, r"output_size.*\(3,\)"),
    (lambda F, t: F.adaptive_max_pool2d(image(t), -1), RuntimeError, "output_size.*at least 0"),
    (lambda F, t: F.adaptive_max_pool2d(image(t, 1, 0, 4, 4), 2), RuntimeError, r"\[1, 0, 4, 4\]"),
    (lambda F, t: F.adaptive_max_pool2d(image(t).long(), 2), NotImplementedError, "'Long'"),
]


def normalized(F, t, *args, shape=(4, 3), **kwargs):
    mean, var, weight, bias = [None if n is None else t.ones(n) for n in (*args, *[None] * 4)[:4]]
    return F.batch_norm(t.zeros(*shape), mean, var, weight, bias, **kwargs)


NORM = [
    (
        lambda F, t: F.local_response_norm(image(t), 0),
        RuntimeError,
        "must be greater than zero, got 0",
    ),
    (lambda F, t: normalized(F, t), RuntimeError, "running_mean must be defined"),
    (lambda F, t: normalized(F, t, 3), RuntimeError, "running_var must be defined"),
    (lambda F, t: normalized(F, t, 4, 3), RuntimeError, r"running_mean.*3 elements.*\[4\]"),
    (lambda F, t: normalized(F, t, 3, 4), RuntimeError, r"running_var.*3 elements.*\[4\]"),
    (lambda F, t: normalized(F, t, 3, 3, 4), RuntimeError, r"weight.*3 elements.*\[4\]"),
    (lambda F, t: normalized(F, t, 3, 3, 3, 4), RuntimeError, r"bias.*3 elements.*\[4\]"),
    (lambda F, t: normalized(F, t, 3, training=True), ValueError, "both be None or neither"),
    (
        lambda F, t: normalized(F, t, shape=(1, 3), training=True),
        ValueError,
        r"more than 1.*\[1, 3\]",
    ),
    (
        lambda F, t: normalized(F, t, shape=(1, 3, 1, 1), training=True),
        ValueError,
        r"more than 1 value per channel.*\[1, 3, 1, 1\]",
    ),
    (lambda F, t: normalized(F, t, shape=(3,), training=True), IndexError, r"\[3\]"),
    (lambda F, t: normalized(F, t, training=True, eps=0), ValueError, "eps must be positive"),
    (lambda F, t: normalized(F, t, 3, 3, eps=-1.0), ValueError, "eps must be non-negative"),
    (lambda F, t: normalized(F, t, training=True, eps="a"), TypeError, "eps.*str"),
    (lambda F, t: normalized(F, t, training=True, momentum=None), TypeError, "momentum.*None"),
    (
        lambda F, t: F.batch_norm(t.zeros(4, 3).double(), t.zeros(3), t.ones(3)),
        RuntimeError,
        "running_mean.*Double.*Float",
    ),
    (
        lambda F, t: F.batch_norm(t.zeros(4, 3), None, None, t.ones(3).double(), training=True),
        RuntimeError,
        "weight.*Float.*Double",
    ),
    (
        lambda F, t: F.batch_norm(t.zeros(4, 3).long(), None, None, training=True),
        NotImplementedError,
        "'Long'",
    ),
    (
        lambda F, t: F.batch_norm(t.zeros(4, 3), t.zeros(3, requires_grad=True), t.ones(3)),
        RuntimeError,
        "'running_mean'.*requires_grad",
    ),
    (
        lambda F, t: F.batch_norm(t.zeros(4, 3), [0, 0, 0], t.ones(3)),
        TypeError,
        "running_mean.*list",
    ),
    (lambda F, t: F.normalize(t.zeros(3)), IndexError, "out of range"),
    (lambda F, t: F.normalize(t.zeros(2, 3), dim=2), IndexError, "out of range"),
    (lambda F, t: F.normalize(t.zeros(2, 3).long()), RuntimeError, "floating point"),
    (lambda F, t: F.normalize(t.zeros(2, 3), eps="a"), TypeError, "eps.*str"),
    (lambda F, t: F.dropout(t.zeros(3), 1.5), ValueError, "between 0 and 1, but got 1.5"),
    (lambda F, t: F.dropout(t.zeros(3), -0.1), ValueError, "between 0 and 1"),
    (lambda F, t: F.dropout(t.zeros(3), "a"), TypeError, "p.*str"),
    (lambda F, t: F.dropout(t.zeros(3), 0.5, 1), TypeError, "train.*int"),
    (lambda F, t: F.dropout(t.zeros(3).long(), 0.5), RuntimeError, "Long"),
    (lambda F, t: F.dropout([1], 0.5), TypeError, "'input' must be Tensor, not list"),
    (
        lambda F, t: F.dropout(t.zeros(3, requires_grad=True), 0.5, True, True),
        RuntimeError,
        "leaf Variable",
    ),
    (lambda F, t: F.dropout2d(t.zeros(1, 1, 2, 2), 2), ValueError, "between 0 and 1"),
    (lambda F, t: F.dropout2d(t.zeros(3), 0.5), RuntimeError, "at least 2 dimensions"),
]

ACTIVATION = [
    (lambda F, t: F.relu([1]), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.relu(t.zeros(2).bool()), RuntimeError, "Boolean"),
    (lambda F, t: F.relu6(t.zeros(2).bool()), RuntimeError, "Bool"),
    (lambda F, t: F.relu(t.zeros(2, requires_grad=True), inplace=True), RuntimeError, "leaf"),
    (lambda F, t: F.silu(t.zeros(2, requires_grad=True), inplace=True), RuntimeError, "leaf"),
    (lambda F, t: F.leaky_relu(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.leaky_relu(t.zeros(2), "a"), TypeError, "negative_slope.*str"),
    (lambda F, t: F.leaky_relu(t.zeros(2), None), TypeError, "negative_slope.*None"),
    (lambda F, t: F.elu(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.elu(t.zeros(2), "a"), TypeError, "alpha.*str"),
    (lambda F, t: F.gelu(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.gelu(t.zeros(2), approximate="erf"), RuntimeError, "none or tanh.*'erf'"),
    (lambda F, t: F.gelu(t.zeros(2), approximate=1), TypeError, "approximate.*int"),
    (lambda F, t: F.silu(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.softplus(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.softplus(t.zeros(2), "a"), TypeError, "beta.*str"),
    (lambda F, t: F.logsigmoid(t.zeros(2).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.hardtanh(t.zeros(2), 1.0, -1.0), ValueError, "1.0 > -1.0"),
    (lambda F, t: F.hardtanh(t.zeros(2).to(t.uint8)), RuntimeError, "unsigned"),
    (lambda F, t: F.hardtanh([1]), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.softmax(t.zeros(3), 1), IndexError, "out of range"),
    (lambda F, t: F.softmax(t.zeros(3), 1.5), TypeError, "dim.*float"),
    (lambda F, t: F.softmax(t.zeros(3).long(), 0), NotImplementedError, "'Long'"),
    (lambda F, t: F.log_softmax(t.zeros(3).long(), 0), NotImplementedError, "'Long'"),
    (lambda F, t: F.softmin(t.zeros(3), 5), IndexError, "out of range"),
]

PAD = [
    (lambda F, t: F.pad(t.zeros(2, 3), (1, 1, 1)), RuntimeError, "divisible by 2"),
    (lambda F, t: F.pad(t.zeros(2, 3), (1,) * 6), RuntimeError, "padding length 6"),
    (lambda F, t: F.pad(t.zeros(2, 3), (-1, -3)), RuntimeError, r"crops.*size 3.*\[2, 3\]"),
    (lambda F, t: F.pad(t.zeros(3), (-4, 3)), RuntimeError, "crops"),
    (lambda F, t: F.pad(t.zeros(2, 3), 1), TypeError, "'pad'.*int"),
    (lambda F, t: F.pad(t.zeros(2, 3), (1.5, 1)), TypeError, "pad.*float"),
    (lambda F, t: F.pad([1], (1, 1)), TypeError, "'input' must be Tensor, not list"),
    (lambda F, t: F.pad(t.zeros(3), (1, 1), None), TypeError, "mode"),
    (lambda F, t: F.pad(t.zeros(3), (1, 1), value="a"), TypeError, "value.*str"),
    (lambda F, t: F.pad(t.zeros(2, 3), (1, 1), mode="mirror"), NotImplementedError, "mirror"),
    (
        lambda F, t: F.pad(t.zeros(2, 3), (1, 3), mode="reflect"),
        RuntimeError,
        r"\(1, 3\).*at most 2",
    ),
    (lambda F, t: F.pad(t.zeros(2, 3), (4, 1), mode="circular"), RuntimeError, "at most 3"),
    (lambda F, t: F.pad(t.zeros(2, 0), (1, 1), mode="replicate"), RuntimeError, r"\[2, 0\]"),
    (lambda F, t: F.pad(t.zeros(2, 3), (-2, -2), mode="reflect"), RuntimeError, "crops more"),
    (lambda F, t: F.pad(t.zeros(2, 3), (-1, -2), mode="replicate"), RuntimeError, "crops more"),
    (lambda F, t: F.pad(t.zeros(2, 3), (1, 1), "reflect", 2.0), RuntimeError, "value argument"),
    (lambda F, t: F.pad(t.zeros(2, 3), (1,) * 4, mode="reflect"), NotImplementedError, "2D input"),
    (lambda F, t: F.pad(t.zeros(3), (1, 1), mode="circular"), NotImplementedError, "1D input"),
    (
        lambda F, t: F.pad(t.zeros(3).long(), (1, 1), value=float("nan")),
        RuntimeError,
        "nan.*int64",
    ),
    (lambda F, t: F.pad(t.zeros(3).to(t.uint8), (1, 1), value=300), RuntimeError, "300.*uint8"),
    (lambda F, t: F.one_hot(classes(t, 0, 2), 2), RuntimeError, "smaller than num_classes"),
    (lambda F, t: F.one_hot(classes(t, 0, 1), -2), RuntimeError, "smaller than num_classes"),
    (lambda F, t: F.one_hot(classes(t, 0, -1)), RuntimeError, "non-negative"),
    (lambda F, t: F.one_hot(classes(t)), RuntimeError, "empty tensor"),
    (lambda F, t: F.one_hot(classes(t, 0).int()), RuntimeError, "LongTensor.*Int"),
    (lambda F, t: F.one_hot(classes(t, 0), 2.0), TypeError, "num_classes.*float"),
    (lambda F, t: F.one_hot([1]), TypeError, "'input' must be Tensor, not list"),
]


def scores(t, *shape, **kwargs):
    return t.zeros(*(shape or (2, 3)), **kwargs)


CLASSIFICATION = [
    (lambda f, t: f(scores(t), classes(t, 0, 3)), IndexError, "^Target 3 is out of bounds.$"),
    (lambda f, t: f(scores(t), classes(t, 0, -1)), IndexError, "Target -1 is out of bounds."),
    (lambda f, t: f(scores(t, 3), t.tensor(5)), IndexError, "Target 5 is out of bounds."),
    (lambda f, t: f(scores(t, 2, 0), classes(t, 0, 1)), IndexError, "Target 0 is out of bounds."),
    (lambda f, t: f(scores(t), classes(t, 0, 1, 2)), ValueError, r"\(2\).*\(3\)"),
    (lambda f, t: f(scores(t), t.tensor(1)), ValueError, r"\(2\).*\(0\)"),
    (lambda f, t: f(scores(t), classes(t, 0, 1).reshape(2, 1)), RuntimeError, r"\[2, 1\]"),
    (lambda f, t: f(scores(t), classes(t, 0, 1).int()), RuntimeError, "Long or Byte.*Int"),
    (lambda f, t: f(scores(t), classes(t, 0, 1).bool()), RuntimeError, "Long or Byte.*Bool"),
    (lambda f, t: f(scores(t), t.tensor([0.0, 1.0])), RuntimeError, "Long or Byte.*Float"),
    (lambda f, t: f(scores(t), t.zeros(2, 4)), RuntimeError, r"\[2, 4\]"),
    (lambda f, t: f(scores(t, 3), classes(t, 1, 1)), ValueError, r"1D input.*\[2\]"),
    (lambda f, t: f(scores(t, 3), classes(t, 1).reshape(1, 1)), RuntimeError, r"\[1, 1\]"),
    (lambda f, t: f(scores(t, 2, 3, 4), t.zeros(2, 5).long()), RuntimeError, r"\(2, 4\).*\[2, 5\]"),
    (lambda f, t: f(scores(t, 2, 3, 4, 5), t.zeros(2, 4).long()), RuntimeError, r"\(2, 4, 5\)"),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), t.ones(4)),
        RuntimeError,
        r"all 3 classes.*\[4\]",
    ),
    (lambda f, t: f(scores(t), classes(t, 0, 1), t.ones(1, 3)), RuntimeError, r"\[1, 3\]"),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), t.ones(3).double()),
        RuntimeError,
        "Float.*Double",
    ),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), t.ones(3, requires_grad=True)),
        RuntimeError,
        "'weight'.*requires_grad",
    ),
    (lambda f, t: f(scores(t), classes(t, 0, 1), [1, 1, 1]), TypeError, "'weight'.*list"),
    (lambda f, t: f(scores(t), [0, 1]), TypeError, "'target' must be Tensor, not list"),
    (lambda f, t: f([1], classes(t, 0, 1)), TypeError, "'input' must be Tensor, not list"),
    (lambda f, t: f(scores(t).long(), classes(t, 0, 1)), NotImplementedError, "'Long'"),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), reduction="avg"),
        ValueError,
        "avg is not a valid",
    ),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), reduction=None),
        ValueError,
        "None is not a valid",
    ),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), ignore_index=1.5),
        TypeError,
        "ignore_index.*float",
    ),
]

CROSS_ENTROPY = [
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), label_smoothing=1.5),
        RuntimeError,
        "label_smoothing.*1.5",
    ),
    (
        lambda f, t: f(scores(t), classes(t, 0, 1), label_smoothing="a"),
        TypeError,
        "label_smoothing.*str",
    ),
    (lambda f, t: f(scores(t), scores(t), ignore_index=0), RuntimeError, "ignore_index"),
    (lambda f, t: f(scores(t), scores(t).long()), RuntimeError, "class probabilities, got Long"),
    (lambda f, t: f(scores(t), scores(t), t.ones(4)), RuntimeError, r"all 3 classes.*\[4\]"),
]

REGRESSION = [
    (lambda f, t: f(scores(t), t.zeros(4)), RuntimeError, r"\(2, 3\) and \(4,\)"),
    (lambda f, t: f(scores(t), scores(t), reduction="avg"), ValueError, "avg is not a valid"),
]

OTHER_LOSSES = [
    (lambda F, t: F.nll_loss(t.zeros(()), t.tensor(1)), ValueError, "1 or more dimensions"),
    (lambda F, t: F.mse_loss(scores(t).long(), scores(t).long()), NotImplementedError, "'Long'"),
    (lambda F, t: F.l1_loss(scores(t).long(), scores(t).long()), RuntimeError, "floating point"),
    (lambda F, t: F.huber_loss(scores(t).long(), scores(t).long()), NotImplementedError, "'Long'"),
    (
        lambda F, t: F.mse_loss(scores(t), scores(t), weight=t.ones(3)),
        ValueError,
        r"\[3\].*\[2, 3\]",
    ),
    (lambda F, t: F.smooth_l1_loss(scores(t), scores(t), beta=-1.0), RuntimeError, "negative.*-1"),
    (lambda F, t: F.smooth_l1_loss(scores(t), scores(t), beta="a"), TypeError, "beta.*str"),
    (lambda F, t: F.huber_loss(scores(t), scores(t), delta=0.0), RuntimeError, "non-positive.*0"),
    (lambda F, t: F.huber_loss(scores(t), scores(t), delta="a"), TypeError, "delta.*str"),
]


BINARY = [
    (lambda f, t: f(t.ones(2), t.ones(1)), ValueError, r"\[1\].*\[2\]"),
    (lambda f, t: f(t.ones(2), t.ones(2), t.ones(3)), RuntimeError, r"\[3\].*\[2\]"),
    (lambda f, t: f(t.ones(2), t.ones(2), t.ones(3, 1)), RuntimeError, r"\[3, 1\].*\[2\]"),
    (lambda f, t: f(t.ones(2), t.ones(2).long()), RuntimeError, "Long"),
    (lambda f, t: f(t.ones(2).long(), t.ones(2).long()), RuntimeError, "Long"),
    (lambda f, t: f(t.ones(2), t.ones(2), reduction="avg"), ValueError, "avg is not a valid"),
    (
        lambda f, t: f(t.ones(2), t.ones(2), t.ones(2, requires_grad=True)),
        RuntimeError,
        "'weight'.*requires_grad",
    ),
]

MORE_BINARY = [
    (
        lambda F, t: F.binary_cross_entropy(t.ones(2) * 1.5, t.ones(2)),
        RuntimeError,
        "input.*0 and 1",
    ),
    (lambda F, t: F.binary_cross_entropy(-t.ones(2), t.ones(2)), RuntimeError, "input.*0 and 1"),
    (
        lambda F, t: F.binary_cross_entropy(t.ones(2) * float("nan"), t.ones(2)),
        RuntimeError,
        "input.*0 and 1",
    ),
    (
        lambda F, t: F.binary_cross_entropy(t.ones(2), t.ones(2) * 2),
        RuntimeError,
        "target.*0 and 1",
    ),
    (lambda F, t: F.binary_cross_entropy(t.ones(2), t.ones(2).double()), RuntimeError, "Double"),
    (
        lambda F, t: F.binary_cross_entropy_with_logits(t.ones(2), t.ones(2), pos_weight=t.ones(3)),
        RuntimeError,
        r"pos_weight.*\[3\].*\[2\]",
    ),
    (
        lambda F, t: F.binary_cross_entropy_with_logits(t.ones(2), t.ones(2), pos_weight=1.0),
        TypeError,
        "pos_weight.*float",
    ),
]


def for_each(rows, *names):
    """The rows for every function named, which becomes the `f` of the call."""
    return [
        (lambda F, t, call=call, name=name: call(getattr(F, name), t), error, message)
        for name in names
        for call, error, message in rows
    ]


BAD_CALLS = [
    *LINEAR,
    *CONV,
    *POOL,
    *NORM,
    *ACTIVATION,
    *PAD,
    *for_each(CLASSIFICATION, "cross_entropy", "nll_loss"),
    *for_each(CROSS_ENTROPY, "cross_entropy"),
    *for_each(REGRESSION, "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"),
    *OTHER_LOSSES,
    *for_each(BINARY, "binary_cross_entropy", "binary_cross_entropy_with_logits"),
    *MORE_BINARY,
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
@pytest.mark.filterwarnings("ignore")
def test_functional_bad_call_raises_and_says_why(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(F, tv)
    assert caught.type is error or (error, caught.type) == (RuntimeError, NotImplementedError)


@pytest.mark.parity
@pytest.mark.parametrize(("call", "error", "message"), BAD_CALLS)
def test_functional_bad_call_raises_what_pytorch_raises(call, error, message):
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(Exception) as theirs:
            call(torch.nn.functional, torch)
        with pytest.raises(Exception) as ours:
            call(F, tv)
    assert ours.type is theirs.type, theirs.value


# PyTorch trips over what is no tensor with an AttributeError inside of its own code.
NOT_TENSORS = [
    lambda F, t: F.adaptive_avg_pool2d([1], 2),
    lambda F, t: F.batch_norm([1], None, None, training=True),
    lambda F, t: F.normalize([1]),
    lambda F, t: F.softmax([1], 0),
    lambda F, t: F.log_softmax([1], 0),
    lambda F, t: F.sigmoid([1]),
    lambda F, t: F.tanh([1]),
    lambda F, t: F.mse_loss(t.zeros(2), 1.0),
    lambda F, t: F.l1_loss(1.0, t.zeros(2)),
    lambda F, t: F.smooth_l1_loss(t.zeros(2), 1.0),
    lambda F, t: F.huber_loss(t.zeros(2), None),
    lambda F, t: F.binary_cross_entropy([0.5], t.zeros(1)),
    lambda F, t: F.binary_cross_entropy_with_logits(t.zeros(1), 1.0),
]


@pytest.mark.parametrize("call", NOT_TENSORS)
def test_functional_what_is_no_tensor_is_a_type_error(call):
    with pytest.raises(TypeError, match="must be Tensor, not "):
        call(F, tv)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: F.normalize(scores(tv), out=scores(tv)), "out"),
        (lambda: F.max_pool2d(image(tv).long(), 2), "Long"),
        (lambda: F.avg_pool2d(image(tv).long(), 2), "Long"),
        (lambda: F.conv2d(image(tv).long(), filters(tv).long()), "Long"),
        (lambda: F.linear(scores(tv).long(), scores(tv).long()), "Long"),
    ],
)
def test_functional_unsupported_argument_is_named(call, argument):
    with pytest.raises(NotImplementedError, match=argument):
        call()


def test_cross_entropy_negative_label_smoothing_is_an_error():
    # PyTorch's function takes it for 0, silently; its module refuses it.
    with pytest.raises(RuntimeError, match="between 0.0 and 1.0. Got: -0.1"):
        F.cross_entropy(scores(tv), classes(tv, 0, 1), label_smoothing=-0.1)
