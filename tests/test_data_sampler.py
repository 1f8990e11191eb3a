"""Samplers, datasets and collation: hand-computed cases, then properties."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision.creation import from_numpy, tensor
from tinyvision.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)
from tinyvision.random import Generator
from tinyvision.random import manual_seed as seed_default
from tinyvision.tensor import Tensor


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, index):
        return index * index

    def __len__(self):
        return self.n


def seeded(seed):
    return Generator().manual_seed(seed)


# -------------------------------------------------------------------- samplers


def test_sequential_sampler_counts_up():
    assert list(SequentialSampler("abcd")) == [0, 1, 2, 3]
    assert len(SequentialSampler("abcd")) == 4


def test_subset_random_sampler_permutes_its_indices():
    sampler = SubsetRandomSampler([7, 3, 3, 9, 1], seeded(0))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == [1, 3, 3, 7, 9] and first != second
    assert len(sampler) == 5 and list(SubsetRandomSampler([7, 3, 3, 9, 1], seeded(0))) == first


def test_weighted_random_sampler_draws_in_proportion():
    drawn = list(WeightedRandomSampler([1, 0, 3], 4000, generator=seeded(0)))
    assert len(drawn) == 4000 and 1 not in drawn and 900 < drawn.count(0) < 1100
    once = WeightedRandomSampler(np.array([1.0, 2.0, 3.0]), 3, False, seeded(0))
    assert sorted(once) == [0, 1, 2] and len(once) == 3
    firsts = [next(iter(once)) for _ in range(600)]
    assert 50 < firsts.count(0) < 150 and 250 < firsts.count(2) < 350


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([1.0], 0), ValueError, "num_samples should be a positive"),
        (([1.0], True), ValueError, "num_samples should be a positive"),
        (([1.0], 1, 1), ValueError, "replacement should be a boolean"),
        (([[1.0]], 1), ValueError, r"1d sequence .* \(1, 1\)"),
        (([1.0], 1, True, 0), TypeError, "Generator"),
        (([1.0, 2.0], 3, False), RuntimeError, "without replacement"),
        (([1.0, -1.0], 1), RuntimeError, "element < 0"),
        (([0.0, 0.0], 1), RuntimeError, "sum of probabilities <= 0"),
    ],
)
def test_weighted_random_sampler_refuses_what_are_no_weights(arguments, error, message):
    with pytest.raises(error, match=message):
        list(WeightedRandomSampler(*arguments))
    with pytest.raises(TypeError, match="Generator"):
        SubsetRandomSampler([1], generator=np.random.default_rng(0))


def test_batch_sampler_groups_and_keeps_the_rest():
    batches = BatchSampler(range(5), 2, drop_last=False)
    assert list(batches) == [[0, 1], [2, 3], [4]]
    assert len(batches) == 3


def test_batch_sampler_drop_last_drops_the_rest():
    batches = BatchSampler(range(5), 2, drop_last=True)
    assert list(batches) == [[0, 1], [2, 3]]
    assert len(batches) == 2


@pytest.mark.parametrize("batch_size", [0, -1, 1.5, True, "2"])
def test_batch_sampler_refuses_batch_size(batch_size):
    with pytest.raises(ValueError, match="batch_size should be a positive integer"):
        BatchSampler(range(5), batch_size, False)


def test_batch_sampler_refuses_drop_last_that_is_no_bool():
    with pytest.raises(ValueError, match="drop_last should be a boolean"):
        BatchSampler(range(5), 2, 1)


@settings(deadline=None)
@given(n=st.integers(0, 60), num_samples=st.integers(0, 150), replacement=st.booleans())
def test_random_sampler_yields_len_valid_indices(n, num_samples, replacement):
    sampler = RandomSampler(range(n), replacement, num_samples, seeded(1))
    drawn = list(sampler)
    assert len(drawn) == (num_samples if n else 0)
    assert all(type(i) is int and 0 <= i < n for i in drawn)
    if not replacement and n:
        counts = np.bincount(drawn, minlength=n)
        assert counts.max() - counts.min() <= 1  # whole permutations, then a part of one


def test_random_sampler_is_a_permutation_that_changes_every_epoch():
    sampler = RandomSampler(range(100), generator=seeded(0))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(100))
    assert first != second and first != list(range(100))


def test_random_sampler_repeats_with_the_generator_state():
    generator = seeded(3)
    state = generator.get_state()
    first = list(RandomSampler(range(50), generator=generator))
    generator.set_state(state)
    assert list(RandomSampler(range(50), generator=generator)) == first


def test_random_sampler_without_generator_follows_the_default_seed():
    seed_default(5)
    first = list(RandomSampler(range(50)))
    assert list(RandomSampler(range(50))) != first
    seed_default(5)
    assert list(RandomSampler(range(50))) == first


def test_random_sampler_refuses_bad_arguments():
    with pytest.raises(TypeError, match="replacement"):
        RandomSampler(range(3), replacement=1)
    with pytest.raises(ValueError, match="num_samples"):
        RandomSampler(range(3), num_samples=-1)
    with pytest.raises(TypeError, match="Generator"):
        RandomSampler(range(3), generator=np.random.default_rng(0))


def test_sampler_base_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(Sampler())


# -------------------------------------------------------------------- datasets


def test_tensor_dataset_sample_is_a_tuple_of_rows():
    dataset = TensorDataset(tensor([[1.0, 2.0], [3.0, 4.0]]), tensor([5, 6]))
    row, label = dataset[1]
    assert row.tolist() == [3.0, 4.0] and label.item() == 6
    assert len(dataset) == 2


def test_tensor_dataset_get_batch_equals_collated_samples():
    values = np.random.default_rng(0).random((7, 2, 3), np.float32)
    dataset = TensorDataset(from_numpy(values), from_numpy(np.arange(7)))
    whole = dataset.get_batch([6, 0, 3])
    one_by_one = default_collate([dataset[i] for i in (6, 0, 3)])
    for a, b in zip(whole, one_by_one, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
        assert a.dtype == b.dtype


class Tenfold(TensorDataset):
    """Overrides how a sample is made, and knows nothing of get_batch."""

    def __getitem__(self, index):
        (value,) = super().__getitem__(index)
        return value * 10, index


def test_a_subclass_that_overrides_getitem_is_asked_for_each_sample():
    dataset = Tenfold(from_numpy(np.arange(3)))
    for source in (
        dataset,
        Subset(dataset, [0, 1, 2]),
        Subset(Subset(dataset, range(3)), range(3)),
    ):
        (values, indices), *_ = DataLoader(source, batch_size=2)
        assert values.tolist() == [0, 10] and indices.tolist() == [0, 1]


def test_tensor_dataset_refuses_different_lengths():
    with pytest.raises(AssertionError, match=r"size mismatch.*\(2,\), \(3,\)"):
        TensorDataset(tensor([1, 2]), tensor([1, 2, 3]))


def test_dataset_base_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="__getitem__"):
        Dataset()[0]


def test_subset_maps_indices_also_for_lists_of_them():
    subset = Subset(Squares(10), [9, 5, 1])
    assert len(subset) == 3
    assert [subset[i] for i in range(3)] == [81, 25, 1]
    assert subset.__getitems__([2, 0]) == [1, 81]
    assert subset.get_batch([2, 0]) is None
    nested = Subset(TensorDataset(tensor([10, 11, 12])), [2, 1])
    assert nested[[0, 1]][0].tolist() == [12, 11]
    assert nested.get_batch([1])[0].tolist() == [11]


def test_concat_dataset_continues_with_the_next():
    both = Squares(3) + Squares(4)
    assert isinstance(both, ConcatDataset) and len(both) == 7
    assert [both[i] for i in range(7)] == [0, 1, 4, 0, 1, 4, 9]
    assert both[-1] == 9 and both[-7] == 0


def test_concat_dataset_refuses_bad_indices_and_nothing():
    with pytest.raises(IndexError, match="7"):
        (Squares(3) + Squares(4))[7]
    with pytest.raises(ValueError, match="-8"):
        (Squares(3) + Squares(4))[-8]
    with pytest.raises(AssertionError, match="empty"):
        ConcatDataset([])


def test_random_split_is_a_partition_that_the_generator_decides():
    first = random_split(Squares(10), [7, 3], seeded(0))
    again = random_split(Squares(10), [7, 3], seeded(0))
    other = random_split(Squares(10), [7, 3], seeded(1))
    assert [list(part.indices) for part in first] == [list(part.indices) for part in again]
    assert first[0].indices != other[0].indices
    assert sorted(first[0].indices + first[1].indices) == list(range(10))


@settings(deadline=None)
@given(n=st.integers(8, 200), weights=st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_random_split_fractions_share_out_everything(n, weights):
    fractions = [weight / sum(weights) for weight in weights]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("warnings.warn", lambda *args, **kwargs: None)  # empty parts are allowed
        parts = random_split(range(n), fractions, seeded(0))
    assert sorted(i for part in parts for i in part.indices) == list(range(n))
    for part, fraction in zip(parts, fractions, strict=True):
        assert n * fraction - 1 < len(part) <= n * fraction + 1


def test_random_split_fractions_give_the_rest_to_the_first():
    assert [len(p) for p in random_split(range(10), [1 / 3, 1 / 3, 1 / 3], seeded(0))] == [4, 3, 3]


def test_random_split_warns_of_empty_parts_and_refuses_wrong_sums():
    with pytest.warns(UserWarning, match="subset 1 is empty"):
        random_split(range(2), [0.9, 0.1], seeded(0))
    with pytest.raises(ValueError, match="9 does not equal the length of the input dataset, 10"):
        random_split(range(10), [7, 2])
    with pytest.raises(ValueError, match="not between 0 and 1"):
        random_split(range(10), [1.5, -0.5])


# -------------------------------------------------------------------- default_collate


def test_collate_numbers_gets_pytorchs_dtypes():
    for batch, dtype in (
        ([1, 2], np.int64),
        ([1.0, 2.0], np.float64),
        ([True, False], np.bool_),
        ([np.float32(1), np.float32(2)], np.float32),
        ([np.int32(1), np.int32(2)], np.int32),
    ):
        out = default_collate(batch)
        assert isinstance(out, Tensor) and out.shape == (2,) and out.dtype == dtype


def test_collate_stacks_arrays_and_tensors():
    arrays = [np.full((2, 3), i, np.float32) for i in range(4)]
    for batch in (arrays, [from_numpy(a) for a in arrays]):
        out = default_collate(batch)
        np.testing.assert_array_equal(out.numpy(), np.stack(arrays))
    out.numpy()[:] = 7
    assert arrays[0][0, 0] == 0  # stacked, not shared


def test_collate_containers_keep_their_structure():
    Point = namedtuple("Point", "x label")
    out = default_collate([Point(1, "a"), Point(2, "b")])
    assert isinstance(out, Point) and out.x.tolist() == [1, 2] and out.label == ["a", "b"]
    out = default_collate([{"a": (1, 2.0), "b": b"x"}, {"a": (3, 4.0), "b": b"y"}])
    assert out["a"][0].tolist() == [1, 3] and out["a"][1].tolist() == [2.0, 4.0]
    assert isinstance(out["a"], list) and out["b"] == [b"x", b"y"]


def test_collate_refuses_what_does_not_fit():
    with pytest.raises(RuntimeError, match=r"\(3,\) at entry 0 and \(2,\) at entry 1"):
        default_collate([np.zeros(3), np.zeros(2)])
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1, 2], [1]])
    with pytest.raises(TypeError, match="NoneType"):
        default_collate([None, None])
    with pytest.raises(TypeError, match="<U1"):
        default_collate([np.array(["a"]), np.array(["b"])])
    with pytest.raises(RuntimeError, match="empty batch"):
        default_collate([])


# -------------------------------------------------------------------- default_convert


def test_convert_makes_tensors_of_arrays_only():
    Point = namedtuple("Point", "x label")
    array = np.arange(3)
    out = default_convert({"a": (array, np.float32(2)), "b": Point(array, "c"), "d": [1, None]})
    assert isinstance(out["a"], list) and out["a"][0].tolist() == [0, 1, 2]
    assert out["a"][1].dtype == np.float32 and out["a"][1].shape == ()
    assert (
        isinstance(out["b"], Point) and out["b"].x.tolist() == [0, 1, 2] and out["b"].label == "c"
    )
    assert out["d"] == [1, None]
    array[0] = 9
    assert out["a"][0][0].item() == 9  # shared
    text = np.array(["a"])
    same = tensor([1.0])
    assert default_convert(text) is text and default_convert(same) is same
