"""HTTP to a server that is not trusted: one host, and an end to every answer, in seconds and in bytes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

LARGEST_ANSWER = 1 << 20  # bytes; what says of one object that it is stored has some hundred

_PART = 1 << 14


class TooMuch(requests.RequestException):
    """An answer that took too long, or was too long."""


class BoundedAdapter(HTTPAdapter):
    """What a session sends through: each request with its answer takes so many seconds at most.

    `timeout` of requests is between two bytes only: a server that sends one every few seconds would be read for ever.

    Args:
        seconds: for a request and the whole of its answer.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._sockets: list[socket.socket] = []  # copies: TLS takes the first ones over
        super().__init__()
        self.poolmanager.pool_classes_by_scheme = {
            "http": _watched(HTTPConnectionPool, self._sockets),
            "https": _watched(HTTPSConnectionPool, self._sockets),
        }

    def send(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send a request and read all of its answer.

        Raises:
            TooMuch: the answer took too long, or is too long.
            requests.RequestException: anything else that can go wrong.
        """
        with self._deadline() as late:
            try:
                response = super().send(request, stream=True, **options)
                content = bytearray()
                for part in response.iter_content(_PART):
                    content += part
                    if len(content) > LARGEST_ANSWER:
                        response.close()
                        raise TooMuch(f"its answer is longer than {LARGEST_ANSWER >> 20} MiB")
            except (requests.RequestException, OSError):
                if not late.is_set():
                    raise
            if late.is_set():  # where headers are cut off, http.client takes them for all
                raise TooMuch(f"a request and its answer took more than {self._seconds:g} s")
        response._content = bytes(content)
        return response

    def close(self) -> None:
        super().close()
        for copy in self._sockets:
            copy.close()

    @contextmanager
    def _deadline(self) -> Iterator[threading.Event]:
        """Within it, the time runs: an event that is set when it is over, and all connections are at their end."""
        late = threading.Event()

        def end() -> None:
            late.set()
            for copy in list(self._sockets):
                with suppress(OSError):
                    copy.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(self._seconds, end)
        timer.daemon = True
        timer.start()
        try:
            yield late
        finally:
            timer.cancel()


def one_host(session: requests.Session) -> requests.Session:
    """A session that follows no redirect, which could lead an object to anyone: `requests.TooManyRedirects`."""
    session.max_redirects = 0
    return session


def _watched(pool: type[Any], sockets: list[socket.socket]) -> type[Any]:
    """A kind of pool whose connections leave copies of their sockets here."""

    class Connection(pool.ConnectionCls):  # type: ignore[misc,name-defined]
        def _new_conn(self) -> socket.socket:
            made: socket.socket = super()._new_conn()
            sockets.append(made.dup())
            return made

    return type(f"Watched{pool.__name__}", (pool,), {"ConnectionCls": Connection})
