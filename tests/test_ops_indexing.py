"""Indexing: values by hand, views, gradients with repeated places, errors, and PyTorch."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyvision as tv
from tinyvision.autograd import gradcheck
from tinyvision.ops.indexing import convert_index

shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3)


def counting(*shape):
    """A tensor of 0, 1, 2, ... in float64."""
    return tv.arange(int(np.prod(shape)), dtype=tv.float64).reshape(*shape)


def leaf(array):
    return tv.tensor(np.asarray(array, np.float64), requires_grad=True)


def drawn(data, shape):
    """A float64 tensor of distinct random values that requires grad."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    return leaf(rng.standard_normal(shape))


@st.composite
def indices(draw, shape, out_of_range=False, writes=False):
    """An index for a tensor of `shape`: ints, slices, None, bools, Ellipsis, arrays and masks.

    With out_of_range it sometimes does not fit; with writes its arrays repeat no number.
    """
    common = draw(st.integers(0, 3))  # the length that all index arrays share
    front = draw(st.integers(0, len(shape)))
    back = draw(st.integers(front, len(shape)))
    entries = [
        entry for n in shape[:front] for entry in entries_for(draw, n, common, out_of_range, writes)
    ]
    if draw(st.booleans()):
        entries.append(...)
        for n in shape[back:]:
            entries += entries_for(draw, n, common, out_of_range, writes)
    elif front < len(shape) and draw(st.booleans()):
        mask_dims = draw(st.integers(1, len(shape) - front))
        entries.append(draw(hnp.arrays(np.bool_, shape[front : front + mask_dims])))
    return tuple(entries)


def entries_for(draw, size, common, out_of_range, writes):
    """The part of an index for one dim, and perhaps a new dim before it."""
    extra = int(out_of_range and draw(st.integers(0, 9)) == 0)
    low, high = -size - extra, size + extra - 1
    bound = st.none() | st.integers(-size - 1, size + 1)
    kind = draw(
        st.sampled_from(["int", "slice", "array", "none", "bool"] if low <= high else ["slice"])
    )
    if kind == "int":
        return [draw(st.integers(low, high))]
    if kind == "array":
        length = common if writes else draw(st.sampled_from([1, common]))
        if writes:
            numbers = draw(st.permutations(range(high + 1)))[:length]
        else:
            numbers = draw(st.lists(st.integers(low, high), min_size=length, max_size=length))
        array = np.array(numbers, draw(st.sampled_from([np.int64, np.int32])))
        return [array.reshape(-1, 1) if not writes and draw(st.booleans()) else array]
    new_dim = {"slice": [], "none": [None], "bool": [draw(st.booleans())]}[kind]
    return [*new_dim, slice(draw(bound), draw(bound), draw(st.none() | st.integers(1, 3)))]


def with_arrays(index, wrap):
    """The index with `wrap` around each array in it."""
    return tuple([wrap(e) if isinstance(e, np.ndarray) else e for e in index])


# ------------------------------------------------------------------ reading with []


def test_getitem_basic_by_hand():
    x = counting(2, 3)
    assert x[1].tolist() == [3, 4, 5]
    assert x[-1, 0].item() == 3
    assert x[:, 1:].tolist() == [[1, 2], [4, 5]]
    assert x[..., ::2].tolist() == [[0, 2], [3, 5]]
    assert x[0, None].tolist() == [[0, 1, 2]]
    assert x[2:].shape == (0, 3)


def test_getitem_basic_gradient_by_hand():
    x = leaf(np.zeros((2, 3)))
    x[1, ::2].backward(tv.tensor([5.0, 7.0], dtype=tv.float64))
    assert x.grad.tolist() == [[0, 0, 0], [5, 0, 7]]


def test_getitem_advanced_by_hand():
    x = counting(3, 2)
    assert x[tv.tensor([2, 0, 2])].tolist() == [[4, 5], [0, 1], [4, 5]]
    assert x[[0, 1], [1, 0]].tolist() == [1, 2]
    assert x[:, [-1]].tolist() == [[1], [3], [5]]
    assert x[x > 2].tolist() == [3, 4, 5]
    assert x[tv.tensor([True, False, True]), 0].tolist() == [0, 4]
    assert x[range(2), 1].tolist() == [1, 3]


