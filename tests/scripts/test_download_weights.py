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
