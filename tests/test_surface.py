"""What programs ask about devices, and what they are told about names that are not here."""

import pytest

import tinyvision as tv
from tinyvision import nn


def test_devices_the_usual_lines_of_a_program_choose_the_cpu():
    device = tv.device("cuda" if tv.cuda.is_available() else "cpu")
    assert str(device) == "cpu" and device == tv.device("cpu") and device.type == "cpu"
    model = nn.Linear(2, 3).to(device)
    x = tv.ones(1, 2, device=device).to(device, tv.float64).cpu()
    assert x.device == device and not x.is_cuda and x.dtype == tv.float64
    assert model.weight.device == device and model.double().to(x).weight.dtype == tv.float64
    assert tv.cuda.device_count() == 0 and tv.accelerator.current_accelerator() is None
    assert not tv.backends.mps.is_available() and not tv.mps.is_available()
    tv.cuda.manual_seed_all(3)
    tv.backends.cudnn.deterministic = True


def test_devices_are_told_apart():
    assert tv.device("cuda:1") == tv.device("cuda", 1) != tv.device("cuda")
    assert repr(tv.device("cuda:1")) == "device(type='cuda', index=1)"
    assert repr(tv.device(tv.device("cpu"))) == "device(type='cpu')"
    assert len({tv.device("cpu"), tv.device("cpu"), tv.device("mps")}) == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:-1", ""])
def test_devices_that_are_none_are_refused(name):
    with pytest.raises(RuntimeError):
        tv.device(name)
    with pytest.raises(TypeError):
        tv.device(0)


@pytest.mark.parametrize(
    "use",
    [
        lambda: tv.zeros(2, device="cuda"),
        lambda: tv.randn(2, device=tv.device("mps")),
        lambda: tv.zeros(2).to("cuda:0"),
        lambda: tv.zeros(2).cuda(),
        lambda: nn.Linear(2, 3, device="cuda"),
        lambda: nn.Linear(2, 3).to(tv.device("cuda")),
        lambda: nn.BatchNorm2d(3).cuda(),
    ],
)
def test_devices_other_than_the_cpu_are_a_clear_error(use):
    with pytest.raises(NotImplementedError, match="device='(cuda|mps)(:0)?' is not supported"):
        use()


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (tv, "compile"),
        (tv, "linalg"),
        (nn, "Conv3d"),
        (nn.functional, "grid_sample"),
        (nn.utils, "spectral_norm"),
        (tv.optim, "LBFGS"),
        (tv.optim.lr_scheduler, "CyclicLR"),
        (tv.zeros(2), "quantile"),
        (tv.zeros(2), "half"),
    ],
)
def test_missing_names_of_pytorch_say_that_they_are_missing(owner, name):
    with pytest.raises(NotImplementedError, match=rf"\.{name} is not implemented"):
        getattr(owner, name)
    assert not hasattr(owner, name)


@pytest.mark.parametrize("owner", [tv, nn, nn.functional, tv.optim, tv.zeros(2)])
def test_missing_names_of_nobody_are_no_attributes(owner):
    with pytest.raises(AttributeError, match="has no attribute 'Con2d'") as caught:
        owner.Con2d  # noqa: B018
    assert not isinstance(caught.value, NotImplementedError)


def test_missing_names_are_not_there_after_all():
    places = {"tinyvision.Tensor": tv.Tensor}
    for place, names in tv.missing._NAMES.items():
        owner = places.get(place) or eval(place.replace("tinyvision", "tv"))
        assert [n for n in names.split() if hasattr(owner, n)] == []


@pytest.mark.parametrize("call", [tv.exp, tv.sum, lambda x, out: tv.cat([x], out=out)])
def test_out_is_refused_by_name(call):
    x = tv.ones(3)
    with pytest.raises(NotImplementedError, match="argument 'out'"):
        call(x, out=tv.zeros(3))
    assert call(x, out=None) is not None