def test_getitem_repeated_indices_add_up_gradients():
    x = leaf([10.0, 20.0, 30.0])
    x[tv.tensor([2, 0, 2, 2])].backward(tv.tensor([1.0, 2.0, 4.0, 8.0], dtype=tv.float64))
    assert x.grad.tolist() == [2, 0, 13]


def test_getitem_int_beside_array_keeps_pytorchs_layout():
    # NumPy counts the 0 as an index array and would give (3, 2) here.
    assert counting(2, 3, 4)[0, :, [0, 1]].shape == (3, 2)
    assert counting(2, 3, 4)[[0, 1], :, [0, 1]].shape == (2, 3)
    assert counting(2, 3, 4)[:, [0, 1], [1, 2]].shape == (2, 2)


def test_getitem_python_bools_add_a_dim():
    x = counting(2)
    assert x[True].tolist() == [[0, 1]]
    assert x[False].shape == (0, 2)
    assert tv.tensor(3.0)[True].tolist() == [3.0]


def test_getitem_zero_dimensional_index_tensors_count_as_numbers():
    x = counting(3, 2)
    assert x[tv.tensor(1)].tolist() == [2, 3]
    x[tv.tensor(1)].fill_(9)
    assert x[1].tolist() == [9, 9]
    assert x[np.array(2), tv.tensor(0, dtype=tv.int16)].item() == 4
    assert x[tv.tensor(True)].shape == (1, 3, 2)
    assert x[tv.tensor(1) : tv.tensor(3)].tolist() == [[9, 9], [4, 5]]


@pytest.mark.parametrize(
    "index", [1, slice(1), ..., None, (), (0, 1), (..., 0), (slice(None, None, 2), None, -1)]
)
def test_getitem_basic_is_a_view(index):
    x = tv.zeros(3, 2)
    x[index].fill_(1)
    assert x.sum().item() == x[index].numel()


@pytest.mark.parametrize("index", [[0, 1], True, (0, [1]), ([True, False, True],)])
def test_getitem_with_arrays_is_a_copy(index):
    x = tv.zeros(3, 2)
    x[index].fill_(1)
    assert x.sum().item() == 0


@pytest.mark.parametrize(
    "read",
    [
        lambda x, index: x[index],
        lambda x, index: x.gather(0, index),
        lambda x, index: x.index_select(0, index),
        lambda x, index: x.index_add(0, index, x),
        lambda x, index: x.scatter(0, index, x),
    ],
)
def test_gradient_survives_a_change_of_the_index(read):
    x, index, kept = leaf([1.0, 2.0]), tv.tensor([1, 1]), tv.tensor([1, 1])
    (expected,) = tv.autograd.grad(read(x, kept).sum(), x)
    y = read(x, index)
    index.zero_()
    y.sum().backward()
    assert x.grad.tolist() == expected.tolist()


def test_getitem_gradient_with_separated_repeated_arrays():
    x = leaf(np.random.default_rng(0).standard_normal((2, 3, 2, 3)))
    assert gradcheck(lambda t: t[:, [1, 1], :, [[0], [2]]], x)
    assert gradcheck(lambda t: t[:, [1, 1], [[0], [1]]], x)


def test_getitem_uint8_is_a_mask_and_warns():
    x = counting(3)
    with pytest.warns(UserWarning, match="mask") as caught:
        assert x[tv.tensor([1, 0, 1], dtype=tv.uint8)].tolist() == [0, 2]
    assert caught[0].filename == __file__


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_getitem_gradient(data):
    x = drawn(data, data.draw(shapes))
    index = with_arrays(data.draw(indices(x.shape)), tv.tensor)
    try:
        x[index]
    except IndexError:  # the drawn arrays do not broadcast
        assume(False)
    assert gradcheck(lambda t: t[index], x)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_getitem_without_int_beside_array_equals_numpy(data):
    x = counting(*data.draw(shapes))
    index = data.draw(indices(x.shape))
    assume(not any(type(e) is int for e in index))
    try:
        expected = x.numpy()[index]
    except IndexError:
        with pytest.raises(IndexError):
            x[index]
    else:
        np.testing.assert_array_equal(x[index], expected)


