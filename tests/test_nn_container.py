"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict, DataParallel."""

from collections import OrderedDict

import pytest

import tinyvision as tv
from tinyvision import nn


def kinds(modules):
    return [type(m).__name__ for m in modules]


# ------------------------------------------------------------------ Sequential


def test_sequential_applies_in_order():
    class Add(nn.Module):
        def forward(self, x):
            return x + 1

    class Double(nn.Module):
        def forward(self, x):
            return x * 2

    assert nn.Sequential(Add(), Double())(1) == 4
    assert nn.Sequential(Double(), Add())(1) == 3
    assert nn.Sequential()(5) == 5


def test_sequential_takes_names_from_an_ordereddict():
    net = nn.Sequential(OrderedDict(conv=nn.ReLU(), act=nn.Tanh()))
    assert [name for name, _ in net.named_children()] == ["conv", "act"]
    assert net.conv is net[0]


def test_sequential_behaves_like_a_list():
    net = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert len(net) == 3 and kinds(net) == ["ReLU", "Tanh", "Sigmoid"]
    assert net[-1] is net[2] and kinds(net[1:]) == ["Tanh", "Sigmoid"]
    net[0] = nn.ELU()
    net.append(nn.ReLU())
    assert kinds(net.pop(1) for _ in range(1)) == ["Tanh"]
    net.insert(1, nn.Softplus()).insert(-1, nn.Flatten())
    assert kinds(net) == ["ELU", "Softplus", "Sigmoid", "Flatten", "ReLU"]
    assert list(net._modules) == ["0", "1", "2", "3", "4"]
    del net[1:3]
    del net[-1]
    assert kinds(net) == ["ELU", "Flatten"]
    assert kinds(net + nn.Sequential(nn.ReLU())) == ["ELU", "Flatten", "ReLU"]
    assert kinds(net.extend(net)) == ["ELU", "Flatten"] * 2


def test_sequential_rejects_what_does_not_belong():
    net = nn.Sequential(nn.ReLU())
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.Sequential(3)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        net.insert(0, 3)
    with pytest.raises(TypeError, match="cannot assign 'int' as child module '0'"):
        net[0] = 3
    with pytest.raises(IndexError, match="index 2 is out of range"):
        net[2]
    with pytest.raises(IndexError, match="index -2 is out of range"):
        del net[-2]
    with pytest.raises(IndexError, match="Index out of range: 3"):
        net.insert(3, nn.ReLU())
    with pytest.raises(ValueError, match="only objects of Sequential class"):
        net + 3


# ------------------------------------------------------------------ ModuleList


def test_modulelist_registers_and_indexes():
    layers = nn.ModuleList([nn.Linear(1, 2), nn.Linear(2, 3)])
    assert [n for n, _ in layers.named_parameters()] == [
        "0.weight",
        "0.bias",
        "1.weight",
        "1.bias",
    ]
    layers += [nn.ReLU()]
    assert kinds(layers) == ["Linear", "Linear", "ReLU"]
    assert isinstance(layers[:2], nn.ModuleList) and len(layers[:2]) == 2
    assert kinds(layers + [nn.Tanh()]) == ["Linear", "Linear", "ReLU", "Tanh"]
    assert kinds(nn.ModuleList(layers[:1])) == ["Linear"]


def test_modulelist_rejects_what_does_not_belong():
    with pytest.raises(TypeError, match="ModuleList.extend should be called with an iterable"):
        nn.ModuleList(3)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.ModuleList([1])
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        nn.ModuleList([nn.ReLU()])["a"]
    with pytest.raises(NotImplementedError, match=r"Module \[ModuleList\] is missing"):
        nn.ModuleList()(1)


def test_modulelist_repr_groups_equal_neighbours():
    layers = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Sequential(nn.Tanh())])
    assert repr(layers) == (
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Sequential(\n    (0): Tanh()\n  )\n)"
    )
    assert repr(nn.ModuleList()) == "ModuleList()"


# ------------------------------------------------------------------ ModuleDict


def test_moduledict_behaves_like_a_dict():
    net = nn.ModuleDict({"a": nn.ReLU()})
    net["b"] = nn.Linear(1, 1)
    net.update([("c", nn.Tanh())])
    net.update(nn.ModuleDict({"a": nn.ELU()}))
    assert list(net) == list(net.keys()) == ["a", "b", "c"] and len(net) == 3
    assert kinds(net.values()) == ["ELU", "Linear", "Tanh"]
    assert "a" in net and "z" not in net and dict(net.items())["b"] is net["b"]
    assert isinstance(net.pop("c"), nn.Tanh)
    del net["a"]
    assert repr(net) == "ModuleDict(\n  (b): Linear(in_features=1, out_features=1, bias=True)\n)"
    net.clear()
    assert len(net) == 0


