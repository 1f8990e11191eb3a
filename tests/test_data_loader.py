"""DataLoader: order, workers, randomness per batch."""

import gc
import threading
import time

import numpy as np
import pytest

from tinyvision import random
from tinyvision.data import (
    BatchSampler,
    Compose,
    DataLoader,
    Dataset,
    Digits,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomSampler,
    Subset,
    ToTensor,
    current_generator,
    use_generator,
)
from tinyvision.random import Generator
from tinyvision.tensor import Tensor

AUGMENT = Compose(
    [
        RandomCrop(8, padding=2),
        RandomHorizontalFlip(),
        RandomAffine(20, translate=(0.1, 0.1)),
        ToTensor(),
        Normalize((0.02,), (0.02,)),
        RandomErasing(),
    ]
)


class Counting(Dataset):
    """Samples are their indices; notes which were asked for."""

    def __init__(self, n):
        self.n = n
        self.asked = []

    def __getitem__(self, index):
        self.asked.append(index)
        return index

    def __len__(self):
        return self.n


class Failing(Counting):
    def __getitem__(self, index):
        if index == 5:
            raise LookupError("sample 5 is broken")
        return index


def seeded(seed):
    return Generator().manual_seed(seed)


def values(loader):
    return [batch.tolist() for batch in loader]


def arrays(batches):
    return [(images.numpy(), labels.numpy()) for images, labels in batches]


def assert_same_batches(first, second):
    assert len(first) == len(second)
    for (images_a, labels_a), (images_b, labels_b) in zip(first, second, strict=True):
        np.testing.assert_array_equal(images_a, images_b)
        np.testing.assert_array_equal(labels_a, labels_b)


def augmented(num_workers=0, seed=0, **kwargs):
    dataset = Digits(train=False, transform=AUGMENT)
    return DataLoader(
        dataset, 64, shuffle=True, num_workers=num_workers, generator=seeded(seed), **kwargs
    )


def loader_threads():
    return [t for t in threading.enumerate() if t.name.startswith("tinyvision-DataLoader")]


# -------------------------------------------------------------------- order and batches


def test_loader_batches_in_order():
    loader = DataLoader(Counting(5), batch_size=2)
    assert values(loader) == [[0, 1], [2, 3], [4]]
    assert len(loader) == 3 and loader.batch_size == 2


def test_loader_drop_last_leaves_the_rest():
    loader = DataLoader(Counting(5), batch_size=2, drop_last=True)
    assert values(loader) == [[0, 1], [2, 3]] and len(loader) == 2


def test_loader_of_nothing_has_no_batches():
    assert values(DataLoader(Counting(0), batch_size=2, num_workers=1)) == []


def test_loader_shuffle_visits_every_sample_in_a_new_order_each_epoch():
    loader = DataLoader(Counting(20), batch_size=20, shuffle=True, generator=seeded(0))
    first, second = values(loader)[0], values(loader)[0]
    assert sorted(first) == sorted(second) == list(range(20)) and first != second


def test_loader_shuffle_without_generator_follows_the_default_seed():
    loader = DataLoader(Counting(20), batch_size=20, shuffle=True)
    random.manual_seed(1)
    first = values(loader)
    random.manual_seed(1)
    assert values(loader) == first


@pytest.mark.parity
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 3, "drop_last": True},
        {"batch_size": None},
        {"batch_sampler": [[1, 2], [0]]},
        {"num_workers": 1},
        {"num_workers": 2, "prefetch_factor": 3, "persistent_workers": True},
    ],
)
def test_loader_has_pytorchs_attributes(options):
    torch_data = pytest.importorskip("torch.utils.data")
    ours, theirs = (m(range(9), **options) for m in (DataLoader, torch_data.DataLoader))
    names = ["batch_size", "drop_last", "num_workers", "prefetch_factor", "persistent_workers"]
    for name in (*names, "worker_init_fn", "generator"):
        assert getattr(ours, name) == getattr(theirs, name), name


def test_loader_takes_samplers():
    assert values(DataLoader(Counting(9), 2, sampler=[8, 3, 5])) == [[8, 3], [5]]
    batches = BatchSampler([8, 3, 5], 2, drop_last=False)
    loader = DataLoader(Counting(9), batch_sampler=batches)
    assert values(loader) == [[8, 3], [5]] and loader.batch_size is None
    assert values(DataLoader(Counting(9), batch_sampler=[[1], [2, 3]])) == [[1], [2, 3]]


def test_loader_collate_fn_gets_the_list_of_samples():
    loader = DataLoader(Counting(5), 2, collate_fn=lambda samples: tuple(samples))
    assert list(loader) == [(0, 1), (2, 3), (4,)]


def test_loader_uses_getitems_of_a_dataset():
    class Many(Counting):
        def __getitems__(self, indices):
            return [-i for i in indices]

    assert values(DataLoader(Many(3), 2)) == [[0, -1], [-2]]


