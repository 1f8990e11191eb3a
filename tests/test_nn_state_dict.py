"""state_dict and load_state_dict."""

from collections import OrderedDict

import pytest

import tinyvision as tv
from tinyvision import nn


def make_net():
    return nn.Sequential(OrderedDict(fc=nn.Linear(2, 3), norm=nn.BatchNorm1d(3)))


KEYS = [
    "fc.weight",
    "fc.bias",
    "norm.weight",
    "norm.bias",
    "norm.running_mean",
    "norm.running_var",
    "norm.num_batches_tracked",
]


def test_state_dict_has_pytorchs_keys_in_order():
    assert list(make_net().state_dict()) == KEYS


def test_state_dict_is_detached_and_shares_memory():
    net = make_net()
    state = net.state_dict()
    assert not any(t.requires_grad for t in state.values())
    with tv.no_grad():
        net.fc.bias.fill_(7.0)
    assert state["fc.bias"].tolist() == [7.0] * 3
    assert net.state_dict(keep_vars=True)["fc.bias"] is net.fc.bias


def test_state_dict_takes_prefix_and_destination():
    destination = {"old": 1}
    assert nn.Linear(1, 1).state_dict(destination=destination, prefix="m.") is destination
    assert list(destination) == ["old", "m.weight", "m.bias"]


def test_state_dict_leaves_out_non_persistent_buffers_and_none():
    net = nn.Linear(1, 1, bias=False)
    net.register_buffer("cache", tv.zeros(1), persistent=False)
    net.register_buffer("kept", tv.zeros(1))
    net.register_buffer("nothing", None)
    assert list(net.state_dict()) == ["weight", "kept"]
    assert repr(net.load_state_dict(net.state_dict())) == "<All keys matched successfully>"


def test_state_dict_has_shared_parameters_under_every_name():
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    net[1].weight = net[0].weight
    assert list(net.state_dict()) == ["0.weight", "1.weight"]


def test_load_state_dict_copies_values():
    source, target = make_net(), make_net()
    source(tv.randn(5, 2))
    weight = target.fc.weight
    result = target.load_state_dict(source.state_dict())
    assert result == ([], []) and str(result) == "<All keys matched successfully>"
    assert target.fc.weight is weight and weight is not source.fc.weight
    for name, value in source.state_dict().items():
        assert target.state_dict()[name].tolist() == value.tolist()
    assert target.norm.num_batches_tracked.item() == 1


def test_load_state_dict_converts_to_the_dtype_of_the_module():
    net = nn.Linear(1, 1)
    net.load_state_dict({"weight": tv.ones(1, 1, dtype=tv.float64), "bias": tv.tensor([2])})
    assert net.weight.dtype == net.bias.dtype == tv.float32 and net.bias.tolist() == [2.0]


def test_load_state_dict_lists_all_problems():
    state = {"weight": tv.zeros(3, 2), "extra": 1, "b": 2}
    with pytest.raises(RuntimeError) as error:
        nn.Linear(2, 2).load_state_dict(state)
    assert str(error.value) == (
        "Error(s) in loading state_dict for Linear:\n"
        '\tMissing key(s) in state_dict: "bias". \n'
        '\tUnexpected key(s) in state_dict: "extra", "b". \n'
        "\tsize mismatch for weight: copying a param with shape torch.Size([3, 2]) from "
        "checkpoint, the shape in current model is torch.Size([2, 2])."
    )


def test_load_state_dict_that_fails_changes_nothing():
    net = nn.Linear(2, 2)
    before = net.weight.tolist()
    with pytest.raises(RuntimeError, match="size mismatch for bias"):
        net.load_state_dict({"weight": tv.zeros(2, 2), "bias": tv.zeros(3)})
    assert net.weight.tolist() == before


def test_load_state_dict_rejects_what_is_no_tensor():
    with pytest.raises(RuntimeError, match="expected a Tensor from checkpoint but received.*int"):
        nn.Linear(2, 2).load_state_dict({"weight": 3, "bias": tv.zeros(2)})
    with pytest.raises(TypeError, match="Expected state_dict to be dict-like, got <class 'list'>"):
        nn.Linear(2, 2).load_state_dict([])


def test_load_state_dict_not_strict_reports_names():
    net = nn.Linear(2, 2)
    result = net.load_state_dict({"bias": tv.ones(2), "extra": tv.ones(1)}, strict=False)
    assert result.missing_keys == ["weight"] and result.unexpected_keys == ["extra"]
    assert repr(result) == "_IncompatibleKeys(missing_keys=['weight'], unexpected_keys=['extra'])"
    assert net.bias.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="size mismatch"):
        net.load_state_dict({"bias": tv.ones(3)}, strict=False)


def test_load_state_dict_assign_takes_the_tensors_themselves():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    net[0].weight.requires_grad_(False)
    state = {k: v.clone().double() for k, v in net.state_dict().items()}
    state["1.weight"] = nn.Parameter(tv.full((1,), 4.0))
    net.load_state_dict(state, assign=True)
    assert net[0].weight.dtype == tv.float64 and not net[0].weight.requires_grad
    assert type(net[0].weight) is nn.Parameter
    assert net[1].weight is state["1.weight"] and net[1].running_mean is state["1.running_mean"]


def test_load_state_dict_bumps_versions():
    net = nn.Linear(1, 1, bias=False)
    loss = (net(tv.ones(1, 1, requires_grad=True)) ** 2).sum()
    net.load_state_dict({"weight": tv.ones(1, 1)})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parity
def test_state_dict_keys_and_errors_match_pytorch():
    torch = pytest.importorskip("torch")
    nets = {}
    for library in (tv, torch):
        n = library.nn
        net = n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.ModuleList([n.Linear(2, 2)]))
        # PyTorch forgives a missing num_batches_tracked, which old checkpoints do not have.
        state = {
            "0.weight": library.zeros(2, 1, 3, 3),
            "1.num_batches_tracked": library.tensor(1),
            "4.a": library.zeros(1),
        }
        with pytest.raises(RuntimeError) as error:
            net.load_state_dict(state)
        nets[library] = (list(net.state_dict()), str(error.value))
    assert nets[tv] == nets[torch]
