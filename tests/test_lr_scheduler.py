"""Learning-rate schedulers: formulas by hand, resuming, bad input, PyTorch's sequences."""

import math

import pytest

import tinyvision as tv
from tinyvision import optim
from tinyvision.optim import lr_scheduler


def make_optimizer(*lrs, kind=optim.SGD, **options):
    groups = [{"params": [tv.zeros(1)], "lr": lr} for lr in lrs or (1.0,)]
    optimizer = kind(groups, 0.1, **options)
    optimizer.step()  # without gradients; so that schedulers do not warn that none came first
    return optimizer


def sequence(scheduler, count):
    """The lr of the first group at the start and after each of `count` steps."""
    lrs = scheduler.get_last_lr()[:1]
    for _ in range(count):
        scheduler.step()
        lrs += scheduler.get_last_lr()[:1]
        assert scheduler.optimizer.param_groups[0]["lr"] == lrs[-1]
    return lrs


# ------------------------------------------------------------------ by hand


def test_step_lr():
    scheduler = lr_scheduler.StepLR(make_optimizer(), step_size=2, gamma=0.5)
    assert sequence(scheduler, 5) == [1, 1, 0.5, 0.5, 0.25, 0.25]


def test_multi_step_lr():
    scheduler = lr_scheduler.MultiStepLR(make_optimizer(), milestones=[3, 1, 3], gamma=0.5)
    assert sequence(scheduler, 4) == [1, 0.5, 0.5, 0.125, 0.125]


def test_constant_lr():
    scheduler = lr_scheduler.ConstantLR(make_optimizer(), factor=0.25, total_iters=2)
    assert sequence(scheduler, 3) == [0.25, 0.25, 1, 1]


def test_linear_lr():
    scheduler = lr_scheduler.LinearLR(make_optimizer(), start_factor=0.2, total_iters=4)
    assert sequence(scheduler, 5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])


def test_exponential_lr():
    scheduler = lr_scheduler.ExponentialLR(make_optimizer(), gamma=0.5)
    assert sequence(scheduler, 3) == [1, 0.5, 0.25, 0.125]


def test_cosine_annealing_lr_there_and_back():
    scheduler = lr_scheduler.CosineAnnealingLR(make_optimizer(), T_max=4, eta_min=0.2)
    wave = [0.2 + 0.8 * (1 + math.cos(math.pi * t / 4)) / 2 for t in range(13)]
    assert sequence(scheduler, 12) == pytest.approx(wave, rel=1e-12)


def test_lambda_lr_with_one_function_per_group():
    optimizer = make_optimizer(1.0, 10.0)
    scheduler = lr_scheduler.LambdaLR(optimizer, [lambda t: 1 / (t + 1), lambda t: 0.9**t])
    assert scheduler.get_last_lr() == [1.0, 10.0]
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 9.0]


def test_one_cycle_lr_endpoints_and_momentum():
    optimizer = make_optimizer(momentum=0.9)
    scheduler = lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10, pct_start=0.4)
    lrs, momenta = [], []
    for _ in range(10):
        lrs.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
        scheduler.step()
    assert lrs[0] == pytest.approx(1 / 25) and lrs[3] == 1.0
    assert lrs[9] == pytest.approx(1 / 25e4) and max(lrs) == 1.0
    assert lrs[:4] == sorted(lrs[:4]) and lrs[3:] == sorted(lrs[3:], reverse=True)
    assert momenta[0] == 0.95 and momenta[3] == 0.85 and momenta[9] == 0.95
    with pytest.raises(ValueError, match="Tried to step 11 times.*total steps is 10"):
        scheduler.step()


def test_one_cycle_lr_with_three_phases():
    scheduler = lr_scheduler.OneCycleLR(
        make_optimizer(momentum=0.9),
        max_lr=1.0,
        total_steps=9,
        pct_start=1 / 3,
        anneal_strategy="linear",
        div_factor=5.0,
        final_div_factor=4.0,
        three_phase=True,
    )
    # up to step 2, down again to step 4, and on to a quarter of the first lr at step 8
    expected = [0.2, 0.6, 1, 0.6, 0.2, 0.1625, 0.125, 0.0875, 0.05]
    assert sequence(scheduler, 8) == pytest.approx(expected)


