"""How many scans run at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nadenoise_core.errors import ConnectionFailed
from nadenoise_core.stream.connection import Opening, Peer

_NODES = 16  # of one scan
_WAIT = 5.0  # s for a scan to end that was cut


@dataclass(eq=False)
class _Scan:
    """One scan: the header that its nodes share, and the configuration of each."""

    header: str
    nodes: set[str] = field(default_factory=set)


class Slots:
    """Slots for scans; the nodes that Gadgetron connects for one scan, each with a connection, share one.

    Args:
        count: scans at once.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._changed = threading.Condition()
        self._scans: list[_Scan] = []

    @contextmanager
    def taken(self, opening: Opening, peer: Peer, make_room: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Within it a scan, or a node of one, has its slot.

        Args:
            opening: what the peer said before its data.
            peer: who it is.
            make_room: ends a scan, where all slots are taken, and says whether there was one to end.

        Raises:
            ConnectionFailed: all slots are taken.
        """
        node = _digest(opening.configuration.encode())
        header = _digest(opening.header_xml) if peer == "gadgetron" else ""
        with self._changed:
            scan = self._placed(header, node)
            if scan is None and make_room():
                self._changed.wait_for(lambda: len(self._scans) < self._count, _WAIT)
                scan = self._placed(header, node)
        if scan is None:
            raise ConnectionFailed(f"the server runs {self._count} scans, its limit; try again later")
        try:
            yield
        finally:
            with self._changed:
                scan.nodes.remove(node)
                if not scan.nodes:
                    self._scans.remove(scan)
                    self._changed.notify_all()

    def _placed(self, header: str, node: str) -> _Scan | None:
        """The scan that a node belongs to (one of the same header that has no such node yet), or one of its own."""
        for scan in self._scans if header else ():
            if scan.header == header and node not in scan.nodes and len(scan.nodes) < _NODES:
                break
        else:
            if len(self._scans) >= self._count:
                return None
            scan = _Scan(header)
            self._scans.append(scan)
        scan.nodes.add(node)
        return scan


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
