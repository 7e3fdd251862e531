"""The page of running scans: HTTP on the loopback address, nothing from outside."""

from __future__ import annotations

import re
import threading
from http import HTTPStatus
from importlib import resources

from nadenoise_core.monitor.scans import KINDS, Scans
from nadenoise_core.web import Answer, LocalServer, Page, Refused, as_json

_HOST = "127.0.0.1"
_IMAGE = re.compile(rf"/image/(\d{{1,9}})/({'|'.join(KINDS)})\.png")


class Monitor:
    """Serves the page on a thread of its own, from its making until it is stopped.

    Args:
        scans: what is shown.
        port: of the loopback address; 0 takes a free one.

    Attributes:
        url: of the page.

    Raises:
        BadInputError: the port is taken.
    """

    def __init__(self, scans: Scans, port: int) -> None:
        page = resources.files("nadenoise_core.monitor").joinpath("page.html").read_bytes()

        class Handler(Page):
            def get(self) -> Answer:
                path = self.path.partition("?")[0]
                if path == "/":
                    return "text/html; charset=utf-8", page
                if path == "/state.json":
                    return as_json(scans.state())
                found = _IMAGE.fullmatch(path)
                image = scans.png(int(found[1]), found[2]) if found else None
                if image is None:
                    raise Refused(HTTPStatus.NOT_FOUND, "there is nothing at this address")
                return "image/png", image

        self._server = LocalServer(_HOST, port, Handler)
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Show the page no longer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