def test_loader_whole_batches_equal_single_samples():
    dataset = Digits(train=False, transform=Compose([ToTensor(), Normalize((0.02,), (0.02,))]))
    fast = arrays(DataLoader(dataset, 50))
    # A callable of one's own is given one image at a time.
    dataset.transform = lambda image: Normalize((0.02,), (0.02,))(ToTensor()(image))
    assert_same_batches(fast, arrays(DataLoader(dataset, 50)))
    assert fast[0][0].shape == (50, 1, 8, 8) and fast[0][0].dtype == np.float32


def test_loader_without_transform_gives_the_stored_images():
    dataset = Digits(train=False)
    images, labels = next(iter(DataLoader(dataset, 4)))
    assert isinstance(images, Tensor) and images.dtype == np.uint8 and labels.dtype == np.int64
    np.testing.assert_array_equal(images.numpy(), dataset.data[:4])
    dataset.transform = RandomHorizontalFlip(p=1)
    images, _ = next(iter(DataLoader(dataset, 4)))
    np.testing.assert_array_equal(images.numpy(), dataset.data[:4, :, ::-1])


def test_loader_target_transform_in_whole_batches():
    dataset = Digits(train=False, target_transform=lambda label: label + 100)
    _, labels = next(iter(DataLoader(dataset, 4)))
    assert labels.tolist() == [label + 100 for label in dataset.targets[:4]]


# -------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "argument",
    [
        {"timeout": 1},
        {"multiprocessing_context": "fork"},
        {"in_order": False},
    ],
)
def test_loader_refuses_what_it_does_not_support(argument):
    with pytest.raises(NotImplementedError, match=next(iter(argument))):
        DataLoader(Counting(3), **argument)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampler": [0], "shuffle": True}, "sampler is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler is mutually exclusive"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler is mutually exclusive"),
        ({"batch_sampler": [[0]], "sampler": []}, "batch_sampler is mutually exclusive"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler is mutually exclusive"),
        ({"num_workers": -1}, "num_workers should be a non-negative integer"),
        ({"prefetch_factor": 2}, "prefetch_factor needs num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, "prefetch_factor should be a positive"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"batch_size": None, "drop_last": True}, "mutually exclusive with drop_last"),
        ({"batch_size": 0}, "batch_size should be a positive integer"),
    ],
)
def test_loader_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DataLoader(Counting(3), **arguments)


def test_loader_warns_that_nothing_is_pinned():
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but") as caught:
        loader = DataLoader(Counting(3), pin_memory=True, pin_memory_device="", in_order=True)
    assert len(caught) == 1 and values(loader) == [[0], [1], [2]]


def test_loader_refuses_a_numpy_generator():
    with pytest.raises(TypeError, match="Generator"):
        DataLoader(Counting(3), generator=np.random.default_rng(0))


# -------------------------------------------------------------------- single samples


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_without_batch_size_gives_converted_samples(num_workers):
    dataset = Digits(train=False, transform=AUGMENT)
    loader = DataLoader(
        dataset, None, sampler=[3, 5, 4], num_workers=num_workers, generator=seeded(0)
    )
    assert len(loader) == 3 and loader.batch_size is None and loader.batch_sampler is None
    images, labels = zip(*loader, strict=True)
    assert all(isinstance(image, Tensor) and image.shape == (1, 8, 8) for image in images)
    assert list(labels) == [int(dataset.targets[i]) for i in (3, 5, 4)]
    raw = DataLoader(Counting(3), None, shuffle=True, collate_fn=lambda index: -index)
    assert sorted(raw) == [-2, -1, 0]


def test_loader_of_single_samples_resumes():
    loader = DataLoader(Counting(6), None, shuffle=True, generator=seeded(0))
    samples = iter(loader)
    next(samples), next(samples)
    state, rest = loader.state_dict(), list(samples)
    resumed = DataLoader(Counting(6), None, shuffle=True, generator=seeded(1))
    resumed.load_state_dict(state)
    assert len(rest) == 4 and list(resumed) == rest
    own = DataLoader(Counting(6), None, sampler=RandomSampler(range(6), generator=seeded(0)))
    with pytest.raises(RuntimeError, match="generator of its own"):
        own.state_dict()


# -------------------------------------------------------------------- workers


@pytest.mark.parametrize("num_workers", [1, 3])
def test_loader_workers_keep_the_order(num_workers):
    class Slow(Counting):
        def __getitem__(self, index):
            time.sleep(0.002 if index % 3 == 0 else 0)
            return index

    loader = DataLoader(Slow(40), 2, num_workers=num_workers, prefetch_factor=3)
    assert values(loader) == [[i, i + 1] for i in range(0, 40, 2)]
    assert not loader_threads()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_loader_workers_change_neither_batches_nor_augmentation(num_workers):
    alone, threaded = augmented(0), augmented(num_workers)
    for _ in range(2):
        assert_same_batches(arrays(alone), arrays(threaded))


