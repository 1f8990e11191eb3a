"""Losses: values, gradients, edges, and PyTorch's behaviour."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv
import tinyvision.nn.functional as F
from tinyvision.autograd import gradcheck

few = settings(max_examples=30, deadline=None)
REDUCTIONS = ["none", "mean", "sum"]


def leaf(array):
    return tv.tensor(np.asarray(array, np.float64), requires_grad=True)


# ------------------------------------------------------------------ classification by hand


def test_cross_entropy_by_hand():
    logits = tv.tensor([[0.0, math.log(3)], [0.0, 0.0]], requires_grad=True)  # 1/4 3/4; 1/2 1/2
    target = tv.tensor([1, 0])
    losses = F.cross_entropy(logits, target, reduction="none")
    np.testing.assert_allclose(losses.detach(), [-math.log(3 / 4), math.log(2)], rtol=1e-6)
    assert F.cross_entropy(logits, target, reduction="sum").item() == pytest.approx(math.log(8 / 3))
    loss = F.cross_entropy(logits, target)
    assert loss.item() == pytest.approx(math.log(8 / 3) / 2)
    loss.backward()  # (softmax - onehot) / N
    np.testing.assert_allclose(logits.grad, [[0.125, -0.125], [-0.25, 0.25]], rtol=1e-6)


def test_cross_entropy_complains_of_the_weights_before_the_targets():
    x, target = tv.zeros(2, 3), tv.tensor([0, 9])
    with pytest.raises(RuntimeError, match="weight tensor should be defined"):
        F.cross_entropy(x, target, tv.ones(2))
    with pytest.raises(RuntimeError, match="Double"):
        F.nll_loss(x, target, tv.ones(3, dtype=tv.float64))
    with pytest.raises(IndexError, match="Target 9 is out of bounds"):
        F.cross_entropy(x, target, tv.ones(3))


def test_cross_entropy_class_weights_divide_by_the_weights_of_the_targets():
    logits, target = tv.zeros(3, 2), tv.tensor([0, 1, 1])
    weight = tv.tensor([1.0, 3.0])
    assert F.cross_entropy(logits, target, weight).item() == pytest.approx(math.log(2))
    total = F.cross_entropy(logits, target, weight, reduction="sum").item()
    assert total == pytest.approx(7 * math.log(2))


def test_cross_entropy_ignores_what_it_is_told_to():
    logits = tv.zeros(3, 2, requires_grad=True)
    target = tv.tensor([0, -100, 1])
    losses = F.cross_entropy(logits, target, reduction="none")
    assert losses.tolist() == [pytest.approx(math.log(2)), 0, pytest.approx(math.log(2))]
    F.cross_entropy(logits, target).backward()
    assert logits.grad.tolist() == [[-0.25, 0.25], [0, 0], [0.25, -0.25]]
    other = F.cross_entropy(logits, tv.tensor([0, 1, 1]), ignore_index=1, reduction="none")
    assert other.tolist() == [pytest.approx(math.log(2)), 0, 0]


def test_cross_entropy_label_smoothing_is_the_mixed_target():
    logits = tv.randn(4, 3)
    target = tv.tensor([0, 2, 1, 1])
    mixed = 0.8 * F.one_hot(target, 3).float() + 0.2 / 3
    expected = -(mixed * F.log_softmax(logits, 1)).sum(1).mean()
    smoothed = F.cross_entropy(logits, target, label_smoothing=0.2)
    assert smoothed.item() == pytest.approx(expected.item(), rel=1e-5)


def test_cross_entropy_of_probabilities_by_hand():
    logits, target = tv.tensor([[0.0, math.log(3)]]), tv.tensor([[0.5, 0.5]])
    expected = -(math.log(1 / 4) + math.log(3 / 4)) / 2
    assert F.cross_entropy(logits, target).item() == pytest.approx(expected)


def test_cross_entropy_of_huge_logits_does_not_overflow():
    logits = tv.tensor([[1e4, -1e4], [3e38, 0.0]], requires_grad=True)
    loss = F.cross_entropy(logits, tv.tensor([0, 0]))
    loss.backward()
    assert loss.item() == 0 and logits.grad.tolist() == [[0, 0], [0, 0]]
    assert F.cross_entropy(tv.tensor([[1e4, -1e4]]), tv.tensor([1])).item() == 2e4


def test_nll_loss_by_hand():
    log_p = tv.tensor([[-1.0, -2.0], [-3.0, -4.0]], requires_grad=True)
    target = tv.tensor([1, 0])
    assert F.nll_loss(log_p, target, reduction="none").tolist() == [2, 3]
    weighted = F.nll_loss(log_p, target, tv.tensor([1.0, 3.0]))
    assert weighted.item() == (3 * 2 + 1 * 3) / 4
    weighted.backward()
    assert log_p.grad.tolist() == [[0, -0.75], [-0.25, 0]]


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_classification_shapes(loss):
    image, map_ = tv.zeros(2, 3, 4, 5), tv.zeros(2, 4, 5, dtype=tv.int64)
    assert loss(image, map_, reduction="none").shape == (2, 4, 5)
    assert loss(image, map_).shape == ()
    assert loss(tv.zeros(3), tv.tensor(1), reduction="none").shape == ()
    assert loss(tv.zeros(3), tv.tensor([1])).shape == ()
    assert loss(tv.zeros(2, 3), tv.tensor([1, 2], dtype=tv.uint8), reduction="none").shape == (2,)


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_classification_of_nothing(loss):
    input, target = tv.zeros(0, 3, requires_grad=True), tv.zeros(0, dtype=tv.int64)
    assert math.isnan(loss(input, target).item())
    assert loss(input, target, reduction="sum").item() == 0
    assert loss(input, target, reduction="none").shape == (0,)
    ignored = tv.zeros(2, 3, requires_grad=True)
    nothing_left = loss(ignored, tv.tensor([-100, -100]))
    assert math.isnan(nothing_left.item())
    nothing_left.backward()
    assert ignored.grad.tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("loss", [F.cross_entropy, F.nll_loss])
def test_classification_target_changed_before_backward_is_noticed(loss):
    input, target = tv.zeros(2, 3, requires_grad=True), tv.tensor([0, 1])
    result = loss(input, target)
    target[0] = 2
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        result.backward()


def test_cross_entropy_backward_twice_with_retain_graph_is_the_same():
    input = tv.randn(4, 3, requires_grad=True)
    loss = F.cross_entropy(input, tv.tensor([0, 1, 2, 0]), label_smoothing=0.1)
    loss.backward(retain_graph=True)
    once = input.grad.clone()
    loss.backward()
    np.testing.assert_allclose(input.grad, once * 2, rtol=1e-6)


# ------------------------------------------------------------------ classification, gradients


@st.composite
def classifications(draw):
    """(scores, target, keyword arguments) with some targets ignored."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    N, C = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    extra = draw(st.lists(st.integers(1, 3), max_size=2))
    ignore_index = draw(st.sampled_from([-100, 0, 1]))
    target = rng.integers(0, C, (N, *extra))
    target[rng.random(target.shape) < 0.2] = ignore_index
    if ignore_index >= C:
        target[target == ignore_index] = 0
    weight = draw(st.sampled_from([None, rng.uniform(0.5, 2, C)]))
    options = {"ignore_index": ignore_index, "reduction": draw(st.sampled_from(REDUCTIONS))}
    return rng.standard_normal((N, C, *extra)), target, weight, options


