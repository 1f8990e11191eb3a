"""Convolution with 3 x 3 filters in a quarter of the multiplications: Winograd's minimal filtering.

conv.py makes each of its sums on its own. But neighbouring outputs are sums over nearly the same
pixels: a tile of 4 x 4 outputs depends on no more than 6 x 6 pixels. Take one channel of one tile,
with pixels d, filter g and outputs Y:

    Y = A^T ((G g G^T) * (B^T d B)) A        * number by number

where A (6, 4), B (6, 6) and G (6, 3) are constants. Those are 36 products instead of 4 * 4 * 9.
winograd_transforms.py tells where the matrices come from: d and g are, so to speak, evaluated at
six points along each axis, hence at 36 in all, and Y is found by interpolation.

But are the transforms not more work than was saved? They would be for one channel and one filter.
A layer has many: each tile of a channel is transformed once for all filters, each filter once for
all tiles, and the products are summed up over the channels before the way back:

    points of the input     V[e, c, t] = (B^T d[c, t] B)[e]        for tile t and point e < 36
    points of the weight    U[e, o, c] = (G g[o, c] G^T)[e]
    36 matrix products      M[e] = U[e] V[e]        (C_out, C_in) by (C_in, tiles)
    output                  Y[o, t] = A^T M[:, o, t] A

Gradients: each step is linear in d and in g; transposed, and in reverse order, they are
    d_input = the convolution of d_output, of which all this holds again, with filters turned by
        180 degrees, where channels and filters have changed places
    d_M[:, o, t] = A d_Y[o, t] A^T,  d_U[e] = d_M[e] V[e]^T,  d_weight[o, c] = G^T d_U[:, o, c] G

What it costs: in float32, output and d_input are two to three times less accurate than those summed
up directly. And a pixel that is infinite or not a number makes all outputs of its tiles NaN.

Shapes: input (N, C_in, H, W), weight (C_out, C_in, 3, 3), bias (C_out,),
    output (N, C_out, H + 2 padding - 2, W + 2 padding - 2)

Source: Winograd 1980, "Arithmetic Complexity of Computations"; Lavin and Gray 2015, "Fast
algorithms for convolutional neural networks", arXiv:1509.09308.
"""

import numpy as np

from tinyvision.kernels import memory
from tinyvision.kernels.conv_plan import Geometry, Pair, Shape, shape_of
from tinyvision.kernels.jit import flat, twin_of
from tinyvision.kernels.threads import count_chunks, get_num_threads, launch
from tinyvision.kernels.vectors import VECTOR_BYTES
from tinyvision.kernels.winograd_tiles import (
    POINTS,
    TAPS,
    Images,
    Tiling,
    convolve,
    correlate_points,
    transform_weight,
    transform_weight_back,
)
from tinyvision.kernels.winograd_transforms import (
    B_T,
    EXTENT,
    FILTER,
    TILE,
    A,
    G,
    Matrix,
    transposed,
)


def winograd_forward_reference(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, padding: Pair
) -> np.ndarray:
    """The convolution with stride 1, as the module's docstring has it."""
    N, C_out, H_out, W_out = _output_shape(input, weight, padding)
    V = _transform(B_T, _tiles(input, padding, (H_out, W_out), EXTENT))
    U = _transform(G, weight)
    M = np.einsum("ocij,nctuij->notuij", U, V)  # t, u: row and column of tiles; i, j: points
    Y = _transform(transposed(A), M)
    # (N, C_out, rows, columns, TILE, TILE) -> (N, C_out, rows * TILE, columns * TILE)
    output = Y.swapaxes(3, 4).reshape(N, C_out, Y.shape[2] * TILE, Y.shape[3] * TILE)
    output = np.ascontiguousarray(output[:, :, :H_out, :W_out])
    return output if bias is None else output + bias[:, None, None]


def winograd_grad_input_reference(
    grad_output: np.ndarray, weight: np.ndarray, padding: Pair
) -> np.ndarray:
    """The filters, turned by 180 degrees, over grad_output."""
    turned = weight[:, :, ::-1, ::-1].swapaxes(0, 1)  # (C_out, C_in, 3, 3) -> (C_in, C_out, 3, 3)
    return winograd_forward_reference(grad_output, turned, None, _opposite(padding))


