"""Sources and downloads of a training set: what is taken, what is refused, and how politely it is fetched."""

import http.server
import threading
import time
import zipfile
from collections import Counter

import numpy as np
import pytest

from alignment import PictureError
from training.preparation import PreparationError, download, sources
from training.preparation.sources import Item, list_items, read_bytes


def test_folders_of_any_depth(tmp_path):
    for name in ("b.png", "a/deep/c.JPG", ".hidden.png", "a/.cache/x.png", "__MACOSX/y.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    items = list_items(tmp_path)
    assert [item.name for item in items] == [str(tmp_path / "a/deep/c.JPG"), str(tmp_path / "b.png")]
    assert read_bytes(items[1]) == b"b.png" and items[0].label is None
    before = items[1].stamp
    (tmp_path / "b.png").write_bytes(b"something else")
    assert list_items(tmp_path)[1].stamp != before


def test_labels_of_a_stylegan_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as file:
        file.writestr("00000/img00000000.png", b"one")
        file.writestr("00000/img00000001.png", b"two")
        file.writestr("dataset.json", '{"labels": [["00000/img00000001.png", 3]]}')
    first, second = list_items(tmp_path / "set.zip")
    assert (first.label, second.label) == (None, 3)
    assert second.name == f"{tmp_path / 'set.zip'}/00000/img00000001.png" and read_bytes(second) == b"two"


def test_hostile_members_are_only_read(tmp_path):
    folder = tmp_path / "inner"
    folder.mkdir()
    with zipfile.ZipFile(folder / "evil.zip", "w") as file:
        for name in ("../up.png", "/root.png", "C:\\windows.png", "a/../../../b.png"):
            file.writestr(name, b"bytes")
    before = sorted(tmp_path.rglob("*"))
    assert [read_bytes(item) for item in list_items(folder / "evil.zip")] == [b"bytes"] * 4
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_and_huge_members_cost_only_themselves(tmp_path, monkeypatch):
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("bomb.png", bytes(3_000_000))  # 3 kB in the file
        file.writestr("good.png", b"fine" * 100)
        file.writestr("rotten.png", b"rotten" * 100)
    content = path.read_bytes()
    place = content.index(b"rotten.png") + len("rotten.png") + 4
    path.write_bytes(content[:place] + b"\xff\xff\xff" + content[place + 3 :])
    monkeypatch.setattr(sources, "MOST_BYTES", 1_000_000)
    bomb, good, rotten = list_items(path)
    assert read_bytes(good) == b"fine" * 100
    with pytest.raises(PictureError, match="bomb.png: 3 MiB"):
        read_bytes(bomb)
    with pytest.raises(PictureError, match="rotten.png: cannot be read"):
        read_bytes(rotten)


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("gone", None, "no such folder"),
        ("empty.zip", b"PK\x05\x06" + bytes(18), "holds no pictures"),
        ("half.zip", b"PK\x03\x04 and no more", "not a readable zip"),
        ("list.csv", b"address\nhttp://a/b.jpg\n", "no column `url`"),
        ("list.csv", b"url\n", "holds no URLs"),
        ("list.csv", b"url,label\nhttp://a/b.jpg,cat\n", "whole number"),
        ("list.txt", b"# nothing yet\n\n", "holds no URLs"),
        ("list.txt", b"file:///etc/passwd\n", "not an http"),
        ("list.txt", b"\xff\xfe\x00", "UTF-8"),
        ("film.mp4", b"x", "give a folder"),
    ],
)
def test_wrong_sources_are_refused_in_one_line(tmp_path, name, content, word):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(PreparationError) as caught:
        list_items(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}: ") and word in message and "\n" not in message


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(PreparationError, match="holds no pictures"):
        list_items(tmp_path)


def test_broken_labels_are_refused(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "dataset.json").write_text('{"labels": [1, 2]}')
    with pytest.raises(PreparationError, match="dataset.json"):
        list_items(tmp_path)


