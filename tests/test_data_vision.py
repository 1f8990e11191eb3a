"""Readers and image datasets: small files made here, hostile ones, and the real ones if there."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from tinyvision.data import (
    CIFAR10,
    CIFAR100,
    KMNIST,
    MNIST,
    Digits,
    FashionMNIST,
    Grayscale,
    Subset,
    ToTensor,
    random_split,
)
from tinyvision.data.readers import read_cifar_batch, read_idx_images, read_idx_labels
from tinyvision.data.vision import VisionDataset
from tinyvision.random import Generator


def pixels(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def idx(array, dtype_byte=8, shape=None):
    shape = array.shape if shape is None else shape
    header = bytes([0, 0, dtype_byte, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    return header + array.tobytes()


def write_mnist(folder, split="train", count=6, seed=0, zipped=True):
    """Two IDX files; returns their arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    images = pixels(count, 28, 28, seed=seed)
    labels = np.arange(count, dtype=np.uint8) % 10
    for name, array in (("images-idx3", images), ("labels-idx1", labels)):
        path = folder / f"{split}-{name}-ubyte{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(idx(array)) if zipped else idx(array))
    return images, labels


def write_cifar(folder, count=3):
    folder.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate([f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]):
        records = pixels(count, 3073, seed=i)
        records[:, 0] = i
        (folder / f"{name}.bin").write_bytes(records.tobytes())


# -------------------------------------------------------------------- IDX


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_reads_what_was_written(tmp_path, zipped):
    images, labels = write_mnist(tmp_path, zipped=zipped)
    suffix = ".gz" if zipped else ""
    found = read_idx_images(tmp_path / f"train-images-idx3-ubyte{suffix}", 28, 28)
    np.testing.assert_array_equal(found, images)
    found = read_idx_labels(tmp_path / f"train-labels-idx1-ubyte{suffix}", 10)
    np.testing.assert_array_equal(found, labels)
    assert found.dtype == np.int64


IMAGES = pixels(4, 28, 28)
GOOD = idx(IMAGES)
BAD_IDX = {
    "empty": (b"", "truncated"),
    "short header": (GOOD[:15], "truncated"),
    "cut content": (GOOD[:-1], "announces 3136 bytes, but it is truncated"),
    "extra content": (GOOD + b"x", "longer than that"),
    "labels instead": (idx(np.zeros(100, np.uint8)), "not an IDX file of uint8 with 3 dim"),
    "floats": (idx(IMAGES, dtype_byte=13), "starts with 00000d03, expected 00000803"),
    "text": (b"<html>404 not found</html>", "not an IDX file"),
    "other size": (idx(pixels(4, 27, 28)), "28 x 28 pixels, the header says 27 x 28"),
    "no images": (idx(np.zeros((0, 28, 28), np.uint8)), "which cannot be"),
    "huge count": (idx(IMAGES, shape=(2**32 - 1, 28, 28)), "which cannot be"),
    "huge product": (idx(IMAGES, shape=(60000, 2**31, 2**31)), "which cannot be"),
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("case", BAD_IDX)
def test_idx_refuses_bad_content_naming_the_file(tmp_path, case, zipped):
    content, message = BAD_IDX[case]
    path = tmp_path / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(content) if zipped else content)
    with pytest.raises(RuntimeError, match=message) as caught:
        read_idx_images(path, 28, 28)
    assert str(path) in str(caught.value)


def test_idx_refuses_damaged_archives(tmp_path):
    path = tmp_path / "images.gz"
    whole = gzip.compress(GOOD)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    wrong_checksum = whole[:-8] + bytes([whole[-8] ^ 1]) + whole[-7:]
    for content in (whole[:-9], whole[:5], GOOD, bytes(flipped), wrong_checksum):
        path.write_bytes(content)
        with pytest.raises(RuntimeError, match="images.gz"):
            read_idx_images(path, 28, 28)