def test_getitem_keeps_float32_gradients():
    x = tv.ones(3, 2, requires_grad=True)
    (x[0].sum() + x[[1, 1]].sum() + x[[0]].sum()).backward()
    assert x.grad.dtype == tv.float32
    assert x.grad.tolist() == [[2, 2], [2, 2], [0, 0]]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((0, -4), IndexError, "index -4 is out of bounds for dimension 1 with size 3"),
        ([0, 5], IndexError, "index 5 is out of bounds for dimension 0 with size 2"),
        ((slice(None), [-4]), IndexError, "index -4 is out of bounds for dimension 1"),
        ((0, 0, 0), IndexError, "too many indices for tensor of dimension 2"),
        (np.ones((2, 3, 1), bool), IndexError, "too many indices for tensor of dimension 2"),
        (1.0, IndexError, "only integers, slices .* are valid indices .got float."),
        ("a", IndexError, "valid indices .got str."),
        (np.array([1.0]), IndexError, "must be long, int, byte or bool tensors"),
        (np.array([1], np.int16), IndexError, "must be long, int, byte or bool tensors"),
        ([True, False, True], IndexError, r"The shape of the mask \[3\] does not match"),
        (([0, 1], [0, 1, 2]), IndexError, r"could not be broadcast .* \[2\], \[3\]"),
        ((..., ...), IndexError, "single ellipsis"),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (slice(None, None, 0), ValueError, "slice step cannot be zero"),
        (slice(1.0, None), TypeError, "slice indices must be integers"),
        ([[0, 1], [1, 0]], NotImplementedError, "ambiguous: write x.tuple.index."),
        ([slice(1), 0], NotImplementedError, "ambiguous"),
    ],
)
def test_getitem_refuses_what_does_not_fit(index, error, message):
    with pytest.raises(error, match=message):
        counting(2, 3)[index]


def test_getitem_of_zero_dimensional_tensor_raises():
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        tv.tensor(1.0)[0]


def test_getitem_from_an_empty_dim_raises():
    with pytest.raises(IndexError, match="out of bounds for dimension 0 with size 0"):
        tv.zeros(0, 3)[[0]]
    assert tv.zeros(0, 3)[[]].shape == (0, 3)


def test_convert_index_tells_views_from_copies():
    assert convert_index((0, slice(1)), (2, 3)).is_basic
    assert not convert_index((0, [1]), (2, 3)).is_basic


def test_select_and_narrow_by_hand():
    x = leaf([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    assert x.select(1, -1).tolist() == [2, 5]
    assert x.narrow(1, -2, 2).tolist() == [[1, 2], [4, 5]]
    assert x.narrow(0, 2, 0).shape == (0, 3)
    assert gradcheck(lambda t: t.select(0, 1) * t.narrow(0, 0, 1), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.select(0, 2), IndexError, "index 2 out of range for tensor of size .2, 3."),
        (lambda x: x.select(2, 0), IndexError, "Dimension out of range"),
        (lambda x: x.select(0, 1.0), TypeError, "index must be an int"),
        (lambda x: x[0, 0].select(0, 0), IndexError, "cannot be applied to a 0-dim tensor"),
        (lambda x: x.narrow(1, 2, 2), RuntimeError, "exceeds dimension size .3."),
        (lambda x: x.narrow(1, 4, 0), IndexError, "start out of range"),
        (lambda x: x.narrow(1, 0, -1), RuntimeError, "length must be non-negative"),
        (lambda x: x[0, 0].narrow(0, 0, 1), RuntimeError, "cannot be applied to a 0-dim tensor"),
    ],
)
def test_select_and_narrow_refuse_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(counting(2, 3))


