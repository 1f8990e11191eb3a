"""Learning-rate schedulers against PyTorch's, where it is installed."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinyvision as tv

SCHEDULERS = [
    lambda s, o: s.StepLR(o, 3, 0.3),
    lambda s, o: s.MultiStepLR(o, [2, 5, 5], 0.5),
    lambda s, o: s.ConstantLR(o, 0.5, 4),
    lambda s, o: s.LinearLR(o, 0.1, 0.7, 6),
    lambda s, o: s.ExponentialLR(o, 0.8),
    lambda s, o: s.PolynomialLR(o, 7, 1.7),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 4),
    lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01),
    lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    lambda s, o: s.OneCycleLR(o, 0.9, total_steps=30),
    lambda s, o: s.OneCycleLR(o, 0.9, total_steps=30, three_phase=True, anneal_strategy="linear"),
    lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 6), s.StepLR(o, 2)], [4, 9]
    ),
]


def run_both(make, count, kind="SGD", **options):
    """[(lr, momentum or betas) of both groups after each step], here and in PyTorch."""
    torch = pytest.importorskip("torch")
    histories = []
    for library in (tv, torch):
        groups = [{"params": [library.zeros(1)], "lr": lr} for lr in (0.5, 0.02)]
        optimizer = getattr(library.optim, kind)(groups, **options)
        scheduler = make(library.optim.lr_scheduler, optimizer)
        history = []
        for _ in range(count):
            for group, lr in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
                assert group["lr"] == lr
                betas = group.get("betas", (group.get("momentum", 0),))
                history += [lr, betas[0]]
            optimizer.step()
            scheduler.step()
        histories.append(history)
    return histories


@pytest.mark.parity
@pytest.mark.parametrize("make", SCHEDULERS)
def test_schedulers_match_pytorch(make):
    ours, theirs = run_both(make, 25, momentum=0.9)
    assert ours == theirs  # bit by bit


@pytest.mark.parity
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_schedulers_match_pytorch_for_drawn_settings(data):
    whole = st.integers(1, 12)
    share = st.floats(0.05, 0.95)
    name = data.draw(st.sampled_from(["Step", "MultiStep", "Constant", "Linear", "Cosine", "Exp"]))
    a, b, f, g = [data.draw(s) for s in (whole, whole, share, share)]

    def make(s, o):
        return {
            "Step": lambda: s.StepLR(o, a, f),
            "MultiStep": lambda: s.MultiStepLR(o, [a, b], f),
            "Constant": lambda: s.ConstantLR(o, f, a),
            "Linear": lambda: s.LinearLR(o, f, g, a),
            "Cosine": lambda: s.CosineAnnealingLR(o, a, f / 100),
            "Exp": lambda: s.ExponentialLR(o, f),
        }[name]()

    ours, theirs = run_both(make, 30)
    assert ours == theirs


@pytest.mark.parity
@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["SGD", "AdamW"]),
    total=st.integers(8, 30),
    pct=st.floats(0.15, 0.4),
    strategy=st.sampled_from(["cos", "linear"]),
    three_phase=st.booleans(),
    cycle_momentum=st.booleans(),
)
def test_one_cycle_matches_pytorch_for_drawn_settings(
    kind, total, pct, strategy, three_phase, cycle_momentum
):
    def make(s, o):
        return s.OneCycleLR(
            o,
            [0.3, 2.0],
            total,
            pct_start=pct,
            anneal_strategy=strategy,
            cycle_momentum=cycle_momentum,
            three_phase=three_phase,
            div_factor=7.0,
        )

    ours, theirs = run_both(make, total, kind)
    assert ours == theirs  # bit by bit


@pytest.mark.parity
@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(st.floats(0, 1), min_size=5, max_size=30),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 2),
    mode=st.sampled_from(["min", "max"]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
)
def test_plateau_matches_pytorch(losses, patience, cooldown, mode, threshold_mode):
    torch = pytest.importorskip("torch")
    histories = []
    for library in (tv, torch):
        optimizer = library.optim.SGD([library.zeros(1)], 1.0)
        scheduler = library.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode, 0.5, patience, 0.05, threshold_mode, cooldown, 0.01
        )
        history = []
        for loss in losses:
            scheduler.step(loss)
            history.append(optimizer.param_groups[0]["lr"])
        histories.append(history)
    assert histories[0] == histories[1]


# What only PyTorch's schedulers keep: how their methods were called, and what follows from others.
NOT_KEPT = {"_get_lr_called_within_step", "mode_worse", "use_beta1"}


@pytest.mark.parity
@pytest.mark.parametrize("make", [*SCHEDULERS, lambda s, o: s.ReduceLROnPlateau(o, min_lr=0.3)])
def test_scheduler_states_are_pytorchs_and_load_there_and_here(make):
    torch = pytest.importorskip("torch")
    states, lrs = [], []
    for library, start in ((tv, None), (torch, None), (tv, 1), (torch, 0)):
        groups = [{"params": [library.zeros(1)], "lr": lr} for lr in (0.5, 0.02)]
        optimizer = library.optim.SGD(groups, momentum=0.9)
        scheduler = make(library.optim.lr_scheduler, optimizer)
        if start is not None:  # go on from the state of the other library's
            scheduler.load_state_dict(states[start])
            for group, lr in zip(optimizer.param_groups, scheduler.get_last_lr(), strict=True):
                group["lr"] = lr
        metric = [1.0] if hasattr(scheduler, "patience") else []
        for _ in range(3 if start is None else 20):
            optimizer.step()
            scheduler.step(*metric)
        states.append(copy.deepcopy(scheduler.state_dict()))
        lrs.append(scheduler.get_last_lr())
    assert states[0].keys() == states[1].keys() - NOT_KEPT
    assert lrs[0] == lrs[1] and lrs[2] == lrs[3]


@pytest.mark.parity
def test_scheduler_warning_is_pytorchs():
    torch = pytest.importorskip("torch")
    texts = []
    for library in (tv, torch):
        optimizer = library.optim.SGD([library.zeros(1)], 0.1)
        scheduler = library.optim.lr_scheduler.StepLR(optimizer, 2)
        with pytest.warns(UserWarning) as seen:
            scheduler.step()
        texts.append(str(seen[0].message))
    assert texts[0] == texts[1]