def anything_left(target, options):
    return options["reduction"] != "mean" or (target != options["ignore_index"]).any()


@few
@given(case=classifications(), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_cross_entropy_gradient(case, smoothing):
    scores, target, weight, options = case
    if anything_left(target, options):
        weight = None if weight is None else tv.tensor(weight)
        target = tv.tensor(target)
        assert gradcheck(
            lambda x: F.cross_entropy(x, target, weight, label_smoothing=smoothing, **options),
            [leaf(scores)],
        )


@few
@given(case=classifications())
def test_nll_loss_gradient(case):
    scores, target, weight, options = case
    if anything_left(target, options):
        weight = None if weight is None else tv.tensor(weight)
        assert gradcheck(
            lambda x: F.nll_loss(x, tv.tensor(target), weight, **options), [leaf(scores)]
        )


@few
@given(
    shape=st.lists(st.integers(1, 3), min_size=1, max_size=4),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.3]),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 99),
)
def test_cross_entropy_of_probabilities_gradient(shape, weighted, smoothing, reduction, seed):
    rng = np.random.default_rng(seed)
    C = shape[0] if len(shape) == 1 else shape[1]
    inputs = [leaf(rng.standard_normal(shape)), leaf(rng.random(shape))]
    inputs += [leaf(rng.random(C))] if weighted else []
    options = {"reduction": reduction, "label_smoothing": smoothing}
    assert gradcheck(lambda *args: F.cross_entropy(*args, **options), inputs)


