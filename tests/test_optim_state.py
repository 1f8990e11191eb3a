"""Optimizers: saving their state and going on from it."""

import copy

import pytest

import tinyvision as tv
from tinyvision import nn, optim

MAKERS = [
    lambda ps, **o: optim.SGD(ps, 0.1, **o),
    lambda ps, **o: optim.SGD(ps, 0.1, momentum=0.9, weight_decay=0.01, **o),
    lambda ps, **o: optim.SGD(ps, 0.1, momentum=0.9, nesterov=True, **o),
    lambda ps, **o: optim.Adam(ps, 0.01, weight_decay=0.01, **o),
    lambda ps, **o: optim.AdamW(ps, 0.01, amsgrad=True, **o),
]


def parameter(*values):
    return nn.Parameter(tv.tensor(values, dtype=tv.float64))


def steps(optimizer, param, *grads):
    """Take a step with each of the gradients; the values of `param` after each."""
    path = []
    for grad in grads:
        param.grad = tv.full(param.shape, grad, dtype=param.dtype)
        optimizer.step()
        path.append(param.detach().flatten()[0].item())
    return path


def test_state_dict_layout():
    p = parameter(1.0)
    sgd = optim.SGD([p], 0.1, momentum=0.9)
    options = {
        "lr": 0.1,
        "momentum": 0.9,
        "dampening": 0,
        "weight_decay": 0,
        "nesterov": False,
        "maximize": False,
        "foreach": None,
        "differentiable": False,
        "fused": None,
        "params": [0],
    }
    assert sgd.state_dict() == {"state": {}, "param_groups": [options]}
    steps(sgd, p, 2.0)
    state = sgd.state_dict()["state"]
    assert list(state) == [0] and state[0]["momentum_buffer"].tolist() == [2.0]


def train(net, optimizer, count, seed):
    generator = tv.Generator().manual_seed(seed)
    for _ in range(count):
        x = tv.randn(8, 3, generator=generator)
        optimizer.zero_grad()
        (net(x) ** 2).mean().backward()
        optimizer.step()


@pytest.mark.parametrize("make", MAKERS)
def test_load_state_dict_continues_bit_for_bit(make, tmp_path):
    tv.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = make([{"params": net[0].parameters(), "lr": 0.05}, {"params": net[2].parameters()}])
    train(net, optimizer, 3, seed=1)
    tv.save([net.state_dict(), optimizer.state_dict()], tmp_path / "checkpoint")
    train(net, optimizer, 3, seed=2)

    saved_net, saved_optimizer = tv.load(tmp_path / "checkpoint")
    again = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    resumed = make([{"params": again[0].parameters()}, {"params": again[2].parameters()}])
    again.load_state_dict(saved_net)
    resumed.load_state_dict(saved_optimizer)
    assert [g["lr"] for g in resumed.param_groups] == [g["lr"] for g in optimizer.param_groups]
    train(again, resumed, 3, seed=2)
    for ours, theirs in zip(net.parameters(), again.parameters(), strict=True):
        assert ours.tolist() == theirs.tolist()


def test_load_state_dict_copies_and_converts():
    p, q = parameter(1.0), nn.Parameter(tv.ones(1))
    source, target = optim.Adam([p]), optim.Adam([q])
    steps(source, p, 1.0)
    target.load_state_dict(source.state_dict())
    assert target.state[q]["exp_avg"].dtype == target.state[q]["step"].dtype == tv.float32
    before = source.state[p]["exp_avg"].item()
    steps(target, q, 5.0)
    assert source.state[p]["exp_avg"].item() == before and source.state[p]["step"].item() == 1


def test_load_state_dict_rejects_what_does_not_fit_and_changes_nothing():
    p = parameter(1.0, 2.0)
    adam = optim.Adam([p])
    steps(adam, p, 1.0)
    good = copy.deepcopy(adam.state_dict())
    with pytest.raises(ValueError, match="different number of parameter groups"):
        adam.load_state_dict({**good, "param_groups": []})
    with pytest.raises(ValueError, match="doesn't match the size of optimizer's group"):
        adam.load_state_dict({**good, "param_groups": [{**good["param_groups"][0], "params": []}]})
    with pytest.raises(
        ValueError, match=r"exp_avg of shape .*\[3\].* for a parameter of shape .*\[2\]"
    ):
        adam.load_state_dict({**good, "state": {0: {"exp_avg": tv.zeros(3)}}})
    with pytest.raises(ValueError, match="state for parameter 7"):
        adam.load_state_dict({**good, "state": {7: {}}})
    assert adam.state[p]["step"].item() == 1


def test_load_state_dict_fills_in_options_older_checkpoints_lack():
    sgd = optim.SGD([parameter(1.0)], 0.1)
    sgd.load_state_dict({"state": {}, "param_groups": [{"lr": 0.5, "params": [0]}]})
    assert sgd.param_groups[0]["lr"] == 0.5 and sgd.param_groups[0]["maximize"] is False


def test_optimizer_deepcopy_goes_with_its_model():
    net = nn.Linear(2, 1)
    sgd = optim.SGD(net.parameters(), 0.1, momentum=0.9)
    net(tv.ones(1, 2)).sum().backward()
    sgd.step()
    twin_net, twin = copy.deepcopy((net, sgd))
    assert twin.param_groups[0]["params"][0] is twin_net.weight
    assert twin.state[twin_net.weight]["momentum_buffer"].tolist() == [[1.0, 1.0]]


def names_and_state(library, named):
    """What an optimizer of named parameters remembers, and another that loads it."""
    net = library.nn.Linear(2, 3)
    make = library.optim.SGD
    first = make(net.named_parameters() if named else net.parameters(), 0.1)
    second = make([{"params": library.nn.Linear(2, 3).named_parameters(), "lr": 1.0}], 0.2)
    second.load_state_dict(first.state_dict())
    return [
        {k: v for k, v in optimizer.state_dict()["param_groups"][0].items() if k != "params"}
        for optimizer in (first, second)
    ] + [repr(first)]


def test_optimizer_takes_named_parameters():
    first, second, text = names_and_state(tv, True)
    assert first["param_names"] == second["param_names"] == ["weight", "bias"]
    assert second["lr"] == 0.1 and "param_names: ['weight', 'bias']" in text
    first, second, _ = names_and_state(tv, False)
    assert "param_names" not in first and second["param_names"] == ["weight", "bias"]
    net = nn.Linear(1, 1, bias=False)
    optimizer = optim.SGD(net.named_parameters(), 0.5)
    before = net.weight.item()
    assert steps(optimizer, net.weight, 2.0) == [pytest.approx(before - 0.5 * 2.0)]


@pytest.mark.parity
@pytest.mark.parametrize("named", [True, False])
def test_optimizer_of_named_parameters_is_pytorchs(named):
    torch = pytest.importorskip("torch")
    assert names_and_state(tv, named) == names_and_state(torch, named)
