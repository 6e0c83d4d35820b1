"""Pictures for the page, and the page itself: with tiny random networks, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Served:
    address: str
    process: subprocess.Popen
    folder: Path  # its temporary files
    seconds: float  # until it was up


@pytest.fixture(scope="package")
def one_face(tmp_path_factory):
    """A picture of 400 pixels with one face."""
    path = tmp_path_factory.mktemp("one") / "avatar one.png"
    Image.open(ROOT / "samples" / "avatar05_portrait.png").convert("RGB").resize((400, 400)).save(path)
    return path


@pytest.fixture(scope="package")
def two_faces(tmp_path_factory, one_face):
    """A picture with a large face and a smaller one."""
    path = tmp_path_factory.mktemp("two") / "two.jpg"
    face, both = Image.open(one_face), Image.new("RGB", (740, 400), (120, 120, 120))
    both.paste(face, (0, 0))
    both.paste(face.resize((320, 320)), (410, 40))
    both.save(path, quality=95)
    return path


@pytest.fixture(scope="package")
def no_face(tmp_path_factory):
    path = tmp_path_factory.mktemp("none") / "plain.png"
    Image.effect_noise((300, 240), 20).convert("RGB").save(path)
    return path


@pytest.fixture(scope="package")
def served(tiny_bundle, tmp_path_factory):
    """The page of app.py, Served."""
    pytest.importorskip("gradio", reason="the extra `app` is not installed")
    folder = tmp_path_factory.mktemp("tmp")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--weights", str(tiny_bundle), "--device", "cpu"]
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)})
    address = f"http://127.0.0.1:{port}/"
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            break
        except OSError:
            assert process.poll() is None and time.monotonic() - started < 120, "the page does not come up"
            time.sleep(0.1)
    yield Served(address, process, folder, time.monotonic() - started)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not list(folder.glob("lifelike-page-*")), "pictures are left behind"


@pytest.fixture(scope="package")
def actions(tiny_bundle):
    """The page's Actions with workers of their own, without a server."""
    from page.actions import Actions
    from page.sessions import Sessions
    from page.workers import Worker

    sessions = Sessions()
    quick, slow = (Worker(str(tiny_bundle), "cpu") for _ in range(2))
    yield Actions(sessions, quick, slow, str(tiny_bundle), "cpu")
    for worker in (quick, slow):
        worker.close()
    sessions.remove()


@pytest.fixture
def somebody(request):
    """A gradio.Request of a browser that nobody else has."""
    return SimpleNamespace(session_hash=request.node.name)
