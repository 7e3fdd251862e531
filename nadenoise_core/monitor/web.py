"""The page of running scans: HTTP on the loopback address, nothing from outside."""

from __future__ import annotations

import json
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources

from nadenoise_core.errors import OutputError
from nadenoise_core.monitor.scans import KINDS, Scans

_HOST = "127.0.0.1"
_IMAGE = re.compile(rf"/image/(\d{{1,9}})/({'|'.join(KINDS)})\.png")
_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
)


class Monitor:
    """Serves the page on a thread of its own, from its making until it is stopped.

    Args:
        scans: what is shown.
        port: of the loopback address; 0 takes a free one.

    Attributes:
        url: of the page.

    Raises:
        OutputError: the port is taken.
    """

    def __init__(self, scans: Scans, port: int) -> None:
        page = resources.files("nadenoise_core.monitor").joinpath("page.html").read_bytes()

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                # A page from elsewhere whose name was made to lead here must not read the images.
                if self.headers.get("Host", "").rpartition(":")[0] not in ("localhost", _HOST):
                    self.send_error(HTTPStatus.FORBIDDEN)
                    return
                path = self.path.partition("?")[0]
                if path == "/":
                    self._answer(page, "text/html; charset=utf-8")
                elif path == "/state.json":
                    self._answer(json.dumps(scans.state()).encode(), "application/json")
                elif found := _IMAGE.fullmatch(path):
                    self._answer(scans.png(int(found[1]), found[2]), "image/png")
                else:
                    self.send_error(HTTPStatus.NOT_FOUND)

            def _answer(self, content: bytes | None, kind: str) -> None:
                if content is None:
                    self.send_error(HTTPStatus.NOT_FOUND)
                    return
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Security-Policy", _POLICY)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((_HOST, port), Handler)
        except OSError as error:
            raise OutputError(f"cannot show the monitor at {_HOST}:{port}: {error.strerror}; choose another") from None
        self.url = f"http://{_HOST}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Show the page no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
