"""Good, bad and killed scans against one server for as long as you like: `python -m benchmarks.soak --minutes 60`.

The server is `nadenoise serve` with capture, monitor and an outbox. Every good scan must give its images, its DICOM
objects and its raw file, bit for bit; every bad one a sentence; and the server may not grow. The status is 1 otherwise.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from contextlib import suppress
from pathlib import Path

import ismrmrd
from pydicom import dcmread

from benchmarks.misbehaving import KINDS, offer
from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import read_chain
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import ScanFailed
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.stream import messages
from nadenoise_core.stream.client import send_scan

CLIENTS = 3
SEEDS = 4
IMAGES = 3
LOOK = 2.0  # s between looks at the server
SHARES = {"good": 12, "bad": 6, "killed": 6}
MEMORY = 20.0  # MB that the server may hold more at the end: its allocator's play

_ID = re.compile(r"(<measurementID>)[^<]*")


class Scan:
    """A scan that is sent again and again, and what it must give.

    Args:
        seed: of the measurement.
        chain: the chain file.
        outbox: of the chain; what this puts there is taken out again.
    """

    def __init__(self, seed: int, chain: Path, outbox: Path) -> None:
        measurement = VirtualMeasurement(seed=seed, averages=5, noise=30.0)
        self._header = measurement.header_xml()
        self.acquisitions = list(measurement.acquisitions())
        made = run(build(read_chain(chain), read_scan(self.header(f"reference {seed}"))), self.acquisitions)
        self.images = [item.to_bytes() for item in made if isinstance(item, ismrmrd.Image)]
        self.pixels = {pixels_of(path) for path in outbox.glob("*.dcm")}
        for path in outbox.glob("*.dcm"):
            path.unlink()

    def header(self, name: str) -> str:
        """The header of a measurement of this name: no two are alike, so that no DICOM object replaces another."""
        return _ID.sub(rf"\g<1>{name}", self._header)


class Server:
    """`nadenoise serve` as a process, with all that looks on."""

    def __init__(self, folder: Path) -> None:
        self.captured, self.outbox, chains = folder / "raw", folder / "outbox", folder / "chains"
        chains.mkdir()
        self.good = chains / "good.xml"
        self.good.write_text(chain_text({"outbox": str(self.outbox)}))
        self.bad = {how: folder / f"{how}.xml" for how in KINDS}
        for how, path in self.bad.items():
            path.write_text(chain_text({}, how))
        offer(folder)
        options: dict[str, object] = {"port": 0, "worker-memory": 400, "worker-time": 30, "idle": 30, "monitor": 0}
        options |= {"chains": chains, "capture": self.captured}
        command = ["serve", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
        self.log = folder / "log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "nadenoise_core.cli.main", *command],
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])},
                stderr=log,
            )
        self.page = self._logged(r"shown at (\S+)")
        host, port = self._logged(r"listening at (\S+)").rsplit(":", 1)
        self.address = (host, int(port))

    def _logged(self, words: str) -> str:
        while (found := re.search(words, self.log.read_text())) is None:
            if self.process.poll() is not None:
                raise SystemExit(f"the server does not start:\n{self.log.read_text()}")
            time.sleep(0.1)
        return found[1]

    def size(self) -> dict[str, float]:
        """Memory of the server's process, MB, its threads and descriptors, and the processes that come from it."""
        proc = Path(f"/proc/{self.process.pid}")
        status = proc.joinpath("status").read_text()
        size = {name: float(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmRSS", "Threads")}  # type: ignore[index]
        return {
            "memory, MB": size["VmRSS"] / 1024,
            "threads": size["Threads"],
            "descriptors": len(list(proc.joinpath("fd").iterdir())),
            "processes": len(descendants(self.process.pid)),
        }


def chain_text(deliver: dict[str, str], how: str = "") -> str:
    """A chain file of all stages, with properties of the last, behind a gadget that misbehaves in some way."""
    stages = [("misbehave", {"how": how})] if how else []
    stages += [("accumulate", {}), ("reconstruct", {}), ("denoise", {}), ("quantify", {}), ("deliver", deliver)]
    gadgets = "".join(
        f'<gadget name="{name}">'
        + "".join(f'<property name="{k}" value="{v}"/>' for k, v in given.items())
        + "</gadget>"
        for name, given in stages
    )
    node = f'<execute name="gadgets" target="chain" type="python"/><configuration>{gadgets}</configuration>'
    return f"<configuration><version>2</version><stream><external>{node}</external></stream></configuration>"


def descendants(ancestor: int) -> set[int]:
    """The processes that come from one."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it is gone
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found: set[int] = set()
    new = {ancestor}
    while new:
        new = {process for process, parent in parents.items() if parent in new}
        found |= new
    return found


def pixels_of(path: Path) -> str:
    """A checksum of the pixels of a DICOM file."""
    return hashlib.sha256(dcmread(path).PixelData).hexdigest()


class Soak:
    """Clients that send scans until they are stopped, and what came of it."""

    def __init__(self, server: Server, scans: list[Scan]) -> None:
        self.server, self.scans = server, scans
        self.counts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.sent: dict[str, Scan] = {}  # good scans whose raw file is still to come, by name
        self.stopped = threading.Event()
        self._lock = threading.Lock()

    def client(self, number: int) -> None:
        """Send one scan after another."""
        chance = random.Random(number)
        count = 0
        while not self.stopped.is_set():
            count += 1
            kind = chance.choices(list(SHARES), list(SHARES.values()))[0]
            scan, name = chance.choice(self.scans), f"{kind} {number} {count}"
            try:
                getattr(self, f"_{kind}")(scan, name, chance)
            except Exception as error:
                self._fault(f"{kind}: {type(error).__name__}: {error}")
            with self._lock:
                self.counts[kind] += 1

    def _fault(self, words: str) -> None:
        with self._lock:
            self.faults[words] += 1

    def _good(self, scan: Scan, name: str, chance: random.Random) -> None:
        self.sent[name] = scan
        answers = send_scan(self.server.address, "good", scan.header(name), scan.acquisitions)
        images = [item.to_bytes() for item in answers if isinstance(item, ismrmrd.Image)]
        if images != scan.images:
            self._fault("good: images are lost" if len(images) < IMAGES else "good: images differ")

    def _killed(self, scan: Scan, name: str, chance: random.Random) -> None:
        how = chance.choices(KINDS, [1 if how.startswith("loops") else 8 for how in KINDS])[0]  # those take long
        try:
            list(send_scan(self.server.address, str(self.server.bad[how]), scan.header(name), scan.acquisitions))
            self._fault(f"killed: {how} gave no error")
        except ScanFailed as error:
            if not re.search("worked for more than|MiB of memory|process of the scan", str(error)):
                self._fault(f"killed: {how} said {error}")

    def _bad(self, scan: Scan, name: str, chance: random.Random) -> None:
        header, some = scan.header(name), [bytes(messages.item_message(item)) for item in scan.acquisitions[:20]]
        begin = messages.name_message("good") + messages.text_message(messages.HEADER, header)
        huge = re.sub(r"<x>80</x>(\s*)<y>80</y>", r"<x>1000000000</x>\1<y>1000000000</y>", header)
        sent, vanishes = chance.choice(
            [
                (bytes(chance.randrange(256) for _ in range(2000)), False),
                (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", True),
                (b"", True),
                (begin + b"".join(some), True),
                (begin + b"".join(some)[:-100], True),
                (begin + b"".join(some) + (60000).to_bytes(2, "little"), False),
                (messages.name_message("nowhere") + messages.text_message(messages.HEADER, header) + b"\4\0", False),
                (messages.name_message("good") + messages.text_message(messages.HEADER, huge) + b"\4\0", False),
                (messages.name_message("good") + messages.text_message(messages.HEADER, "<a/>") + b"\4\0", False),
            ]
        )
        with socket.create_connection(self.server.address, timeout=60) as link, suppress(ConnectionError):
            link.sendall(sent)
            if not vanishes:
                with link.makefile("rb") as stream:
                    if b"ERR " not in stream.read():
                        self._fault("bad: no sentence came")

    def audit(self) -> None:
        """Compare the raw files and the DICOM objects that are there with what was sent, and remove them."""
        for path in self.server.captured.glob("*.h5"):
            with RawFile(path) as file:
                name = _ID.search(file.header_xml.decode())[0].partition(">")[2]  # type: ignore[index]
                scan = self.sent.get(name)
                if scan is not None and list(file.acquisitions()) != scan.acquisitions:
                    self._fault("capture: a raw file differs")
            self.sent.pop(name, None)
            path.unlink()
            self.counts["raw files"] += 1
        known = set[str]().union(*(scan.pixels for scan in self.scans))
        for path in self.server.outbox.glob("*.dcm"):
            if pixels_of(path) not in known:
                self._fault("outbox: a DICOM object differs")
            path.unlink()
            self.counts["DICOM objects"] += 1

    def look(self) -> dict[str, float]:
        """The size of the server; its page must answer in valid JSON."""
        with urllib.request.urlopen(f"{self.server.page}state.json", timeout=30) as answer:
            json.loads(answer.read(), parse_constant=self._fault)
        return self.server.size()

    def end(self) -> None:
        """Stop the server; what it leaves behind is a fault."""
        processes = descendants(self.server.process.pid)
        self.server.process.send_signal(signal.SIGTERM)
        if self.server.process.wait(120) != 0:
            self._fault("the server ended with an error")
        self.audit()
        if self.sent:
            self._fault(f"capture: {len(self.sent)} raw files are lost")
        lost = IMAGES * self.counts["good"] - self.counts["DICOM objects"]
        if lost:
            self._fault(f"outbox: {lost} DICOM objects are lost")
        left = [path for folder in (self.server.captured, self.server.outbox) for path in folder.iterdir()]
        if left or any(Path(f"/proc/{process}").exists() for process in processes):
            self._fault(f"files or processes are left behind ({', '.join(path.name for path in left)})")
        if "Traceback" in self.server.log.read_text():
            self._fault("the log tells of a fault of nadenoise")


def grown(sizes: list[dict[str, float]]) -> dict[str, tuple[float, float, bool]]:
    """Of each size the median of an early and of the last quarter, and whether it has grown."""
    quarter = max(len(sizes) // 4, 1)
    found = {}
    for name in sizes[0]:
        early, late = (
            statistics.median(size[name] for size in part) for part in (sizes[quarter : 2 * quarter], sizes[-quarter:])
        )
        found[name] = (early, late, late > early + (MEMORY if name.startswith("memory") else 2))
    return found


def main() -> None:
    """Soak, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description="scans against a server, for long")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long")
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name:
        server = Server(Path(name))
        try:
            soak = Soak(server, [Scan(seed, server.good, server.outbox) for seed in range(SEEDS)])
            sizes = watched(soak, 60 * minutes)
            soak.end()
        finally:
            server.process.kill()
    report(soak, sizes, minutes)
    sys.exit(bool(soak.faults) or any(is_so for _, _, is_so in grown(sizes).values()))


def watched(soak: Soak, seconds: float) -> list[dict[str, float]]:
    """Let the clients work for so many seconds: the size of the server again and again."""
    clients = [threading.Thread(target=soak.client, args=(number,)) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    end = time.monotonic() + seconds
    sizes = []
    try:
        while time.monotonic() < end:
            time.sleep(LOOK)
            sizes.append(soak.look())
            soak.audit()
    finally:
        soak.stopped.set()
        for client in clients:
            client.join()
    return sizes


def report(soak: Soak, sizes: list[dict[str, float]], minutes: float) -> None:
    """Say what came of it."""
    print(f"{minutes:g} minutes: {', '.join(f'{count} {kind}' for kind, count in sorted(soak.counts.items()))}")
    for name, (_, _, is_so) in grown(sizes).items():
        parts = [sizes[len(sizes) * tenth // 10 : len(sizes) * (tenth + 1) // 10] for tenth in range(10)]
        course = " ".join(f"{statistics.median(size[name] for size in part):.0f}" for part in parts if part)
        print(f"{name}, in tenths of the time: {course}{', GROWN' if is_so else ''}")
    print("no faults" if not soak.faults else "faults:")
    for words, count in soak.faults.items():
        print(f"  {count} x {words}")


if __name__ == "__main__":
    main()
