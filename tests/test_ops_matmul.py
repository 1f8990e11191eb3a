"""Matrix products, einsum, triangles and diagonals: values, gradients, errors, and PyTorch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinyvision as tv
from tinyvision.autograd import gradcheck
from tinyvision.engine.op import Node
from tinyvision.ops.einsum import Einsum, parse_einsum
from tinyvision.ops.matmul import Linear, MatMul

sizes = st.integers(1, 3)


def leaf(array):
    return tv.tensor(np.asarray(array, np.float64), requires_grad=True)


def drawn(data, shape):
    """A random float64 tensor that requires grad; perhaps its last two dims lie transposed."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    array = rng.standard_normal(shape)
    if array.ndim > 1 and data.draw(st.booleans()):
        array = array.swapaxes(-1, -2).copy().swapaxes(-1, -2)
    return tv.from_numpy(array).requires_grad_()


def einsum(equation, *operands):
    return Einsum.apply(*operands, equation=equation)


# ------------------------------------------------------------------ matmul


def test_matmul_by_hand():
    a, b = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([[5.0, 6.0], [7.0, 8.0]])
    y = a @ b
    assert y.tolist() == [[19, 22], [43, 50]]
    y.backward(tv.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=tv.float64))
    assert a.grad.tolist() == [[5, 7], [12, 16]]
    assert b.grad.tolist() == [[1, 6], [2, 8]]


def test_matmul_of_vectors_by_hand():
    m, v = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([10.0, 1.0])
    assert (m @ v).tolist() == [12, 34]
    assert (v @ m).tolist() == [13, 24]
    assert (v @ v).shape == () and (v @ v).item() == 101
    (v @ v).backward()
    assert v.grad.tolist() == [20, 2]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_matmul_gradient(data):
    n, k, m = data.draw(sizes), data.draw(sizes), data.draw(sizes)
    common = data.draw(st.lists(st.integers(1, 2), max_size=2))
    batches = [
        [
            data.draw(st.sampled_from([size, 1]))
            for size in common[data.draw(st.integers(0, len(common))) :]
        ]
        for _ in range(2)
    ]
    a = drawn(data, data.draw(st.sampled_from([(k,), (*batches[0], n, k)])))
    b = drawn(data, data.draw(st.sampled_from([(k,), (*batches[1], k, m)])))
    np.testing.assert_allclose((a @ b).detach(), np.matmul(a.detach().numpy(), b.detach().numpy()))
    assert gradcheck(lambda a, b: a @ b, (a, b))


def test_matmul_gradient_of_permuted_and_strided_operands():
    rng = np.random.default_rng(0)
    a, b = leaf(rng.standard_normal((4, 3, 2))), leaf(rng.standard_normal((8, 5)))
    assert gradcheck(lambda a, b: a.permute(2, 1, 0) @ b[::2, 1::2], (a, b))


def test_matmul_computes_only_what_is_needed():
    rng = np.random.default_rng(0)
    a, b, grad = rng.standard_normal((3, 2, 2))
    node = Node(MatMul, [(a, 0), None])
    MatMul.forward(node, a, b)
    assert node.saved[0] is None
    grad_a, grad_b = MatMul.backward(node, grad)
    np.testing.assert_allclose(grad_a, grad @ b.T)
    assert grad_b is None


def test_matmul_result_of_a_vector_can_be_changed_in_place():
    m, v = leaf(np.ones((2, 2))), leaf([1.0, 2.0])
    y = m @ v
    y += 1
    assert y.tolist() == [4, 4]


def test_matmul_of_integers():
    a = tv.tensor([[1, 2], [3, 4]])
    assert (a @ a).dtype == tv.int64
    assert (a @ a).tolist() == [[7, 10], [15, 22]]


def test_matmul_over_an_empty_dim_is_zero():
    a, b = tv.zeros(2, 0, requires_grad=True), tv.zeros(0, 3, requires_grad=True)
    y = a @ b
    assert y.tolist() == [[0, 0, 0], [0, 0, 0]]
    y.sum().backward()
    assert a.grad.shape == (2, 0) and b.grad.shape == (0, 3)


def test_matmul_takes_arrays_on_both_sides():
    t, array = tv.tensor([[1.0, 2.0]]), np.array([[3.0], [4.0]], np.float32)
    assert (t @ array).tolist() == [[11]]
    assert (array @ t).tolist() == [[3, 6], [4, 8]]
    assert type(array @ t) is tv.Tensor


