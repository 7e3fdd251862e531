"""Scans in processes of their own: whatever one does to its process, the others give their bytes; nothing is left."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import ismrmrd
import pytest

from benchmarks.misbehaving import offer
from nadenoise_core.errors import OutputError, ScanFailed
from nadenoise_core.monitor.scans import Scans
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.stream import messages
from nadenoise_core.stream.capture import Captures
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.client import send_scan
from nadenoise_core.stream.server import Limits, Server
from nadenoise_core.stream.workers import IS_POSSIBLE

pytestmark = [
    pytest.mark.skipif(not IS_POSSIBLE, reason="this system gives scans no processes of their own"),
    # gadgetron-python's own reader of headers, and that of images of ismrmrd 1.14.
    pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This function currently returns a result that is inconsistent:UserWarning"),
]

WARMING = """
from nadenoise_core.chain.chain import build
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement

def warm_up(folders):
    measurement = VirtualMeasurement(seed=3, averages=2, noise=4.0)
    scan = read_scan(measurement.header_xml())
    assert len(list(run(build(folders.named("good"), scan), measurement.acquisitions()))) == 2

def fails(folders):
    raise ValueError("no network is here")
"""
BAD = {
    "allocates": "takes more than 150 MiB of memory, the limit",
    "loops": "worked for more than 6 s without an answer",
    "loops_outside_python": "worked for more than 6 s without an answer",
    "crashes": "was ended by SIGSEGV",
    "aborts": "was ended by SIGABRT",
    "leaves": "came to its end",
    "is_killed": "was ended by SIGKILL",
}
GOOD = ["accumulate", "reconstruct", ("quantify", {"tube_diameter": "20"})]
KINDS = ["plain", "atsc"]


@pytest.fixture(scope="module")
def warming(tmp_path_factory) -> Iterator[ModuleType]:
    """A module that warms up; beside it a package is installed that offers a gadget which misbehaves."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "warming.py").write_text(WARMING)
    offer(folder)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("warming")
    sys.path.remove(str(folder))
    del sys.modules["warming"]


@pytest.fixture(scope="module")
def chains(tmp_path_factory, chain_text) -> ChainFolders:
    folder = tmp_path_factory.mktemp("chains")
    (folder / "good.xml").write_text(chain_text(GOOD))
    for how in BAD:
        (folder / f"{how}.xml").write_text(chain_text([("misbehave", {"how": how}), *GOOD]))
    return ChainFolders([folder])


@pytest.fixture(scope="module")
def scan(measured) -> tuple[str, list[ismrmrd.Acquisition]]:
    measurement, acquisitions = measured(averages=3)
    return measurement.header_xml(), acquisitions


class Running:
    """A server with workers, what looks on, and its thread."""

    def __init__(
        self, chains: ChainFolders, raw: Path, warm_up: Callable[..., None], longest: float = 6.0, **limits: float
    ) -> None:
        self.scans, self.captures, self.raw = Scans(), Captures(raw), raw
        self.others = set(threading.enumerate())
        self.server = Server(("127.0.0.1", 0), chains, Limits(**limits), [self.captures, self.scans])
        self.server.start_workers(warm_up, count=1, memory=150 << 20, longest=longest)
        self.address = self.server.address
        self.ended: list[bool] = []
        self.thread = threading.Thread(target=lambda: self.ended.append(self.server.serve()))
        self.thread.start()

    def threads(self) -> int:
        """How many the server has."""
        return len(set(threading.enumerate()) - self.others)

    def newest(self) -> dict[str, Any]:
        """What is known of the newest scan, once that is over."""
        wait_until(lambda: not self.scans.state()[0]["running"])
        return self.scans.state()[0]

    def is_spooled(self, size: int) -> bool:
        """Whether so many bytes of a scan are on the disc."""
        with suppress(FileNotFoundError):  # a file was made of it
            return any(spool.stat().st_size >= size for spool in self.raw.glob("*.mrd"))
        return False

    def is_stuck(self) -> bool:
        """Whether a worker is in the middle of a message, and stays there."""
        assert self.server._workers is not None
        sending = [worker for worker in self.server._workers._all if worker.board.sending]
        for _ in range(50):
            time.sleep(0.02)
            sending = [worker for worker in sending if worker.board.sending]
        return bool(sending)

    def captured(self) -> list[ismrmrd.Acquisition]:
        """The raw data of the newest scan."""
        name = f"scan_*_{self.scans.state()[0]['number']:04d}_*.h5"
        wait_until(lambda: list(self.raw.glob(name)))
        with RawFile(next(self.raw.glob(name))) as file:
            return list(file.acquisitions())

    def stop(self) -> None:
        self.server.stop()
        self.thread.join(120)
        assert self.ended == [True] and self.captures.finish(30)


