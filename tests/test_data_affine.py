"""RandomAffine and RandomRotation: exact cases, then against a slow loop and PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision.data import InterpolationMode, RandomAffine, RandomRotation, use_generator
from tinyvision.data.transforms.affine import rotation_matrices, shear_matrices
from tinyvision.data.transforms.warp import warp
from tinyvision.random import Generator

NEAREST, BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def drawn(transform, image, seed=0):
    with use_generator(Generator().manual_seed(seed)):
        return transform(image)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def warp_by_loops(image, matrix, offset, fill):
    """Bilinear warp of one (H, W) image, pixel by pixel in float64."""
    H, W = image.shape
    out = np.empty((H, W))
    for i in range(H):
        for j in range(W):
            x, y = matrix @ (j - (W - 1) / 2, i - (H - 1) / 2) + offset
            x, y = x + (W - 1) / 2, y + (H - 1) / 2
            total = 0.0
            for column in (math.floor(x), math.floor(x) + 1):
                for row in (math.floor(y), math.floor(y) + 1):
                    inside = 0 <= row < H and 0 <= column < W
                    value = image[row, column] if inside else fill
                    total += value * (1 - abs(x - column)) * (1 - abs(y - row))
            out[i, j] = total
    return out


# -------------------------------------------------------------------- exact cases


@pytest.mark.parametrize("interpolation", [NEAREST, BILINEAR])
@pytest.mark.parametrize("size", [4, 5])
def test_rotation_by_quarter_turns_is_exact(size, interpolation):
    image = pixels(size, size, 3)
    for turns in (0, 1, 2, 3):
        degrees = (90 * turns, 90 * turns)
        np.testing.assert_array_equal(  # counter-clockwise
            RandomRotation(degrees, interpolation)(image), np.rot90(image, turns)
        )
        np.testing.assert_array_equal(  # clockwise
            RandomAffine(degrees, interpolation=interpolation)(image), np.rot90(image, -turns)
        )


def test_rotation_about_a_corner_turns_the_image_out_of_sight():
    image = np.ones((4, 4), np.uint8)
    out = RandomRotation((90, 90), center=(0, 0), fill=5)(image)
    assert (out == 5).all()  # the upper left corner's left neighbour came in
    out = RandomRotation((90, 90), center=(2, 2))(image)
    assert (out == 1).all()  # pixels are squares: (2, 2) is the middle


def test_affine_translation_shifts_right_and_down_by_whole_pixels():
    image = pixels(5, 10)
    seen = set()
    for seed in range(50):
        out = drawn(RandomAffine(0, translate=(0.2, 0.2), fill=1), image, seed)
        for dx in (-2, -1, 0, 1, 2):
            for dy in (-1, 0, 1):
                expected = np.ones_like(image)
                expected[max(0, dy) : 5 + min(0, dy), max(0, dx) : 10 + min(0, dx)] = image[
                    max(0, -dy) : 5 - max(0, dy), max(0, -dx) : 10 - max(0, dx)
                ]
                if (out == expected).all():
                    seen.add((dx, dy))
    assert len(seen) > 10 and {dx for dx, _ in seen} == {-2, -1, 0, 1, 2}


def test_affine_scale_two_doubles_the_middle():
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    out = RandomAffine(0, scale=(2, 2))(image)
    np.testing.assert_array_equal(out, image[1:3, 1:3].repeat(2, 0).repeat(2, 1))


def test_affine_shear_moves_rows_against_each_other():
    image = np.zeros((5, 9), np.uint8)
    image[:, 4] = 1  # a vertical line
    out = RandomAffine(0, shear=(45, 45))(image)
    # x' = x - tan(45) * y, with y counted downwards from the middle
    assert [int(row.argmax()) for row in out] == [6, 5, 4, 3, 2]
    out = RandomAffine(0, shear=(0, 0, 45, 45))(np.ascontiguousarray(image.T))
    assert [int(column.argmax()) for column in out.T] == [6, 5, 4, 3, 2]


def test_affine_half_pixel_bilinear_is_the_mean_of_neighbours():
    image = np.array([[0.0, 2.0, 6.0]], np.float32).reshape(1, 1, 3, 1)
    out = warp(image, np.eye(2)[None], np.array([[0.5, 0.0]]), BILINEAR, fill=10)
    assert out.ravel().tolist() == [1.0, 4.0, 8.0]


def test_affine_fill_per_channel_and_dtype_kept():
    image = pixels(4, 4, 3)
    out = RandomAffine(0, translate=None, scale=(0.01, 0.01), fill=(1, 2, 3))(image)
    assert out.dtype == np.uint8
    assert out[0, 0].tolist() == [1, 2, 3]
    double = RandomAffine(30, interpolation=BILINEAR)(np.ones((6, 6)))
    assert double.dtype == np.float64 and double[2:4, 2:4] == pytest.approx(1)


def test_affine_matrices_turn_clockwise_and_shear_as_written():
    np.testing.assert_allclose(
        rotation_matrices(np.array([90.0]))[0], [[0, -1], [1, 0]], atol=1e-12
    )
    x, y = np.deg2rad(10), np.deg2rad(20)
    shear_x = [[1, -math.tan(x)], [0, 1]]
    shear_y = [[1, 0], [-math.tan(y), 1]]
    found = shear_matrices(np.array([10.0]), np.array([20.0]))[0]
    np.testing.assert_allclose(found, np.array(shear_y) @ shear_x)


# -------------------------------------------------------------------- properties


@settings(deadline=None)
@given(
    H=st.integers(1, 9),
    W=st.integers(1, 9),
    N=st.integers(1, 4),
    seed=st.integers(0, 1000),
    fill=st.sampled_from([0.0, 3.5]),
)
def test_warp_bilinear_equals_loops(H, W, N, seed, fill):
    random = np.random.default_rng(seed)
    images = random.random((N, H, W, 2), np.float32)
    matrices, offsets = random.normal(size=(N, 2, 2)), 2 * random.normal(size=(N, 2))
    out = warp(images, matrices, offsets, BILINEAR, fill)
    for n in range(N):
        for c in range(2):
            expected = warp_by_loops(images[n, :, :, c], matrices[n], offsets[n], fill)
            np.testing.assert_allclose(out[n, :, :, c], expected, atol=5e-5)


@settings(deadline=None)
@given(N=st.integers(1, 70), interpolation=st.sampled_from([NEAREST, BILINEAR]))
def test_warp_of_many_images_equals_one_by_one(N, interpolation):
    random = np.random.default_rng(N)
    images = pixels(N, 20, 30, 1, seed=N)
    matrices, offsets = random.normal(size=(N, 2, 2)), random.normal(size=(N, 2))
    whole = warp(images, matrices, offsets, interpolation)
    for n in range(0, N, 7):
        alone = warp(images[n : n + 1], matrices[n : n + 1], offsets[n : n + 1], interpolation)
        np.testing.assert_array_equal(whole[n], alone[0])


@pytest.mark.parametrize("interpolation", [NEAREST, BILINEAR])
def test_affine_far_away_reads_nothing_outside(interpolation):
    images = pixels(3, 6, 6, 1)
    offsets = np.array([[1e9, 0], [0, -1e9], [1e30, -1e30]])
    out = warp(images, np.tile(np.eye(2), (3, 1, 1)), offsets, interpolation, fill=9)
    assert (out == 9).all()


@pytest.mark.parity
def test_warp_bilinear_equals_pytorchs_grid_sample():
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    N, H, W = 8, 11, 16
    images = random.random((N, H, W, 3), np.float32)
    matrices, offsets = random.normal(size=(N, 2, 2)), 3 * random.normal(size=(N, 2))
    # PyTorch measures places in half sizes of the image.
    half = np.array([W / 2, H / 2])
    theta = np.concatenate(
        [matrices * half / half[:, None], (offsets / half)[..., None]], axis=2
    ).astype(np.float32)
    grid = torch.nn.functional.affine_grid(
        torch.from_numpy(theta), (N, 3, H, W), align_corners=False
    )
    expected = torch.nn.functional.grid_sample(
        torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), grid, align_corners=False
    )
    out = warp(images, matrices, offsets, BILINEAR)
    np.testing.assert_allclose(out.transpose(0, 3, 1, 2), expected.numpy(), atol=2e-5)


def test_affine_draws_stay_in_their_ranges():
    transform = RandomRotation((20, 40))
    image = np.zeros((41, 41), np.float32)
    image[20, 35:] = 1  # a ray to the right
    ray = drawn(transform, np.stack([image] * 50)[..., None])[..., 0]
    for turned in ray:
        rows, columns = np.nonzero(turned)
        angle = math.degrees(math.atan2(20 - rows.mean(), columns.mean() - 20))
        assert 18 < angle < 42


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"degrees": -1}, ValueError, "If degrees is a single number, it must be positive"),
        ({"degrees": (1, 2, 3)}, ValueError, "degrees should be a sequence of length"),
        ({"degrees": None}, TypeError, "degrees should be a sequence"),
        ({"degrees": 0, "translate": 0.1}, TypeError, "translate should be a sequence"),
        ({"degrees": 0, "translate": (0.1, 1.1)}, ValueError, "between 0 and 1"),
        ({"degrees": 0, "scale": (0, 1)}, ValueError, "scale values should be positive"),
        ({"degrees": 0, "scale": (1,)}, ValueError, "scale should be a sequence of length"),
        ({"degrees": 0, "shear": -1}, ValueError, "If shear is a single number"),
        ({"degrees": 0, "shear": (1, 2, 3)}, ValueError, "shear should be a sequence"),
        ({"degrees": 0, "fill": "white"}, TypeError, "fill should be"),
        ({"degrees": 0, "center": 3}, TypeError, "center should be a sequence"),
        ({"degrees": 0, "interpolation": "bicubic"}, NotImplementedError, "bicubic"),
    ],
)
def test_affine_refuses_bad_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        RandomAffine(**arguments)


def test_rotation_refuses_expand_and_fill_of_other_channels():
    with pytest.raises(NotImplementedError, match="expand"):
        RandomRotation(10, expand=True)
    with pytest.raises(ValueError, match="fill .* one per channel of 3"):
        RandomRotation(10, fill=(1, 2))(pixels(4, 4, 3))