def test_one_cycle_lr_cycles_beta1_of_adam():
    optimizer = make_optimizer(kind=optim.AdamW)
    scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, epochs=2, steps_per_epoch=5)
    assert optimizer.param_groups[0]["betas"] == (0.95, 0.999)
    scheduler.step()
    scheduler.step()
    assert optimizer.param_groups[0]["betas"][0] == pytest.approx(0.85)


def test_one_cycle_lr_that_only_rises_can_be_stepped_to_the_end():
    scheduler = lr_scheduler.OneCycleLR(
        make_optimizer(), 1.0, total_steps=4, pct_start=1.0, cycle_momentum=False
    )
    assert sequence(scheduler, 3)[-1] == 1.0
    scheduler.step()


def test_sequential_lr_warms_up_then_decays():
    optimizer = make_optimizer()
    warm_up = lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    decay = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    scheduler = lr_scheduler.SequentialLR(optimizer, [warm_up, decay], milestones=[3])
    assert sequence(scheduler, 5) == pytest.approx([0.25, 0.5, 0.75, 1, 0.5, 0.25])


def test_sequential_lr_may_contain_another():
    optimizer = make_optimizer()
    inner = [lr_scheduler.ConstantLR(optimizer, factor, 100) for factor in (0.5, 0.25)]
    first = lr_scheduler.ConstantLR(optimizer, 0.125, 100)
    nested = lr_scheduler.SequentialLR(optimizer, inner, [2])
    scheduler = lr_scheduler.SequentialLR(optimizer, [first, nested], [1])
    assert sequence(scheduler, 4) == [0.125, 0.5, 0.5, 0.25, 0.25]


def test_plateau_waits_reduces_and_cools_down():
    optimizer = make_optimizer()
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=1, threshold=0.1, cooldown=1, min_lr=0.3
    )
    lrs = []
    for loss in (1.0, 0.95, 0.95, 0.95, 0.95, 0.95, 0.5, 0.5):
        scheduler.step(loss)
        lrs.append(scheduler.get_last_lr()[0])
    # 0.95 is no improvement by 10 %: reduced after two, one step of cooldown, two more
    assert lrs == [1, 1, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]


@pytest.mark.parametrize(
    ("mode", "threshold_mode", "better", "not_better"),
    [
        ("min", "rel", 8.9, 9.1),
        ("min", "abs", 9.89, 9.91),
        ("max", "rel", 11.1, 10.9),
        ("max", "abs", 10.11, 10.09),
    ],
)
def test_plateau_thresholds(mode, threshold_mode, better, not_better):
    for metric, bad in ((better, 0), (not_better, 1)):
        scheduler = lr_scheduler.ReduceLROnPlateau(
            make_optimizer(), mode, threshold=0.1, threshold_mode=threshold_mode
        )
        scheduler.step(10.0)
        scheduler.step(tv.tensor(metric))
        assert scheduler.num_bad_epochs == bad


def test_plateau_counts_nan_as_bad():
    scheduler = lr_scheduler.ReduceLROnPlateau(make_optimizer(), patience=0)
    scheduler.step(math.nan)
    assert scheduler.get_last_lr() == [0.1]


def test_schedulers_can_be_combined_on_one_optimizer():
    optimizer = make_optimizer()
    first = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    second = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    lrs = []
    for _ in range(3):
        lrs.append(optimizer.param_groups[0]["lr"])
        first.step()
        second.step()
    assert lrs == [0.5, 0.25, 0.25]


def test_own_scheduler_needs_only_get_lr():
    class Halving(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [base_lr / 2**self.last_epoch for base_lr in self.base_lrs]

    assert sequence(Halving(make_optimizer()), 2) == [1, 0.5, 0.25]


# ------------------------------------------------------------------ saving and resuming

SCHEDULERS = [
    lambda s, o: s.StepLR(o, 3, 0.3),
    lambda s, o: s.MultiStepLR(o, [2, 5, 5], 0.5),
    lambda s, o: s.ConstantLR(o, 0.5, 4),
    lambda s, o: s.LinearLR(o, 0.1, 0.7, 6),
    lambda s, o: s.ExponentialLR(o, 0.8),
    lambda s, o: s.CosineAnnealingLR(o, 5, 0.01),
    lambda s, o: s.LambdaLR(o, lambda t: 1 / (1 + t)),
    lambda s, o: s.OneCycleLR(o, 0.9, total_steps=30),
    lambda s, o: s.OneCycleLR(o, 0.9, total_steps=30, three_phase=True, anneal_strategy="linear"),
    lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, 1.0, 4), s.CosineAnnealingLR(o, 6), s.StepLR(o, 2)], [4, 9]
    ),
]