# ------------------------------------------------------------------ regression

REGRESSION = {
    "mse_loss": lambda F, x, t, **kw: F.mse_loss(x, t, **kw),
    "l1_loss": lambda F, x, t, **kw: F.l1_loss(x, t, **kw),
    "smooth_l1_loss": lambda F, x, t, **kw: F.smooth_l1_loss(x, t, **kw),
    "smooth_l1_loss narrow": lambda F, x, t, **kw: F.smooth_l1_loss(x, t, beta=0.3, **kw),
    "smooth_l1_loss zero": lambda F, x, t, **kw: F.smooth_l1_loss(x, t, beta=0, **kw),
    "huber_loss": lambda F, x, t, **kw: F.huber_loss(x, t, **kw),
    "huber_loss wide": lambda F, x, t, **kw: F.huber_loss(x, t, delta=2.5, **kw),
}


def test_regression_losses_by_hand():
    x, t = tv.tensor([0.0, 0.5, 3.0]), tv.zeros(3)
    assert F.mse_loss(x, t, reduction="none").tolist() == [0, 0.25, 9]
    assert F.mse_loss(x, t).item() == pytest.approx(9.25 / 3)
    assert F.l1_loss(x, t, reduction="sum").item() == 3.5
    assert F.smooth_l1_loss(x, t, reduction="none").tolist() == [0, 0.125, 2.5]
    assert F.smooth_l1_loss(x, t, reduction="none", beta=2.0).tolist() == [0, 0.0625, 2]
    assert F.huber_loss(x, t, reduction="none", delta=2.0).tolist() == [0, 0.125, 4]


def test_regression_weighted_mean_divides_by_the_weights():
    x, t, weight = tv.tensor([1.0, 2.0]), tv.zeros(2), tv.tensor([1.0, 3.0])
    assert F.mse_loss(x, t, weight=weight).item() == (1 + 3 * 4) / 4
    assert F.l1_loss(x, t, weight=weight, reduction="none").tolist() == [1, 6]
    assert F.huber_loss(x, t, weight=weight, reduction="sum").item() == 0.5 + 3 * 1.5


def test_regression_broadcasts_with_a_warning():
    x, t = tv.ones(2, 3), tv.zeros(3)
    for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss):
        with pytest.warns(
            UserWarning,
            match=r"target size \(.*\[3\].*input size \(.*\[2, 3\]",
        ):
            assert loss(x, t, reduction="none").shape == (2, 3)


def test_regression_promotes_dtypes():
    assert F.mse_loss(tv.ones(2), tv.ones(2).double()).dtype == tv.float64
    assert F.mse_loss(tv.ones(2).long(), tv.ones(2)).dtype == tv.float32
    assert F.l1_loss(tv.tensor([1, 5]), tv.tensor([2, 2]), reduction="sum").item() == 4


@pytest.mark.parametrize("name", REGRESSION)
@settings(max_examples=10, deadline=None)
@given(
    shape=st.lists(st.integers(1, 3), max_size=3),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 99),
)
def test_regression_gradient(name, shape, reduction, seed):
    rng = np.random.default_rng(seed)
    # differences 1/8, 3/8, ... keep clear of the kinks at 0, 0.3, 1 and 2.5
    target = rng.standard_normal(shape)
    input = target + rng.choice([-1, 1], shape) * (2 * rng.integers(0, 14, shape) + 1) / 8
    inputs = [leaf(input), leaf(target)]
    assert gradcheck(lambda x, t: REGRESSION[name](F, x, t, reduction=reduction), inputs)


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.huber_loss])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_regression_weighted_gradient(loss, reduction):
    inputs = [leaf([0.3, 2.0, -0.7]), leaf([0.1, 0.2, 0.3]), leaf([1.0, 2.0, 0.5])]
    assert gradcheck(lambda x, t, w: loss(x, t, weight=w, reduction=reduction), inputs)


# ------------------------------------------------------------------ yes or no


def test_binary_cross_entropy_by_hand():
    x = tv.tensor([0.5, 0.25], requires_grad=True)
    loss = F.binary_cross_entropy(x, tv.tensor([1.0, 0.0]), reduction="none")
    np.testing.assert_allclose(loss.detach(), [math.log(2), -math.log(0.75)], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad, [-2, 1 / 0.75], rtol=1e-6)


