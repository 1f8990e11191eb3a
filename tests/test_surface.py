"""What programs ask about devices, and what they are told about names that are not here."""

import importlib
import importlib.util
import warnings

import numpy as np
import pytest

import tinyvision as tv
from tinyvision import functions, nn


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
        tv.device(0.5)
    with pytest.raises(RuntimeError, match="accelerator"):  # the first one, to PyTorch
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
        (tv, "vmap"),
        (tv, "linalg"),
        (nn, "Conv3d"),
        (nn.functional, "ctc_loss"),
        (nn.utils, "spectral_norm"),
        (nn.utils.rnn, "pad_sequence"),
        (tv.optim, "LBFGS"),
        (tv.optim.lr_scheduler, "CyclicLR"),
        (tv.zeros(2), "quantile"),
        (tv.zeros(2), "half"),
        (tv.zeros(2), "storage_offset"),
        (tv, "det"),
        (tv.cuda, "current_device"),
        (tv.cuda.amp, "custom_fwd"),
        (tv.amp, "custom_fwd"),
        (tv.autograd, "functional"),
        (tv.utils, "checkpoint"),
        (tv.utils.data, "IterableDataset"),
        (tv.data, "ImageFolder"),
        (tv.data.transforms, "ColorJitter"),
        (tv.models, "densenet121"),
        (nn.init, "sparse_"),
        (nn.Linear(1, 1), "to_empty"),
        (tv.optim.SGD([tv.zeros(1)]), "register_step_post_hook"),
    ],
)
def test_missing_names_of_pytorch_say_that_they_are_missing(owner, name):
    with pytest.raises(NotImplementedError, match=rf"\.{name} is not implemented"):
        getattr(owner, name)
    assert not hasattr(owner, name)


@pytest.mark.parametrize(
    "owner", [tv, nn, nn.functional, tv.optim, tv.zeros(2), tv.models, tv.cuda, nn.Linear(1, 1)]
)
def test_missing_names_of_nobody_are_no_attributes(owner):
    with pytest.raises(AttributeError, match="has no attribute 'Con2d'") as caught:
        owner.Con2d  # noqa: B018
    assert not isinstance(caught.value, NotImplementedError)


def test_missing_names_are_not_there_after_all():
    places = {"tinyvision.Tensor": tv.Tensor}
    for place, names in tv.missing._NAMES.items():
        owner = places.get(place) or eval(place.replace("tinyvision", "tv"))
        assert [n for n in names.split() if hasattr(owner, n)] == []


TORCHVISIONS = ("tinyvision.data", "tinyvision.models")


@pytest.mark.parity
@pytest.mark.parametrize("place", [p for p in tv.missing._NAMES if not p.startswith(TORCHVISIONS)])
def test_missing_names_are_pytorchs(place):
    torch = pytest.importorskip("torch")
    owner = eval(place.replace("tinyvision", "torch"), {"torch": torch})
    for name in tv.missing._NAMES[place].split():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = hasattr(owner, name)
        assert known or importlib.util.find_spec(f"{owner.__name__}.{name}"), name


def test_functions_are_the_methods_of_their_names():
    listed = [n for n in vars(functions.methods) if n[0] != "_" and n != "Tensor"]
    assert len(listed) > 150
    for name in listed:
        function, method = getattr(tv, name), getattr(tv.Tensor, name)
        assert function.__name__ == method.__name__ and function.__doc__ == method.__doc__


@pytest.mark.parametrize("call", [tv.exp, tv.sum, lambda x, out: tv.cat([x], out=out)])
def test_out_is_refused_by_name(call):
    x = tv.ones(3)
    with pytest.raises(NotImplementedError, match="argument 'out'"):
        call(x, out=tv.zeros(3))
    assert call(x, out=None) is not None


def test_compile_gives_back_what_it_is_given():
    model = nn.Linear(2, 3)
    assert tv.compile(model) is model
    assert tv.compile(model, mode="max-autotune", dynamic=True) is model

    @tv.compile(fullgraph=True)
    def double(x):
        return 2 * x

    assert double(3) == 6
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast"):
        tv.compile(model, mode="fast")
    with pytest.raises(RuntimeError, match="Either mode or options"):
        tv.compile(model, mode="default", options={})
    with pytest.raises(TypeError, match="speed"):
        tv.compile(model, speed=2)


