"""Serve the page of a reader study, and keep every answer as it is given: one JSON file a reader.

There is no password: whoever reaches the address can read and rank. It listens on the loopback unless told otherwise,
and takes answers only from its own page (Host and Origin are checked, so that no other web site can post or read).
"""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timezone
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nadenoise_core.errors import BadInputError, NadenoiseError
from nadenoise_core.files import write_whole
from nadenoise_core.readers.files import parse_json, read_file
from nadenoise_core.readers.formats import (
    READER_NAME,
    Answer,
    PageStudy,
    Results,
    check_ranks,
    parsed,
    read_results,
    study_of,
)

LARGEST_BODY = 16 * 1024  # bytes; an answer of nine images has fewer than 300

_RESULTS = re.compile(f"/api/results/({READER_NAME.pattern})")
_SECONDS = 30  # that a connection may be silent
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_log = logging.getLogger("nadenoise.readers")


class AnswerStore:
    """The results of all readers of one study, in a folder; safe for several threads."""

    def __init__(self, study: PageStudy, folder: Path) -> None:
        self._study = study.study
        self._images = {showing.id: tuple(image.id for image in showing.images) for showing in study.showings}
        self._folder = folder
        self._lock = threading.Lock()

    @property
    def study(self) -> str:
        """Identifier of the study."""
        return self._study

    def path(self, reader: str) -> Path:
        """The file of a reader; the prefix keeps names apart that a file system reserves."""
        return self._folder / f"reader_{reader}.json"

    def load(self, reader: str) -> Results:
        """What the reader has answered so far.

        Raises:
            BadInputError: the file is damaged, or of another study or reader.
        """
        path = self.path(reader)
        if not path.exists():
            return Results(study=self._study, reader=reader).sealed()
        try:
            results = read_results(path)
        except BadInputError as error:
            _log.error("%s", error)
            raise BadInputError(f"the answers of {reader} on the server are damaged; ask the organiser") from None
        if (results.study, results.reader) != (self._study, reader):
            raise BadInputError(f"the answers of {reader} on the server are of another study; ask the organiser")
        return results

    def save(self, reader: str, showing: str, ranks: dict[str, int]) -> Results:
        """Put the answer to one showing in place of the one before.

        Raises:
            BadInputError: no such showing, or ranks that do not fit it.
            OutputError: it could not be written.
        """
        if showing not in self._images:
            raise BadInputError("no such case in this study; load the page anew")
        check_ranks(ranks, self._images[showing], "the answer")
        with self._lock:
            results = self.load(reader)
            answer = Answer(ranks=ranks, saved=datetime.now(timezone.utc).isoformat(timespec="seconds"))
            results = results.model_copy(update={"answers": {**results.answers, showing: answer}}).sealed()
            write_whole(self.path(reader), results.to_json())
        return results


class ReaderServer(ThreadingHTTPServer):
    """The server of one study; `serve_forever` runs it."""

    daemon_threads = True
    request_queue_size = 128  # connections that wait; with socketserver's 5, readers who answer together are reset

    def __init__(self, page: bytes, store: AnswerStore, host: str, port: int) -> None:
        self.page, self.store = page, store
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    @property
    def url(self) -> str:
        """Where the page is."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

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


def open_server(page: Path, results: Path, host: str, port: int) -> ReaderServer:
    """Read the page and listen; port 0 takes a free one.

    Raises:
        BadInputError: no page of a study, or the address cannot be listened on.
    """
    content = read_file(page)
    study = study_of(content, str(page))
    try:
        return ReaderServer(content, AnswerStore(study, results), host, port)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"cannot listen on {host} port {port} ({reason}); choose --host and --port") from None


class _Refused(Exception):
    """A request that is answered with an error: its status, and a sentence."""

    def __init__(self, status: HTTPStatus, words: str) -> None:
        super().__init__(words)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """GET the page, the study's identifier and a reader's answers; POST one answer."""

    server: ReaderServer
    timeout = _SECONDS
    protocol_version = "HTTP/1.1"
    server_version = "nadenoise"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def _answer(self, work: Callable[[], tuple[str, bytes]]) -> None:
        try:
            if not self.server.is_own_name(self.headers.get("Host", "")):
                raise _Refused(HTTPStatus.FORBIDDEN, "this server is not called so")
            kind, content = work()
            status = HTTPStatus.OK
        except _Refused as refused:
            status, kind, content = refused.status, "application/json", _json({"error": str(refused)})
        except BadInputError as error:
            status, kind, content = HTTPStatus.CONFLICT, "application/json", _json({"error": str(error)})
        except NadenoiseError as error:
            _log.error("%s", error)  # it names a folder, which is no reader's business
            words = "the server cannot write the answer; ask the organiser"
            status, kind, content = HTTPStatus.INTERNAL_SERVER_ERROR, "application/json", _json({"error": words})
        if status != HTTPStatus.OK:
            self.close_connection = True  # what is left of the body is no request
        self._send(status, kind, content)

    def _get(self) -> tuple[str, bytes]:
        if self.path in ("/", "/study.html"):
            return "text/html; charset=utf-8", self.server.page
        if self.path == "/api/study":
            return "application/json", _json({"study": self.server.store.study})
        results = self.server.store.load(self._reader())
        return "application/json", results.to_json()

    def _post(self) -> tuple[str, bytes]:
        reader = self._reader()
        if self.headers.get("Origin", "") != f"http://{self.headers.get('Host', '')}":
            raise _Refused(HTTPStatus.FORBIDDEN, "answers are taken from the page of this server only")
        if self.headers.get_content_type() != "application/json":
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "an answer is application/json")
        try:
            sent = parse_json(self._body(), "the answer")
            if not isinstance(sent, dict) or set(sent) != {"showing", "ranks"} or not isinstance(sent["showing"], str):
                raise BadInputError("an answer has a showing and ranks, and nothing else")
            answer = parsed(Answer, {"ranks": sent["ranks"]}, "the answer", "answer")
        except BadInputError as error:
            raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from None
        results = self.server.store.save(reader, sent["showing"], answer.ranks)
        return "application/json", _json({"answers": len(results.answers)})

    def _reader(self) -> str:
        found = _RESULTS.fullmatch(self.path)
        if found is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address")
        return found.group(1)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            raise _Refused(HTTPStatus.LENGTH_REQUIRED, "an answer says its length")
        if len(length) > 9 or int(length) > LARGEST_BODY:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"an answer has at most {LARGEST_BODY} bytes")
        body = self.rfile.read(int(length))
        if len(body) != int(length):
            raise _Refused(HTTPStatus.BAD_REQUEST, "the answer was cut off")
        return body

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-store",
            "Content-Security-Policy": _POLICY,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content).encode()


def _split_port(host: str) -> tuple[str, str]:
    """Name and port of a Host header, which has brackets around a number of IPv6."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port.removeprefix(":") or "80"
    name, _, port = host.partition(":")
    return name, port or "80"
