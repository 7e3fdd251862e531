"""What a server adds: `python -m benchmarks.online`.

A two-minute scan goes through the same chain in this process, over TCP on the loopback address to a server that runs
scans in its own process, and to one that gives each its own, by turns: the time from its last acquisition to its last
image, and the acquisitions taken a second when all come at once, with the processor time of all processes together.
"""

from __future__ import annotations

import logging
import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import perf_counter, sleep

from rich.console import Console
from rich.table import Table

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.gadget import Item
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.simulate.warm import warm_up
from nadenoise_core.stream import messages
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.server import Server
from nadenoise_core.stream.wire import CLOSE, Wire

CHAIN = "sodium_calf"
REPEATS = 20
REAL_TIME = 10.0  # acquisitions a second


class Exam:
    """A two-minute scan and two warm servers."""

    def __init__(self) -> None:
        measurement = VirtualMeasurement(seed=7, averages=30)
        self.header = measurement.header_xml()
        self.acquisitions = list(measurement.acquisitions())
        self.messages = [bytes(messages.item_message(acquisition)) for acquisition in self.acquisitions]
        self.servers = [Server(("127.0.0.1", 0), ChainFolders()) for _ in range(2)]
        self.servers[1].start_workers(warm_up, count=1, memory=8 << 30, longest=600.0)
        for server in self.servers:
            threading.Thread(target=server.serve).start()

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

    def there(self, server: Server) -> float:
        """Milliseconds over TCP."""
        with socket.create_connection(server.address) as link:
            wire = self._begin(link)
            for message in self.messages[:-1]:
                wire.write(message)
            sleep(0.3)  # the server has taken them all
            last = perf_counter()
            wire.write(self.messages[-1] + messages.close_message())
            return 1e3 * (self._last_answer(wire) - last)

    def ingest(self, server: Server) -> tuple[float, float]:
        """Acquisitions a second, images included, and milliseconds of processor time."""
        begun = processor_time()
        with socket.create_connection(server.address) as link:
            wire = self._begin(link)
            start = perf_counter()
            wire.write(b"".join(self.messages) + messages.close_message())
            rate = len(self.messages) / (self._last_answer(wire) - start)
        sleep(0.2)  # the scan comes to its end
        return rate, 1e3 * (processor_time() - begun)

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


def processor_time() -> float:
    """Seconds that this process and those that come from it have used."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    ours: set[int] = set()
    new = {os.getpid()}
    while new:
        ours |= new
        new = {process for process, parent in parents.items() if parent in new}
    return sum(time.clock_gettime(~process << 3 | 2) for process in ours)  # Linux's clock of another process


def main() -> None:
    """Measure, and show a table."""
    logging.disable(logging.WARNING)
    exam = Exam()
    ways = {"in this process": exam.here} | {
        f"over TCP, {how}": partial(exam.there, server)
        for how, server in zip(("in the server's process", "in its own process"), exam.servers, strict=True)
    }
    for way in ways.values():
        way()
    times = [[way() for way in ways.values()] for _ in range(REPEATS)]
    table = Table("last acquisition to last image, ms", "median", "least", "most", "added")
    for name, column in zip(ways, zip(*times, strict=True), strict=True):
        added = statistics.median(one - row[0] for one, row in zip(column, times, strict=True))
        table.add_row(name, *(f"{value:.0f}" for value in (statistics.median(column), min(column), max(column), added)))
    console = Console()
    console.print(table)
    rates = [[exam.ingest(server) for server in exam.servers] for _ in range(REPEATS)]
    for server in exam.servers:
        server.stop()
    table = Table("acquisitions taken when all come at once", "a second", "times real time", "processor ms a scan")
    for name, column in zip(list(ways)[1:], zip(*rates, strict=True), strict=True):
        rate, spent = (statistics.median(values) for values in zip(*column, strict=True))
        table.add_row(name, f"{rate:.0f}", f"{rate / REAL_TIME:.0f}", f"{spent:.0f}")
    console.print(table)


if __name__ == "__main__":
    main()
