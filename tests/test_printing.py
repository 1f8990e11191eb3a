"""Tensors print the characters PyTorch prints."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyvision.printing import (
    format_tensor,
    get_printoptions,
    printoptions,
    set_printoptions,
)

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]


def f32(values):
    return np.array(values, dtype=np.float32)


def test_format_tensor_aligns_a_matrix_below_its_first_bracket():
    text = format_tensor(f32([[1, 2], [3, 4]]))
    assert text == "tensor([[1., 2.],\n        [3., 4.]])"


def test_format_tensor_separates_blocks_by_blank_lines():
    text = format_tensor(np.zeros((2, 1, 2, 1, 1), dtype=bool))
    space = " " * 8
    block = f"[[[[False]],\n\n{space}  [[False]]]]"
    assert text == f"tensor([{block},\n\n\n\n{space}{block}])"


def test_format_tensor_shows_whole_floats_with_a_bare_point():
    assert format_tensor(f32([1, -20, 300])) == "tensor([  1., -20., 300.])"
    assert format_tensor(f32([0.0, -0.0])) == "tensor([0., -0.])"
    assert format_tensor(f32([1, np.nan, np.inf, -np.inf])) == "tensor([1., nan, inf, -inf])"


def test_format_tensor_shows_four_digits_of_other_floats():
    assert format_tensor(f32([0.5, 1.23456, 100])) == "tensor([  0.5000,   1.2346, 100.0000])"
    assert format_tensor(f32(3.14159)) == "tensor(3.1416)"
    assert format_tensor(f32([0.5, np.nan, -np.inf])) == "tensor([0.5000,    nan,   -inf])"


def test_format_tensor_switches_to_scientific_for_wide_ranges():
    assert format_tensor(f32([1, 1000])) == "tensor([   1., 1000.])"
    assert format_tensor(f32([1, 1001])) == "tensor([1.0000e+00, 1.0010e+03])"
    assert format_tensor(f32(1e8)) == "tensor(100000000.)"
    assert format_tensor(f32(2e8)) == "tensor(2.0000e+08)"
    assert format_tensor(f32([0.00011, 0])) == "tensor([0.0001, 0.0000])"
    assert format_tensor(f32([0.00009, 0])) == "tensor([9.0000e-05, 0.0000e+00])"
    assert format_tensor(f32([2e8, np.nan])) == "tensor([2.0000e+08,        nan])"
    extremes = np.array([5e-324, 1.7e308])
    text = format_tensor(extremes)
    assert text == "tensor([4.9407e-324, 1.7000e+308], dtype=tinyvision.float64)"


def test_format_tensor_aligns_integers_and_bools():
    assert format_tensor(np.array([1, -20, 300])) == "tensor([  1, -20, 300])"
    assert format_tensor(np.array([True, False])) == "tensor([ True, False])"
    assert format_tensor(np.array(True)) == "tensor(True)"


def test_format_tensor_names_only_unusual_dtypes():
    assert format_tensor(np.array([7], dtype=np.uint8)) == "tensor([7], dtype=tinyvision.uint8)"
    assert format_tensor(np.array([0.5])) == "tensor([0.5000], dtype=tinyvision.float64)"
    swapped = np.array([1, 2], dtype=">i4")
    assert format_tensor(swapped) == "tensor([1, 2], dtype=tinyvision.int32)"


def test_format_tensor_gives_the_size_of_an_empty_tensor():
    assert format_tensor(f32([])) == "tensor([])"
    assert format_tensor(np.zeros((0, 3), dtype=np.float32)) == "tensor([], size=(0, 3))"
    text = format_tensor(np.zeros((2, 0), dtype=np.int64))
    assert text == "tensor([], size=(2, 0), dtype=tinyvision.int64)"


def test_format_tensor_breaks_a_long_row_into_lines():
    text = format_tensor(np.arange(25))
    assert text == (
        "tensor([ 0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11, 12, 13, 14, 15, 16, 17,\n"
        "        18, 19, 20, 21, 22, 23, 24])"
    )


def test_format_tensor_summarises_above_a_thousand_elements():
    assert "..." not in format_tensor(np.arange(1000))
    assert format_tensor(np.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    text = format_tensor(np.arange(2000, dtype=np.float32).reshape(1000, 2) % 7)
    assert text == (
        "tensor([[0., 1.],\n        [2., 3.],\n        [4., 5.],\n        ...,\n"
        "        [6., 0.],\n        [1., 2.],\n        [3., 4.]])"
    )


def test_format_tensor_chooses_the_style_from_the_shown_elements_only():
    values = np.ones(2000, dtype=np.float32)
    values[1000] = 1e-20
    assert format_tensor(values) == "tensor([1., 1., 1.,  ..., 1., 1., 1.])"


def test_format_tensor_appends_its_place_in_the_graph():
    assert format_tensor(f32([1]), requires_grad=True) == "tensor([1.], requires_grad=True)"
    text = format_tensor(f32([1]), requires_grad=True, grad_fn_name="AddBackward0")
    assert text == "tensor([1.], grad_fn=<AddBackward0>)"


def test_format_tensor_moves_a_suffix_that_does_not_fit_to_a_new_line():
    row = np.zeros(12, dtype=np.float64)
    text = format_tensor(row, grad_fn_name="AddmmBackward0")
    assert text == (
        "tensor([0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0.],\n"
        "       dtype=tinyvision.float64, grad_fn=<AddmmBackward0>)"
    )


def test_format_tensor_counts_columns_before_each_suffix():
    # On its first line PyTorch holds back a column: this text has 32 characters.
    with printoptions(linewidth=33):
        assert format_tensor(f32([1]), requires_grad=True) == "tensor([1.], requires_grad=True)"
    with printoptions(linewidth=32):
        text = format_tensor(f32([1]), requires_grad=True)
    assert text == "tensor([1.],\n       requires_grad=True)"
    # Later lines may fill up: 7 spaces, 24 characters, a comma and a space, 24 characters.
    row, name = np.zeros(12), "AddmmBackward0"
    with printoptions(linewidth=57):
        assert format_tensor(row, grad_fn_name=name).count("\n") == 1
    with printoptions(linewidth=56):
        assert format_tensor(row, grad_fn_name=name).count("\n") == 2


def test_printoptions_change_inside_the_block_only():
    before = get_printoptions()
    with printoptions(precision=2, threshold=4, edgeitems=1, linewidth=30):
        assert format_tensor(f32([1.23456])) == "tensor([1.23])"
        assert format_tensor(np.arange(5)) == "tensor([0,  ..., 4])"
        assert format_tensor(np.arange(4)) == "tensor([0, 1, 2, 3])"
    with pytest.raises(ZeroDivisionError), printoptions(sci_mode=True):
        assert format_tensor(f32([1.5])) == "tensor([1.5000e+00])"
        raise ZeroDivisionError
    assert get_printoptions() == before


def test_set_printoptions_knows_three_profiles():
    with printoptions():
        set_printoptions(profile="short")
        assert format_tensor(f32([1.23456])) == "tensor([1.23])"
        set_printoptions(profile="full", precision=3)
        assert "..." not in format_tensor(np.arange(1500))
        assert format_tensor(f32([1.23456])) == "tensor([1.235])"
        set_printoptions(profile="default")
        assert format_tensor(f32([1.23456])) == "tensor([1.2346])"
        with pytest.raises(ValueError, match="'short'.*not 'tiny'"):
            set_printoptions(profile="tiny")


def elements_for(dtype):
    """Values near one magnitude (else nearly every float tensor would print scientific)."""
    if not dtype.startswith("float"):
        return hnp.from_dtype(np.dtype(dtype))
    near = st.floats(-1000, 1000, width=32)
    whole = st.integers(-2000, 2000).map(float)
    special = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf])
    anywhere = hnp.from_dtype(np.dtype(dtype))
    return st.sampled_from([near, whole, near | special, whole | special, anywhere]).flatmap(
        lambda strategy: strategy
    )


@st.composite
def arrays(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9))
    kind = draw(st.sampled_from(["drawn", "large"]))
    if kind == "large" and len(shape) > 0:
        shape = (*shape[:-1], 400)
    # A few values tiled over the array: quick to draw, whatever the size.
    pool = draw(hnp.arrays(dtype, draw(st.integers(1, 12)), elements=elements_for(dtype)))
    return np.resize(pool, shape)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 8),
        "threshold": st.integers(0, 50),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.integers(1, 120),
        "profile": st.sampled_from(["default", "short", "full"]),
        "sci_mode": st.booleans(),
    },
)


@pytest.mark.parity
@settings(deadline=None)
@given(array=arrays(), graph=st.sampled_from(["none", "leaf", "node"]), options=OPTIONS)
def test_format_tensor_agrees_with_torch(array, graph, options):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(array.copy()).reshape(array.shape)
    ours = {}
    if array.dtype.kind == "f" and graph != "none":
        tensor.requires_grad_()
        ours["requires_grad"] = True
        if graph == "node":
            tensor = tensor.view_as(tensor)
            ours["grad_fn_name"] = type(tensor.grad_fn).__name__
    with torch._tensor_str.printoptions(**options), printoptions(**options):
        expected = repr(tensor)
        text = format_tensor(array, **ours)
    # "tinyvision." is longer than "torch.", so lines may break elsewhere from dtype= on.
    values, dtype, rest = text.partition("dtype=tinyvision.")
    expected_values, expected_dtype, expected_rest = expected.partition("dtype=torch.")
    assert bool(dtype) == bool(expected_dtype)
    if dtype:
        assert values.rstrip() == expected_values.rstrip()
        assert rest.split() == expected_rest.split()
    else:
        assert text == expected