def winograd_grad_weight_reference(
    grad_output: np.ndarray, input: np.ndarray, padding: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of weight and bias."""
    output_size = grad_output.shape[2:]
    V = _transform(B_T, _tiles(input, padding, output_size, EXTENT))
    grad_M = _transform(A, _tiles(grad_output, (0, 0), output_size, TILE))
    grad_U = np.einsum("notuij,nctuij->ocij", grad_M, V)
    return _transform(transposed(G), grad_U), grad_output.sum(axis=(0, 2, 3))


def _tiles(
    images: np.ndarray, padding: Pair, output_size: tuple[int, ...], extent: int
) -> np.ndarray:
    """(N, C, H, W) -> (N, C, rows, columns, extent, extent), 0 beyond the edges."""
    N, C, H, W = images.shape
    padded = np.zeros((N, C, *(_tile_count(n) * TILE + extent - TILE for n in output_size)))
    padded[:, :, padding[0] : padding[0] + H, padding[1] : padding[1] + W] = images
    padded = padded.astype(images.dtype)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (extent, extent), axis=(2, 3))
    return windows[:, :, ::TILE, ::TILE]


def _transform(matrix: Matrix, tiles: np.ndarray) -> np.ndarray:
    """matrix X matrix^T for each matrix X in the last two axes."""
    m = np.array(matrix, np.float64).astype(tiles.dtype)
    return m @ tiles @ m.T


def _output_shape(input: np.ndarray, weight: np.ndarray, padding: Pair) -> tuple[int, ...]:
    shape = shape_of(input, weight, Geometry(padding=padding))
    return shape.N, shape.C_out, shape.H_out, shape.W_out


def _opposite(padding: Pair) -> Pair:
    """The padding with which the convolution from output to input gives the input's size."""
    return FILTER - 1 - padding[0], FILTER - 1 - padding[1]


def _tile_count(size: int) -> int:
    return -(-size // TILE)


# Why the fast version is fast.
#
# Blocks. The points of all tiles are 36 / 16 times the size of the images: too much for the caches.
# So some 64 tiles at a time are taken through all steps.
#
# Transforms. A vector holds one pixel of 16 channels (with AVX-512); so a tile is 36 vectors,
# whatever the size of the image, and its transform is straight code without a single shuffle. But
# in memory pixels lie side by side, not channels. So blocks of 16 x 16 numbers are transposed in
# registers, on their way from the image to a `strip`, some rows of it with zeros around them; and
# likewise on the way back. With that, the edges of the image are dealt with, too.
#
# Products. `multiply_rows` in microkernel.py, with 8 tiles x 32 filters in registers. Sums are made
# of 16 channels at a time, as rounding errors grow with the length of a sum: what is lost at the
# points is won back in part.
#
# Threads share out the blocks, whose size changes no sum. Only grad_weight sums over tiles: in
# parts, whose number the shapes decide; if there are more threads, these share out the channels.

BLOCK_TILES = 64
# What pays, measured: fewer channels leave lanes unused, fewer tiles do not make good for the
# transform of the weight.
MIN_CHANNELS, MIN_TILES = 16, 16


def suits_winograd(shape: Shape) -> bool:
    """Whether this convolution can be done here, and faster than in conv.py.

    In float64, those who want accuracy get all of it.
    """
    tiles = shape.N * _tile_count(shape.H_out) * _tile_count(shape.W_out)
    return (
        (shape.kH, shape.kW) == (FILTER, FILTER)
        and shape.stride == shape.dilation == (1, 1)
        and max(shape.padding) < FILTER
        and shape.groups == 1
        and shape.itemsize == 4
        and min(shape.C_in, shape.C_out) >= MIN_CHANNELS
        and tiles >= MIN_TILES
    )


@twin_of(winograd_forward_reference)
def winograd_forward(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, padding: Pair
) -> np.ndarray:
    """The convolution with stride 1; padding up to 2."""
    output = memory.empty(_output_shape(input, weight, padding), input.dtype)
    row = weight[0].size
    _convolve(input, weight, (row, TAPS, 0, 1), bias, output, padding)
    return output


@twin_of(winograd_grad_input_reference)
def winograd_grad_input(grad_output: np.ndarray, weight: np.ndarray, padding: Pair) -> np.ndarray:
    """The gradient of the input."""
    N, _, H_out, W_out = grad_output.shape
    growing, C_in = FILTER - 1, weight.shape[1]
    shape = N, C_in, H_out + growing - 2 * padding[0], W_out + growing - 2 * padding[1]
    grad_input = memory.empty(shape, grad_output.dtype)
    # Channels are the rows, filters the columns of the weight, and taps are counted backwards.
    steps = TAPS, C_in * TAPS, TAPS - 1, -1
    _convolve(grad_output, weight, steps, None, grad_input, _opposite(padding))
    return grad_input


@twin_of(winograd_grad_weight_reference)
def winograd_grad_weight(
    grad_output: np.ndarray, input: np.ndarray, padding: Pair
) -> tuple[np.ndarray, np.ndarray]:
    """The gradients of weight and bias."""
    C_out, C_in = grad_output.shape[1], input.shape[1]
    from_, to = _images(input, padding), _images(grad_output, (0, 0))
    tiling = _tiling(grad_output)
    # The more parts, the more threads; but each should be worth its place, in all 4 MB in float32,
    # and its way back from points to taps.
    size = _point_count(C_out, C_in, input.dtype)
    tiles = tiling.rows * tiling.columns
    parts = max(1, min(8, 2**20 // size, tiles // 256, tiling.rows))
    slabs = -(-get_num_threads() // parts)
    sums = memory.empty((parts * size,), input.dtype)
    grad_bias = np.zeros((parts, C_out), input.dtype)
    grad_weight = np.zeros((C_out, C_in, FILTER, FILTER), input.dtype)
    if grad_output.size > 0:
        chunks = count_chunks(parts * slabs, 2 * POINTS * tiles * C_out * C_in // 60)
        launch(
            correlate_points, chunks, flat(input), flat(grad_output),
            sums, grad_bias.reshape(-1), from_, to, tiling, parts, slabs,
        )  # fmt: skip
        transform_weight_back(sums, grad_weight.reshape(-1), C_out, C_in, parts)
    return grad_weight, grad_bias.sum(axis=0)


def _convolve(
    source: np.ndarray, weight: np.ndarray, weight_steps: tuple[int, int, int, int],
    bias: np.ndarray | None, target: np.ndarray, padding: Pair,
) -> None:  # fmt: skip
    if target.size == 0:
        return
    from_, to = _images(source, padding), _images(target, (0, 0))
    size = _point_count(to.channels, from_.channels, source.dtype)
    weight_points = memory.empty((size,), source.dtype)
    transform_weight(flat(weight), weight_points, to.channels, from_.channels, *weight_steps)
    biases = np.zeros(_whole_panels(to.channels, source.dtype), source.dtype)
    if bias is not None:
        biases[: to.channels] = bias
    tiling = _tiling(target)
    # As many blocks for each thread, so that none waits for another.
    threads = get_num_threads()
    blocks = min(-(-tiling.rows // (tiling.block * threads)) * threads, tiling.rows)
    products = POINTS * tiling.rows * tiling.columns * to.channels * from_.channels
    launch(
        convolve, count_chunks(blocks, products // 30), flat(source),
        weight_points, biases, target.reshape(-1), from_, to, tiling, blocks,
    )  # fmt: skip


def _images(images: np.ndarray, padding: Pair) -> Images:
    _, C, H, W = images.shape
    return Images(C, H, W, *padding)


def _tiling(output: np.ndarray) -> Tiling:
    image_rows, columns = (_tile_count(n) for n in output.shape[2:])
    rows = len(output) * image_rows
    return Tiling(rows, image_rows, columns, max(1, min(BLOCK_TILES // columns, rows)))


def _whole_panels(channels: int, dtype: np.dtype) -> int:
    width = 2 * VECTOR_BYTES // np.dtype(dtype).itemsize
    return -(-channels // width) * width


def _point_count(filters: int, channels: int, dtype: np.dtype) -> int:
    """The size of an array of points of a weight."""
    lanes = VECTOR_BYTES // np.dtype(dtype).itemsize
    return POINTS * (_whole_panels(filters, dtype) * channels + lanes)