def test_binary_cross_entropy_is_finite_at_certainty():
    x = tv.tensor([0.0, 1.0, 0.0], requires_grad=True)
    loss = F.binary_cross_entropy(x, tv.tensor([1.0, 0.0, 0.0]), reduction="none")
    assert loss.tolist() == [100, 100, 0]
    loss.sum().backward()
    assert x.grad.isfinite().all()


def test_binary_cross_entropy_with_logits_by_hand():
    x = tv.tensor([0.0, math.log(3)], requires_grad=True)  # 1/2, 3/4
    target = tv.tensor([1.0, 0.0])
    loss = F.binary_cross_entropy_with_logits(x, target, reduction="none")
    np.testing.assert_allclose(loss.detach(), [math.log(2), math.log(4)], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(x.grad, [-0.5, 0.75], rtol=1e-6)
    weighted = F.binary_cross_entropy_with_logits(
        x, target, tv.tensor(2.0), pos_weight=tv.tensor(3.0), reduction="none"
    )
    np.testing.assert_allclose(weighted.detach(), [6 * math.log(2), 2 * math.log(4)], rtol=1e-6)


def test_binary_cross_entropy_with_logits_does_not_overflow():
    x = tv.tensor([1e4, -1e4], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, tv.tensor([1.0, 1.0]), reduction="none")
    assert loss.tolist() == [0, 1e4]
    loss.sum().backward()
    assert x.grad.tolist() == [0, -1]


@few
@given(
    shape=st.lists(st.integers(1, 3), max_size=3),
    weighted=st.booleans(),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 99),
)
def test_binary_cross_entropy_gradient(shape, weighted, reduction, seed):
    rng = np.random.default_rng(seed)
    weight = tv.tensor(rng.random(shape[-1:])) if weighted else None
    inputs = [leaf(rng.uniform(0.05, 0.95, shape)), leaf(rng.uniform(0.05, 0.95, shape))]
    assert gradcheck(lambda x, t: F.binary_cross_entropy(x, t, weight, reduction=reduction), inputs)


@few
@given(
    shape=st.lists(st.integers(1, 3), max_size=3),
    weighted=st.booleans(),
    reduction=st.sampled_from(REDUCTIONS),
    seed=st.integers(0, 99),
)
def test_binary_cross_entropy_with_logits_gradient(shape, weighted, reduction, seed):
    rng = np.random.default_rng(seed)
    weight = tv.tensor(rng.random(shape[-1:])) if weighted else None
    options = {"reduction": reduction, "pos_weight": weight}
    inputs = [leaf(rng.standard_normal(shape) * 3), leaf(rng.random(shape))]
    loss = F.binary_cross_entropy_with_logits
    assert gradcheck(lambda x, t: loss(x, t, weight, **options), inputs)


# ------------------------------------------------------------------ PyTorch


def compare(call, arrays, tolerance=1e-12):
    """Values, dtypes and all gradients of call(F, *tensors), here and in PyTorch."""
    torch = pytest.importorskip("torch")
    ours = [tv.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = call(F, tv, *ours), call(torch.nn.functional, torch, *theirs)
    assert (y.shape, str(y.dtype)) == (tuple(z.shape), str(z.dtype).removeprefix("torch."))
    np.testing.assert_allclose(y.detach(), z.detach(), rtol=tolerance, atol=tolerance)
    seed = np.asarray(np.random.default_rng(1).standard_normal(y.shape), arrays[0].dtype)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=tolerance, atol=tolerance)


def converted(library, array):
    return None if array is None else library.tensor(array)


@pytest.mark.parity
@few
@given(case=classifications(), smoothing=st.sampled_from([0.0, 0.1, 1.0]))
def test_classification_equals_pytorch(case, smoothing):
    scores, target, weight, options = case

    def cross_entropy(F, lib, x):
        w = converted(lib, weight)
        return F.cross_entropy(x, lib.tensor(target), w, label_smoothing=smoothing, **options)

    def nll(F, lib, x):
        return F.nll_loss(x, lib.tensor(target), converted(lib, weight), **options)

    compare(cross_entropy, [scores])
    compare(nll, [scores])