@pytest.mark.parametrize("make", SCHEDULERS)
@pytest.mark.parametrize("stop", [0, 1, 4, 8])
def test_schedulers_resume_exactly_from_a_saved_checkpoint(make, stop, tmp_path):
    optimizer = make_optimizer(0.5, 0.2, momentum=0.9)
    scheduler = make(lr_scheduler, optimizer)
    sequence(scheduler, stop)
    state = {"optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
    tv.save(state, tmp_path / "checkpoint")
    state = tv.load(tmp_path / "checkpoint")

    resumed_optimizer = make_optimizer(0.5, 0.2, momentum=0.9)
    resumed = make(lr_scheduler, resumed_optimizer)
    resumed_optimizer.load_state_dict(state["optimizer"])
    resumed.load_state_dict(state["scheduler"])
    assert sequence(resumed, 12) == sequence(scheduler, 12)
    for ours, theirs in zip(resumed_optimizer.param_groups, optimizer.param_groups, strict=True):
        assert {k: v for k, v in ours.items() if k != "params"} == {
            k: v for k, v in theirs.items() if k != "params"
        }


def test_plateau_resumes_from_its_state(tmp_path):
    losses = [1.0, 0.9, 0.9, 0.9, 0.95, 0.2, 0.3, 0.3, 0.3]
    optimizers = [make_optimizer(), make_optimizer()]
    schedulers = [lr_scheduler.ReduceLROnPlateau(o, patience=1, cooldown=1) for o in optimizers]
    for loss in losses[:4]:
        schedulers[0].step(loss)
    tv.save([schedulers[0].state_dict(), optimizers[0].state_dict()], tmp_path / "checkpoint")
    saved_scheduler, saved_optimizer = tv.load(tmp_path / "checkpoint")
    schedulers[1].load_state_dict(saved_scheduler)
    optimizers[1].load_state_dict(saved_optimizer)
    for loss in losses[4:]:
        for scheduler in schedulers:
            scheduler.step(loss)
        assert schedulers[0].get_last_lr() == schedulers[1].get_last_lr()
    assert schedulers[1].get_last_lr()[0] < 0.1


def test_lambda_lr_saves_the_attributes_of_objects():
    class Warmup:
        def __init__(self, steps):
            self.steps = steps

        def __call__(self, epoch):
            return min(1.0, epoch / self.steps)

    saved = lr_scheduler.LambdaLR(make_optimizer(), Warmup(4)).state_dict()
    assert saved["lr_lambdas"] == [{"steps": 4}]
    scheduler = lr_scheduler.LambdaLR(make_optimizer(), Warmup(2))
    scheduler.load_state_dict(saved)
    assert sequence(scheduler, 2) == [0, 0.25, 0.5]


def test_scheduler_warns_if_its_step_comes_before_the_optimizers():
    class Own(optim.SGD):
        def step(self, closure=None):
            """Does not call the inherited one."""

    for kind, warned in ((optim.SGD, True), (Own, False)):
        optimizer = kind([tv.zeros(1)], 0.1)
        scheduler = lr_scheduler.StepLR(optimizer, 2)
        if warned:
            with pytest.warns(
                UserWarning, match=r"Detected call of `lr_scheduler.step\(\)`"
            ) as seen:
                scheduler.step()
            assert seen[0].filename == __file__
        scheduler.step()  # only the first time, and pytest makes warnings errors
        lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2).step()  # as in PyTorch
    optimizer = optim.SGD([tv.zeros(1)], 0.1)
    sequence_of_two = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.ConstantLR(optimizer), lr_scheduler.StepLR(optimizer, 2)], [2]
    )
    optimizer.step()
    assert sequence(sequence_of_two, 3)[-1] == 0.1


