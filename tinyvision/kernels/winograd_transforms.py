"""The three matrices of Winograd's filtering, made from points; and the compiled transforms.

Let m numbers a and r numbers g be the coefficients of two polynomials. The product of the two has
n = m + r - 1 coefficients, so n values determine it; and each of its values takes one
multiplication, a value of a times a value of g (Toom 1963, Cook 1966). Values are taken at n - 1
numbers p and at "infinity", where the value is, by definition, the leading coefficient:

    values of a: A a        the rows of A (n, m) are 1, p, p^2, ...; at infinity 0, ..., 0, 1
    values of g: G g        G (n, r) likewise
    coefficients of the product: B ((A a) * (G g))        * number by number

B interpolates. For each p it has a column with the coefficients of the polynomial that is 1 at p
and 0 at the other numbers q, the product of all (x - q) / (p - q); for infinity, of the product of
all (x - q). The divisors are left to G, which is applied the least often.

Filters correlate: y[i] = sum over k of d[i + k] * g[k]. That is the same thing seen from behind.
Take n numbers d, multiply the coefficients above by them and add up:

    sum over j of d[j] * (B ((A a) * (G g)))[j]  =  sum over i, k of d[i + k] * a[i] * g[k]

What a[i] is multiplied by, on the right, is y[i]. Read off on the left:

    y = A^T ((G g) * (B^T d))

So m outputs of r products each take n multiplications and not m * r.

The price is rounding. The rows of A and the columns of B hold powers of the points: where a point
is large or small, large numbers cancel in the end, and leave their rounding errors behind. With
random d and g, and each product off by some fraction of its typical size, the square of the error
of y[i] is that of a sum of r such products times

    sum over the points of (A[p, i] * |G[p]| * |B[:, p]|)^2 / r

For m = 4, r = 3 and the customary points 0, 1, -1, 2, -2 this is 10.8 in the mean over i and 31 at
the worst; for 0, 2/3, -2/3, 3/2, -3/2 it is 4.8 and 7.1, and a search through all possible points
found none better by more than 1 %. (With p and -p, the work is less, as `factors` shows; with p and
1/p, both ends of the tile fare alike.) In two dimensions the factor enters twice: there it is that
of the error itself.

Source: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2015,
arXiv:1509.09308; on the points, Barabasz et al. 2018, arXiv:1803.10986.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import prod

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from tinyvision.kernels.vectors import (
    INT,
    element_pointer,
    llvm_scalar,
    load_vector,
    multiply_add,
    store_vector,
)

Matrix = list[list[Fraction]]
Factors = tuple[Matrix, ...]

TILE, FILTER = 4, 3  # m and r
EXTENT = TILE + FILTER - 1  # n
POINTS = [Fraction(0), Fraction(2, 3), Fraction(-2, 3), Fraction(3, 2), Fraction(-3, 2)]


def matrices(points: Sequence[Fraction], m: int, r: int) -> tuple[Matrix, Matrix, Matrix]:
    """(A, B^T, G) of the module's docstring, for m + r - 2 points and infinity."""
    A, G = _powers(points, m), _powers(points, r)
    B_T = []
    for i, p in enumerate(points):
        others = [*points[:i], *points[i + 1 :]]
        B_T.append([*_polynomial(others), Fraction(0)])
        G[i] = [g / prod(p - q for q in others) for g in G[i]]
    return A, [*B_T, _polynomial(points)], G


def _powers(points: Sequence[Fraction], count: int) -> Matrix:
    infinity = [Fraction(j == count - 1) for j in range(count)]
    return [*([p**j for j in range(count)] for p in points), infinity]


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """The coefficients of the product of (x - q), that of x^0 first."""
    coefficients = [Fraction(1)]
    for q in roots:
        zero = [Fraction(0)]
        times_x, times_1 = zero + coefficients, coefficients + zero
        coefficients = [c - q * d for c, d in zip(times_x, times_1, strict=True)]
    return coefficients