@pytest.mark.parity
@pytest.mark.parametrize("C", [1, 10, 1000])
def test_cross_entropy_in_float32_equals_pytorch(C):
    rng = np.random.default_rng(0)
    scores = (rng.standard_normal((64, C)) * 5).astype(np.float32)
    target = rng.integers(0, C, 64)
    compare(lambda F, lib, x: F.cross_entropy(x, lib.tensor(target)), [scores], 1e-6)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (2, 3, 5), (2, 3, 2, 2)])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_cross_entropy_of_probabilities_equals_pytorch(reduction, shape, smoothing):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape), rng.random(shape), rng.random(3)]
    options = {"reduction": reduction, "label_smoothing": smoothing}
    compare(lambda F, lib, *args: F.cross_entropy(*args, **options), arrays)
    compare(lambda F, lib, *args: F.cross_entropy(*args, **options), arrays[:2])


@pytest.mark.parity
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", REGRESSION)
def test_regression_equals_pytorch(name, reduction):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((4, 5)) * 2, rng.standard_normal((4, 5))]
    compare(lambda F, lib, x, t: REGRESSION[name](F, x, t, reduction=reduction), arrays)
    if name in ("mse_loss", "l1_loss", "huber_loss"):
        weighted = [*arrays, rng.random((4, 5))]
        call = REGRESSION[name]
        compare(lambda F, lib, x, t, w: call(F, x, t, weight=w, reduction=reduction), weighted)


@pytest.mark.parity
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_binary_losses_equal_pytorch(reduction, weighted):
    rng = np.random.default_rng(0)
    target = np.concatenate([rng.random(6), [0, 1, 0, 1]])
    probability = np.concatenate([rng.random(6), [0, 1, 1, 0]])
    logits = np.concatenate([rng.standard_normal(6) * 5, [0, 100, -100, 50]])
    weight = rng.random(10) if weighted else None

    def of_probabilities(F, lib, x):
        w = converted(lib, weight)
        return F.binary_cross_entropy(x, lib.tensor(target), w, reduction=reduction)

    def of_logits(F, lib, x, t):
        w = converted(lib, weight)
        return F.binary_cross_entropy_with_logits(x, t, w, pos_weight=w, reduction=reduction)

    compare(of_probabilities, [probability], 1e-8)  # at 0 and 1, PyTorch divides by float32's 1e-12
    compare(of_logits, [logits, target])


SIGNATURES = [
    "adaptive_avg_pool2d", "batch_norm", "binary_cross_entropy", "binary_cross_entropy_with_logits",
    "cross_entropy", "dropout", "dropout2d", "elu", "hardtanh", "huber_loss", "l1_loss",
    "leaky_relu", "log_softmax", "mse_loss", "nll_loss", "normalize", "pad", "relu", "relu6",
    "sigmoid", "silu", "smooth_l1_loss", "softmax", "softmin", "tanh",
]  # fmt: skip


@pytest.mark.parity
@pytest.mark.parametrize("name", SIGNATURES)
def test_functional_signature_equals_pytorchs(name):
    import inspect

    torch = pytest.importorskip("torch")
    ours = inspect.signature(getattr(F, name)).parameters
    theirs = inspect.signature(getattr(torch.nn.functional, name)).parameters
    assert [(p.name, p.default) for p in ours.values()] == [
        (p.name, p.default) for p in theirs.values()
    ]


@pytest.mark.parity
@pytest.mark.parametrize("size_average", [None, True, False])
@pytest.mark.parametrize("reduce", [None, True, False])
def test_losses_old_spellings_of_reduction_are_pytorchs(size_average, reduce):
    torch = pytest.importorskip("torch")
    if size_average is reduce is None:
        return
    old = {"size_average": size_average, "reduce": reduce}
    x, y = np.random.default_rng(0).random((2, 3, 4))
    names = ["mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy", "kl_div"]
    names += ["binary_cross_entropy_with_logits", "cross_entropy"]
    results = []
    for lib in (tv, torch):
        found, functions = [], lib.nn.functional
        for name in names:
            with pytest.warns(
                UserWarning, match="please use reduction='(mean|sum|none)'"
            ) as caught:
                found.append(getattr(functions, name)(lib.tensor(x), lib.tensor(y), **old).tolist())
            found.append(str(caught[0].message))
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
            found.append(lib.nn.TripletMarginLoss(**old).reduction)
        results.append(found)
    ours, theirs = results
    assert [v for v in ours if isinstance(v, str)] == [v for v in theirs if isinstance(v, str)]
    for a, b in zip(ours, theirs, strict=True):
        if not isinstance(a, str):
            np.testing.assert_allclose(a, b, rtol=1e-12)