# ------------------------------------------------------------------ writing with []


def test_setitem_in_the_graph_by_hand():
    x, v = leaf([1.0, 2.0, 3.0]), leaf([5.0])
    y = x * 1
    y[1:] = v
    assert y.tolist() == [1, 5, 5]
    y.backward(tv.tensor([1.0, 2.0, 4.0], dtype=tv.float64))
    assert x.grad.tolist() == [1, 0, 0]
    assert v.grad.tolist() == [6]


def test_setitem_drops_leading_dims_of_size_1_of_the_value():
    v = leaf([[[1.0], [2.0]]])  # (1, 2, 1) for (2, 3)
    y = tv.zeros(2, 3, dtype=tv.float64)
    y[[1, 0]] = v
    assert y.tolist() == [[2, 2, 2], [1, 1, 1]]
    y.sum().backward()
    assert v.grad.tolist() == [[[3], [3]]]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_setitem_gradient(data):
    x = drawn(data, data.draw(shapes))
    index = with_arrays(data.draw(indices(x.shape, writes=True)), tv.tensor)
    try:
        place = x[index]
    except IndexError:
        assume(False)
    names = counting(*x.shape)[index].tolist()
    assume(place.numel() and np.unique(names).size == place.numel())
    stretched = [data.draw(st.sampled_from([1, n])) for n in place.shape]
    value = drawn(data, stretched[data.draw(st.integers(0, len(stretched))) :])

    def assign(x, value):
        y = x * 1
        y[index] = value
        return y

    assert gradcheck(assign, (x, value))


def test_setitem_of_one_element_takes_any_tensor_of_one_element():
    x = tv.zeros(2)
    x[0] = tv.tensor([[5.0]])
    x[[1]] = tv.tensor([[6.0]])
    assert x.tolist() == [5, 6]


@pytest.mark.parametrize("index", [0, [0, 1], (0, slice(2)), (slice(None), [1, 2])])
def test_setitem_refuses_a_value_that_does_not_broadcast(index):
    x = counting(2, 3)
    with pytest.raises(
        RuntimeError, match=r"value tensor of shape \[4, 2, 4\] cannot be broadcast"
    ):
        x[index] = tv.zeros(4, 2, 4, dtype=tv.float64)
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


# ------------------------------------------------------------------ by position


def test_index_select_by_hand():
    x = leaf([[0.0, 1.0], [2.0, 3.0]])
    y = x.index_select(1, tv.tensor([1, 1, 0]))
    assert y.tolist() == [[1, 1, 0], [3, 3, 2]]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 2], [1, 2]]