def _product(left: Matrix, right: Matrix) -> Matrix:
    columns = list(zip(*right, strict=True))
    return [
        [sum((x * y for x, y in zip(row, column, strict=True)), Fraction(0)) for column in columns]
        for row in left
    ]


# Instead of each two neighbouring numbers, their sum and their difference; and the way back.
_PAIRS = [[1, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0], [0, 1, -1, 0, 0, 0],
          [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, -1, 0], [0, 0, 0, 0, 0, 1]]  # fmt: skip
PAIRS = [[Fraction(c) for c in row] for row in _PAIRS]
UNPAIR = [[c / sum(map(abs, row)) for c in row] for row in PAIRS]


def factors(matrix: Matrix) -> Factors:
    """Two matrices to be applied one after the other, which together are less work than their
    product, `matrix`.

    The values of a polynomial at p and -p are the sum and the difference of the same two numbers:
    its terms of even and of odd degree. The first factor makes these, the second pairs them.
    """
    return _product(UNPAIR, matrix), PAIRS


def transposed_factors(matrix: Matrix) -> Factors:
    """The same for the transposed matrix: the factors transposed, in reverse."""
    first, second = factors(matrix)
    return transposed(second), transposed(first)


def transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]


def make_transform(steps: Factors):
    """The compiled M X M^T, for M the product of the matrices `steps`, the first applied first."""
    size = len(steps[0][0])

    @intrinsic
    def transform(context, target, t, t_row, t_column, source, s, s_row, s_column):
        """target[t + i*t_row + j*t_column :][:lanes] = the vector (M X M^T)[i, j] for
        X[i, j] = source[s + i*s_row + j*s_column :][:lanes]
        """
        ints = types.intp

        def emit(context, builder, signature, arguments):
            element = target.dtype
            to = element_pointer(context, builder, target, *arguments[:2])
            from_ = element_pointer(context, builder, source, *arguments[4:6])
            columns = [
                [_load(builder, element, from_, arguments[6:], i, j) for i in range(size)]
                for j in range(size)
            ]
            rows = zip(*(_apply(builder, element, steps, x) for x in columns), strict=True)
            for i, row in enumerate(rows):
                for j, value in enumerate(_apply(builder, element, steps, list(row))):
                    place = _place(builder, element, to, arguments[2:4], i, j)
                    store_vector(builder, element, value, place)
            return context.get_dummy_value()

        return types.void(target, ints, ints, ints, source, ints, ints, ints), emit

    return transform


def _place(builder, element, pointer, strides, i, j):
    row, column = (
        builder.mul(s, ir.Constant(INT, n)) for s, n in zip(strides, (i, j), strict=True)
    )
    return builder.gep(pointer, [builder.add(row, column)], source_etype=llvm_scalar(element))


def _load(builder, element, pointer, strides, i, j):
    return load_vector(builder, element, _place(builder, element, pointer, strides, i, j))


def _apply(builder, element, steps, vectors):
    for matrix in steps:
        vectors = [_combine(builder, element, row, vectors) for row in matrix]
    return vectors


def _combine(builder, element, coefficients, vectors):
    """The sum of coefficients[i] * vectors[i], with no multiplications by 0 and 1."""
    terms = [(c, x) for c, x in zip(coefficients, vectors, strict=True) if c != 0]
    terms.sort(key=lambda term: term[0] != 1)
    total = None
    for c, x in terms:
        factor = ir.Constant(x.type, [float(c)] * x.type.count)
        if total is None:
            total = x if c == 1 else builder.fmul(x, factor)
        elif abs(c) == 1:
            total = builder.fadd(total, x) if c == 1 else builder.fsub(total, x)
        else:
            total = multiply_add(builder, element, x, factor, total)
    return total


A, B_T, G = matrices(POINTS, TILE, FILTER)
points_of_input = make_transform(factors(B_T))
points_of_weight = make_transform(factors(G))
output_of_points = make_transform(transposed_factors(A))
# Backwards (see winograd.py):
points_of_output = make_transform(factors(A))
weight_of_points = make_transform(transposed_factors(G))