def test_matmul_float32_gradients_stay_float32():
    a, b = tv.ones(2, 3, requires_grad=True), tv.ones(4, 3, 2, requires_grad=True)
    (a @ b).sum().backward()
    assert a.grad.dtype == b.grad.dtype == tv.float32


@pytest.mark.parametrize(
    ("shape_a", "shape_b", "message"),
    [
        ((2, 3), (4, 5), r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)"),
        ((7, 2, 3), (4, 5), r"mat1 and mat2 shapes cannot be multiplied \(14x3 and 4x5\)"),
        ((3,), (4, 5), r"\(1x3 and 4x5\)"),
        ((2, 3), (4,), r"\(2x3 and 4x1\)"),
        ((2, 2, 3), (2, 4, 5), "expected size 3 at the second to last dimension .* but got 4"),
        ((2, 3, 4), (3, 4, 5), r"tensor a \(2\) must match the size of tensor b \(3\)"),
        ((), (2, 3), "both arguments to matmul need to be at least 1D, but they are 0D and 2D"),
    ],
)
def test_matmul_refuses_shapes_that_do_not_fit(shape_a, shape_b, message):
    with pytest.raises(RuntimeError, match=message):
        tv.zeros(shape_a) @ tv.zeros(shape_b)


def test_matmul_refuses_dtypes_that_differ():
    a = tv.zeros(2, 2)
    with pytest.raises(RuntimeError, match="same dtype, but got: float != double"):
        a @ a.double()
    with pytest.raises(RuntimeError, match="same dtype, but got: float != long int"):
        a @ a.long()
    with pytest.raises(NotImplementedError, match="matmul is not implemented for 'Bool'"):
        a.bool() @ a.bool()


def test_matmul_refuses_what_is_no_tensor():
    a = tv.zeros(2, 2)
    for call in (lambda: a @ 2, lambda: 2 @ a, lambda: a @ [1, 2], lambda: a.matmul(2)):
        with pytest.raises(TypeError):
            call()


def test_special_products_equal_matmul():
    rng = np.random.default_rng(0)
    m, v, batch = leaf(rng.standard_normal((3, 3))), leaf([1.0, 2.0, 3.0]), leaf(np.ones((2, 3, 3)))
    assert m.mm(m).tolist() == (m @ m).tolist()
    assert m.mv(v).tolist() == (m @ v).tolist()
    assert batch.bmm(batch).tolist() == (batch @ batch).tolist()
    assert v.dot(v).item() == 14
    assert v.outer(v[:2]).tolist() == [[1, 2], [2, 4], [3, 6]]
    assert gradcheck(lambda v, w: v.outer(w), (v, leaf([4.0, 5.0])))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, v: m.mm(v), "mat2 must be a matrix, but got 1-D"),
        (lambda m, v: m.mm(m), r"\(2x3 and 2x3\)"),
        (lambda m, v: m.bmm(m[None]), "batch1 must be a 3D tensor"),
        (lambda m, v: m[None].bmm(m[None]), r"to be: \[1, 3\] but got: \[1, 2\]"),
        (lambda m, v: m.mv(m), "vec must be a vector"),
        (lambda m, v: m.mv(v), r"size mismatch, got mat \(2x3\), vec \(2\)"),
        (lambda m, v: v.dot(m), "1D tensors expected, but got 1D and 2D"),
        (lambda m, v: v.dot(m[0]), "same number of elements"),
        (lambda m, v: v.dot(v.double()), "same dtype"),
        (lambda m, v: m.outer(v), "Expected 1-D argument self, but got 2-D"),
    ],
)
def test_special_products_refuse_what_does_not_fit(call, message):
    with pytest.raises(RuntimeError, match=message):
        call(tv.zeros(2, 3), tv.zeros(2))


# ------------------------------------------------------------------ linear