def test_lists_of_urls(tmp_path):
    (tmp_path / "list.csv").write_text("\ufeffName, URL ,label\nx,http://h/1.jpg,4\ny,,\nz,https://h/2?a=1,\n", "utf-8")
    items = list_items(tmp_path / "list.csv")
    assert items == [Item("http://h/1.jpg", None, None, 4), Item("https://h/2?a=1", None)]
    (tmp_path / "list.txt").write_text("# mine\nhttp://h/1.jpg\n\n  http://h/2.jpg  \n")
    assert [item.name for item in list_items(tmp_path / "list.txt")] == ["http://h/1.jpg", "http://h/2.jpg"]


# -- downloads


class Handler(http.server.BaseHTTPRequestHandler):
    """/good N times the path; /busy 503 twice, then good; /busy-always; /gone 404; /cut ends before its length."""

    asked, times, agents = Counter(), [], set()

    def do_GET(self):
        Handler.asked[self.path] += 1
        Handler.times.append(time.monotonic())
        Handler.agents.add(self.headers["User-Agent"])
        busy = self.path.startswith("/busy-always") or (self.path == "/busy" and Handler.asked[self.path] < 3)
        self.send_response(404 if self.path.startswith("/gone") else 503 if busy else 200)
        body = b"" if busy else self.path.encode() * 9
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    Handler.asked, Handler.times, Handler.agents = Counter(), [], set()
    slept = []
    monkeypatch.setattr(download.time, "sleep", slept.append)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}", slept
        httpd.shutdown()


def test_downloads_resume_retry_and_list_failures(server, tmp_path):
    url, slept = server
    names = ["/good1.jpg", "/busy", "/busy-always", "/gone.png", "/cut", "/good2.jpg", "/with space.jpg"]
    items = [Item(url + name, None) for name in names]
    there, failures = download.fetch_all(items, tmp_path, rate=1e6)
    assert [item.name.removeprefix(url) for item in there] == ["/good1.jpg", "/busy", "/good2.jpg", "/with space.jpg"]
    assert there[0].path.read_bytes() == b"/good1.jpg" * 9 and there[0].path.suffix == ".jpg"
    assert {name.removeprefix(url) for name in failures} == {"/busy-always", "/gone.png", "/cut"}
    assert failures[url + "/gone.png"].startswith("HTTP 404") and Handler.asked["/gone.png"] == 1  # told once is enough
    assert Handler.asked["/busy-always"] == 4 and Handler.asked["/busy"] == 3 and Handler.asked["/cut"] == 4
    assert max(slept) >= 4 and len([s for s in slept if s >= 1]) == 3 + 2 + 3  # waits between attempts, growing
    assert all("lifelike" in agent for agent in Handler.agents)
    assert not list(tmp_path.rglob("*.part*"))

    before = Counter(Handler.asked)
    download.fetch_all(items, tmp_path, rate=1e6)
    asked = Handler.asked - before
    assert set(asked) == {"/busy-always", "/gone.png", "/cut"}  # what is there is not asked for again


def test_nobody_there_is_a_failure_and_no_crash(server, tmp_path):
    there, failures = download.fetch_all([Item("http://127.0.0.1:9/x.jpg", None)], tmp_path, attempts=2)
    assert there == [] and "2 attempts" in failures["http://127.0.0.1:9/x.jpg"]


def test_rate_limit_is_kept(tmp_path):
    turns = download.Turns(rate=50)
    started = time.monotonic()
    times = []
    threads = [threading.Thread(target=lambda: (turns.wait("host"), times.append(time.monotonic()))) for _ in range(6)]
    [thread.start() for thread in threads]
    turns.wait("another host")
    assert time.monotonic() - started < 0.08  # hosts do not wait for each other
    [thread.join() for thread in threads]
    assert max(times) - started >= 5 / 50


def test_a_16_bit_picture_from_a_zip_is_read_like_the_file(tmp_path):
    """The bytes of a member go without a file of their own, also where a file would be opened again."""
    import cv2

    from alignment import read_picture

    path = tmp_path / "deep.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 65536, (40, 50, 3), dtype=np.uint16))
    inside = read_picture("set.zip/deep.png", path.read_bytes())
    assert np.array_equal(inside.pixels, read_picture(path).pixels) and inside.original.samples.dtype == np.uint8