@pytest.fixture(scope="module")
def running(chains, warming, tmp_path_factory) -> Iterator[Running]:
    started = Running(chains, tmp_path_factory.mktemp("raw"), warming.warm_up, idle=300.0)
    yield started
    started.stop()


def processes_of_servers() -> dict[int, int]:
    """Them, with their parents; other tests may have left theirs."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            is_ours = "nadenoise_core.stream.worker" in (stat.parent / "cmdline").read_text()
        except OSError:  # it is gone
            continue
        if is_ours:
            parents[int(stat.parent.name)] = int(fields[1])
    return parents


def descendants() -> set[int]:
    """The processes of servers that come from this one."""
    parents = processes_of_servers()
    found, new = set(), {os.getpid()}
    while new:
        new = {process for process, parent in parents.items() if parent in new}
        found |= new
    return found


def sent(address, scan, chain: str) -> list[ismrmrd.Image]:
    return [item for item in send_scan(address, chain, *scan) if isinstance(item, ismrmrd.Image)]


def opening(chain: str, header: str) -> bytes:
    return messages.name_message(chain) + messages.text_message(messages.HEADER, header)


def bytes_of(acquisitions) -> bytes:
    return b"".join(bytes(messages.item_message(acquisition)) for acquisition in acquisitions)


def test_a_scan_gives_what_it_gives_in_one_process(running, scan, run_chain, caplog) -> None:
    received = sent(running.address, scan, "good")
    here = run_chain(GOOD, *scan)
    assert [known_facts(image).kind.value for image in received] == KINDS
    assert [image.to_bytes() for image in received] == [image.to_bytes() for image in here]


def wait_until(happened: Callable[[], object], seconds: float = 120.0) -> None:
    give_up = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.parametrize("how", BAD)
def test_a_scan_that_ends_its_process_ends_alone(how, running, scan, run_chain, caplog) -> None:
    header, acquisitions = scan
    expected = [image.to_bytes() for image in run_chain(GOOD, *scan)]
    number = max((state["number"] for state in running.scans.state()), default=0)
    with socket.create_connection(running.address, timeout=60) as beside:
        beside.sendall(opening("good", header) + bytes_of(acquisitions[:20]))
        wait_until(lambda: running.scans.state()[:1] and running.scans.state()[0]["number"] > number)
        texts: list[str] = []
        with pytest.raises(ScanFailed, match=BAD[how]):
            for item in send_scan(running.address, how, header, acquisitions):
                texts.append(item)
        assert len([text for text in texts if text.startswith("ERR ")]) == len(texts) == 1
        beside.sendall(bytes_of(acquisitions[20:]) + messages.close_message())
        wire = messages.Wire.of_socket(beside)
        received = []
        while (message := messages.read_identifier(wire)) != messages.CLOSE:
            if message == messages.TEXT:
                messages.read_text(wire)
            else:
                received.append(messages.read_item(messages.ANSWER_READERS, message, wire).to_bytes())
        assert received == expected
    assert [image.to_bytes() for image in sent(running.address, scan, "good")] == expected
    assert BAD[how] in caplog.text


def test_who_looks_on_sees_all_of_it(running, scan, caplog) -> None:
    header, acquisitions = scan
    short = (header, acquisitions[: len(acquisitions) // 3])
    assert len(sent(running.address, short, "good")) == 2
    assert running.captured() == short[1]
    state = running.newest()
    assert (state["acquisitions"], state["images"], state["running"]) == (len(short[1]), ["atsc", "plain"], False)
    assert "the scan has 1 averages, 3 were expected" in caplog.text


def test_what_had_come_of_a_scan_that_died_is_kept(running, scan) -> None:
    header, acquisitions = scan
    before = acquisitions[:10]  # which pass the gadget

    def as_they_are_kept() -> Iterator[ismrmrd.Acquisition]:
        yield from before
        wait_until(lambda: running.is_spooled(len(bytes_of(before))))
        yield from acquisitions[10:]

    with pytest.raises(ScanFailed, match="SIGSEGV"):
        list(send_scan(running.address, "crashes", header, as_they_are_kept()))
    kept = running.captured()
    assert 10 <= len(kept) <= 11 and kept == acquisitions[: len(kept)]
    assert "SIGSEGV" in running.newest()["error"]


def test_more_scans_at_once_than_workers_wait(running, scan, node_xml, peer) -> None:
    """Nodes of one scan stream to each other: none may wait for another's end."""
    header, acquisitions = scan
    links = [socket.create_connection(running.address, timeout=60) for _ in range(4)]
    try:
        for link in links:
            link.sendall(messages.text_message(messages.CONFIG, node_xml(["accumulate"])))
            link.sendall(messages.text_message(messages.HEADER, header) + bytes_of(acquisitions))
        for link in links:  # each answers while all are open
            assert link.recv(2) == struct.pack("<H", messages.RECON_DATA)
    finally:
        for link in links:
            link.close()