def test_loader_augmentation_differs_between_epochs_batches_and_seeds():
    dataset = Digits(train=False, transform=AUGMENT)
    repeated = Subset(dataset, [0] * 128)  # the same image 128 times
    loader = DataLoader(repeated, 64, generator=seeded(0))
    (a, _), (b, _) = arrays(loader)
    (c, _), _ = arrays(loader)
    (d, _), _ = arrays(DataLoader(repeated, 64, generator=seeded(1)))
    distinct = {images.tobytes() for images in (a, b, c, d)}
    assert len(distinct) == 4
    assert len({image.tobytes() for image in a}) > 32  # nor do images share a draw


@pytest.mark.parametrize("num_workers", [0, 2])
def test_loader_error_of_a_sample_arrives_as_it_was_raised(num_workers):
    batches = iter(DataLoader(Failing(12), 2, num_workers=num_workers))
    assert next(batches).tolist() == [0, 1]
    assert next(batches).tolist() == [2, 3]
    with pytest.raises(LookupError, match="sample 5 is broken"):
        next(batches)
    assert not loader_threads()


def test_loader_abandoned_midway_leaves_no_thread():
    loader = DataLoader(Counting(1000), 2, num_workers=2)
    for batch in loader:
        assert batch.tolist() == [0, 1]
        assert loader_threads()
        break
    del batch
    gc.collect()
    assert not loader_threads()
    iter(loader)  # never asked for a batch
    assert not loader_threads()
    assert len(loader.dataset.asked) < 30


@pytest.mark.parametrize("persistent", [False, True])
def test_loader_workers_call_their_init_function_when_they_start(persistent):
    calls = []

    def init(number):
        calls.append((number, threading.get_ident()))

    loader = DataLoader(
        Counting(7), 2, num_workers=3, worker_init_fn=init, persistent_workers=persistent
    )
    assert not calls
    expected = [[0, 1], [2, 3], [4, 5], [6]]
    assert values(loader) == values(loader) == expected
    starts = 1 if persistent else 2
    assert sorted(number for number, _ in calls) == sorted([0, 1, 2] * starts)
    assert len({thread for _, thread in calls[:3]}) == 3
    next(iter(loader))  # an epoch left midway does not disturb the next
    assert values(loader) == expected
    assert len(loader_threads()) == (3 if persistent else 0)
    del loader
    gc.collect()
    for thread in loader_threads():  # told to end, but not waited for
        thread.join(timeout=10)
    assert not loader_threads()


def test_loader_error_of_an_init_function_arrives_as_it_was_raised():
    def init(number):
        raise LookupError(f"worker {number}")

    with pytest.raises(LookupError, match="worker 0"):
        values(DataLoader(Counting(3), num_workers=2, worker_init_fn=init))
    assert not loader_threads()
    assert values(DataLoader(Counting(1), worker_init_fn=init)) == [[0]]  # no workers


def test_loader_prefetches_only_so_far():
    dataset = Counting(100)
    batches = iter(DataLoader(dataset, 1, num_workers=2, prefetch_factor=3))
    next(batches)
    time.sleep(0.05)
    assert len(dataset.asked) <= 1 + 2 * 3
    batches.close()


def test_loader_gives_every_batch_its_generator_also_to_own_transforms():
    def noisy(image):
        return image + current_generator().numpy.random(image.shape)

    dataset = Digits(train=False, transform=noisy)
    runs = [arrays(DataLoader(dataset, 100, num_workers=n, generator=seeded(0))) for n in (0, 1, 2)]
    assert_same_batches(runs[0], runs[1])
    assert_same_batches(runs[0], runs[2])
    assert (runs[0][0][0][0] != runs[0][0][0][1]).all()


def test_loader_draws_from_the_generator_only_when_an_epoch_starts():
    loader = augmented()
    batches = iter(loader)
    state = loader.generator.get_state()
    list(batches)
    np.testing.assert_array_equal(loader.generator.get_state(), state)


# -------------------------------------------------------------------- current generator


def test_use_generator_is_current_inside_only():
    generator = seeded(0)
    assert current_generator() is random.default_generator
    with use_generator(generator):
        assert current_generator() is generator
        seen = []
        thread = threading.Thread(target=lambda: seen.append(current_generator()))
        thread.start()
        thread.join()
        assert seen == [random.default_generator]
    assert current_generator() is random.default_generator


def test_use_generator_ends_with_an_error_and_refuses_others():
    with pytest.raises(ZeroDivisionError), use_generator(seeded(0)):
        raise ZeroDivisionError
    assert current_generator() is random.default_generator
    with pytest.raises(TypeError, match="Generator"), use_generator(np.random.default_rng(0)):
        pass
