"""Downloads from a server on this machine that misbehaves in every way it is told to."""

import gzip
import hashlib
import http.server
import threading

import numpy as np
import pytest

from tests.test_data_tar import files_in, tar_of
from tinyvision.data import CIFAR10, CIFAR100, KMNIST, MNIST, FashionMNIST
from tinyvision.data.download import RemoteFile, fetch

CONTENT = np.random.default_rng(0).bytes(1_000_000)
OTHER = np.random.default_rng(1).bytes(1_000_000)


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.answers`, path -> function(handler); notes the Range of every request."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer(self)

    def start(self):
        """The first byte asked for."""
        wanted = self.headers.get("Range")
        return 0 if wanted is None else int(wanted.removeprefix("bytes=").removesuffix("-"))

    def send(self, status, body, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False  # so that closing waits for them
        server.answers, server.asked = {}, []
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def remote(server, content=CONTENT, *mirrors):
    return RemoteFile(
        "file.bin",
        tuple(server.url + mirror for mirror in mirrors or ("a/",)),
        len(content),
        hashlib.sha256(content).hexdigest(),
    )


def ranged(content):
    """A server that can resume."""

    def answer(handler):
        start = handler.start()
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send(206 if start else 200, content[start:], Content_Range=span)

    return answer


def plain(content):
    """A server that ignores Range."""
    return lambda handler: handler.send(200, content)


def dropping(content, *lengths):
    """A server that can resume, but hangs up after these many bytes, one number per request."""
    remaining = list(lengths)

    def answer(handler):
        start = handler.start()
        body = content[start:]
        sent = body[: remaining.pop(0)] if remaining else body
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.send(206 if start else 200, sent, length=len(body), Content_Range=span)

    return answer


def assert_fails(file, folder, *messages, leaves=()):
    with pytest.raises(RuntimeError, match="could not download file.bin") as caught:
        fetch(file, folder, timeout=5)
    for message in (*messages, str(folder), file.sha256, *file.mirrors):
        assert message in str(caught.value)
    assert files_in(folder) == sorted(leaves)


# -------------------------------------------------------------------- what works


def test_download_fetches_checks_and_keeps_a_file(server, tmp_path):
    server.answers["/a/file.bin"] = plain(CONTENT)
    folder = tmp_path / "new" / "folder"
    path = fetch(remote(server), folder)
    assert path == folder / "file.bin" and path.read_bytes() == CONTENT
    assert files_in(folder) == ["file.bin"]
    assert fetch(remote(server), folder) == path
    assert len(server.asked) == 1  # the second time it was there


def test_download_replaces_a_file_with_other_content(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(OTHER)
    server.answers["/a/file.bin"] = plain(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


def test_download_goes_on_to_the_next_mirror(server, tmp_path):
    server.answers["/a/file.bin"] = plain(OTHER)
    server.answers["/c/file.bin"] = plain(CONTENT)
    file = remote(server, CONTENT, "a/", "b/", "c/")
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/a/file.bin", "/b/file.bin", "/c/file.bin"]


def test_download_resumes_after_a_drop(server, tmp_path):
    server.answers["/a/file.bin"] = dropping(CONTENT, 300_000, 100_000)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert [r for _, r in server.asked] == [None, "bytes=300000-", "bytes=400000-"]
    assert files_in(tmp_path) == ["file.bin"]


def test_download_resumes_what_an_earlier_run_left(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:700_000])
    server.answers["/a/file.bin"] = ranged(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a/file.bin", "bytes=700000-")]


def test_download_takes_a_complete_part_without_asking(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == []


def test_download_starts_over_where_range_is_ignored(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(OTHER[:700_000])
    server.answers["/a/file.bin"] = plain(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a/file.bin", "bytes=700000-")]


@pytest.mark.parametrize("part", [OTHER[:700_000], OTHER, OTHER + b"x"])
def test_download_starts_over_after_a_wrong_part(server, tmp_path, part):
    (tmp_path / "file.bin.part").write_bytes(part)
    server.answers["/a/file.bin"] = ranged(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a/file.bin", None)


def test_download_starts_over_after_416(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(OTHER[:700_000])

    def answer(handler):
        if handler.start():
            handler.send(416, b"")
        else:
            handler.send(200, CONTENT)

    server.answers["/a/file.bin"] = answer
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


def test_download_starts_over_after_another_range_than_asked(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:700_000])

    def answer(handler):
        if handler.start():
            handler.send(206, CONTENT[5:], Content_Range="bytes 5-999999/1000000")
        else:
            handler.send(200, CONTENT)

    server.answers["/a/file.bin"] = answer
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT


# -------------------------------------------------------------------- what must not


def test_download_refuses_a_range_it_did_not_ask_for(server, tmp_path):
    (tmp_path / "file.bin.part").write_bytes(CONTENT[:700_000])
    server.answers["/a/file.bin"] = lambda handler: handler.send(
        206, CONTENT[5:], Content_Range="bytes 5-999999/1000000"
    )
    assert_fails(remote(server), tmp_path, "asked for bytes from 0, got Content-Range 'bytes 5-")


def test_download_refuses_wrong_content(server, tmp_path):
    server.answers["/a/file.bin"] = plain(OTHER)
    wrong = hashlib.sha256(OTHER).hexdigest()
    assert_fails(remote(server), tmp_path, f"has sha256 {wrong}, expected")
    assert len(server.asked) == 1


def test_download_refuses_a_short_file(server, tmp_path):
    server.answers["/a/file.bin"] = plain(CONTENT[:-1])
    # Short, it looks like a break; asked for the rest, this server sends the same again.
    assert_fails(
        remote(server), tmp_path, "broke off after 999999 of 1000000", leaves=["file.bin.part"]
    )


def test_download_refuses_an_announced_giant_unread(server, tmp_path):
    server.answers["/a/file.bin"] = lambda handler: handler.send(200, b"x", length=10**15)
    assert_fails(remote(server), tmp_path, f"announces {10**15} bytes, expected 1000000")


def test_download_refuses_an_unannounced_giant_as_soon_as_it_shows(server, tmp_path):
    sent = []

    def answer(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(1000):
                sent.append(handler.wfile.write(CONTENT[:100_000]))
        except OSError:
            pass

    server.answers["/a/file.bin"] = answer
    assert_fails(remote(server), tmp_path, "sends more than the 1000000 bytes expected")
    assert sum(sent) < 50_000_000


def test_download_gives_a_server_up_that_makes_no_progress(server, tmp_path):
    server.answers["/a/file.bin"] = dropping(CONTENT, 300_000, *[0] * 100)
    assert_fails(remote(server), tmp_path, "broke off", leaves=["file.bin.part"])
    assert len(server.asked) == 2
    server.answers["/a/file.bin"] = ranged(CONTENT)
    assert fetch(remote(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a/file.bin", "bytes=300000-")


def test_download_gives_up_on_wrong_content_in_pieces(server, tmp_path):
    server.answers["/a/file.bin"] = dropping(OTHER, *[250_000] * 100)
    assert_fails(remote(server), tmp_path, "broke off", leaves=["file.bin.part"])
    assert len(server.asked) <= 6


def test_download_gives_a_silent_server_up(server, tmp_path):
    released = threading.Event()
    server.answers["/a/file.bin"] = lambda handler: released.wait(10)
    try:
        with pytest.raises(RuntimeError, match="timed out"):
            fetch(remote(server), tmp_path, timeout=0.1)
    finally:
        released.set()


def test_download_lists_every_mirror_and_its_reason(server, tmp_path):
    server.answers["/b/file.bin"] = lambda handler: handler.send(503, b"later")
    closed = "http://127.0.0.1:9/"  # the discard port: nobody listens
    file = remote(server, CONTENT, "a/", "b/")
    file = RemoteFile(file.name, (*file.mirrors, closed), file.size, file.sha256)
    assert_fails(file, tmp_path, "HTTP Error 404", "HTTP Error 503", "refused", "by hand")


def test_download_keeps_the_old_file_when_it_fails(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(OTHER)
    assert_fails(remote(server), tmp_path, "404", leaves=["file.bin"])
    assert (tmp_path / "file.bin").read_bytes() == OTHER


def test_download_names_a_folder_that_cannot_be(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RuntimeError, match="cannot create .*file.sub"):
        fetch(remote(server), tmp_path / "file" / "sub")


# -------------------------------------------------------------------- datasets that download


def test_mnist_downloads_only_the_split_it_lacks(server, tmp_path, monkeypatch):
    contents = {
        "t10k-images-idx3-ubyte": b"\0\0\x08\x03" + bytes([0, 0, 0, 1, 0, 0, 0, 28, 0, 0, 0, 28]),
        "t10k-labels-idx1-ubyte": b"\0\0\x08\x01" + bytes([0, 0, 0, 1, 7]),
    }
    contents["t10k-images-idx3-ubyte"] += bytes(784)
    files = {}
    for name, content in contents.items():
        packed = gzip.compress(content)
        server.answers[f"/{name}.gz"] = plain(packed)
        digest = hashlib.sha256(packed).hexdigest()
        files[name] = RemoteFile(f"{name}.gz", (server.url,), len(packed), digest)
    monkeypatch.setattr(MNIST, "remote", files)
    dataset = MNIST(tmp_path, train=False, download=True)
    assert len(dataset) == 1 and dataset[0][1] == 7
    assert files_in(tmp_path / "mnist") == [f"{name}.gz" for name in sorted(contents)]
    assert len(server.asked) == 2
    assert len(MNIST(tmp_path, train=False, download=True)) == 1
    assert len(server.asked) == 2  # found, so not asked again


@pytest.mark.parametrize(
    ("dataset", "folder", "train", "test", "label_bytes"),
    [
        (
            CIFAR10,
            "cifar-10-batches-bin",
            [f"data_batch_{i}" for i in range(1, 6)],
            "test_batch",
            1,
        ),
        (CIFAR100, "cifar-100-binary", ["train"], "test", 2),
    ],
)
def test_cifar_downloads_and_unpacks(
    server, tmp_path, monkeypatch, dataset, folder, train, test, label_bytes
):
    monkeypatch.setattr(dataset, "train_files", dict.fromkeys(dataset.train_files, 2))
    monkeypatch.setattr(dataset, "test_files", dict.fromkeys(dataset.test_files, 2))
    content = bytes(2 * (label_bytes + 3072))
    members = [(f"{folder}/{name}.bin", content) for name in [*train, test]]
    packed = tar_of(tmp_path / "packed", *members).read_bytes()
    server.answers["/cifar.tar.gz"] = dropping(packed, 100)
    digest = hashlib.sha256(packed).hexdigest()
    monkeypatch.setattr(
        dataset, "remote", RemoteFile("cifar.tar.gz", (server.url,), len(packed), digest)
    )
    root = tmp_path / "root"
    assert len(dataset(root, download=True)) == 2 * len(train)
    assert files_in(root) == [folder]  # the archive is gone
    assert len(dataset(root, train=False)) == 2


def test_published_checksums_have_the_right_form():
    idx = [file for d in (MNIST, FashionMNIST, KMNIST) for file in d.remote.values()]
    assert len({file.sha256 for file in idx}) == 12
    for file in (*idx, CIFAR10.remote, CIFAR100.remote):
        assert len(bytes.fromhex(file.sha256)) == 32
        assert all(url.startswith("http") and url.endswith("/") for url in file.mirrors)
