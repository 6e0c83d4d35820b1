"""Downloads of a training set: how politely pictures are fetched, and what servers may say without ending the run."""

import http.server
import socket
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from alignment.text import cell
from training.preparation import download
from training.preparation.sources import Item
from training.preparation.urls import file_name, public, split

PNG = (Path(__file__).resolve().parents[1] / "data" / "alignment" / "align_shrink_out_40.png").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    """/good: a picture; /busy 503 twice, then good; /busy-always; /gone 404; /cut ends before its length."""

    asked, times, agents = Counter(), [], set()

    def do_GET(self):
        Handler.asked[self.path] += 1
        Handler.times.append(time.monotonic())
        Handler.agents.add(self.headers["User-Agent"])
        busy = self.path.startswith("/busy-always") or (self.path == "/busy" and Handler.asked[self.path] < 3)
        self.send_response(404 if self.path.startswith("/gone") else 503 if busy else 200)
        body = b"" if busy else PNG
        self.send_header("Content-Length", str(len(body) + (5 if self.path == "/cut" else 0)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    Handler.asked, Handler.times, Handler.agents = Counter(), [], set()
    slept = []
    monkeypatch.setattr(download, "pause", lambda stop, seconds: slept.append(seconds))
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
    assert there[0].path.read_bytes() == PNG and there[0].path.suffix == ".jpg"
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


# -- servers that misbehave, each in its own way


class Raw:
    """A server that answers each path with the bytes, or the generator of bytes, that it is given."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.answer, args=[client], daemon=True).start()

    def answer(self, client):
        with client:
            request = client.recv(65536).decode("latin-1")
            path = request.split(" ")[1].split("?")[0]
            self.asked.append(request)
            answer = self.answers[path]
            try:
                for part in [answer] if isinstance(answer, bytes) else answer():
                    client.sendall(part)
            except OSError:
                pass


def said(status="200 OK", body=b"", *headers):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def fetched(answers, tmp_path, names=None, **options):
    """({path: reason} of what failed, {path of what came}, the server)."""
    server = Raw(answers)
    items = [Item(server.url + name, None) for name in names or answers]
    there, failures = download.fetch_all(items, tmp_path, rate=1e6, attempts=2, **options)
    server.socket.close()
    return (
        {k.removeprefix(server.url): v for k, v in failures.items()},
        {i.name.removeprefix(server.url) for i in there},
        server,
    )


@pytest.fixture
def hasty(monkeypatch):
    """No waiting between attempts, and little patience with slow servers."""
    monkeypatch.setattr(download, "pause", lambda stop, seconds: stop.is_set())
    monkeypatch.setattr(download, "PATIENCE", 0.6)
    monkeypatch.setattr(download, "TIMEOUT", 5)


def test_nothing_a_server_says_ends_the_run(tmp_path, hasty):
    answers = {
        "/retry.png": said("429 slow", b"", "Retry-After: \xb2"),
        "/retry-long.png": said("429 slow", b"", "Retry-After: " + "9" * 400),
        "/retry-date.png": said("503 no", b"", "Retry-After: Wed, 21 Oct 2099 07:28:00 GMT"),
        "/length.png": b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\nConnection: close\r\n\r\n" + PNG,
        "/negative.png": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\n" + PNG,
        "/long.png": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n" + PNG,
        "/chunk.png": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n" + PNG,
        "/nothing.png": b"",
        "/noise.png": bytes(range(256)) * 40,
        "/headers.png": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        "/where.png": said("302 x", b"", "Location: http://[::1/x.png"),
        "/round.png": said("302 x", b"", "Location: /round.png"),
        "/ftp.png": said("302 x", b"", "Location: ftp://127.0.0.1/x.png"),
        "/file.png": said("302 x", b"", "Location: file:///etc/passwd"),
        "/colours.png": said("404 \x1b[31mred\x1b]0;owned\x07"),
        "/good.png": said("200 OK", PNG),
        "/moved.png": said("302 x", b"", "Location: /good.png"),
    }  # fmt: skip
    failures, came, _ = fetched(answers, tmp_path)
    assert {"/good.png", "/moved.png"} <= came and came <= {"/good.png", "/moved.png", "/length.png", "/negative.png"}
    assert failures["/colours.png"] == "HTTP 404 \\x1b[31mred\\x1b]0;owned\\x07"
    assert "no http(s) address" in failures["/ftp.png"] and "302" in failures["/file.png"]
    assert all(reason.isprintable() and len(reason) < 300 for reason in failures.values())


def test_an_error_page_is_not_kept_as_a_picture(tmp_path, hasty):
    page = said("200 OK", b"<html>Too many requests</html>", "Content-Type: text/html")
    failures, came, server = fetched({"/a.png": page}, tmp_path)
    assert failures == {"/a.png": "not a picture (text/html)"} and not list(tmp_path.rglob("*.png"))
    kept = tmp_path / file_name("http://h/b.png")
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"<html>of an earlier run</html>")
    assert not download.is_kept(kept)
    kept.write_bytes(PNG)
    assert download.is_kept(kept)


@pytest.mark.parametrize("where", ["header", "status", "body", "chunk"])
def test_a_byte_now_and_then_does_not_hold_the_run(tmp_path, hasty, where):
    begin = {
        "status": b"",
        "header": b"HTTP/1.1 200 OK\r\n",
        "body": b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nConnection: close\r\n\r\n",
        "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    }[where]

    def drip():
        yield begin
        while True:
            time.sleep(0.1)
            yield b"0"

    started = time.monotonic()
    failures, _, server = fetched({"/slow.png": drip}, tmp_path)
    assert time.monotonic() - started < 4 and "given up" in failures["/slow.png"] and len(server.asked) == 1


def test_waits_end_when_they_are_told_to():
    turns = download.Turns(rate=0.01)
    turns.wait("host")
    waiting = threading.Thread(target=lambda: turns.wait("host"), daemon=True)
    waiting.start()
    turns.stop.set()
    waiting.join(2)
    assert not waiting.is_alive()


def test_ctrl_c_ends_the_run_at_once(tmp_path):
    """While a host has asked for a pause, and another sends a byte a second."""

    def drip():
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        while True:
            time.sleep(0.2)
            yield b"x"

    def interrupted(steps):
        time.sleep(0.5)
        raise KeyboardInterrupt
        yield

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetched({"/a.png": said("429 x", b"", "Retry-After: 100"), "/b.png": drip}, tmp_path, progress=interrupted)
    assert time.monotonic() - started < 3


def test_a_full_disk_is_for_the_caller(tmp_path, hasty, monkeypatch):
    def full(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(download, "written_atomically", full)
    with pytest.raises(OSError, match="No space"):
        fetched({"/a.png": said("200 OK", PNG)}, tmp_path)


def test_a_login_in_a_url_goes_to_its_host_and_nowhere_else(tmp_path, hasty):
    elsewhere = Raw({"/b.png": said("200 OK", PNG)})
    server = Raw({"/a.png": said("302 x", b"", f"Location: {elsewhere.url.replace('127.0.0.1', 'localhost')}/b.png")})
    url = server.url.replace("://", "://user:PASS%40WORD@") + "/a.png?token=SECRET"
    there, failures = download.fetch_all([Item(url, None)], tmp_path, rate=1e6, attempts=1)
    assert not failures and "Authorization: Basic dXNlcjpQQVNTQFdPUkQ=" in server.asked[0]
    assert "Authorization" not in elsewhere.asked[0]


def test_what_reports_call_a_url():
    name = public("https://user:PASSWORD@host:81/a/b.png?token=SECRET#x")
    assert name.startswith("https://host:81/a/b.png?") and "SECRET" not in name and "PASSWORD" not in name
    assert public("http://h/a.png") == "http://h/a.png" and public("in/a.png") == "in/a.png"
    assert public("http://h/a?x=1") != public("http://h/a?x=2")
    assert public("in/\x1b[31m.png") == "in/\\x1b[31m.png" and "SECRET" not in public("http://[::1/x?SECRET")
    assert split("http://u:p@h:81/x?y") == ("h:81", "http://h:81/x?y", "u:p")
    for wrong in ("http://", "http://h:99999999/x", "http://[::1/x.png", "http://:80/x"):
        with pytest.raises(ValueError, match="an address"):
            split(wrong)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", '=HYPERLINK("http://x")', "\t=1", "\r=1"])
def test_cells_are_no_formulas(text):
    assert not cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell("in/a.png") == "in/a.png"
