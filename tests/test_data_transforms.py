"""Transforms: hand-computed cases, one image against a batch, errors and reprs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyvision.creation import from_numpy
from tinyvision.data import (
    Compose,
    InterpolationMode,
    Normalize,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomRotation,
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
]


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


@pytest.mark.parametrize("transform", RANDOM_TRANSFORMS, ids=repr)
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
    grey = drawn(transform, batch[0, :, :, 0])
    np.testing.assert_array_equal(grey, drawn(transform, batch[0, :, :, :1])[..., 0])


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


def test_compose_applies_in_order():
    assert Compose([lambda x: x + 1, lambda x: x * 10])(2) == 30


# -------------------------------------------------------------------- RandomCrop


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


# -------------------------------------------------------------------- RandomHorizontalFlip


def test_random_flip_always_never_and_half_the_time():
    image = pixels(3, 4, 3)
    np.testing.assert_array_equal(RandomHorizontalFlip(1)(image), image[:, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0)(image), image)
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


# -------------------------------------------------------------------- repr


def test_transform_reprs_are_torchvisions():
    bilinear = InterpolationMode.BILINEAR
    for transform, text in (
        (ToTensor(), "ToTensor()"),
        (Normalize((0.5,), (0.25,)), "Normalize(mean=(0.5,), std=(0.25,))"),
        (RandomCrop(32, padding=4), "RandomCrop(size=(32, 32), padding=4)"),
        (RandomHorizontalFlip(), "RandomHorizontalFlip(p=0.5)"),
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
