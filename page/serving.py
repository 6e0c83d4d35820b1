"""The server: on this machine unless told otherwise, nothing from elsewhere, nothing of the machine but what a session
was given."""

import atexit
import os
import signal
import socket
import threading

MOST_BYTES = 64 * 2**20  # of one upload
# Whatever a component might ask for: the browser fetches it from here or not at all
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware: the headers above on every answer, and no errands to other servers: gradio's file route would
    fetch addresses."""

    def __init__(self, app, hosts=None):
        self.app, self.hosts = app, hosts  # hosts: by which names the page may be called; None = any

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        path = scope["path"].lower()
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
        fetches = "file=" in path and "://" in path or "/proxy=" in path or "file=http" in path
        if fetches or (self.hosts is not None and host not in self.hosts):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
            return await send({"type": "http.response.body", "body": b"not served here"})

        async def with_headers(message):
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self.app(scope, receive, with_headers)


def serve(host, port, weights, device, g_rendering=None, announce=print):
    """Serve the page until the process is ended. weights: folder or None; g_rendering: file or None in place of the
    folder's; announce: called with lines for the user. Raises OSError where that address cannot be served on."""
    from .sessions import Sessions

    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
        pass

    sessions = Sessions()
    atexit.register(sessions.remove)

    def stop(*_):
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGINT):  # the second is ignored where a shell started us in the background
        signal.signal(number, stop)
    os.environ |= {"GRADIO_TEMP_DIR": str(sessions.uploads), "GRADIO_ANALYTICS_ENABLED": "False",
                   "HF_HUB_OFFLINE": "1"}  # fmt: skip
    import tempfile

    tempfile.tempdir = None  # uploads are received in a file of gradio's own; it too is to lie in our folder

    from starlette.middleware import Middleware

    from .actions import Actions
    from .layout import HEAD, STYLE, THEME, page
    from .workers import Worker

    quick, slow = (Worker(weights, device, g_rendering) for _ in range(2))
    for worker in (quick, slow):
        atexit.register(worker.close)
    actions = Actions(sessions, quick, slow, weights, device, g_rendering)
    local = host in ("127.0.0.1", "localhost", "::1")
    hosts = {"127.0.0.1", "localhost", "[::1]"} if local else None
    blocks = page(actions).queue(default_concurrency_limit=None)
    _, address, _ = blocks.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        show_error=False,
        footer_links=[],
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        app_kwargs={"middleware": [Middleware(Guard, hosts=hosts)], "docs_url": None, "redoc_url": None},
        theme=THEME,
        css=STYLE,
        head=HEAD,
    )
    announce(f"open {address}  (Ctrl+C ends it)")
    sessions.sweep_forever()
    for worker in (quick, slow):
        threading.Thread(target=warm, args=(worker, announce), daemon=True).start()
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        announce("ending")
    finally:
        for worker in (quick, slow):
            worker.close()
        sessions.remove()
        blocks.close(verbose=False)


def warm(worker, announce):
    from .workers import Refused

    try:
        worker.call("warm")
    except Refused as error:
        announce(f"error: {error}")