def test_the_import_paths_of_pytorch_programs_are_there():
    from tinyvision.autograd import Variable
    from tinyvision.optim.lr_scheduler import _LRScheduler
    from tinyvision.utils.data import DataLoader, Dataset, random_split

    assert tv.utils.data.DataLoader is DataLoader is tv.data.DataLoader
    assert Dataset is tv.data.Dataset and random_split is tv.data.random_split
    assert importlib.import_module("tinyvision.backends.cudnn") is tv.backends.cudnn
    assert importlib.import_module("tinyvision.cuda").is_available() is False
    assert importlib.import_module("tinyvision.nn.parallel") is nn.parallel
    assert importlib.import_module("tinyvision.nn.utils.rnn") is nn.utils.rnn
    assert importlib.import_module("tinyvision.cuda.amp") is tv.cuda.amp
    assert issubclass(tv.optim.lr_scheduler.StepLR, _LRScheduler)
    x = Variable(tv.ones(2), requires_grad=True)
    assert x.requires_grad and not Variable(x * 2).requires_grad
    tv.use_deterministic_algorithms(True)
    tv.set_float32_matmul_precision("high")
    tv.set_default_device("cpu")
    tv.set_default_dtype(tv.float32)
    with pytest.raises(NotImplementedError):
        tv.set_default_dtype(tv.float64)


def test_tensors_are_made_and_named_as_in_early_pytorch():
    assert tv.Tensor(2, 3).shape == tv.Size([2, 3]) and tv.Tensor().shape == (0,)
    assert tv.Tensor([1, 2]).dtype == tv.float32 and tv.LongTensor([1, 2]).dtype == tv.int64
    assert tv.ByteTensor(2, 3).shape == (2, 3) and tv.BoolTensor([0, 2]).tolist() == [False, True]
    with pytest.raises(TypeError, match="sizes"):
        tv.Tensor(1.5)
    x = tv.ones(2, 3)
    assert x.type() == "torch.FloatTensor" and x.type("torch.LongTensor").type(tv.uint8).sum() == 6
    assert x.type(tv.LongTensor).dtype == tv.int64 and (x > 0).type(tv.float).dtype == tv.float32
    assert x.shape.numel() == x.size().numel() == 6
    assert tv.finfo(x.dtype).max == np.finfo(np.float32).max and tv.finfo().eps == 2**-23
    assert x.masked_fill(x > 0, -tv.finfo(x.dtype).max).min() < -1e38


def test_dims_may_have_numpys_names():
    x = tv.arange(6.0).reshape(2, 3)
    assert x.sum(axis=1, keepdims=True).shape == (2, 1)
    assert tv.cumprod(x, axis=0).shape == x.shape and x.softmax(axis=-1).sum() == pytest.approx(2)
    assert tv.cat([x, x], axis=1).shape == (2, 6) and tv.stack([x], axis=2).shape == (2, 3, 1)


def test_numpys_functions_give_tensors():
    x = tv.tensor([1.0, -1.0])
    assert isinstance(np.maximum(x, 0), tv.Tensor) and np.maximum(x, 0).tolist() == [1, 0]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.sqrt(x.requires_grad_())


def test_unfold_and_fill_diagonal():
    x = tv.arange(12.0).reshape(3, 4).requires_grad_()
    windows = x.unfold(1, 2, 2)
    assert windows.shape == (3, 2, 2) and windows[1].tolist() == [[4, 5], [6, 7]]
    x.unfold(0, 2, 1).sum().backward()
    assert x.grad[:, 0].tolist() == [1, 2, 1]
    assert tv.zeros(2, 3).fill_diagonal_(5).tolist() == [[5, 0, 0], [0, 5, 0]]
    with pytest.raises(RuntimeError, match="no windows"):
        x.unfold(0, 4, 1)
