"""Everything that is here, on the sample inputs with which PyTorch tests the same operators.

They come with PyTorch (`torch.testing`), and need the package expecttest to be imported.
"""

import warnings

import numpy as np
import pytest

import tinyvision as tv
import tinyvision.nn.functional as F

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("expecttest", reason="PyTorch's sample inputs need it")
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db

DTYPES = {torch.float64: tv.float64, torch.float32: tv.float32, torch.int64: tv.int64,
          torch.int32: tv.int32, torch.int16: tv.int16, torch.int8: tv.int8,
          torch.uint8: tv.uint8, torch.bool: tv.bool}  # fmt: skip
MOST_SAMPLES = 40

# Integers are often equal, and without stable=True any order of equal ones is right.
IN_ANY_ORDER = {"argsort", "sort", "topk"}

# Draws, and memory that nobody has written: no two libraries have the same numbers.
RANDOM = {
    "bernoulli", "empty", "empty_like", "multinomial", "new_empty",
    "nn.functional.alpha_dropout", "nn.functional.dropout",
    "nn.functional.dropout2d", "normal", "rand_like", "randint", "randn", "randn_like",
}  # fmt: skip


# Where PyTorch's table wraps a function so that its arguments come in another order.
WRAPPED = {
    "nn.functional.embedding": lambda weight, index, **kwargs: F.embedding(index, weight, **kwargs),
    "einsum": lambda tensors, equation: tv.einsum(equation, *tensors),
    "where": lambda input, condition, other: tv.where(condition, input, other),
}


def ours(name):
    """tinyvision's function of this name, or None."""
    if name in WRAPPED:
        return WRAPPED[name]
    if name.startswith("nn.functional."):
        return getattr(F, name.removeprefix("nn.functional."), None)
    function = getattr(tv, name, None)
    if function is not None and callable(function):
        return function
    attribute = getattr(tv.Tensor, name, None)
    if isinstance(attribute, property):
        return attribute.fget
    return attribute


def translated(value, made):
    """A sample's argument for tinyvision: tensors with the same strides, and their like.

    made: what tensors were translated to; one that is there twice is one tensor.
    """
    if isinstance(value, torch.Tensor):
        if value.dtype not in DTYPES:
            raise NotImplementedError(f"dtype {value.dtype}")
        if id(value) not in made:
            made[id(value)] = tv.from_numpy(value.detach().clone().numpy())
            made[id(value)].requires_grad = value.requires_grad
        return made[id(value)]
    if isinstance(value, torch.dtype):
        if value not in DTYPES:
            raise NotImplementedError(f"dtype {value}")
        return DTYPES[value]
    if isinstance(value, list | tuple) and not isinstance(value, torch.Size):
        return type(value)(translated(v, made) for v in value)
    if isinstance(value, dict):
        return {k: translated(v, made) for k, v in value.items()}
    if isinstance(value, torch.memory_format):
        raise NotImplementedError(str(value))
    if isinstance(value, torch.device):
        return tv.device(str(value))
    return tuple(value) if isinstance(value, torch.Size) else value


def tensors_in(value):
    kinds = torch.Tensor, tv.Tensor
    if isinstance(value, kinds):
        return [value]
    return [t for v in value for t in tensors_in(v)] if isinstance(value, list | tuple) else []


def outcome(function, sample, library):
    """The tensors and numbers a call returns, and the gradients of what it was given."""
    input, args, kwargs = sample
    changes_input = getattr(function, "__name__", "").endswith("_")
    result = function(input.clone() if changes_input else input, *args, **kwargs)
    outputs = tensors_in(result)
    given = [t for t in tensors_in([input, list(args), list(kwargs.values())]) if t.requires_grad]
    differentiable = [t for t in outputs if t.requires_grad]
    if differentiable:
        rng = np.random.default_rng(0)
        cotangents = [library.tensor(rng.standard_normal(tuple(t.shape))) for t in differentiable]
        total = sum(
            (t * c.to(t.dtype)).sum() for t, c in zip(differentiable, cotangents, strict=True)
        )
        total.backward()
    gradients = [t.grad for t in given]
    for t in given:  # samples share tensors
        t.grad = None
    return result if not outputs else [t.detach() for t in outputs], gradients


def assert_same(ours, theirs):
    if theirs is None or ours is None:
        # A gradient that is nowhere needed: PyTorch sometimes makes zeros of it.
        left = ours if theirs is None else theirs
        assert left is None or not np.asarray(left).any()
    elif isinstance(theirs, list):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            assert_same(one, other)
    elif isinstance(theirs, torch.Tensor):
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.dtype == DTYPES[theirs.dtype], (ours.dtype, theirs.dtype)
        tolerance = 1e-5 if theirs.dtype == torch.float32 else 1e-7
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=tolerance, atol=tolerance)
    else:
        assert ours == theirs


def _is_batch_of_nothing(op, sample):
    """A vector of no numbers, of which PyTorch's batch_norm does not ask where its channels are."""
    return op.name == "nn.functional.batch_norm" and sample.input.shape == (0,)


def cases():
    for op in op_db:
        if ours(op.name) is None or op.name in RANDOM:
            continue
        for dtype in (torch.float64, torch.int64, torch.bool):
            if dtype in op.supported_dtypes("cpu"):
                name = f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name
                yield pytest.param(op, dtype, id=f"{name}-{str(dtype).removeprefix('torch.')}")


@pytest.mark.parametrize(("op", "dtype"), list(cases()))
def test_operator_on_pytorchs_sample_inputs(op, dtype):
    function, compared = ours(op.name), 0
    torch.manual_seed(0)
    samples = op.sample_inputs("cpu", dtype, requires_grad=dtype.is_floating_point)
    for _, sample in zip(range(MOST_SAMPLES), samples, strict=False):
        theirs = (sample.input, sample.args, sample.kwargs)
        if sample.kwargs.get("dropout_p") or _is_batch_of_nothing(op, sample):
            continue
        try:
            own = translated(theirs, {})
            expected = outcome(op.op, theirs, torch)
        except (NotImplementedError, RuntimeError):  # PyTorch has no gradient of everything
            continue
        try:
            found = outcome(function, own, tv)
        except NotImplementedError:
            continue
        compared += 1
        if op.name in IN_ANY_ORDER and not dtype.is_floating_point:
            found, expected = found[0][:-1], expected[0][:-1]  # the last are the indices
        assert_same(list(found), list(expected))
    if not compared:
        pytest.skip("no sample is of a kind that is supported here")


@pytest.mark.parametrize(
    "op",
    [
        pytest.param(op, id=f"{op.name}.{op.variant_test_name}".rstrip("."))
        for op in op_db
        if op.error_inputs_func is not None and ours(op.name) is not None
    ],
)
def test_operator_refuses_what_pytorch_refuses(op):
    compared = 0
    for error in op.error_inputs("cpu"):
        sample = error.sample_input
        try:
            input, args, kwargs = translated((sample.input, sample.args, sample.kwargs), {})
        except (NotImplementedError, ValueError):  # of more dims than NumPy knows
            continue
        is_complex = any(isinstance(value, complex) for value in args)
        if is_complex or "out" in kwargs or op.variant_test_name == "in_place":
            continue
        try:
            op.op(sample.input, *sample.args, **sample.kwargs)
            continue  # the table is more severe than the function
        except Exception:
            compared += 1
        with pytest.raises((error.error_type, NotImplementedError)):
            ours(op.name)(input, *args, **kwargs)
    if not compared:
        pytest.skip("no sample is of a kind that is supported here")
