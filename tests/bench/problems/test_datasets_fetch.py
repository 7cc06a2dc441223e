import gzip
import hashlib
import socket
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from idx_files import DEBIAN, is_here, isolate, publish_mnist, write_part

from bench.errors import DataError
from bench.problems.datasets import fetch as fetch_module
from bench.problems.datasets import load_dataset
from bench.problems.datasets.fetch import fetch
from bench.problems.datasets.loaders import mnist
from bench.problems.datasets.locations import find


class Server:
    """Serves ``files`` on 127.0.0.1; a file in ``cut`` breaks off half way."""

    def __init__(self, files):
        self.files = files
        self.cut = set()
        self.asked = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2]
                outer.asked.append(name)
                if name not in outer.files:
                    self.send_error(404)
                    return
                body = outer.files[name]
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if name in outer.cut else body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # so that close() waits for them
        self.address = f"http://127.0.0.1:{self._server.server_port}/mnist/"
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The four files of a tiny MNIST, served under the hashes they are pinned to."""
    origin = tmp_path / "origin"
    write_part(origin, "train", 6)
    write_part(origin, "t10k", 3)
    files = {name: (origin / name).read_bytes() for name in mnist.MNIST.remote.md5}
    server = Server(files)
    md5 = {name: hashlib.md5(body).hexdigest() for name, body in files.items()}
    publish_mnist(monkeypatch, server.address, md5)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.close()


@pytest.fixture
def roots(monkeypatch, tmp_path):
    return isolate(monkeypatch, tmp_path)


def refusal(data_dir):
    with pytest.raises(DataError) as caught:
        fetch("mnist", data_dir)
    return str(caught.value)


def test_files_go_to_the_cache_and_are_found_there(server, roots):
    paths = fetch("mnist")

    assert [path.name for path in paths] == list(server.files)
    assert {path.parent for path in paths} == {roots["cache"] / "mnist"}
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(server.files)
    assert all(path.read_bytes() == server.files[path.name] for path in paths)
    assert len(load_dataset("mnist").targets) == 6


def test_data_dir_is_made_and_loads(server, roots, tmp_path):
    data_dir = tmp_path / "new" / "data"
    assert fetch("mnist", data_dir)[0].parent == data_dir / "mnist"
    assert len(load_dataset("mnist", data_dir).targets) == 6
    assert not roots["cache"].exists()


def test_whole_files_are_not_fetched_again_but_damaged_ones_are(server, tmp_path):
    fetch("mnist", tmp_path)
    damaged = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(b"damaged")
    server.asked.clear()

    fetch("mnist", tmp_path)

    assert server.asked == ["train-labels-idx1-ubyte.gz"]
    assert damaged.read_bytes() == server.files[damaged.name]


def test_wrong_hash_is_refused_and_nothing_is_left(server, tmp_path):
    right = mnist.MNIST.remote.md5["train-images-idx3-ubyte.gz"]
    server.files["train-images-idx3-ubyte.gz"] = gzip.compress(b"something else")
    message = refusal(tmp_path)
    url = f"{server.address}train-images-idx3-ubyte.gz"
    assert message.startswith(f"expected {url} with MD5 {right}; ")
    assert "put the right file into" in message
    assert list((tmp_path / "mnist").iterdir()) == []


def test_broken_download_leaves_only_whole_files(server, tmp_path):
    server.cut.add("train-labels-idx1-ubyte.gz")
    message = refusal(tmp_path)
    assert f"expected to download {server.address}train-labels-idx1-ubyte.gz into" in message
    assert [path.name for path in (tmp_path / "mnist").iterdir()] == ["train-images-idx3-ubyte.gz"]


def test_failed_update_keeps_the_file_that_was_there(server, tmp_path):
    fetch("mnist", tmp_path)
    kept = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    kept.write_bytes(b"the user's own")
    server.cut.add(kept.name)
    refusal(tmp_path)
    assert kept.read_bytes() == b"the user's own"
    assert len(list(kept.parent.iterdir())) == 4


def test_absent_file_is_reported(server, tmp_path):
    del server.files["train-images-idx3-ubyte.gz"]
    assert "404" in refusal(tmp_path)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_server_that_is_gone_is_reported(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    publish_mnist(monkeypatch, address, mnist.MNIST.remote.md5)
    message = refusal(tmp_path)
    assert f"expected to download {address}train-images-idx3-ubyte.gz into" in message
    assert "check the network" in message
    assert list((tmp_path / "mnist").iterdir()) == []


@pytest.mark.timeout(10)  # our time limit, not the 30 s of the library
def test_silent_server_times_out(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch_module, "_TIMEOUT_S", 0.2)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        publish_mnist(monkeypatch, address, mnist.MNIST.remote.md5)
        assert "timed out" in refusal(tmp_path)


def test_server_that_sends_too_much_is_cut_off(server, tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_module, "_MAX_BYTES", 100)
    url = f"{server.address}train-images-idx3-ubyte.gz"
    assert f"expected at most 100 bytes from {url}; the server sends more" in refusal(tmp_path)
    assert list((tmp_path / "mnist").iterdir()) == []


def test_folder_that_cannot_be_made_is_reported(server, tmp_path):
    (tmp_path / "mnist").write_text("a file where the folder should be")
    assert "expected to download" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["digits", "auto"])
def test_bundled_data_need_no_download(name):
    with pytest.raises(
        DataError, match="one of exchange_rate, fashion-mnist, mnist; got 'digits', which needs"
    ):
        fetch(name)


def test_without_pooch_the_message_names_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert "pip install pooch, or put https://ossci-datasets" in refusal(tmp_path)
    with pytest.raises(DataError, match=r"is missing .*: give --data-dir"):
        fetch("mnist")


@pytest.mark.skipif(not is_here("mnist"), reason="MNIST is nowhere here")
def test_pinned_hashes_are_those_of_the_real_files():
    files = sorted(find(mnist.MNIST.files, None).folder.glob("*.gz"))
    assert files
    for file in files:
        assert hashlib.md5(file.read_bytes()).hexdigest() == mnist.MNIST.remote.md5[file.name]


@pytest.mark.skipif(
    not (DEBIAN / "fashion-mnist").is_dir(), reason="Debian's dataset-fashion-mnist is not here"
)
@pytest.mark.parametrize(("part", "packed_at"), [("train", 1504176606), ("t10k", 1504176627)])
@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_pinned_hashes_are_those_of_debians_files_as_first_packed(part, packed_at, kind):
    # Debian keeps the official deflate streams but drops name and time (gzip -n): put both back.
    name = f"{part}-{kind}-ubyte"
    stream = (DEBIAN / "fashion-mnist" / f"{name}.gz").read_bytes()[10:]
    start = b"\x1f\x8b\x08\x08" + struct.pack("<I", packed_at) + b"\0\x03" + name.encode() + b"\0"
    md5 = hashlib.md5(start + stream).hexdigest()
    assert md5 == mnist.FASHION_MNIST.remote.md5[f"{name}.gz"]
