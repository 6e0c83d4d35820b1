"""What the server gives away: its page, and of the machine nothing."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def status(address, host=None, data=None):
    request = urllib.request.Request(address, data=data, headers={"Host": host} if host else {})
    if data:
        request.add_header("Content-Type", "application/json")
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code


def test_help_comes_at_once():
    started = time.monotonic()
    heavy = "{'torch', 'gradio', 'cv2', 'numpy'} & set(sys.modules)"
    code = f"import app, sys; sys.exit(str({heavy}) if {heavy} else 0)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    text = subprocess.run([sys.executable, "app.py", "--help"], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "--port" in text.stdout
    assert time.monotonic() - started < 10  # on a busy machine; nothing heavy is imported


def test_a_taken_port_is_said_in_one_line(served):
    port = served.address.rstrip("/").rsplit(":", 1)[1]
    command = [sys.executable, "app.py", "--port", port]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 1
    assert done.stderr.startswith("Error: 127.0.0.1:") and "--port" in done.stderr and done.stderr.count("\n") == 1


def test_no_file_of_the_machine_is_read(served, tmp_path):
    secret = served.folder / "secret.png"  # beside the page's own folder
    secret.write_bytes(b"secret")
    root = next(served.folder.glob("lifelike-page-*"))
    (root / "sessions").mkdir(exist_ok=True)
    (root / "sessions" / "own.png").write_bytes(b"secret")
    (root / "served" / "link.png").symlink_to(secret)
    (root / "served" / "open.png").write_bytes(b"this one may be read")
    file = f"{served.address}gradio_api/file="
    assert status(file + str(root / "served" / "open.png")) == 200, "the test asks at the wrong place"
    for path in (
        "/etc/passwd",
        str(ROOT / "setup.py"),
        "setup.py",
        "../../../../../../etc/passwd",
        "%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        str(secret),
        f"{root}/served/../../secret.png",
        f"{root}/served/link.png",
        f"{root}/sessions/own.png",
        f"{root}/served",
        "http://127.0.0.1:9/secret",
        "http%3A%2F%2F127.0.0.1%3A9%2Fsecret",
        "file:///etc/passwd",
    ):
        assert status(file + path) in (400, 403, 404), path


def test_an_event_cannot_name_a_file_of_the_machine(served):
    """An upload that was none: the path of a file of ours in place of one that was sent."""
    config = json.loads(urllib.request.urlopen(f"{served.address}config", timeout=20).read())
    upload = next(d["id"] for d in config["dependencies"] if any(t[1] == "upload" for t in d["targets"]))
    root = next(served.folder.glob("lifelike-page-*"))
    for path in (str(ROOT / "samples" / "avatar05_portrait.png"), "/etc/passwd"):
        file = {"path": path, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}
        body = {"data": [[file], False], "fn_index": upload, "session_hash": "thief"}
        assert status(f"{served.address}gradio_api/queue/join", data=json.dumps(body).encode()) == 200  # it was heard
        time.sleep(1)
    taken = [path for path in root.rglob("*") if path.name in ("avatar05_portrait.png", "passwd")]
    assert not taken


def test_a_large_upload_is_refused(served):
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    request = urllib.request.Request(f"{served.address}gradio_api/upload", data=head + bytes(65 * 2**20) + b"\r\n--x--")
    request.add_header("Content-Type", "multipart/form-data; boundary=x")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    assert refused.value.code == 413 and b"maximum" in refused.value.read()


def test_only_under_its_own_name(served):
    """Another page cannot reach this one through a name of its own (DNS rebinding)."""
    assert status(served.address, host="evil.example:7860") == 403
    assert status(served.address, host="localhost:7860") == 200


def test_headers_keep_the_browser_here(served):
    headers = urllib.request.urlopen(served.address, timeout=20).headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.slow
def test_up_in_time(served):
    assert served.seconds < 30  # 10 on two idle cores
