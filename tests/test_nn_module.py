"""Module: registration, walks, hooks, modes, conversions, printing."""

import copy

import pytest

import tinyvision as tv
from tinyvision import nn


class Net(nn.Module):
    """Two layers, a parameter and a buffer of its own."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.act = nn.ReLU()
        self.second = nn.Linear(4, 2, bias=False)
        self.scale = nn.Parameter(tv.ones(2))
        self.register_buffer("offset", tv.zeros(2))

    def forward(self, input):
        return self.second(self.act(self.first(input))) * self.scale + self.offset


def names(pairs):
    return [name for name, _ in pairs]


# ------------------------------------------------------------------ Parameter


def test_parameter_shares_memory_and_requires_grad():
    data = tv.zeros(3)
    parameter = nn.Parameter(data)
    data[0] = 5.0
    assert parameter.tolist() == [5.0, 0.0, 0.0]
    assert parameter.requires_grad and parameter.is_leaf
    assert not nn.Parameter(data, requires_grad=False).requires_grad


def test_parameter_change_through_the_original_tensor_is_noticed():
    data = tv.ones(3)
    parameter = nn.Parameter(data)
    loss = (parameter * parameter).sum()
    data += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_parameter_results_are_plain_tensors():
    assert type(nn.Parameter(tv.ones(2)) * 2) is tv.Tensor
    assert type(nn.Parameter(tv.ones(2)).detach()) is tv.Tensor


def test_parameter_prints_like_pytorch():
    assert repr(nn.Parameter(tv.zeros(2))) == (
        "Parameter containing:\ntensor([0., 0.], requires_grad=True)"
    )


def test_parameter_rejects_what_cannot_be_trained():
    with pytest.raises(RuntimeError, match="floating point"):
        nn.Parameter(tv.tensor([1, 2]))
    with pytest.raises(TypeError, match="must be a Tensor, got list"):
        nn.Parameter([1.0])


def test_parameter_deepcopy_is_an_independent_parameter_without_grad():
    parameter = nn.Parameter(tv.ones(2), requires_grad=False)
    parameter.grad = tv.ones(2)
    clone = copy.deepcopy(parameter)
    clone += 1
    assert type(clone) is nn.Parameter and not clone.requires_grad and clone.grad is None
    assert parameter.tolist() == [1.0, 1.0]


# ------------------------------------------------------------------ registration


def test_module_registers_members_by_assignment():
    net = Net()
    assert names(net.named_parameters()) == [
        "scale",
        "first.weight",
        "first.bias",
        "second.weight",
    ]
    assert names(net.named_buffers()) == ["offset"]
    assert names(net.named_modules()) == ["", "first", "act", "second"]
    assert names(net.named_children()) == ["first", "act", "second"]


def test_module_walks_take_prefix_and_recurse():
    net = Net()
    assert names(net.named_parameters(prefix="net", recurse=False)) == ["net.scale"]
    assert names(net.named_modules(prefix="net"))[:2] == ["net", "net.first"]


def test_module_shared_members_come_once():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    shared = nn.Sequential(net, net)
    assert names(net.named_parameters()) == ["0.weight", "0.bias", "1.bias"]
    assert len(list(shared.parameters())) == 3
    assert len(list(shared.modules())) == 4
    everywhere = names(shared.named_parameters(remove_duplicate=False))
    assert everywhere == [f"{i}.{j}.{k}" for i in "01" for j in "01" for k in ("weight", "bias")]


def test_module_assigning_none_keeps_the_name():
    layer = nn.Linear(2, 2)
    layer.bias = None
    assert layer.bias is None and names(layer.named_parameters()) == ["weight"]
    layer.bias = nn.Parameter(tv.zeros(2))
    assert names(layer.named_parameters()) == ["weight", "bias"]


def test_module_a_member_replaces_one_of_another_kind():
    net = Net()
    net.offset = nn.Parameter(tv.zeros(2))
    assert "offset" in names(net.named_parameters()) and names(net.named_buffers()) == []
    net.plain = 3
    net.plain = nn.ReLU()
    assert "plain" not in vars(net) and "plain" in names(net.named_children())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("scale", 3, r"cannot assign 'int' as parameter 'scale' \(nn.Parameter or None expected\)"),
        ("scale", tv.zeros(2), "cannot assign 'Tensor' as parameter 'scale'"),
        ("scale", nn.ReLU(), "cannot assign 'ReLU' as parameter 'scale'"),
        ("first", 3, r"cannot assign 'int' as child module 'first' \(nn.Module or None expected\)"),
        ("offset", 3, r"cannot assign 'int' as buffer 'offset' \(Tensor or None expected\)"),
    ],
)
def test_module_rejects_assigning_the_wrong_kind(name, value, message):
    with pytest.raises(TypeError, match=message):
        setattr(Net(), name, value)


@pytest.mark.parametrize("value", [nn.ReLU(), nn.Parameter(tv.zeros(1))])
def test_module_members_need_init_first(value):
    class Forgetful(nn.Module):
        def __init__(self):
            self.member = value

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Forgetful()


def test_module_buffer_needs_init_first():
    class Forgetful(nn.Module):
        def __init__(self):
            self.register_buffer("member", None)

    with pytest.raises(AttributeError, match=r"cannot assign buffer before Module.__init__"):
        Forgetful()


def test_module_register_rejects_bad_names():
    net = Net()
    with pytest.raises(TypeError, match="parameter name should be a string. Got int"):
        net.register_parameter(3, None)
    with pytest.raises(KeyError, match="buffer name can.*contain"):
        net.register_buffer("a.b", None)
    with pytest.raises(KeyError, match="module name can.*be empty string"):
        net.add_module("", nn.ReLU())
    with pytest.raises(KeyError, match="attribute 'forward' already exists"):
        net.register_parameter("forward", nn.Parameter(tv.zeros(1)))
    with pytest.raises(KeyError, match="attribute 'offset' already exists"):
        net.register_module("offset", nn.ReLU())


def test_module_register_rejects_bad_values():
    net = Net()
    with pytest.raises(TypeError, match="cannot assign 'Tensor' object to parameter 'p'"):
        net.register_parameter("p", tv.zeros(1))
    with pytest.raises(TypeError, match="cannot assign 'int' object to buffer 'b'"):
        net.register_buffer("b", 3)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        net.add_module("m", 3)


def test_module_delattr_and_getattr():
    net = Net()
    del net.offset, net.act, net.scale
    net.note = "text"
    del net.note
    for name in ("offset", "act", "scale", "note"):
        with pytest.raises(AttributeError, match=f"'Net' object has no attribute '{name}'"):
            getattr(net, name)
    with pytest.raises(AttributeError):
        del net.nothing
    assert {"first", "second", "forward"} <= set(dir(net))


def test_module_get_by_dotted_name():
    net = nn.Sequential(Net())
    assert net.get_submodule("0.first") is net[0].first and net.get_submodule("") is net
    assert net.get_parameter("0.first.bias") is net[0].first.bias
    assert net.get_buffer("0.offset") is net[0].offset
    with pytest.raises(AttributeError, match="Net has no attribute `third`"):
        net.get_submodule("0.third")
    with pytest.raises(AttributeError, match="`scale` is not an nn.Module"):
        net.get_submodule("0.scale")
    with pytest.raises(AttributeError, match="`offset` is not an nn.Parameter"):
        net.get_parameter("0.offset")
    with pytest.raises(AttributeError, match="`scale` is not a buffer"):
        net.get_buffer("0.scale")


def test_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Module \[Module\] is missing the required"):
        nn.Module()(1)


# ------------------------------------------------------------------ modes, gradients, conversions


def test_module_train_and_eval_reach_all_and_respect_overrides():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            return super().train(False)

    net = nn.Sequential(nn.Dropout(), Frozen(nn.Dropout()))
    assert net.eval() is net and not any(m.training for m in net.modules())
    net.train()
    assert [m.training for m in net.modules()] == [True, True, False, False]
    with pytest.raises(ValueError, match="training mode is expected to be boolean"):
        net.train("yes")


def test_module_requires_grad_and_zero_grad():
    net = Net()
    net(tv.ones(1, 3)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad(set_to_none=False)
    assert all(p.grad.abs().sum().item() == 0 for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())
    net.requires_grad_(False)
    assert not net(tv.ones(1, 3)).requires_grad


def test_module_apply_visits_children_first():
    seen = []
    net = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh()))
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["ReLU", "Tanh", "Sequential", "Sequential"]


def test_module_to_converts_floats_only_and_keeps_the_objects():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    weight = net[0].weight
    net(tv.ones(3, 2)).sum().backward()
    assert net.to("cpu", tv.float64) is net
    assert net[0].weight is weight and weight.dtype == weight.grad.dtype == tv.float64
    assert net[1].running_mean.dtype == tv.float64
    assert net[1].num_batches_tracked.dtype == tv.int64
    assert net(tv.ones(3, 2, dtype=tv.float64)).dtype == tv.float64
    assert net.float()[0].weight.dtype == tv.float32
    assert net.double()[0].weight.dtype == tv.float64
    assert net.to(tv.zeros(1)).cpu()[0].weight.dtype == tv.float32


def test_module_to_rejects_other_devices_and_integers():
    with pytest.raises(NotImplementedError, match="device='cuda' is not supported"):
        nn.Linear(1, 1).to("cuda")
    with pytest.raises(TypeError, match="only accepts floating point dtypes.*int64"):
        nn.Linear(1, 1).to(tv.int64)


def test_module_deepcopy_is_independent():
    net = Net()
    twin = copy.deepcopy(net)
    x = tv.ones(1, 3)
    before = twin(x).tolist()
    assert before == net(x).tolist()
    with tv.no_grad():
        net.first.weight += 1
        net.offset += 1
    assert twin(x).tolist() == before
    assert [type(p) for p in twin.parameters()] == [nn.Parameter] * 4


def test_module_deepcopy_keeps_sharing():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    twin = copy.deepcopy(net)
    assert twin[0].weight is twin[1].weight and twin[0].weight is not net[0].weight


# ------------------------------------------------------------------ printing


def test_module_repr_nests_and_shows_extra_lines():
    class Described(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(1, 2), nn.ReLU())

        def extra_repr(self):
            return "two\nlines"

    assert repr(nn.Module()) == "Module()"
    assert repr(Described()) == (
        "Described(\n"
        "  two\n"
        "  lines\n"
        "  (inner): Sequential(\n"
        "    (0): Linear(in_features=1, out_features=2, bias=True)\n"
        "    (1): ReLU()\n"
        "  )\n"
        ")"
    )
