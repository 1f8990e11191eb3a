"""DataLoader.state_dict: an epoch interrupted anywhere goes on with the same batches."""

import numpy as np
import pytest

from tests.test_data_loader import (
    Counting,
    arrays,
    assert_same_batches,
    augmented,
    seeded,
    values,
)
from tinyvision import random
from tinyvision.data import (
    DataLoader,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def run(loader, epochs):
    """All batches, and the state after each of them and after each epoch."""
    batches, states = [], [loader.state_dict()]
    for _ in range(epochs):
        for images, labels in loader:
            batches.append((images.numpy(), labels.numpy()))
            states.append(loader.state_dict())
    return batches, states


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_resumes_anywhere_with_the_same_batches(num_workers):
    batches, states = run(augmented(), epochs=3)
    assert len(batches) == 18
    for done in (0, 1, 3, 5, 6, 7, 17, 18):
        resumed = augmented(num_workers, seed=99)
        resumed.load_state_dict(states[done])
        rest = []
        for _ in range(3):
            rest += arrays(resumed)
            if len(rest) >= 18 - done:
                break
        assert_same_batches(batches[done:], rest[: 18 - done])


def test_loader_resumes_before_the_first_batch_and_after_the_last():
    loader = augmented()
    first = iter(loader)
    started = loader.state_dict()
    batches = arrays(first)
    ended = loader.state_dict()
    assert started["batches_done"] == ended["batches_done"] == 0
    batches += arrays(loader)
    for state, done in ((started, 0), (ended, 6)):
        resumed = augmented(seed=99)
        resumed.load_state_dict(state)
        assert_same_batches(batches[done : done + 6], arrays(resumed))


def test_loader_resumed_can_be_interrupted_again():
    batches, states = run(augmented(), epochs=2)
    second = augmented(seed=7)
    second.load_state_dict(states[2])
    iterator = iter(second)
    next(iterator)
    state = second.state_dict()
    assert state["batches_done"] == 3
    third = augmented(seed=8)
    third.load_state_dict(state)
    assert third.state_dict()["batches_done"] == 3  # also before it went on
    assert_same_batches(batches[3:], arrays(third) + arrays(third))


def test_loader_resumes_beside_other_users_of_the_default_generator():
    def train(loader, epochs, dropout):
        for _ in range(epochs):
            for batch in loader:
                dropout.append(random.default_generator.numpy.random())
                yield batch.tolist(), loader.state_dict()

    def new_loader():
        return DataLoader(Counting(10), 3, shuffle=True)

    random.manual_seed(0)
    draws = []
    steps = list(train(new_loader(), 3, draws))
    random.manual_seed(123)
    loader, again = new_loader(), []
    loader.load_state_dict(steps[5][1])
    resumed = list(train(loader, 2, again))
    assert [batch for batch, _ in resumed[:6]] == [batch for batch, _ in steps[6:]]
    assert again[:6] == draws[6:]


def test_loader_resuming_does_not_prepare_what_was_done():
    loader = DataLoader(Counting(10), 2, shuffle=True, generator=seeded(0))
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    state = loader.state_dict()
    assert state["batches_done"] == 3
    loader.dataset.asked.clear()
    loader.load_state_dict(state)
    assert len(values(loader)) == 2 and len(loader.dataset.asked) == 4


def test_loader_state_counts_what_was_handed_over_not_what_was_prefetched():
    loader = DataLoader(Counting(40), 2, num_workers=2, generator=seeded(0))
    batches = iter(loader)
    next(batches)
    assert loader.state_dict()["batches_done"] == 1
    batches.close()


@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.parametrize(
    "sampler",
    [
        lambda generator: RandomSampler(range(10), generator=generator),
        lambda generator: SubsetRandomSampler(range(10), generator),
        lambda generator: WeightedRandomSampler(range(10), 10, generator=generator),
        lambda generator: WeightedRandomSampler(range(1, 11), 10, False, generator),
    ],
)
def test_loader_resumes_random_samplers(sampler, seed):
    def new_loader():
        generator = None if seed is None else seeded(seed)
        return DataLoader(Counting(10), 3, sampler=sampler(generator), generator=generator)

    loader = new_loader()
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    rest = [batch.tolist() for batch in batches] + values(loader)
    resumed = new_loader()
    resumed.load_state_dict(state)
    assert rest == values(resumed) + values(resumed)


def test_loader_state_refuses_what_cannot_be_resumed():
    sampler = RandomSampler(range(10), generator=seeded(0))
    loader = DataLoader(Counting(10), 2, sampler=sampler)
    with pytest.raises(RuntimeError, match="generator of its own"):
        loader.state_dict()
    for unseeded in (RandomSampler(range(10)), SubsetRandomSampler(range(10))):
        with pytest.raises(RuntimeError, match="generator of its own"):
            DataLoader(Counting(10), 2, sampler=unseeded, generator=seeded(0)).state_dict()
    same = DataLoader(Counting(10), 2, sampler=sampler, generator=sampler.generator)
    state = same.state_dict()
    with pytest.raises(ValueError, match="6 batches were done.*has 5"):
        same.load_state_dict({**state, "batches_done": 6})
    with pytest.raises(KeyError, match="epoch_start"):
        same.load_state_dict({"batches_done": 1, "generator": state["generator"]})
    with pytest.raises(RuntimeError, match="set_state"):
        same.load_state_dict({**state, "generator": np.zeros(3, np.uint8)})