def test_linear_by_hand():
    x, weight, bias = leaf([[1.0, 2.0]]), leaf([[3.0, 4.0], [5.0, 6.0]]), leaf([0.5, -0.5])
    y = Linear.apply(x, weight, bias)
    assert y.tolist() == [[11.5, 16.5]]
    y.backward(tv.tensor([[1.0, 10.0]], dtype=tv.float64))
    assert x.grad.tolist() == [[53, 64]]
    assert weight.grad.tolist() == [[1, 2], [10, 20]]
    assert bias.grad.tolist() == [1, 10]


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_linear_gradient(data):
    features, out = data.draw(sizes), data.draw(sizes)
    x = drawn(data, (*data.draw(st.lists(sizes, max_size=3)), features))
    weight, bias = drawn(data, (out, features)), drawn(data, (out,))
    assert gradcheck(Linear.apply, (x, weight, bias))
    assert gradcheck(lambda x, weight: Linear.apply(x, weight, None), (x, weight))


@pytest.mark.parametrize(("rows", "features", "out"), [(0, 3, 2), (4, 0, 2), (4, 3, 0)])
def test_linear_with_an_empty_dim(rows, features, out):
    x, bias = tv.ones(2, rows, features, requires_grad=True), tv.ones(out, requires_grad=True)
    weight = tv.ones(out, features, requires_grad=True)
    y = Linear.apply(x, weight, bias)
    assert y.tolist() == (np.ones((2, rows, out)) * (features + 1)).tolist()
    y.sum().backward()
    assert x.grad.shape == (2, rows, features) and weight.grad.shape == (out, features)
    assert bias.grad.tolist() == [2 * rows] * out


def test_linear_skips_the_gradient_of_the_input():
    rng = np.random.default_rng(0)
    x, weight, grad = rng.standard_normal((3, 4, 4))
    node = Node(Linear, [None, (weight, 0), None])
    Linear.forward(node, x, weight, None)
    assert node.saved[1] is None
    grad_x, grad_weight, grad_bias = Linear.backward(node, grad)
    assert grad_x is None and grad_bias is None
    np.testing.assert_allclose(grad_weight, grad.T @ x)


# ------------------------------------------------------------------ einsum


def test_einsum_by_hand():
    a, b = leaf([[1.0, 2.0], [3.0, 4.0]]), leaf([10.0, 1.0])
    y = einsum("ij,j->i", a, b)
    assert y.tolist() == [12, 34]
    y.backward(tv.tensor([1.0, 2.0], dtype=tv.float64))
    assert a.grad.tolist() == [[10, 1], [20, 2]]
    assert b.grad.tolist() == [7, 10]
    assert einsum("ii", a).item() == 5
    assert einsum("ba", a).tolist() == [[1, 3], [2, 4]]
    assert einsum("ij->", a).item() == 10