def test_moduledict_rejects_what_does_not_belong():
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        nn.ModuleDict({"a": 1})
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        nn.ModuleDict({"keys": nn.ReLU()})
    with pytest.raises(TypeError, match="iterable of key/value pairs, but got int"):
        nn.ModuleDict(3)
    with pytest.raises(TypeError, match="sequence element #0 should be"):
        nn.ModuleDict([3])
    with pytest.raises(KeyError):
        nn.ModuleDict()["a"]


# ------------------------------------------------------------------ ParameterList


def test_parameterlist_registers_parameters():
    weights = nn.ParameterList([nn.Parameter(tv.zeros(2, 3))])
    weights.append(tv.ones(2))
    weights[0] = nn.Parameter(tv.ones(1))
    weights += [tv.zeros(3)]
    assert [n for n, _ in weights.named_parameters()] == ["0", "1", "2"]
    assert len(weights) == 3 and weights[-1].shape == (3,) and len(weights[1:]) == 2
    assert all(type(p) is nn.Parameter for p in weights)
    with pytest.raises(IndexError, match="index 3 is out of range"):
        weights[3]
    with pytest.raises(TypeError, match="should be called with an iterable, but got Tensor"):
        weights.extend(tv.ones(2))


def test_parameterlist_keeps_what_is_no_tensor():
    values = nn.ParameterList([1, "a", tv.ones(2), nn.Linear(1, 1)])
    values.append(tv.zeros(3))
    values[0] = 5
    assert values[0] == 5 and list(values)[1] == "a" and len(values) == 5
    assert list(values.state_dict()) == ["2", "4", "3.weight", "3.bias"]
    assert repr(values).splitlines()[1:5] == [
        "    (0): Object of type: int",
        "    (1): Object of type: str",
        "    (2): Parameter containing: [float32 of size 2]",
        "    (3): Object of type: Linear",
    ]


# ------------------------------------------------------------------ ParameterDict


def test_parameterdict_behaves_like_a_dict_of_parameters():
    weights = nn.ParameterDict({"b": nn.Parameter(tv.zeros(2, 3)), "a": tv.ones(2)})
    weights["c"] = tv.zeros(())
    weights.update(OrderedDict(e=tv.ones(1), d=tv.ones(1)))
    assert list(weights) == [n for n, _ in weights.named_parameters()] == ["a", "b", "c", "e", "d"]
    assert all(type(p) is nn.Parameter for p in weights.values())
    assert weights.b is weights["b"] is weights.get("b") and weights.get("z", 3) == 3
    assert weights.pop("e").shape == (1,) and len(weights) == 4 and "e" not in weights
    del weights["d"]
    assert list(nn.ParameterDict(weights).state_dict()) == ["a", "b", "c"]
    assert repr(weights).splitlines()[2] == "    (b): Parameter containing: [float32 of size 2x3]"
    for bad in ({"a": 3}, {3: tv.ones(1)}, [3], 3):
        with pytest.raises(TypeError, match="ParameterDict"):
            nn.ParameterDict(bad)
    with pytest.raises(KeyError):
        weights["z"]


# ------------------------------------------------------------------ DataParallel


def test_data_parallel_is_the_module_under_another_name():
    inner = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    model = nn.DataParallel(inner, device_ids=[0, 1])
    x = tv.randn(4, 2)
    assert model.module is inner and model.eval()(x).equal(inner(x)) and not inner.training
    assert list(model.state_dict()) == [f"module.{name}" for name in inner.state_dict()]
    model.load_state_dict(model.state_dict())
    assert repr(model).startswith("DataParallel(\n  (module): Sequential(")
    assert nn.parallel.DataParallel is nn.DataParallel
    with pytest.raises(NotImplementedError, match="DistributedDataParallel"):
        nn.parallel.DistributedDataParallel(inner)


@pytest.mark.parity
def test_data_parallel_and_parameterdict_have_pytorchs_names():
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("PyTorch would use the GPUs")

    found = []
    for lib in (tv, torch):

        class Scaled(lib.nn.Module):
            def __init__(self, lib):
                super().__init__()
                self.scales = lib.nn.ParameterDict({"b": lib.ones(2), "a": lib.ones(3)})

            def forward(self, x, name="a"):
                return x * self.scales[name]

        model = lib.nn.DataParallel(Scaled(lib))
        model(lib.ones(4, 2), name="b").sum().backward()
        grads = {n: p.grad is not None and p.grad.tolist() for n, p in model.named_parameters()}
        found.append((list(model.state_dict()), grads, model.device_ids))
    assert found[0] == found[1]
