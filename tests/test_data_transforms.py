"""Transforms: hand-computed cases, one image against a batch, errors and reprs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision.creation import from_numpy
from tinyvision.data import (
    CenterCrop,
    Compose,
    Grayscale,
    InterpolationMode,
    Lambda,
    Normalize,
    Pad,
    RandomAffine,
    RandomApply,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
    Resize,
    ToTensor,
    Transform,
    transforms,
    use_generator,
)
from tinyvision.random import Generator
from tinyvision.tensor import Tensor

RANDOM_TRANSFORMS = [
    RandomCrop(5, padding=2),
    RandomCrop(8, padding=2, padding_mode="reflect"),
    RandomHorizontalFlip(),
    RandomRotation(40),
    RandomAffine(20, (0.2, 0.2), (0.8, 1.2), 10, InterpolationMode.BILINEAR),
    RandomErasing(p=0.8),
    RandomVerticalFlip(),
    RandomResizedCrop(6),
    RandomResizedCrop((5, 7), interpolation=InterpolationMode.NEAREST),
    RandomApply([RandomHorizontalFlip(), RandomRotation(40)]),
]
FIXED_TRANSFORMS = [Resize(5), CenterCrop((5, 12)), Pad((1, 2), 3), Grayscale(), Grayscale(3)]


def drawn(transform, image, seed=0):
    """transform(image) with a generator of its own."""
    with use_generator(Generator().manual_seed(seed)):
        return transform(image)


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


# -------------------------------------------------------------------- ToTensor, Normalize


def test_to_tensor_scales_and_moves_channels_first():
    grey = ToTensor()(np.array([[0, 51], [102, 255]], np.uint8))
    assert isinstance(grey, Tensor) and grey.shape == (1, 2, 2) and grey.dtype == np.float32
    np.testing.assert_array_equal(
        grey.numpy()[0], np.array([[0, 51], [102, 255]], np.float32) / np.float32(255)
    )
    colour = pixels(4, 5, 3)
    expected = colour.transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(ToTensor()(colour).numpy(), expected)


def test_to_tensor_batch_equals_its_images():
    batch = pixels(6, 4, 5, 3)
    out = ToTensor()(batch).numpy()
    assert out.shape == (6, 3, 4, 5) and out.flags.c_contiguous
    for image, expected in zip(batch, out, strict=True):
        np.testing.assert_array_equal(ToTensor()(image).numpy(), expected)


def test_to_tensor_keeps_floats_as_they_are():
    image = np.array([[[1.5, -2.0]]])
    out = ToTensor()(image)
    assert out.dtype == np.float64 and out.numpy().tolist() == [[[1.5]], [[-2.0]]]
    out.numpy()[:] = 0
    assert image[0, 0, 0] == 1.5  # a copy


def test_to_tensor_refuses_other_types_and_dimensions():
    with pytest.raises(TypeError, match="pic should be ndarray"):
        ToTensor()([[1, 2]])
    with pytest.raises(ValueError, match="2/3 dimensional"):
        ToTensor()(np.zeros(3, np.uint8))


def test_normalize_subtracts_and_divides_per_channel():
    image = from_numpy(np.array([[[1.0, 3.0]], [[10.0, 20.0]]], np.float32))  # (2, 1, 2)
    out = Normalize((1, 10), (2, 5))(image)
    assert out.numpy().tolist() == [[[0.0, 1.0]], [[0.0, 2.0]]]
    assert image.numpy()[0, 0, 1] == 3.0  # not in place
    batch = from_numpy(np.stack([image.numpy()] * 3))
    np.testing.assert_array_equal(Normalize((1, 10), (2, 5))(batch).numpy(), [out.numpy()] * 3)
    assert Normalize(1.0, 2.0)(image).numpy()[1, 0, 0] == 4.5  # one value for all channels


def test_normalize_refuses_what_it_cannot_use():
    image = from_numpy(np.ones((3, 2, 2), np.float32))
    with pytest.raises(ValueError, match="division by zero"):
        Normalize((0, 0), (1, 0))
    with pytest.raises(TypeError, match="put ToTensor"):
        Normalize((0,), (1,))(image.numpy())
    with pytest.raises(TypeError, match="float tensor, got uint8"):
        Normalize((0,), (1,))(from_numpy(pixels(1, 2, 2)))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        Normalize((0,), (1,))(from_numpy(np.ones((2, 2), np.float32)))
    with pytest.raises(RuntimeError, match="mean has 2 values.*3 channels"):
        Normalize((0, 0), (1, 1))(image)


# -------------------------------------------------------------------- layouts


@pytest.mark.parametrize("transform", RANDOM_TRANSFORMS + FIXED_TRANSFORMS, ids=repr)
def test_transform_treats_every_layout_alike(transform):
    batch = pixels(5, 8, 9, 3)
    expected = drawn(transform, batch)
    as_tensor = from_numpy(np.ascontiguousarray(batch.transpose(0, 3, 1, 2)))
    out = drawn(transform, as_tensor)
    assert isinstance(out, Tensor) and out.numpy().flags.c_contiguous
    np.testing.assert_array_equal(out.numpy().transpose(0, 2, 3, 1), expected)
    first = drawn(transform, batch[:1])[0]
    np.testing.assert_array_equal(drawn(transform, batch[0]), first)
    np.testing.assert_array_equal(
        drawn(transform, from_numpy(batch[0].transpose(2, 0, 1).copy())).numpy(),
        first.transpose(2, 0, 1),
    )
    grey, channel = drawn(transform, batch[0, :, :, 0]), drawn(transform, batch[0, :, :, :1])
    np.testing.assert_array_equal(grey, channel if channel.shape[-1] == 3 else channel[..., 0])
    assert not np.shares_memory(expected, batch)


@pytest.mark.parametrize("transform", RANDOM_TRANSFORMS, ids=repr)
def test_transform_leaves_its_argument_and_draws_per_image(transform):
    image = pixels(8, 8, 3)
    batch = np.stack([image] * 64)
    out = drawn(transform, batch)
    assert (batch == image).all()
    assert out.dtype == np.uint8
    assert len({changed.tobytes() for changed in out}) > 1
    np.testing.assert_array_equal(drawn(transform, batch), out)
    assert (drawn(transform, batch, seed=1) != out).any()


def test_transform_refuses_other_types_and_dimensions():
    with pytest.raises(TypeError, match="RandomHorizontalFlip: expected an ndarray or a Tensor"):
        RandomHorizontalFlip()([[1, 2]])
    with pytest.raises(ValueError, match=r"RandomCrop.*\(7,\)"):
        RandomCrop(1)(np.zeros(7))
    with pytest.raises(ValueError, match=r"\(C, H, W\).*\(7, 7\)"):
        RandomCrop(1)(from_numpy(np.zeros((7, 7))))
    with pytest.raises(NotImplementedError, match="apply"):
        Transform()(np.zeros((2, 2)))


def test_works_on_batches_only_if_all_parts_are_ours():
    assert transforms.works_on_batches(None)
    assert transforms.works_on_batches(Compose([RandomCrop(3), Compose([ToTensor()])]))
    assert not transforms.works_on_batches(abs)
    assert not transforms.works_on_batches(Compose([ToTensor(), Compose([abs])]))
    assert transforms.works_on_batches(RandomApply([RandomCrop(3)]))
    assert not transforms.works_on_batches(RandomApply([Lambda(abs)]))


def test_compose_applies_in_order():
    assert Compose([lambda x: x + 1, lambda x: x * 10])(2) == 30


def test_lambda_calls_its_function():
    assert Lambda(abs)(-3) == 3
    with pytest.raises(TypeError, match="Lambda: lambd should be callable, got int"):
        Lambda(3)


def test_random_apply_applies_all_or_none_to_each_image():
    batch = pixels(400, 2, 2, 1)
    twice = RandomApply([RandomHorizontalFlip(1), RandomVerticalFlip(1)], p=0.3)
    out = drawn(twice, batch)
    turned = (out == batch[:, ::-1, ::-1]).all(axis=(1, 2, 3))
    assert 80 < turned.sum() < 160
    np.testing.assert_array_equal(out[~turned], batch[~turned])
    assert RandomApply([lambda x: x + 1], p=1)(2) == 3 and RandomApply([abs], p=0)(-2) == -2
    assert RandomApply([ToTensor()], p=0)(batch) is batch
    normalized = RandomApply([Normalize(1, 2)], p=1)(from_numpy(np.ones((2, 3, 4, 4))))
    assert isinstance(normalized, Tensor) and (normalized.numpy() == 0).all()


def test_random_apply_refuses_what_would_split_a_batch():
    for other in (ToTensor(), CenterCrop(1)):
        with pytest.raises(ValueError, match="does not fit the rest"):
            RandomApply([other], p=1)(pixels(2, 4, 4, 3))
    with pytest.raises(ValueError, match="RandomApply: p should be"):
        RandomApply([], p=2)


# -------------------------------------------------------------------- RandomCrop, CenterCrop, Pad


def test_random_crop_of_the_whole_image_is_the_image():
    image = pixels(6, 7, 3)
    np.testing.assert_array_equal(RandomCrop((6, 7))(image), image)


@settings(deadline=None)
@given(
    H=st.integers(2, 9),
    W=st.integers(2, 9),
    padding=st.integers(0, 3),
    data=st.data(),
    mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]),
)
def test_random_crop_is_a_window_of_the_padded_image(H, W, padding, data, mode):
    padding = min(padding, H - 1, W - 1)
    size = (
        data.draw(st.integers(1, H + 2 * padding)),
        data.draw(st.integers(1, W + 2 * padding)),
    )
    batch = pixels(3, H, W, 2, seed=H * W)
    out = drawn(RandomCrop(size, padding, padding_mode=mode), batch, seed=H + W)
    assert out.shape == (3, *size, 2)
    sides = ((padding, padding), (padding, padding), (0, 0))
    for image, cropped in zip(batch, out, strict=True):
        padded = np.pad(image, sides, mode=mode)
        windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=(0, 1))
        matches = (windows == cropped.transpose(2, 0, 1)).all(axis=(2, 3, 4))
        assert matches.any()


def test_random_crop_reaches_every_offset():
    image = np.arange(16).reshape(4, 4)
    corners = {int(drawn(RandomCrop(3), image, seed)[0, 0]) for seed in range(60)}
    assert corners == {0, 1, 4, 5}


def test_random_crop_pads_each_side_by_its_own_number():
    image = np.ones((1, 1), np.uint8)
    out = RandomCrop((1 + 2 + 4, 1 + 1 + 3), padding=(1, 2, 3, 4), fill=9)(image)
    expected = np.full((7, 5), 9)
    expected[2, 1] = 1  # two rows above, one column to the left
    np.testing.assert_array_equal(out, expected)
    out = RandomCrop((5, 3), padding=(1, 2))(image)
    assert out[2, 1] == 1 and out.sum() == 1


def test_random_crop_pad_if_needed_and_fill_per_channel():
    image = np.ones((2, 2, 3), np.uint8)
    out = drawn(RandomCrop(4, pad_if_needed=True, fill=(7, 8, 9)), image)
    assert out.shape == (4, 4, 3)
    assert {tuple(p) for p in out.reshape(-1, 3).tolist()} == {(1, 1, 1), (7, 8, 9)}


def test_random_crop_refuses_bad_arguments():
    for size in (0, (1, 2, 3), -1, ()):
        with pytest.raises(ValueError, match="RandomCrop: size should be"):
            RandomCrop(size)
    for padding in (-1, (1, 2, 3), (1, -2)):
        with pytest.raises(ValueError, match="RandomCrop: padding should be"):
            RandomCrop(3, padding)
    for wrong in (1.5, "4", (1, 2.5)):
        with pytest.raises(TypeError, match="RandomCrop: size should be"):
            RandomCrop(wrong)
        with pytest.raises(TypeError, match="RandomCrop: padding should be"):
            RandomCrop(3, wrong)
    with pytest.raises(ValueError, match="padding_mode should be one of"):
        RandomCrop(3, padding_mode="wrap")
    with pytest.raises(ValueError, match=r"crop size \(5, 5\) is larger than.*\(4, 4\)"):
        RandomCrop(5)(pixels(4, 4))
    with pytest.raises(ValueError, match="fill .* one per channel of 3"):
        RandomCrop(5, padding=1, fill=(1, 2))(pixels(4, 4, 3))
    with pytest.raises(ValueError, match="fill 300 does not fit images of dtype uint8"):
        RandomCrop(5, padding=1, fill=300)(pixels(4, 4, 3))


def test_center_crop_is_the_middle_with_zeros_around():
    image = np.arange(1, 31).reshape(5, 6)
    np.testing.assert_array_equal(CenterCrop(3)(image), image[1:4, 2:5])  # 1.5 rounds to even
    np.testing.assert_array_equal(CenterCrop((2, 6))(image), image[2:4])
    np.testing.assert_array_equal(CenterCrop((2, 9))(image), np.pad(image[2:4], ((0, 0), (1, 2))))
    with pytest.raises(ValueError, match="CenterCrop: size should be"):
        CenterCrop((1, 2, 3))


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
def test_pad_is_numpys(mode):
    image = pixels(5, 6, 3)
    fill = {"constant_values": 7} if mode == "constant" else {}
    expected = np.pad(image, ((2, 4), (1, 3), (0, 0)), mode, **fill)
    np.testing.assert_array_equal(Pad((1, 2, 3, 4), 7, mode)(image), expected)


def test_pad_refuses_bad_arguments():
    with pytest.raises(ValueError, match="Pad: padding should be an int or a sequence"):
        Pad((1, 2, 3))
    with pytest.raises(ValueError, match="Pad: padding_mode should be one of"):
        Pad(1, padding_mode="circular")


# -------------------------------------------------------------------- flips


def test_random_flip_always_never_and_half_the_time():
    image = pixels(3, 4, 3)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(image), image[:, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(image), image)
    np.testing.assert_array_equal(RandomVerticalFlip(1)(image), image[::-1])
    out = drawn(RandomHorizontalFlip(), np.stack([image] * 1000))
    flipped = (out == image[:, ::-1]).all(axis=(1, 2, 3))
    assert 430 < flipped.sum() < 570
    np.testing.assert_array_equal(out[~flipped], [image] * (~flipped).sum())


@pytest.mark.parametrize("p", [-0.1, 1.1, "half", None, float("nan")])
def test_random_flip_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="p should be a number between 0 and 1"):
        RandomHorizontalFlip(p)


# -------------------------------------------------------------------- RandomErasing


def test_random_erasing_erases_one_rectangle_of_the_asked_size():
    images = np.ones((200, 20, 30, 3), np.float32)
    out = drawn(RandomErasing(p=1, scale=(0.1, 0.2), ratio=(0.5, 2)), images)
    for image in out:
        rows, columns = np.nonzero(image[..., 0] == 0)
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert (image == 0).sum() == 3 * height * width  # a full rectangle, in all channels
        # Rounding moves each side by at most half a pixel.
        assert (height - 0.5) * (width - 0.5) <= 0.2 * 600
        assert (height + 0.5) * (width + 0.5) >= 0.1 * 600
        assert 0.5 * (width - 0.5) <= height + 0.5 and height - 0.5 <= 2 * (width + 0.5)


def test_random_erasing_values():
    image = np.zeros((16, 16, 3), np.float32)
    eraser = {"p": 1, "scale": (0.3, 0.3), "ratio": (1, 1)}
    out = drawn(RandomErasing(**eraser, value=(1, 2, 3)), image)
    assert {tuple(p) for p in out.reshape(-1, 3).tolist()} == {(0, 0, 0), (1, 2, 3)}
    out = drawn(RandomErasing(**eraser, value="random"), image)
    assert len(np.unique(out)) == 3 * 9 * 9 + 1  # sqrt(0.3 * 256) rounds to 9


def test_random_erasing_probability_and_hopeless_boxes():
    images = np.ones((1000, 8, 8, 1), np.uint8)
    touched = (drawn(RandomErasing(p=0.3), images) == 0).any(axis=(1, 2, 3)).sum()
    assert 230 < touched < 370
    assert (RandomErasing(p=0)(images) == 1).all()
    assert (RandomErasing(p=1, scale=(1, 1))(images) == 1).all()  # as large as the image: none


@pytest.mark.parametrize("transform", [Normalize, RandomErasing])
def test_transform_refuses_to_work_in_place(transform):
    with pytest.raises(NotImplementedError, match="inplace"):
        transform(0.5, (0.1, 0.5), inplace=True)


def test_random_erasing_refuses_bad_arguments():
    with pytest.raises(TypeError, match="value should be"):
        RandomErasing(value=None)
    with pytest.raises(ValueError, match="it should be 'random'"):
        RandomErasing(value="noise")
    with pytest.raises(TypeError, match="scale should be a sequence"):
        RandomErasing(scale=0.5)
    with pytest.raises(TypeError, match="ratio should be a sequence"):
        RandomErasing(ratio=(1, 2, 3))
    with pytest.raises(ValueError, match="scale should be between 0 and 1"):
        RandomErasing(scale=(0.5, 1.5))
    with pytest.raises(ValueError, match="ratio should be positive"):
        RandomErasing(ratio=(0, 1))
    with pytest.raises(ValueError, match="p should be"):
        RandomErasing(p=2)
    with pytest.warns(UserWarning, match=r"\(min, max\)"):
        RandomErasing(scale=(0.3, 0.1))
    with pytest.raises(TypeError, match="'random' needs float images, got uint8"):
        RandomErasing(p=1, value="random")(pixels(4, 4))
    with pytest.raises(ValueError, match="one per channel of 3"):
        RandomErasing(p=1, value=(1, 2))(pixels(4, 4, 3))


# -------------------------------------------------------------------- Resize and its like


def test_resize_by_hand():
    row = np.array([[0.0, 4.0, 8.0, 100.0]])
    np.testing.assert_allclose(Resize((1, 2))(row), [[20 / 7, 328 / 7]])  # weights 3 3 1 0, 0 1 3 3
    np.testing.assert_allclose(Resize((1, 2), antialias=False)(row), [[2, 54]])
    np.testing.assert_allclose(Resize((1, 8))(row)[0, :4], [0, 1, 3, 5])
    nearest = Resize((1, 2), InterpolationMode.NEAREST)
    assert nearest(row).tolist() == [[0, 8]]


def test_resize_of_one_side_keeps_proportions_up_to_max_size():
    for size, max_size, expected in (
        (4, None, (4, 9)),
        ([4], None, (4, 9)),
        (4, 6, (2, 6)),
        ((3, 5), None, (3, 5)),
    ):
        resize = Resize(size, max_size=max_size)
        assert resize(pixels(8, 18)).shape == expected
        assert resize(pixels(18, 8)).shape == (expected if size == (3, 5) else expected[::-1])


def test_resize_refuses_bad_arguments():
    for size in ((1, 2, 3), (), 0):
        with pytest.raises(ValueError, match="Resize: size should be"):
            Resize(size)
    for size, max_size in (((4, 5), 6), (4, 4)):
        with pytest.raises(ValueError, match="max_size .* should come with one size"):
            Resize(size, max_size=max_size)
    for transform in (Resize, RandomResizedCrop):
        with pytest.raises(NotImplementedError, match="interpolation 'bicubic' is not supported"):
            transform(4, interpolation="bicubic")
        with pytest.raises(ValueError, match="splines"):
            transform(4, interpolation="splines")


@settings(deadline=None)
@given(
    H=st.integers(1, 40),
    W=st.integers(1, 40),
    low=st.floats(0.01, 0.5),
    high=st.floats(0.5, 1.0),
    ratio=st.tuples(st.floats(0.2, 1), st.floats(1, 5)),
)
def test_random_resized_crop_draws_windows_as_asked(H, W, low, high, ratio):
    transform = RandomResizedCrop(4, (low, high), ratio)
    boxes = transform._boxes(np.zeros((20, H, W, 1)), np.random.default_rng(H))
    for top, left, h, w in boxes.tolist():
        assert 0 < h <= H - top and 0 < w <= W - left and min(top, left) >= 0
        whole = (top, left) == ((H - h) // 2, (W - w) // 2)  # what is taken if nothing fits
        # Rounding moves each side by at most half a pixel.
        assert whole or (h - 0.5) * (w - 0.5) <= high * H * W + 1e-6
        assert whole or (h + 0.5) * (w + 0.5) >= low * H * W - 1e-6
        assert (w - 0.5) <= ratio[1] * (h + 0.5) and (w + 0.5) >= ratio[0] * (h - 0.5)


def test_random_resized_crop_is_a_resized_window():
    image = pixels(9, 7, 3)
    everything = RandomResizedCrop((3, 5), scale=(1, 1), ratio=(7 / 9, 7 / 9))
    np.testing.assert_array_equal(everything(image), Resize((3, 5))(image))
    middle = RandomResizedCrop(4, scale=(1, 1), ratio=(1, 1))  # no such window: the middle
    np.testing.assert_array_equal(middle(image), Resize(4)(image[1:8]))
    with pytest.raises(ValueError, match="RandomResizedCrop: ratio should be positive"):
        RandomResizedCrop(4, ratio=(0, 1))


def test_grayscale_weighs_the_colours():
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]], np.uint8)
    assert Grayscale()(image)[..., 0].tolist() == [[76, 149, 29, 254]]
    assert Grayscale(3)(image).tolist() == [[[76] * 3, [149] * 3, [29] * 3, [254] * 3]]
    np.testing.assert_allclose(Grayscale()(image / 255)[0, 3], 0.9999)
    np.testing.assert_array_equal(Grayscale()(image[..., 0]), image[..., 0])
    assert Grayscale(3)(image[..., 0]).shape == (1, 4, 3)
    with pytest.raises(ValueError, match="num_output_channels should be 1 or 3, got 2"):
        Grayscale(2)
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        Grayscale()(pixels(2, 2, 4))


# -------------------------------------------------------------------- repr


def test_transform_reprs_are_torchvisions():
    bilinear = InterpolationMode.BILINEAR
    for transform, text in (
        (ToTensor(), "ToTensor()"),
        (Normalize((0.5,), (0.25,)), "Normalize(mean=(0.5,), std=(0.25,))"),
        (RandomCrop(32, padding=4), "RandomCrop(size=(32, 32), padding=4)"),
        (RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
        (RandomVerticalFlip(), "RandomVerticalFlip(p=0.5)"),
        (CenterCrop(8), "CenterCrop(size=(8, 8))"),
        (Pad(2), "Pad(padding=2, fill=0, padding_mode=constant)"),
        (Grayscale(), "Grayscale(num_output_channels=1)"),
        (Lambda(abs), "Lambda()"),
        (RandomApply([Lambda(abs)]), "RandomApply(\n    p=0.5\n    Lambda()\n)"),
        (Resize(8), "Resize(size=8, interpolation=bilinear, max_size=None, antialias=True)"),
        (
            RandomResizedCrop(8),
            "RandomResizedCrop(size=(8, 8), scale=(0.08, 1.0), ratio=(0.75, 1.3333), "
            "interpolation=bilinear, antialias=True)",
        ),
        (
            RandomErasing(),
            "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False)",
        ),
        (
            RandomRotation(10),
            "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)",
        ),
        (RandomAffine(0), "RandomAffine(degrees=[-0.0, 0.0])"),
        (
            RandomAffine(5, (0.1, 0.2), (0.9, 1.1), 3, bilinear, 7, (1, 2)),
            "RandomAffine(degrees=[-5.0, 5.0], translate=(0.1, 0.2), scale=(0.9, 1.1), "
            "shear=[-3.0, 3.0], interpolation=bilinear, fill=7, center=[1.0, 2.0])",
        ),
    ):
        assert repr(transform) == text
    composed = Compose([ToTensor(), RandomHorizontalFlip()])
    assert repr(composed) == "Compose(\n    ToTensor()\n    RandomHorizontalFlip(p=0.5)\n)"
