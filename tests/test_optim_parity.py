"""Optimizers against PyTorch's, where it is installed."""

import numpy as np
import pytest

import tinyvision as tv

PARITY = [
    ("SGD", dict(lr=0.05)),
    ("SGD", dict(lr=0.05, weight_decay=0.1, maximize=True)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.01)),
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01)),
    ("Adam", dict(lr=0.02)),
    ("Adam", dict(lr=0.02, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1)),
    ("Adam", dict(lr=0.02, amsgrad=True, maximize=True)),
    ("Adam", dict(lr=0.02, weight_decay=0.1, decoupled_weight_decay=True)),
    ("AdamW", dict(lr=0.02)),
    ("AdamW", dict(lr=0.02, betas=(0.5, 0.9), weight_decay=0.3, amsgrad=True)),
    ("AdamW", dict(lr=0.02, maximize=True)),
    ("Adagrad", dict()),
    ("Adagrad", dict(lr=0.1, lr_decay=0.1, initial_accumulator_value=0.5, weight_decay=0.1)),
    ("Adagrad", dict(lr=0.1, eps=1e-3, maximize=True)),
    ("RMSprop", dict()),
    ("RMSprop", dict(lr=0.02, alpha=0.9, momentum=0.8, weight_decay=0.1)),
    ("RMSprop", dict(lr=0.02, centered=True, eps=1e-3, maximize=True)),
    ("RMSprop", dict(lr=0.02, centered=True, eps=1e-3, momentum=0.5)),
    ("Adadelta", dict()),
    ("Adadelta", dict(lr=0.5, rho=0.7, eps=1e-3, weight_decay=0.1, maximize=True)),
]


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), PARITY)
@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"), [("float64", 1e-12, 1e-12), ("float32", 1e-4, 1e-6)]
)
def test_optimizers_match_pytorch_step_for_step(name, options, dtype, rtol, atol):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = [rng.normal(size=s).astype(dtype) for s in ((3, 4), (5,), ())]
    pairs = []
    for library in (tv, torch):
        params = [library.nn.Parameter(library.tensor(v)) for v in start]
        groups = [{"params": params[:2]}, {"params": params[2:], "lr": 0.1, "weight_decay": 0.2}]
        pairs.append((library, params, getattr(library.optim, name)(groups, **options)))
    for step in range(60):
        grads = [rng.normal(size=v.shape).astype(dtype) * (1 + 10 * (step % 7 == 0)) for v in start]
        for library, params, optimizer in pairs:
            for param, grad in zip(params, grads, strict=True):
                param.grad = None if step % 5 == 4 and param.ndim == 1 else library.tensor(grad)
            optimizer.step()
        for ours, theirs in zip(pairs[0][1], pairs[1][1], strict=True):
            ours, theirs = ours.detach().numpy(), theirs.detach().numpy()
            assert ours.dtype == theirs.dtype == dtype
            np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@pytest.mark.parity
@pytest.mark.parametrize(("name", "options"), PARITY)
def test_optimizer_state_dicts_have_pytorchs_layout(name, options):
    torch = pytest.importorskip("torch")
    layouts = []
    for library in (tv, torch):
        params = [library.nn.Parameter(library.ones(2)) for _ in range(3)]
        groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.5}]
        optimizer = getattr(library.optim, name)(groups, **options)
        params[0].grad = params[2].grad = library.ones(2)
        optimizer.step()
        saved = optimizer.state_dict()
        state = {i: {k: v.tolist() for k, v in s.items()} for i, s in saved["state"].items()}
        layouts.append((saved["param_groups"], state, repr(optimizer)))
    assert layouts[0][0] == layouts[1][0] and layouts[0][2] == layouts[1][2]
    assert layouts[0][1].keys() == layouts[1][1].keys()
    for number, ours in layouts[0][1].items():
        theirs = layouts[1][1][number]
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert value == pytest.approx(theirs[key], rel=1e-6)