def test_half_an_image_is_never_filled_with_words(running, scan, node_xml) -> None:
    """A worker that dies as it sends leaves a message cut: what follows would be taken for pixels."""
    header, acquisitions = scan
    every = bytes_of(acquisitions)
    with socket.create_connection(running.address, timeout=60) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(messages.text_message(messages.CONFIG, node_xml(["prewhiten"])))
        link.sendall(messages.text_message(messages.HEADER, header))

        def send() -> None:
            with suppress(OSError):  # once the server has given up
                while True:
                    link.sendall(every)

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        wait_until(running.is_stuck)  # nobody reads what comes back: it fills the network
        for process in descendants() - {fork_server()}:
            os.kill(process, signal.SIGKILL)
        sending.join(60)
        received = b""
        while part := receive(link):
            received += part
    whole = every * (len(received) // len(every) + 1)
    assert len(received) > 4096 and whole.startswith(received)


def fork_server() -> int:
    """The process that workers come from."""
    (process,) = (process for process, parent in processes_of_servers().items() if parent == os.getpid())
    return process


def receive(link: socket.socket) -> bytes:
    try:
        return link.recv(1 << 20)
    except ConnectionResetError:
        return b""


def test_nothing_is_left_behind(running, scan) -> None:
    def used() -> tuple[int, int, int]:
        gc.collect()
        return len(os.listdir("/proc/self/fd")), running.threads(), len(descendants())

    for number in range(6):
        with pytest.raises(ScanFailed):
            sent(running.address, scan, "is_killed")
        assert len(sent(running.address, scan, "good")) == 2
        if number == 2:
            wait_until(lambda: running.threads() <= 2)
            before = used()
    wait_until(lambda: all(now <= then for now, then in zip(used(), before, strict=True)))


def test_the_fork_server_is_replaced(running, scan, caplog) -> None:
    os.kill(fork_server(), signal.SIGKILL)
    assert len(sent(running.address, scan, "good")) == 2  # by the worker that is there
    with pytest.raises(ScanFailed):
        sent(running.address, scan, "is_killed")
    assert len(sent(running.address, scan, "good")) == 2
    assert "another is started" in caplog.text


def test_the_end_is_not_held_up_by_a_scan_that_never_ends(chains, warming, scan, tmp_path) -> None:
    before = descendants()
    started = Running(chains, tmp_path, warming.warm_up, longest=600.0)
    header, acquisitions = scan
    with socket.create_connection(started.address, timeout=60) as link:
        link.sendall(opening("loops_outside_python", header) + bytes_of(acquisitions))
        wait_until(lambda: started.scans.state() and started.scans.state()[0]["running"])
        own = descendants() - before
        started.server.cut()
        started.thread.join(120)
        assert started.ended == [False]
    assert started.captures.finish(30)
    assert len(own) >= 2 and not own & processes_of_servers().keys()


def test_signals_to_all_processes_do_not_end_what_is_starting(chains, warming, tmp_path) -> None:
    before = descendants()

    def signal_as_it_starts() -> None:
        wait_until(lambda: descendants() - before)
        for process in descendants() - before:
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(process, number)

    signalling = threading.Thread(target=signal_as_it_starts)
    signalling.start()
    started = Running(chains, tmp_path, warming.warm_up)
    signalling.join()
    started.stop()


def test_workers_that_cannot_be_made_are_told(chains, warming, tmp_path, capfd) -> None:
    before = descendants()
    server = Server(("127.0.0.1", 0), chains)
    with pytest.raises(OutputError, match="do not start"):
        server.start_workers(warming.fails, count=1, memory=150 << 20, longest=6.0)
    assert "no network is here" in capfd.readouterr().err and descendants() == before
    server.stop()
    server.serve()
