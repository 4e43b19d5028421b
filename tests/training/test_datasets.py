"""The loader: where it looks, and what it does with a server that misbehaves."""

import gzip
import hashlib
import http.server
import threading

import pytest

from training import datasets
from training.datasets import SourceFile, fetch
from training.errors import DataError

CONTENT = bytes(range(256)) * 2000
FILE = SourceFile("run.csv", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())


class Handler(http.server.BaseHTTPRequestHandler):
    served = CONTENT
    ranges = True
    asked: list = []

    def do_GET(self):
        start = 0
        wanted = self.headers.get("Range")
        self.asked.append(wanted)
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        self.end_headers()
        self.wfile.write(self.served[start:])

    def log_message(self, *args):
        pass


@pytest.fixture
def origin():
    handler = type("Fresh", (Handler,), {"asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/run.csv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_once(origin, tmp_path):
    handler, url = origin
    target = tmp_path / "sub" / "run.csv"
    assert fetch(url, target, FILE).read_bytes() == CONTENT
    fetch(url, target, FILE)
    assert handler.asked == [None]


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_is_resumed_or_begun_anew(origin, tmp_path, ranges):
    handler, url = origin
    handler.ranges = ranges
    (tmp_path / "run.csv.part").write_bytes(CONTENT[:70_000])
    assert fetch(url, tmp_path / "run.csv", FILE).read_bytes() == CONTENT
    assert handler.asked == ["bytes=70000-"]


@pytest.mark.parametrize(
    "served", [CONTENT + b"x", CONTENT[:-1], CONTENT[:-1] + b"x", b""], ids=range(4)
)
def test_other_bytes_are_refused_and_not_kept(origin, tmp_path, served):
    handler, url = origin
    handler.served = served
    with pytest.raises(DataError, match=url):
        fetch(url, tmp_path / "run.csv", FILE)
    assert not (tmp_path / "run.csv").exists()


def test_without_a_network_the_message_says_what_to_do(tmp_path):
    with pytest.raises(DataError, match="FANWISE_DATA"):
        fetch("http://127.0.0.1:1/run.csv", tmp_path / "run.csv", FILE)


def test_files_are_found_plain_or_gzipped_in_the_named_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FANWISE_DATA", str(tmp_path))
    monkeypatch.setattr(datasets, "folders", lambda: [tmp_path])
    source = datasets.sources()["heater"]
    assert datasets.find("heater") is None
    (tmp_path / source.folder).mkdir(parents=True)
    for number, file in enumerate(source.files):
        packed = number % 2
        path = tmp_path / source.folder / (file.name + ".gz" * packed)
        path.write_bytes(gzip.compress(b"x") if packed else b"x")
    found = datasets.find("heater")
    assert found is not None
    assert len(found) == len(source.files)
    assert not datasets.verify(found[0], source.files[0])


def test_the_named_folder_comes_first(monkeypatch, tmp_path):
    monkeypatch.setenv("FANWISE_DATA", str(tmp_path))
    assert datasets.folders()[0] == tmp_path


def test_sets_no_shipped_model_may_be_trained_on_are_marked():
    found = datasets.sources()
    assert found["heater"].ship
    assert not found["skab"].ship
    for source in found.values():
        assert source.origin.startswith("https://")
        assert all(len(file.sha256) == 64 for file in source.files)
