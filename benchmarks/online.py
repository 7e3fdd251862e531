"""What the network adds: `python -m benchmarks.online`.

A two-minute scan goes through the same chain in this process and over TCP on the loopback address, by turns: the time
from its last acquisition to its last image, and the acquisitions taken a second when all come at once.
"""

from __future__ import annotations

import logging
import socket
import statistics
import threading
from collections.abc import Iterator
from time import perf_counter, sleep

from rich.console import Console
from rich.table import Table

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.gadget import Item
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.stream import messages
from nadenoise_core.stream.server import Server
from nadenoise_core.stream.session import ChainFolders
from nadenoise_core.stream.wire import CLOSE, Wire

CHAIN = "sodium_calf"
REPEATS = 20
REAL_TIME = 10.0  # acquisitions a second


class Exam:
    """A two-minute scan and a warm server."""

    def __init__(self) -> None:
        measurement = VirtualMeasurement(seed=7, averages=30)
        self.header = measurement.header_xml()
        self.acquisitions = list(measurement.acquisitions())
        self.messages = [bytes(messages.item_message(acquisition)) for acquisition in self.acquisitions]
        self.server = Server(("127.0.0.1", 0), ChainFolders())
        threading.Thread(target=self.server.serve).start()

    def here(self) -> float:
        """Milliseconds in this process."""
        last = [0.0]

        def feed() -> Iterator[Item]:
            yield from self.acquisitions[:-1]
            last[0] = perf_counter()
            yield self.acquisitions[-1]

        for _ in run(build(read_chain(find_chain(CHAIN)), read_scan(self.header)), feed()):
            end = perf_counter()
        return 1e3 * (end - last[0])

    def there(self) -> float:
        """Milliseconds over TCP."""
        with socket.create_connection(self.server.address) as link:
            wire = self._begin(link)
            for message in self.messages[:-1]:
                wire.write(message)
            sleep(0.3)  # the server has taken them all
            last = perf_counter()
            wire.write(self.messages[-1] + messages.close_message())
            return 1e3 * (self._last_answer(wire) - last)

    def ingest(self) -> float:
        """Acquisitions a second, images included."""
        with socket.create_connection(self.server.address) as link:
            wire = self._begin(link)
            begun = perf_counter()
            wire.write(b"".join(self.messages) + messages.close_message())
            return len(self.messages) / (self._last_answer(wire) - begun)

    def _begin(self, link: socket.socket) -> Wire:
        wire = Wire.of_socket(link)
        wire.write(messages.name_message(CHAIN) + messages.text_message(messages.HEADER, self.header))
        return wire

    def _last_answer(self, wire: Wire) -> float:
        end = perf_counter()
        while (message := messages.read_identifier(wire)) != CLOSE:
            if message == messages.TEXT:
                messages.read_text(wire)
            else:
                messages.read_item(messages.ANSWER_READERS, message, wire)
                end = perf_counter()
        return end


def main() -> None:
    """Measure, and show a table."""
    logging.disable(logging.WARNING)
    exam = Exam()
    exam.here(), exam.there()
    pairs = [(exam.here(), exam.there()) for _ in range(REPEATS)]
    rates = [exam.ingest() for _ in range(5)]
    exam.server.stop()
    table = Table("last acquisition to last image, ms", "median", "least", "most")
    for name, times in zip(("in this process", "over TCP"), zip(*pairs, strict=True), strict=True):
        table.add_row(name, *(f"{value:.0f}" for value in (statistics.median(times), min(times), max(times))))
    added = statistics.median(there - here for here, there in pairs)
    table.add_row("added", f"{added:.0f}", "", "")
    console = Console()
    console.print(table)
    rate = statistics.median(rates)
    console.print(f"{rate:.0f} acquisitions a second, {rate / REAL_TIME:.0f} times real time", highlight=False)


if __name__ == "__main__":
    main()
