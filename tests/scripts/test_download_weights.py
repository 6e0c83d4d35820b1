"""Downloads from a server of our own: whole files only, hashes recorded and checked, clear words when offline."""

import functools
import hashlib
import http.server
import threading

import pytest
import yaml
from click.testing import CliRunner

from scripts.download_weights import main


@pytest.fixture
def server(tmp_path):
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "net.bin").write_bytes(b"weights" * 1000)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}/net.bin"
        httpd.shutdown()


def run(tmp_path, entry, *arguments):
    manifest = tmp_path / "manifest.yaml"
    base = {"file": "net.bin", "licence": "none", "use": "test", "sha256": None}
    manifest.write_text(yaml.safe_dump({"net": base | entry}))
    return CliRunner().invoke(main, ["--manifest", str(manifest), *arguments])


def test_download_records_and_checks_the_hash(server, tmp_path):
    pytest.importorskip("pooch")
    result = run(tmp_path, {"url": server}, "net")
    assert result.exit_code == 0, result.output
    digest = hashlib.sha256(b"weights" * 1000).hexdigest()
    assert yaml.safe_load((tmp_path / "downloads.lock.yaml").read_text()) == {"net": digest}
    assert run(tmp_path, {"url": server}, "--verify").exit_code == 0
    (tmp_path / "downloads" / "net.bin").write_bytes(b"other")
    result = run(tmp_path, {"url": server}, "--verify")
    assert result.exit_code == 1 and "net.bin" in result.output and "delete" in result.output


def test_wrong_hash_in_the_manifest_is_refused(server, tmp_path):
    pytest.importorskip("pooch")
    result = run(tmp_path, {"url": server, "sha256": "0" * 64}, "net")
    assert result.exit_code == 1 and not (tmp_path / "downloads.lock.yaml").exists()
    assert not (tmp_path / "downloads" / "net.bin").exists()


def test_offline_says_where_to_put_the_file(tmp_path):
    result = run(tmp_path, {"url": "http://127.0.0.1:9/none"}, "net")
    assert result.exit_code == 1 and str(tmp_path / "downloads" / "net.bin") in result.output
    result = run(tmp_path, {"page": "http://example.org"}, "net")
    assert result.exit_code == 1 and "http://example.org" in result.output


def test_list_and_unknown_names(tmp_path):
    result = run(tmp_path, {"url": "http://127.0.0.1:9/none"}, "--list")
    assert result.exit_code == 0 and "absent" in result.output and "net.bin" in result.output
    result = run(tmp_path, {"url": "x"}, "nothing")
    assert result.exit_code == 1 and "nothing" in result.output


@pytest.fixture
def answering():
    """answering(body, headers, status line) -> URL of a server that answers so, whatever is asked."""
    servers = []

    def start(body=b"", status=b"200 OK", pause=0.0):
        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                self.close_connection = True
                self.wfile.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body))
                try:
                    for i in range(0, len(body), 1 if pause else len(body) + 1):
                        self.wfile.write(body[i : i + 1] if pause else body)
                        self.wfile.flush()
                        if stop.wait(pause):
                            return
                except OSError:
                    pass

        stop = threading.Event()
        servers.append((http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler), stop))
        threading.Thread(target=servers[-1][0].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1][0].server_address[1]}/x"

    pytest.importorskip("pooch")
    yield start
    for server, stop in servers:
        stop.set()
        server.shutdown()


@pytest.mark.parametrize("body, said", [
    (b"<html>quota exceeded</html>", "a web page"), (b"\n<!DOCTYPE html><p>", "a web page"), (b"", "empty"),
    (b"x" * 500, "read safely"), (b"PK\x03\x04" + bytes(300), "read safely"),
])  # fmt: skip
def test_an_answer_that_is_not_the_file_leaves_neither_file_nor_hash(answering, tmp_path, body, said):
    result = run(tmp_path, {"url": answering(body), "file": "net.pth"}, "net")
    assert result.exit_code == 1 and said in result.output and "Traceback" not in result.output
    assert not (tmp_path / "downloads.lock.yaml").exists()
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [".lock"]


def test_a_file_has_its_name_only_once_it_is_checked(answering, tmp_path):
    url = answering(b"w" * 2000)
    result = run(tmp_path, {"url": url, "sha256_prefix": "6726825d"}, "net")
    assert result.exit_code == 1 and "6726825d" in result.output
    assert [path.name for path in (tmp_path / "downloads").iterdir()] == [".lock"]
    assert run(tmp_path, {"url": url}, "net").exit_code == 0  # a refused file has recorded nothing


def test_text_of_a_server_does_not_reach_the_terminal(answering, tmp_path):
    result = run(tmp_path, {"url": answering(b"x", b"404 \x1b[31mred\x1b]0;owned\x07")}, "net")
    assert result.exit_code == 1 and "404" in result.output and "\x1b" not in result.output.split("error:")[1]


def test_a_server_that_sends_a_byte_a_second_is_given_up_and_the_next_one_asked(answering, tmp_path, monkeypatch):
    from weights import downloads

    monkeypatch.setattr(downloads, "PATIENCE", 0.5)
    entries = {"slow": answering(b"x" * 10_000, pause=0.05), "good": answering(b"weights" * 1000)}
    base = {"licence": "none", "use": "test", "sha256": None}
    manifest = tmp_path / "manifest.yaml"
    manifest.write_text(yaml.safe_dump({n: base | {"file": f"{n}.bin", "url": u} for n, u in entries.items()}))
    result = CliRunner().invoke(main, ["--manifest", str(manifest)])
    assert result.exit_code == 1 and "bytes a second" in result.output
    assert sorted(p.name for p in (tmp_path / "downloads").iterdir()) == [".lock", "good.bin"]


@pytest.mark.parametrize("content", ["", "[1]", "net: [", "net: 5", "[" * 50_000])
def test_a_damaged_lock_is_named_or_empty(tmp_path, content):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "net.bin").write_bytes(b"weights")
    (tmp_path / "downloads.lock.yaml").write_text(content)
    result = run(tmp_path, {}, "--verify")
    if content:
        assert result.exit_code == 1 and "downloads.lock.yaml: " in result.output and "mend or delete" in result.output
        assert (tmp_path / "downloads.lock.yaml").read_text() == content
    else:
        assert result.exit_code == 0
        assert len(yaml.safe_load((tmp_path / "downloads.lock.yaml").read_text())["net"]) == 64


def test_what_a_killed_run_left_is_removed_and_a_second_run_waits(tmp_path):
    from filelock import FileLock

    left = tmp_path / "downloads" / ".fetch-abc"
    left.mkdir(parents=True)
    (left / "net.bin").write_bytes(b"half")
    with FileLock(tmp_path / "downloads" / ".lock"):
        result = run(tmp_path, {"page": "x"}, "net")
    assert result.exit_code == 1 and "at work" in result.output and left.is_dir()
    run(tmp_path, {"page": "x"}, "net")
    assert not left.exists()


def test_names_in_the_manifest_stay_in_the_folder(tmp_path):
    result = run(tmp_path, {"url": "http://127.0.0.1:9/x", "file": "../net.bin"}, "net")
    assert result.exit_code == 1 and "plain file name" in result.output