def test_gather_by_hand():
    x = leaf([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    y = x.gather(1, tv.tensor([[1, 1], [0, 1]]))
    assert y.tolist() == [[2, 2], [3, 4]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 2], [1, 1], [0, 0]]
    assert x.gather(0, tv.tensor([[2, 0]])).tolist() == [[5, 2]]


def test_scatter_by_hand():
    x, src = leaf([[1.0, 2.0, 3.0]]), leaf([[7.0, 8.0], [9.0, 9.0]])
    y = x.scatter(1, tv.tensor([[2, 0]]), src)
    assert y.tolist() == [[8, 2, 7]]
    y.backward(tv.tensor([[1.0, 2.0, 4.0]], dtype=tv.float64))
    assert x.grad.tolist() == [[0, 2, 0]]
    assert src.grad.tolist() == [[4, 1], [0, 0]]
    assert x.scatter(1, tv.tensor([[1]]), 5).tolist() == [[1, 5, 3]]
    assert x.scatter(1, tv.tensor([[1]]), value=5).tolist() == [[1, 5, 3]]


def test_scatter_makes_one_hot_rows():
    target = tv.tensor([2, 0])
    one_hot = tv.zeros(2, 3).scatter(1, target.unsqueeze(1), 1.0)
    assert one_hot.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_scatter_add_by_hand():
    x, src = leaf([1.0, 2.0]), leaf([10.0, 20.0, 40.0])
    y = x.scatter_add(0, tv.tensor([1, 0, 1]), src)
    assert y.tolist() == [21, 52]
    y.backward(tv.tensor([1.0, 2.0], dtype=tv.float64))
    assert x.grad.tolist() == [1, 2]
    assert src.grad.tolist() == [2, 1, 2]


def test_index_add_by_hand():
    x, source = leaf([[1.0, 1.0], [2.0, 2.0]]), leaf([[1.0, 2.0], [3.0, 4.0]])
    y = x.index_add(0, tv.tensor([1, 1]), source, alpha=10)
    assert y.tolist() == [[1, 1], [42, 62]]
    y.sum().backward()
    assert x.grad.tolist() == [[1, 1], [1, 1]]
    assert source.grad.tolist() == [[10, 10], [10, 10]]


def test_take_along_dim_by_hand():
    x = tv.tensor([[3, 1, 2], [9, 7, 8]])
    assert x.take_along_dim(x.argsort(1), 1).tolist() == [[1, 2, 3], [7, 8, 9]]
    assert x.take_along_dim(tv.tensor([[-1]]), 1).tolist() == [[2], [8]]
    assert x.take_along_dim(tv.tensor([[4, 0]])).tolist() == [7, 3]


def test_zero_dimensional_tensors_have_one_dim_to_index():
    x, zero = tv.tensor(3.0, requires_grad=True), tv.tensor(0)
    assert x.index_select(0, zero).shape == ()
    assert x.gather(0, tv.tensor([0, 0])).tolist() == [3, 3]
    assert x.gather(0, zero).shape == ()
    y = x.scatter_add(0, zero, x) + x.index_add(0, zero, x) + x.scatter(0, zero, 1.0)
    assert y.shape == () and y.item() == 13
    y.backward()
    assert x.grad.item() == 4


def positions(data, shape, high):
    """An int64 tensor of numbers below `high`."""
    return tv.tensor(data.draw(hnp.arrays(np.int64, shape, elements=st.integers(0, high - 1))))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whole_slices_by_position_gradients(data):
    x = drawn(data, data.draw(shapes))
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    index = positions(data, data.draw(st.integers(1, 4)), x.shape[dim])
    sizes = list(x.shape)
    sizes[dim] = len(index)
    assert gradcheck(lambda t: t.index_select(dim, index), x)
    source = drawn(data, sizes)
    assert gradcheck(lambda t, s: t.index_add(dim, index, s, alpha=-3), (x, source))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_gather_and_scatter_gradients(data):
    x = drawn(data, data.draw(shapes))
    dim = data.draw(st.integers(-x.ndim, x.ndim - 1))
    sizes = [data.draw(st.integers(1, n)) for n in x.shape]
    index = positions(data, sizes, x.shape[dim])
    src = drawn(data, [n + data.draw(st.integers(0, 1)) for n in sizes])
    assert gradcheck(lambda t: t.gather(dim, index), x)
    assert gradcheck(lambda t, s: t.scatter_add(dim, index, s), (x, src))
    # For scatter no place may be named twice: every line along dim gets a permutation.
    line = np.arange(x.shape[dim]).reshape([-1 if d == dim % x.ndim else 1 for d in range(x.ndim)])
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    order = rng.permuted(np.broadcast_to(line, x.shape), axis=dim)
    once = tv.tensor(order[tuple([slice(n) for n in sizes])])
    assert gradcheck(lambda t, s: t.scatter(dim, once, s), (x, src))


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_gather_does_what_its_definition_says(data):
    x = drawn(data, data.draw(shapes))
    dim = data.draw(st.integers(0, x.ndim - 1))
    sizes = [data.draw(st.integers(0, n)) for n in x.shape]
    sizes[dim] = data.draw(st.integers(0, 5))
    index = positions(data, sizes, x.shape[dim])
    expected = np.zeros(sizes)
    for place in np.ndindex(*sizes):
        source = list(place)
        source[dim] = index[place].item()
        expected[place] = x[tuple(source)].item()
    np.testing.assert_array_equal(x.gather(dim, index).detach(), expected)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_take_along_dim_gradient(data):
    shape = data.draw(shapes)
    dim = data.draw(st.integers(0, len(shape) - 1))
    # Each of the two has size 1 in some of the dims, where it is broadcast.
    sizes_x, sizes_index = [[data.draw(st.sampled_from([n, 1])) for n in shape] for _ in range(2)]
    sizes_index[dim] = data.draw(st.integers(0, 4))
    x, index = drawn(data, sizes_x), positions(data, sizes_index, sizes_x[dim])
    assert gradcheck(lambda t: t.take_along_dim(index, dim), x)


def test_empty_index_gives_an_empty_result_and_no_gradient():
    x, none = leaf(np.ones((2, 3))), tv.zeros(0, dtype=tv.int64)
    results = [x[none], x[[]], x.index_select(0, none), x.gather(0, none[:, None].expand(0, 3))]
    assert [tuple(y.shape) for y in results] == [(0, 3)] * 4
    sum([y.sum() for y in results]).backward()
    assert x.grad.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert x.index_add(0, none, x[:0]).tolist() == x.tolist()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x, i: x.index_select(0, i - 1), IndexError, "index -1 is out of bounds"),
        (lambda x, i: x.index_select(0, i + 2), IndexError, "index 2 is out of bounds"),
        (lambda x, i: x.index_select(0, i[None]), IndexError, "supposed to be a vector"),
        (lambda x, i: x.index_select(0, [0]), TypeError, "'index' must be Tensor, not list"),
        (lambda x, i: x.index_select(0, i.float()), RuntimeError, "Expected dtype int32/int64"),
        (lambda x, i: x.index_select(2, i), IndexError, "Dimension out of range"),
        (lambda x, i: x[0, 0].index_select(0, tv.tensor([0, 0])), RuntimeError, "only 1 value"),
        (lambda x, i: x.gather(1, i[None] - 1), RuntimeError, "index -1 is out of bounds"),
        (lambda x, i: x.gather(1, i[None] + 3), RuntimeError, "index 3 is out of bounds"),
        (lambda x, i: x.gather(1, i), RuntimeError, "same number of dimensions"),
        (lambda x, i: x.gather(1, tv.zeros(3, 1).long()), RuntimeError, "Size does not match"),
        (lambda x, i: x.gather(1, i[None].float()), RuntimeError, "Expected dtype int32/int64"),
        (lambda x, i: x.gather(1, i[None], sparse_grad=True), NotImplementedError, "sparse_grad"),
        (lambda x, i: x.scatter(1, i[None] - 1, 1), RuntimeError, "index -1 is out of bounds"),
        (lambda x, i: x.scatter(1, i[None], x.long()), RuntimeError, "Expected self.dtype"),
        (lambda x, i: x.scatter(1, i[None], x[:, :0]), RuntimeError, "no larger than src"),
        (lambda x, i: x.scatter(1, i[None]), TypeError, "'src' must be Tensor, not NoneType"),
        (lambda x, i: x.scatter(1, i[None], x, reduce="add"), NotImplementedError, "reduce"),
        (lambda x, i: x.scatter_add(1, i[None], 1), TypeError, "'src' must be Tensor, not int"),
        (lambda x, i: x.scatter_add(1, i[None] + 3, x), RuntimeError, "index 3 is out of bounds"),
        (lambda x, i: x.index_add(0, i - 1, x[:1]), RuntimeError, "index -1 is out of bounds"),
        (lambda x, i: x.index_add(0, i, x), RuntimeError, "source.shape = .2, 3. and 1 indices"),
        (lambda x, i: x.index_add(0, i[None], x[:1]), IndexError, "supposed to be a vector"),
        (lambda x, i: x.index_add(0, i, x[:1].float()), RuntimeError, "same scalar type"),
        (lambda x, i: i.index_add(0, i, i, alpha=0.5), RuntimeError, "alpha must be an integer"),
        (lambda x, i: x.take_along_dim(i, 1), RuntimeError, "same number of dimensions"),
        (lambda x, i: x.take_along_dim(i[None] + 3, 1), RuntimeError, "index 3 is out of bounds"),
        (lambda x, i: x.take_along_dim(i[None] - 4, 1), RuntimeError, "index -4 is out of bounds"),
        (lambda x, i: x.take_along_dim(i[None].int(), 1), RuntimeError, "should be Long but got"),
    ],
)
def test_positions_are_validated(call, error, message):
    with pytest.raises(error, match=message):
        call(counting(2, 3), tv.tensor([0]))