# Equation and shapes of its operands.
EQUATIONS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("bhqd,bhkd->bhqk", [(2, 2, 3, 2), (2, 2, 4, 2)]),
    ("ij->ji", [(2, 3)]),
    ("ij->i", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iij->ji", [(2, 2, 3)]),
    ("iji,k->j", [(2, 3, 2), (2,)]),
    ("ij,k->i", [(2, 3), (4,)]),
    ("ij,kl->ik", [(2, 3), (3, 4)]),
    ("i,i,i->i", [(3,), (3,), (3,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 2), (2, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    (",i->i", [(), (3,)]),
    ("...ij,...jk->...ik", [(2, 1, 2, 3), (4, 3, 2)]),
    ("...ij,...jk", [(2, 2, 3), (3, 2)]),
    ("...i->i", [(2, 3, 2)]),
    ("...,...", [(2, 3), (3,)]),
    ("i...->...", [(2, 3)]),
    ("ij,jk->ik", [(2, 1), (3, 2)]),
    ("ii,i->i", [(1, 1), (3,)]),
    ("i,i->i", [(1,), (1,)]),
    ("Ab, bA -> A", [(2, 3), (3, 2)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum_gradient(equation, shapes):
    rng = np.random.default_rng(0)
    operands = [leaf(rng.standard_normal(shape)) for shape in shapes]
    assert gradcheck(lambda *t: einsum(equation, *t), operands)


@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum_equals_numpy_without_shortcuts(equation, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    if equation != "...i->i":  # NumPy has no output that leaves the ellipsis out
        expected = np.einsum(equation, *arrays)
        np.testing.assert_allclose(einsum(equation, *map(tv.tensor, arrays)), expected, atol=1e-12)


def test_einsum_over_an_empty_dim_is_zero():
    a, b = tv.zeros(2, 0, requires_grad=True), tv.zeros(0, 3, requires_grad=True)
    y = einsum("ij,jk->ik", a, b)
    assert y.tolist() == [[0, 0, 0], [0, 0, 0]]
    y.sum().backward()
    assert a.grad.shape == (2, 0) and b.grad.shape == (0, 3)


def test_einsum_parse_by_hand():
    assert parse_einsum("ij,jk", [(2, 3), (3, 4)]) == (["ij", "jk"], "ik", {"i": 2, "j": 3, "k": 4})
    operands, output, sizes = parse_einsum("...i,i...", [(5, 2, 3), (1, 2)])
    assert [len(labels) for labels in operands] == [3, 2]
    assert output == operands[0][:2] and operands[1][1] == output[1]
    assert [sizes[label] for label in output] == [5, 2]


def test_einsum_of_one_operand_may_be_a_view():
    x = tv.zeros(2, 2)
    einsum("ij->ji", x)[0, 1] = 5
    assert x.tolist() == [[0, 0], [5, 0]]


@pytest.mark.parametrize(
    ("equation", "shapes", "message"),
    [
        ("ij,jk->ik", [(2, 3)], "fewer operands were provided"),
        ("ij", [(2, 3), (2, 3)], "more operands were provided"),
        ("ij->ik", [(2, 3)], "output subscript k does not appear"),
        ("ij->ii", [(2, 3)], "output subscript i appears more than once"),
        (
            "ijk->ij",
            [(2, 3)],
            r"subscripts in the equation \(3\) .* dimensions \(2\) for operand 0",
        ),
        ("i->i", [(2, 3)], "no ellipsis was given"),
        ("ijk...->i", [(2, 3)], r"subscripts in the equation \(3\) .* dimensions \(2\)"),
        ("i1->i", [(2, 3)], "invalid subscript '1' in operand 0"),
        ("ij->i-", [(2, 3)], "invalid subscript '-' in the output"),
        ("i..->i", [(2, 3)], "invalid subscript '.' in operand 0"),
        ("...i...->i", [(2, 3)], "at most one ellipsis"),
        ("ii->i", [(2, 3)], "repeated for operand 0 but the sizes don't match"),
        ("ij,jk->ik", [(2, 3), (4, 5)], "subscript j has size 4 for operand 1"),
        ("...,...->...", [(2, 3), (4,)], "does not broadcast with previously seen size 3"),
    ],
)
def test_einsum_refuses_what_does_not_fit(equation, shapes, message):
    with pytest.raises(RuntimeError, match=message):
        einsum(equation, *[tv.zeros(shape) for shape in shapes])


def test_einsum_refuses_dtypes_that_differ():
    with pytest.raises(RuntimeError, match="must have one dtype, got float32, float64"):
        einsum("i,i->i", tv.zeros(2), tv.zeros(2).double())


# ------------------------------------------------------------------ transposes and parts


def test_transposes_are_views_by_hand():
    x = tv.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert x.T.tolist() == x.mT.tolist() == [[1, 4], [2, 5], [3, 6]]
    assert x.T._base is x
    assert tv.zeros(2, 3, 4).T.shape == (4, 3, 2)
    assert tv.zeros(2, 3, 4).mT.shape == (2, 4, 3)
    with pytest.raises(RuntimeError, match="only supported on matrices"):
        _ = tv.zeros(2).mT


def test_triangles_by_hand():
    x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert x.tril().tolist() == [[1, 0, 0], [4, 5, 0]]
    assert x.triu(1).tolist() == [[0, 2, 3], [0, 0, 6]]
    x.tril(-1).sum().backward()
    assert x.grad.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert tv.ones(2, 2).bool().tril().tolist() == [[True, False], [True, True]]
    with pytest.raises(RuntimeError, match="tril: input tensor must have at least 2 dimensions"):
        tv.zeros(3).tril()


def test_diagonals_by_hand():
    x = leaf([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    assert x.diagonal().tolist() == [1, 5]
    assert x.diagonal(1).tolist() == [2, 6]
    assert x.diagonal(-1).tolist() == x.diag(-1).tolist() == [4]
    assert x.diagonal(5).shape == (0,)
    assert leaf([1.0, 2.0]).diag(1).tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0]]


def test_diagonal_is_a_view_and_diag_a_copy():
    x = tv.zeros(2, 2)
    x.diagonal().fill_(1)
    x.diag().fill_(5)
    assert x.tolist() == [[1, 0], [0, 1]]


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_parts_of_matrices_gradients(data):
    x = drawn(data, data.draw(hnp.array_shapes(min_dims=2, max_dims=3, max_side=3)))
    dim1, dim2 = data.draw(st.permutations(range(x.ndim)))[:2]
    offset = data.draw(st.integers(-3, 3))
    assert gradcheck(lambda t: t.tril(offset), x)
    assert gradcheck(lambda t: t.triu(offset), x)
    assert gradcheck(lambda t: t.diagonal(offset, dim1, dim2 - x.ndim), x)
    assert gradcheck(lambda t: t.flatten().diag(offset), x)
    assert gradcheck(lambda t: t.flatten(1).diag(offset), x)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: x.diagonal(0, 1, 1), RuntimeError, "cannot be identical"),
        (lambda x: x[0].diagonal(), IndexError, "Dimension out of range"),
        (lambda x: x[None].diag(), RuntimeError, "Supports 1D or 2D tensors. Got 3D"),
        (lambda x: x.tril(0.5), TypeError, "diagonal must be an int"),
    ],
)
def test_diagonals_refuse_what_does_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call(tv.zeros(2, 2))


# ------------------------------------------------------------------ PyTorch


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_matmul_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    some = hnp.array_shapes(max_dims=4, max_side=2)
    dtypes = st.sampled_from([np.float32, np.float32, np.float32, np.float64, np.int64])
    a, b = [
        np.random.default_rng(i).integers(0, 5, data.draw(some)).astype(data.draw(dtypes))
        for i in range(2)
    ]
    name = data.draw(st.sampled_from(["matmul", "matmul", "mm", "bmm", "mv", "dot", "outer"]))
    ours = outcome(lambda: getattr(tv.tensor(a), name)(tv.tensor(b)))
    theirs = outcome(lambda: getattr(torch.tensor(a), name)(torch.tensor(b)))
    assert ours == theirs


@pytest.mark.parity
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_einsum_equals_pytorch(data):
    torch = pytest.importorskip("torch")
    labels = st.lists(st.sampled_from(["i", "j", "k", "..."]), max_size=3).filter(
        lambda found: found.count("...") < 2
    )
    terms = data.draw(st.lists(labels, min_size=1, max_size=3))
    named = sorted({label for term in terms for label in term})
    output = data.draw(
        st.none()
        | st.permutations(named).flatmap(
            lambda order: st.integers(0, len(order)).map(lambda n: order[:n])
        )
    )
    equation = ",".join(["".join(t) for t in terms]) + (
        "" if output is None else "->" + "".join(output)
    )
    sizes = {"i": 2, "j": 3, "k": 2, "...": 2}
    rng = np.random.default_rng(0)
    arrays = []
    for term in terms:
        one = data.draw(st.sampled_from(["", "", "i", "j", "..."]))  # broadcast from size 1
        arrays.append(rng.standard_normal([1 if label == one else sizes[label] for label in term]))
    ours = [tv.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, z = einsum(equation, *ours), torch.einsum(equation, *theirs)
    np.testing.assert_allclose(y.detach(), z.detach(), atol=1e-12)
    seed = rng.standard_normal(z.shape)
    y.backward(tv.tensor(seed))
    z.backward(torch.tensor(seed))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.grad, other.grad, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize(("equation", "shapes"), EQUATIONS)
def test_einsum_equations_equal_pytorch(equation, shapes):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    expected = torch.einsum(equation, *map(torch.tensor, arrays))
    np.testing.assert_allclose(einsum(equation, *map(tv.tensor, arrays)), expected, atol=1e-12)


@pytest.mark.parity
@pytest.mark.parametrize("name", ["tril", "triu", "diagonal", "diag"])
@pytest.mark.parametrize("offset", [-2, -1, 0, 1, 3])
@pytest.mark.parametrize("shape", [(2, 3), (3, 3), (4, 2), (3,), (2, 3, 4)])
def test_parts_of_matrices_equal_pytorch(shape, offset, name):
    torch = pytest.importorskip("torch")
    from tests.compare import outcome

    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    ours, theirs = tv.tensor(array), torch.tensor(array)
    assert outcome(lambda: getattr(ours, name)(offset)) == outcome(
        lambda: getattr(theirs, name)(offset)
    )
