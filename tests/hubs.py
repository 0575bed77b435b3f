"""A hub on this machine, for tests of what is sent to one and what is fetched from one."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answers(BaseHTTPRequestHandler):
    """What a hub answers; `server.asked` is the place to keep what was asked."""

    def send(self, what, status=200, headers=None):
        """Answer with bytes, or with anything else as JSON."""
        data = what if isinstance(what, bytes) else json.dumps(what).encode()
        self.send_response(status)
        for name, value in {"Content-Length": len(data), **(headers or {})}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, *args):
        pass


@contextmanager
def local_hub(answers, monkeypatch):
    """Serve these answers at `address`, to a process that is not offline."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), answers)
    server.asked, server.address = [], f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield server
    server.shutdown()