# ------------------------------------------------------------------ by mask


def test_masked_fill_by_hand():
    x, value = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf(9.0)
    y = x.masked_fill(tv.tensor([True, False]), value)
    assert y.tolist() == [[9, 2], [9, 4]]
    y.backward(tv.tensor([[1.0, 2.0], [4.0, 8.0]], dtype=tv.float64))
    assert x.grad.tolist() == [[0, 2], [0, 8]]
    assert value.grad.item() == 5


def test_masked_fill_keeps_the_dtype():
    mask = tv.tensor([True, False])
    assert tv.tensor([1, 2]).masked_fill(mask, 9.5).tolist() == [9, 2]
    filled = tv.tensor([1.0, 2.0]).masked_fill(mask, float("-inf"))
    assert filled.dtype == tv.float32 and filled.tolist() == [float("-inf"), 2]


def test_masked_fill_notices_a_change_of_the_mask():
    x, mask = leaf([1.0, 2.0]), tv.tensor([True, False])
    y = x.masked_fill(mask, 0.0)
    mask.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_masked_select_by_hand():
    x = leaf([[1.0], [2.0]])
    y = x.masked_select(tv.tensor([True, False, True]))
    assert y.tolist() == [1, 1, 2, 2]
    y.backward(tv.tensor([1.0, 2.0, 4.0, 8.0], dtype=tv.float64))
    assert x.grad.tolist() == [[3], [12]]


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_mask_gradients(data):
    common = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=3))
    shape_x, shape_mask = [
        [
            data.draw(st.sampled_from([n, 1]))
            for n in common[data.draw(st.integers(0, len(common))) :]
        ]
        for _ in range(2)
    ]
    x, value = drawn(data, shape_x), drawn(data, ())
    mask = tv.tensor(data.draw(hnp.arrays(np.bool_, shape_mask)))
    assert gradcheck(lambda t, v: t.masked_fill(mask, v), (x, value))
    assert gradcheck(lambda t: t.masked_select(mask), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.masked_fill(x.long(), 1), RuntimeError, "only supports boolean masks"),
        (lambda x: x.masked_fill([True], 1), TypeError, "'mask' must be Tensor, not list"),
        (lambda x: x.masked_fill(x[:, :2] > 0, 1), RuntimeError, "must match the size"),
        (lambda x: x.masked_fill(x > 0, x[0]), RuntimeError, "0-dimensional value tensor"),
        (lambda x: x.masked_fill(x > 0, "a"), TypeError, "'value' must be Tensor, not str"),
        (lambda x: x.masked_select(x), RuntimeError, "only supports boolean masks"),
        (lambda x: x.masked_select(x[:, :2] > 0), RuntimeError, "must match the size"),
    ],
)
def test_masks_are_validated(call, error, message):
    with pytest.raises(error, match=message):
        call(counting(2, 3))