def test_idx_does_not_unpack_a_bomb(tmp_path, monkeypatch):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(GOOD + bytes(30_000_000)))
    unpacked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, n=-1: unpacked.append(read(self, n)) or unpacked[-1]
    )
    with pytest.raises(RuntimeError, match="longer than that"):
        read_idx_images(path, 28, 28)
    assert sum(map(len, unpacked)) == len(GOOD) + 1


def test_idx_labels_refuses_classes_out_of_range(tmp_path):
    path = tmp_path / "labels"
    path.write_bytes(idx(np.array([3, 10, 1], np.uint8)))
    with pytest.raises(RuntimeError, match="labels should be below 10, but one is 10"):
        read_idx_labels(path, 10)


def test_idx_missing_file_and_directory_are_runtime_errors(tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(RuntimeError, match="cannot be read"):
            read_idx_labels(path, 10)


# -------------------------------------------------------------------- CIFAR-10 binary


def test_cifar_batch_moves_colour_planes_last(tmp_path):
    record = bytes([7]) + bytes([1] * 1024) + bytes([2] * 1024) + bytes(range(256)) * 4
    (tmp_path / "batch").write_bytes(record * 2)
    images, labels = read_cifar_batch(tmp_path / "batch")
    assert images.shape == (2, 32, 32, 3) and labels.tolist() == [7, 7]
    assert images[1, 0, 5].tolist() == [1, 2, 5]
    assert images[1, 1, 0].tolist() == [1, 2, 32]


@pytest.mark.parametrize("length", [0, 1, 3072, 3074, 2 * 3073 - 1])
def test_cifar_batch_refuses_other_lengths(tmp_path, length):
    path = tmp_path / "data_batch_1.bin"
    path.write_bytes(bytes(length))
    with pytest.raises(RuntimeError, match=f"data_batch_1.bin.*has {length} bytes"):
        read_cifar_batch(path)


def test_cifar_batch_refuses_labels_and_giants(tmp_path, monkeypatch):
    path = tmp_path / "batch"
    path.write_bytes(b"\x0a" + bytes(3072))
    with pytest.raises(RuntimeError, match="labels should be below 10"):
        read_cifar_batch(path)
    monkeypatch.setattr("tinyvision.data.readers.MAX_IMAGES", 2)
    path.write_bytes(bytes(3 * 3073))
    with pytest.raises(RuntimeError, match="from 1 to 2, but the file has 9219"):
        read_cifar_batch(path)


# -------------------------------------------------------------------- datasets on made-up files


@pytest.mark.parametrize("folder", [".", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("zipped", [True, False])
def test_mnist_is_found_in_its_folders(tmp_path, folder, zipped):
    images, labels = write_mnist(tmp_path / folder, zipped=zipped)
    test_images, _ = write_mnist(tmp_path / folder, "t10k", count=3, seed=1, zipped=zipped)
    train = MNIST(tmp_path)
    assert len(train) == 6 and train.classes[3] == "3 - three"
    np.testing.assert_array_equal(train.data, images)
    np.testing.assert_array_equal(train.targets, labels)
    assert train.targets.dtype == np.int64
    np.testing.assert_array_equal(MNIST(str(tmp_path), train=False).data, test_images)


def test_mnist_sample_is_image_and_int(tmp_path):
    images, _ = write_mnist(tmp_path)
    image, label = MNIST(tmp_path)[4]
    np.testing.assert_array_equal(image, images[4])
    assert type(label) is int and label == 4
    dataset = MNIST(tmp_path, transform=ToTensor(), target_transform=lambda label: -label)
    image, label = dataset[4]
    assert image.shape == (1, 28, 28) and label == -4


def test_fashion_mnist_prefers_its_own_folder(tmp_path):
    write_mnist(tmp_path, seed=1)
    write_mnist(tmp_path / "mnist", seed=2)
    images, _ = write_mnist(tmp_path / "fashion_mnist", seed=3)
    fashion = FashionMNIST(tmp_path)
    np.testing.assert_array_equal(fashion.data, images)
    assert fashion.classes[9] == "Ankle boot" and fashion.class_to_idx["Bag"] == 8


def test_mnist_reads_the_environment_variable(tmp_path, monkeypatch):
    images, _ = write_mnist(tmp_path / "mnist")
    monkeypatch.setenv("TINYVISION_DATA", str(tmp_path))
    np.testing.assert_array_equal(MNIST().data, images)
    monkeypatch.delenv("TINYVISION_DATA")
    with pytest.raises(RuntimeError, match="no directory given.*TINYVISION_DATA"):
        MNIST()


def test_kmnist_has_its_own_folder_and_classes(tmp_path):
    write_mnist(tmp_path / "mnist", seed=1)
    images, _ = write_mnist(tmp_path / "KMNIST" / "raw", seed=2)
    characters = KMNIST(tmp_path)
    np.testing.assert_array_equal(characters.data, images)
    assert characters.class_to_idx["wo"] == 9


@pytest.mark.parametrize("dataset", [MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100])
def test_dataset_not_found_says_what_to_do(tmp_path, dataset):
    with pytest.raises(RuntimeError, match="dataset not found. You can use download=True") as e:
        dataset(tmp_path)
    assert str(tmp_path) in str(e.value)
    files = {CIFAR10: "data_batch_5.bin", CIFAR100: "train.bin"}
    assert files.get(dataset, "train-labels-idx1-ubyte") in str(e.value)


def test_mnist_refuses_images_and_labels_of_different_length(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(np.zeros(5, np.uint8))))
    with pytest.raises(RuntimeError, match="MNIST: 6 images, but 5 labels"):
        MNIST(tmp_path)


@pytest.mark.parametrize("folder", [".", "cifar-10-batches-bin"])
def test_cifar10_joins_its_batches(tmp_path, folder):
    write_cifar(tmp_path / folder)
    train, test = CIFAR10(tmp_path), CIFAR10(tmp_path, train=False)
    assert train.data.shape == (15, 32, 32, 3) and train.data.dtype == np.uint8
    assert train.targets.tolist() == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3
    assert test.targets.tolist() == [5] * 3 and train.classes[9] == "truck"


@pytest.mark.parametrize("folder", [".", "cifar-100-binary"])
def test_cifar100_reads_the_fine_labels(tmp_path, folder):
    records = pixels(4, 3074)
    records[:, :2] = [[0, 7], [19, 99], [3, 0], [4, 50]]
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "train.bin").write_bytes(records.tobytes())
    (tmp_path / folder / "test.bin").write_bytes(records[:1].tobytes())
    train = CIFAR100(tmp_path)
    assert train.targets.tolist() == [7, 99, 0, 50] and len(CIFAR100(tmp_path, train=False)) == 1
    np.testing.assert_array_equal(train.data[1, 0, 5], records[1, 2 + 5 :: 1024])
    assert len(train.classes) == 100 and train.classes == sorted(set(train.classes))
    assert train.class_to_idx["worm"] == 99 and train.class_to_idx["orange"] == 53
    records[0, 1] = 100
    (tmp_path / folder / "train.bin").write_bytes(records.tobytes())
    with pytest.raises(RuntimeError, match="train.bin: labels should be below 100"):
        CIFAR100(tmp_path)


def test_cifar10_names_the_file_that_is_damaged(tmp_path):
    write_cifar(tmp_path)
    (tmp_path / "data_batch_4.bin").write_bytes(bytes(100))
    with pytest.raises(RuntimeError, match="data_batch_4.bin"):
        CIFAR10(tmp_path)
    (tmp_path / "data_batch_4.bin").unlink()
    with pytest.raises(RuntimeError, match="not found"):
        CIFAR10(tmp_path)


def test_dataset_repr_names_split_and_transform(tmp_path):
    write_mnist(tmp_path)
    assert repr(MNIST(tmp_path, transform=ToTensor())) == (
        "Dataset MNIST\n    Number of datapoints: 6\n    transform: ToTensor()"
    )


# -------------------------------------------------------------------- Digits


def test_digits_splits_are_disjoint_whole_and_stratified():
    train, test = Digits(train=True), Digits(train=False)
    assert len(train) == 1438 and len(test) == 359
    assert train.data.shape == (1438, 8, 8) and train.data.dtype == np.uint8
    assert train.data.max() == 255 and train.targets.dtype == np.int64
    share = np.bincount(test.targets) / np.bincount(np.r_[train.targets, test.targets])
    assert share.min() > 0.19 and share.max() < 0.21
    # All 1,797 images are distinct, so the two parts share none.
    assert len({image.tobytes() for image in np.concatenate([train.data, test.data])}) == 1797


def test_digits_is_the_published_data():
    train, test = Digits(train=True), Digits(train=False)
    counts = np.bincount(np.r_[train.targets, test.targets])
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    published = [0, 0, 5, 13, 9, 1, 0, 0]
    assert train.data[0, 0].tolist() == [v * 255 // 16 for v in published] and train.targets[0] == 0


def test_digits_documented_normalisation_is_right():
    scaled = Digits(train=True).data / 255
    assert scaled.mean() == pytest.approx(0.304, abs=5e-4)
    assert scaled.std() == pytest.approx(0.376, abs=5e-4)


def test_vision_dataset_batches_go_through_subsets():
    dataset = Digits(train=False, transform=ToTensor())
    part, _ = random_split(dataset, [100, 259], Generator().manual_seed(0))
    images, labels = Subset(part, range(50)).get_batch([7, 7, 3])
    expected = dataset.data[[part.indices[i] for i in (7, 7, 3)]] / np.float32(255)
    np.testing.assert_allclose(images.numpy()[:, 0], expected)
    assert labels.tolist() == [int(dataset.targets[part.indices[i]]) for i in (7, 7, 3)]


def test_vision_dataset_batches_of_grey_images_may_get_colours():
    dataset = Digits(train=False, transform=Grayscale(3))
    images, _ = dataset.get_batch([2, 5])
    np.testing.assert_array_equal(images.numpy(), np.stack([dataset[i][0] for i in (2, 5)]))
    assert images.shape == (2, 8, 8, 3)


def test_vision_dataset_refuses_different_lengths():
    with pytest.raises(RuntimeError, match="VisionDataset: 3 images, but 2 labels"):
        VisionDataset(np.zeros((3, 2, 2), np.uint8), np.zeros(2, np.int64))


# -------------------------------------------------------------------- the real data


def real(dataset, **kwargs):
    if "TINYVISION_DATA" not in os.environ:
        pytest.skip("TINYVISION_DATA is not set")
    root = Path(os.environ["TINYVISION_DATA"])
    try:
        return dataset(root, **kwargs)
    except RuntimeError as error:
        if "not found" not in str(error):
            raise
        pytest.skip(f"no {dataset.__name__} in TINYVISION_DATA")


@pytest.mark.realdata
def test_real_mnist_has_the_known_size_and_mean():
    train, test = real(MNIST), real(MNIST, train=False)
    assert train.data.shape == (60000, 28, 28) and test.data.shape == (10000, 28, 28)
    assert train.data.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert np.bincount(train.targets).tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949)
    ]
    assert train.targets[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.realdata
def test_real_cifar10_has_the_known_size_and_mean():
    train, test = real(CIFAR10), real(CIFAR10, train=False)
    assert train.data.shape == (50000, 32, 32, 3) and test.data.shape == (10000, 32, 32, 3)
    assert np.bincount(train.targets).tolist() == [5000] * 10
    assert np.bincount(test.targets).tolist() == [1000] * 10
    mean = train.data.mean(axis=(0, 1, 2)) / 255
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)
