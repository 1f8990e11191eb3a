"""Mixed precision, which is switched off as PyTorch does it on a machine without CUDA."""

import importlib
import warnings

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import nn


def _warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [(w.category, str(w.message)) for w in caught]


OFF = {
    "autocast": lambda lib: lib.autocast("cuda"),
    "autocast of float16": lambda lib: lib.amp.autocast("cuda", dtype=lib.float16),
    "autocast by keywords": lambda lib: lib.autocast(device_type="cuda", dtype=lib.bfloat16),
    "autocast of float32": lambda lib: lib.autocast("cpu", dtype=lib.float32),
    "autocast not enabled": lambda lib: lib.autocast("cuda", enabled=False),
    "autocast on the CPU, not enabled": lambda lib: lib.autocast("cpu", lib.bfloat16, False),
    "cuda.amp.autocast": lambda lib: lib.cuda.amp.autocast(),
    "cuda.amp.autocast, not enabled": lambda lib: lib.cuda.amp.autocast(enabled=False),
    "GradScaler": lambda lib: lib.amp.GradScaler(),
    "GradScaler with a device": lambda lib: lib.amp.GradScaler("cuda", init_scale=2.0),
    "GradScaler, not enabled": lambda lib: lib.amp.GradScaler("cpu", enabled=False),
    "cuda.amp.GradScaler": lambda lib: lib.cuda.amp.GradScaler(growth_interval=3),
}


def test_amp_warns_that_it_is_off():
    assert _warnings_of(lambda: OFF["autocast"](tv)) == [
        (UserWarning, "CUDA is not available or torch_xla is imported. Disabling autocast.")
    ]
    kinds = [kind for kind, _ in _warnings_of(lambda: OFF["cuda.amp.GradScaler"](tv))]
    assert kinds == [FutureWarning, UserWarning]
    assert _warnings_of(lambda: OFF["GradScaler, not enabled"](tv)) == []


@pytest.mark.parity
@pytest.mark.parametrize("name", OFF)
def test_amp_warns_as_pytorch_does(name):
    torch = pytest.importorskip("torch")
    assert _warnings_of(lambda: OFF[name](tv)) == _warnings_of(lambda: OFF[name](torch))


def test_amp_on_the_cpu_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="bfloat16"):
        tv.autocast("cpu")
    with pytest.raises(NotImplementedError, match="float16"):
        tv.amp.autocast("cpu", dtype=tv.float16)
    with pytest.raises(NotImplementedError, match="GradScaler"):
        tv.amp.GradScaler("cpu")
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        tv.autocast(3)
    with pytest.raises(RuntimeError, match="device type"):
        tv.autocast("gpu")


def test_half_precision_has_names_but_no_tensors():
    assert tv.half is tv.float16 is not tv.bfloat16
    for dtype in (tv.float16, tv.bfloat16):
        for use in (tv.zeros(2).to, nn.Linear(1, 1).to, lambda d: tv.zeros(2, dtype=d)):
            with pytest.raises(NotImplementedError, match=f"dtype {dtype.name} is not supported"):
                use(dtype)


def test_half_precision_of_modules_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="float16"):
        nn.Linear(1, 1).half()
    with pytest.raises(NotImplementedError, match="bfloat16"):
        nn.Linear(1, 1).bfloat16()
    assert tv.zeros(2).dtype not in (tv.float16, tv.bfloat16) and tv.float16 != tv.float32


def _train(lib):
    """The losses of the loop that PyTorch's recipes show, and how the scaler is left."""
    rng = np.random.default_rng(0)
    model = lib.nn.Linear(4, 3)
    with lib.no_grad():
        model.weight.copy_(lib.tensor(rng.standard_normal((3, 4))))
    optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
    x, y = rng.standard_normal((5, 4)).astype(np.float32), rng.integers(0, 3, 5)
    scaler, losses = lib.amp.GradScaler("cuda"), []

    @lib.autocast("cuda", dtype=lib.float16)
    def loss_of(x, y):
        return lib.nn.functional.cross_entropy(model(x) - model.bias, y)

    for _ in range(3):
        optimizer.zero_grad()
        with lib.autocast("cuda", enabled=scaler.is_enabled()) as context:
            assert context is not None
            loss = loss_of(lib.tensor(x), lib.tensor(y))
        assert loss.dtype == lib.float32
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        lib.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        assert scaler.step(optimizer) is None
        scaler.update()
        losses.append(loss.item())
    scaler.load_state_dict(scaler.state_dict())
    return losses, scaler.get_scale(), scaler.state_dict(), scaler.is_enabled()


@pytest.mark.filterwarnings("ignore")
def test_amp_training_loop_runs_in_full_precision():
    losses, *state = _train(tv)
    assert losses[0] > losses[-1] > 0 and state == [1.0, {}, False]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_amp_training_loop_is_pytorchs():
    torch = pytest.importorskip("torch")
    (losses, *ours), (expected, *theirs) = _train(tv), _train(torch)
    assert losses == pytest.approx(expected, rel=1e-5) and ours == theirs


def test_amp_can_be_imported_by_its_older_name():
    assert importlib.import_module("tinyvision.cuda.amp").GradScaler is tv.cuda.amp.GradScaler
    assert issubclass(tv.cuda.amp.autocast, tv.autocast) and tv.amp.autocast is tv.autocast