def test_nonzero_by_hand():
    x = tv.tensor([[0, 1], [2, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert x.nonzero().dtype == tv.int64
    rows, columns = x.nonzero(as_tuple=True)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])
    assert tv.tensor(1.0).nonzero().shape == (1, 0)
    assert tv.tensor(0.0).nonzero().shape == (0, 0)
    assert tv.tensor(1.0).nonzero(as_tuple=True)[0].tolist() == [0]


# ------------------------------------------------------------------ PyTorch


def same(ours, theirs):
    """Whether two outcomes agree. PyTorch itself is undecided between these two errors."""
    return ours == theirs or {ours, theirs} == {"IndexError", "RuntimeError"}


@pytest.mark.parity
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_getitem_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    shape = data.draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    index = data.draw(indices(shape, out_of_range=True))
    x, z = tv.tensor(array), torch.tensor(array)
    ours = outcome(lambda: x[with_arrays(index, tv.tensor)])
    theirs = outcome(lambda: z[with_arrays(index, torch.tensor)])
    if ours == "IndexError" and ours != theirs:
        # PyTorch does not look at the numbers in an index that leaves nothing to read.
        assert 0 in theirs[1]
    else:
        assert ours == theirs


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_getitem_gradient_and_view_equal_pytorch(data):
    torch = pytest.importorskip("torch")
    array = np.arange(np.prod(shape := data.draw(shapes)), dtype=np.float64).reshape(shape)
    index = data.draw(indices(shape))
    x = tv.tensor(array, requires_grad=True)
    z = torch.tensor(array, requires_grad=True)
    try:
        theirs = z[with_arrays(index, torch.tensor)]
    except IndexError:
        assume(False)
    ours = x[with_arrays(index, tv.tensor)]
    if theirs.numel():
        assert (ours._base is not None) == (theirs._base is not None)
    seed = np.linspace(1, 2, theirs.numel()).reshape(theirs.shape)
    ours.backward(tv.tensor(seed))
    theirs.backward(torch.tensor(seed))
    np.testing.assert_allclose(x.grad, z.grad)


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_setitem_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    array = np.arange(np.prod(shape := data.draw(shapes)), dtype=np.float32).reshape(shape)
    index = data.draw(indices(shape, out_of_range=True, writes=True))
    size = data.draw(hnp.array_shapes(min_dims=0, max_dims=3, max_side=2))
    value = -1 - np.arange(np.prod(size), dtype=np.float32).reshape(size)

    def assign(library):
        x = library.tensor(array)
        x[with_arrays(index, library.tensor)] = library.tensor(value)
        return x

    ours, theirs = outcome(lambda: assign(tv)), outcome(lambda: assign(torch))
    # PyTorch does not look at numbers that are out of range if nothing is written anyway.
    assert same(ours, theirs) or (ours == "IndexError" and writes_nothing(array, index))


def writes_nothing(array, index):
    """Whether no element is selected, whatever the numbers in the arrays of the index."""
    zeros = [
        np.zeros_like(e) if isinstance(e, np.ndarray) and e.dtype != bool else e for e in index
    ]
    return 0 not in array.shape and array[tuple(zeros)].size == 0


@pytest.mark.parity
@pytest.mark.parametrize(
    "call",
    [
        lambda x, i, d: x.index_select(d, i.flatten()),
        lambda x, i, d: x.index_select(d, i),
        lambda x, i, d: x.gather(d, i),
        lambda x, i, d: x.scatter(d, i, 7.5),
        lambda x, i, d: x.scatter_add(d, i, x),
        lambda x, i, d: x.index_add(d, i.flatten(), x, alpha=2),
        lambda x, i, d: x.select(d, int(i.sum())),
        lambda x, i, d: x.narrow(d, int(i.sum()), int(i.max())),
        lambda x, i, d: x.masked_fill(i > 0, 3),
        lambda x, i, d: x.masked_select(i > 0),
        lambda x, i, d: x.nonzero(),
    ],
)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_methods_equal_pytorch(call, data):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    some = hnp.array_shapes(min_dims=0, max_dims=3, max_side=3)
    shape = data.draw(some)
    # Often, but not always, a shape that fits.
    sizes = data.draw(st.sampled_from([shape, shape[:1], data.draw(some)]))
    index = data.draw(hnp.arrays(np.int64, sizes, elements=st.integers(-1, 2)))
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    dim = data.draw(st.integers(-2, 2))
    ours = outcome(lambda: call(tv.tensor(array), tv.tensor(index), dim))
    theirs = outcome(lambda: call(torch.tensor(array), torch.tensor(index), dim))
    assert same(ours, theirs)