def test_scheduler_state_dict_leaves_the_optimizer_out():
    scheduler = lr_scheduler.StepLR(make_optimizer(), 2)
    assert set(scheduler.state_dict()) >= {"step_size", "gamma", "base_lrs", "last_epoch"}
    assert "optimizer" not in scheduler.state_dict()


def test_last_epoch_resumes_without_a_state_dict():
    optimizer = make_optimizer()
    assert sequence(lr_scheduler.ExponentialLR(optimizer, 0.5), 3)[-1] == 0.125
    resumed = lr_scheduler.ExponentialLR(optimizer, 0.5, last_epoch=3)
    assert resumed.last_epoch == 4 and resumed.base_lrs == [1.0]
    with pytest.raises(KeyError, match="'initial_lr' is not specified"):
        lr_scheduler.ExponentialLR(make_optimizer(), 0.5, last_epoch=3)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s, o: s.StepLR("sgd", 2), TypeError, "str is not an Optimizer"),
        (lambda s, o: s.OneCycleLR("sgd", 2), TypeError, "str is not an Optimizer"),
        (lambda s, o: s.LambdaLR(o, [abs]), ValueError, "expected 2 values for lr_lambdas.*got 1"),
        (lambda s, o: s.ConstantLR(o, 1.5), ValueError, "expected to be between 0 and 1"),
        (lambda s, o: s.LinearLR(o, 0.0), ValueError, "greater than 0 and less or equal to 1"),
        (lambda s, o: s.LinearLR(o, 0.5, -1), ValueError, "Ending multiplicative factor"),
        (lambda s, o: s.OneCycleLR(o, 1.0), ValueError, "must define either total_steps OR"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 0), ValueError, "positive integer total_steps"),
        (
            lambda s, o: s.OneCycleLR(o, 1.0, epochs=1.5, steps_per_epoch=2),
            ValueError,
            "positive integer epochs, but got 1.5",
        ),
        (lambda s, o: s.OneCycleLR(o, [1.0], 9), ValueError, "expected 2 values for max_lr"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 9, pct_start=2.0), ValueError, "pct_start, but got 2.0"),
        (lambda s, o: s.OneCycleLR(o, 1.0, 9, anneal_strategy="x"), ValueError, "anneal_strategy"),
        (lambda s, o: s.SequentialLR(o, [], []), ValueError, "at least one scheduler"),
        (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]), ValueError, "one more than"),
        (lambda s, o: s.SequentialLR(o, [3], []), TypeError, "expected a scheduler at index 0"),
        (
            lambda s, o: s.SequentialLR(o, [s.StepLR(make_optimizer(), 1)], []),
            ValueError,
            "belong to the same optimizer",
        ),
        (
            lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []),
            ValueError,
            "does not support `ReduceLROnPlateau`",
        ),
        (
            lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)] * 3, [3, 1]),
            ValueError,
            "expects increasing milestones",
        ),
        (
            lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [], last_epoch=3),
            NotImplementedError,
            "last_epoch is not supported",
        ),
        (lambda s, o: s.StepLR(o, 1).step(3), NotImplementedError, "StepLR.step: epoch"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), ValueError, "Factor should be < 1.0"),
        (lambda s, o: s.ReduceLROnPlateau(o, "avg"), ValueError, "mode avg is unknown"),
        (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0]), ValueError, "expected 2 values for min"),
    ],
)
def test_schedulers_reject_bad_options(make, error, message):
    with pytest.raises(error, match=message):
        make(lr_scheduler, make_optimizer(0.1, 0.2, momentum=0.9))


def test_one_cycle_lr_needs_a_momentum_to_cycle():
    class Plain(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, dict(lr=lr))

    with pytest.raises(ValueError, match="must support momentum or beta1"):
        lr_scheduler.OneCycleLR(make_optimizer(kind=Plain), 1.0, total_steps=5)


def test_base_scheduler_needs_get_lr():
    with pytest.raises(NotImplementedError):
        lr_scheduler.LRScheduler(make_optimizer())
