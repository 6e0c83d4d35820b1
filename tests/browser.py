"""A headless Chromium driven as by hand: real keys, taps, downloads and pictures of the screen.

It speaks the browser's own debugging protocol (Chrome DevTools Protocol): JSON messages that end with a zero byte, on
file descriptors 3 and 4 of the browser.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager

CHROMIUM = shutil.which("chromium")
KEYS = {"Backspace": 8, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}


@contextmanager
def opened(address, folder, width=1280, height=800, phone=False):
    """Yields a Page that shows `address`; profile and downloads are kept in `folder`, so that a later one goes on."""
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               f"--user-data-dir={folder / 'profile'}", "--remote-debugging-pipe", "about:blank"]  # fmt: skip
    browser = subprocess.Popen(
        command, pass_fds=(3, 4), preexec_fn=lambda: (os.dup2(high[0], 3), os.dup2(high[1], 4)),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    for end in (theirs_in, theirs_out, *high):
        os.close(end)
    try:
        page = Page(ours_in, ours_out)
        page.show(address, folder, width, height, phone)
        yield page
        page.call("Browser.close", session=False)  # in peace, so that what the page stored is on disk
    finally:
        try:
            browser.wait(10)
        except subprocess.TimeoutExpired:
            browser.kill()
            browser.wait()
        os.close(ours_in)
        os.close(ours_out)


class Page:
    def __init__(self, incoming, outgoing):
        self.incoming, self.outgoing, self.buffer, self.number, self.session = incoming, outgoing, b"", 0, None
        self.events = []  # what the browser said by itself: {"method", "params"}, of domains that were enabled

    def call(self, method, session=True, seconds=60, **parameters):
        """Send a command and wait for its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if session:
            message["sessionId"] = self.session
        os.write(self.outgoing, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + seconds
        while True:
            while b"\0" not in self.buffer:
                ready, _, _ = select.select([self.incoming], [], [], max(0, deadline - time.monotonic()))
                received = os.read(self.incoming, 1 << 20) if ready else b""
                assert received, f"the browser did not answer {method}"
                self.buffer += received
            line, self.buffer = self.buffer.split(b"\0", 1)
            answer = json.loads(line)
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def show(self, address, folder, width, height, phone):
        tab = next(t for t in self.call("Target.getTargets", session=False)["targetInfos"] if t["type"] == "page")
        self.session = self.call(
            "Target.attachToTarget", session=False, targetId=tab["targetId"], flatten=True
        )["sessionId"]  # fmt: skip
        self.call("Browser.setDownloadBehavior", session=False, behavior="allow", downloadPath=str(folder))
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        self.go(address)

    def go(self, address):
        self.call("Page.navigate", url=address)
        self.until(f"document.readyState === 'complete' && location.href === {json.dumps(address)}")

    def value(self, script):
        """What the script's expression is worth, as JSON."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.value(condition):
            assert time.monotonic() < deadline, f"never came true: {condition}"
            time.sleep(0.02)

    def key(self, key):
        code = KEYS.get(key, ord(key[0]))
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def write(self, text):
        self.call("Input.insertText", text=text)

    def tap(self, selector):
        """Touch the middle of an element."""
        x, y = self.value(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector({json.dumps(selector)}).getBoundingClientRect())"
        )
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def files(self, selector, paths):
        """Choose files in an <input type=file>, as if they were dropped on it."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def picture(self, path):
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
