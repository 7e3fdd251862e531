"""Pages on this machine: HTTP that no other web site can read, frame or post to.

There is no password: whoever reaches the address can use the page. So the name that a request asks for (Host) must be
that of the server itself, what changes something must come from its own page (Origin), and nothing is loaded from
elsewhere.
"""

from __future__ import annotations

import ipaddress
import json
import logging
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nadenoise_core.errors import BadInputError, NadenoiseError, reason_of

_THREADS = 64
_WAIT = 5.0  # s for a thread to become free
_SILENCE = 30  # s that a connection may say nothing
_POLICY = (
    "default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_log = logging.getLogger("nadenoise.web")

Answer = tuple[str, bytes]
"""The kind of a content, and the content."""


class Refused(Exception):
    """A request that is answered with an error: its status, and a sentence."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class LocalServer(ThreadingHTTPServer):
    """Serves a page; `serve_forever` runs it.

    Args:
        host: to listen at.
        port: 0 takes a free one.
        handler: of requests.

    Raises:
        BadInputError: the address cannot be listened on.
    """

    daemon_threads = True
    request_queue_size = 128  # connections that wait; with socketserver's 5, users who answer together are reset

    def __init__(self, host: str, port: int, handler: type[Page]) -> None:
        self._free = threading.BoundedSemaphore(_THREADS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), handler)
        except (OSError, OverflowError) as error:
            raise BadInputError(f"cannot listen on {host} port {port} ({reason_of(error)}); choose another") from None

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer on a thread of its own, of which there are so many and no more."""
        if not self._free.acquire(timeout=_WAIT):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self._free.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away is no event."""
        _log.debug("connection ended", exc_info=True)

    def is_own_name(self, host: str) -> bool:
        """Whether a Host header names this server: by number, as localhost, or by the machine's name.

        A name of the outside that was pointed at this address (DNS rebinding) is none of them.
        """
        name, port = _split_port(host)
        if port != str(self.server_address[1]):
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.lower() in {"localhost", socket.gethostname().lower()}
        return True


class Page(BaseHTTPRequestHandler):
    """Answers requests: `get` and `post` give an answer, or raise Refused or an error of ours."""

    server: LocalServer
    timeout = _SILENCE
    protocol_version = "HTTP/1.1"
    server_version = "nadenoise"
    sys_version = ""

    def get(self) -> Answer:
        """The answer to GET `self.path`."""
        raise NotImplementedError

    def post(self) -> Answer:
        """The answer to POST to `self.path`, which came from this page."""
        raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "nothing is taken here")

    def do_GET(self) -> None:
        self._answer(self.get)

    def do_POST(self) -> None:
        self._answer(self._own_post)

    def body(self, largest: int) -> bytes:
        """What was posted, of at most so many bytes."""
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "a request says its length")
        if len(length) > 9 or int(length) > largest:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {largest} bytes")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the request was cut off")
        return body

    def log_message(self, format: str, *arguments: Any) -> None:
        _log.debug(format, *arguments)

    def _own_post(self) -> Answer:
        if self.headers.get("Origin", "") != f"http://{self.headers.get('Host', '')}":
            raise Refused(HTTPStatus.FORBIDDEN, "answers are taken from the page of this server only")
        return self.post()

    def _answer(self, work: Callable[[], Answer]) -> None:
        try:
            if not self.server.is_own_name(self.headers.get("Host", "")):
                raise Refused(HTTPStatus.FORBIDDEN, "this server is not called so")
            status, (kind, content) = HTTPStatus.OK, work()
        except Refused as refused:
            status, (kind, content) = refused.status, as_json({"error": str(refused)})
        except BadInputError as error:
            status, (kind, content) = HTTPStatus.CONFLICT, as_json({"error": str(error)})
        except NadenoiseError as error:
            _log.error("%s", error)  # it may name a folder, which is no user's business
            message = "the server cannot write the answer; ask who runs it"
            status, (kind, content) = HTTPStatus.INTERNAL_SERVER_ERROR, as_json({"error": message})
        if status != HTTPStatus.OK:
            self.close_connection = True  # what is left of the body is no request
        self._send(status, kind, content)

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS}.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)


def as_json(content: Any) -> Answer:
    """An answer of data."""
    return "application/json", json.dumps(content, allow_nan=False).encode()


def _split_port(host: str) -> tuple[str, str]:
    """Name and port of a Host header, which has brackets around a number of IPv6."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port.removeprefix(":") or "80"
    name, _, port = host.partition(":")
    return name, port or "80"
