"""The monitor in a real browser: the image improves while the scan runs."""

from __future__ import annotations

import json
import socket
import struct
import threading
import urllib.request
from collections.abc import Iterator
from urllib.error import HTTPError

import pytest

from nadenoise_core.monitor.scans import Scans
from nadenoise_core.monitor.web import Monitor
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.server import Server

AVERAGES = 6


@pytest.fixture
def shown(tmp_path, smoothing_chain, chain_file) -> Iterator[tuple[tuple[str, int], str]]:
    """A server whose scans are shown: its address, and the page's."""
    chain_file([("accumulate", {"emit_at": "2, 4, 6"}), *smoothing_chain[1:]], name="live.xml")
    scans = Scans()
    server = Server(("127.0.0.1", 0), ChainFolders([tmp_path]), watches=[scans])
    thread = threading.Thread(target=server.serve)
    thread.start()
    monitor = Monitor(scans, 0)
    yield server.address, monitor.url
    monitor.stop()
    server.stop()
    thread.join(60)


@pytest.fixture
def messages(measured):
    """A scan in parts: what comes before the data, and each average."""
    measurement, acquisitions = measured(averages=AVERAGES, noise=10.0)
    header = measurement.header_xml().encode()
    opening = struct.pack("<H1024sHI", 1, b"live.xml", 3, len(header)) + header
    sent = [struct.pack("<H", 1008) + acquisition.to_bytes() for acquisition in acquisitions]
    size = len(sent) // AVERAGES
    return opening, [b"".join(sent[size * n : size * (n + 1)]) for n in range(AVERAGES)]


def number(page, selector: str) -> float:
    return float(page.locator(selector).inner_text().split()[0])


def reading(page) -> tuple[float, float]:
    """The first region: concentration, and half of its interval."""
    value, _, reach = page.locator("#regions dd").first.inner_text().split()
    return float(value), float(reach)


def test_the_image_improves_while_the_scan_runs(shown, messages, page) -> None:
    address, url = shown
    opening, averages = messages
    page.goto(url)
    page.get_by_text("waiting for a scan").wait_for()
    snr, errors, left = [], [], []
    with socket.create_connection(address, timeout=60) as link:
        link.sendall(opening)
        for first in (0, 2, 4):
            link.sendall(averages[first] + averages[first + 1])
            page.get_by_text(f"{first + 2} of {AVERAGES}", exact=True).wait_for()
            page.locator("#regions circle").nth(first // 2).wait_for(state="attached")
            page.locator("#regions dd").wait_for()
            widths = page.locator("figure img").evaluate_all(
                "images => Promise.all(images.map(image => image.decode().then(() => image.naturalWidth)))"
            )
            assert widths == [80, 80, 80]
            snr.append(number(page, "#snr"))
            errors.append(reading(page)[1])
            left.append(number(page, "#left"))
        assert "running" in page.locator("#title").inner_text()
        link.sendall(struct.pack("<H", 4))
        page.get_by_text("scan 1, done").wait_for()
    assert snr[0] < snr[1] < snr[2] and errors[0] > errors[1] > errors[2]
    assert errors[2] < 2  # mmol/L: of the leg as a whole, not of a pixel
    assert left == [pytest.approx(0.1 * 40 * (AVERAGES - done), abs=1) for done in (2, 4, 6)]
    assert reading(page)[0] == pytest.approx(20, abs=6)
    assert page.locator("#regions dt").inner_text().startswith("leg")
    assert "R\u00b2" in page.locator("#tubes").inner_text() and "network tiny" in page.locator("#made-by").inner_text()
    verdicts = page.locator("#verdicts p").all_inner_texts()
    assert verdicts[0].startswith("Made of 6 averages") and len(verdicts) == 2


def test_a_scan_that_failed_is_shown_with_the_reason(shown, messages, page) -> None:
    address, url = shown
    opening, averages = messages
    with socket.create_connection(address) as link:
        link.sendall(opening + averages[0])
    page.goto(url)
    page.get_by_text("scan 1, failed").wait_for()
    assert "went away" in page.locator("#error").inner_text()


def test_only_the_page_itself_may_ask(shown) -> None:
    _, url = shown
    with urllib.request.urlopen(url + "state.json") as answer:
        assert json.load(answer) == []
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    with pytest.raises(HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(url, headers={"Host": "evil.example:80"}))
    for path in ("image/1/plain.png", "image/1/../../etc/passwd", "nothing"):
        with pytest.raises(HTTPError, match="404"):
            urllib.request.urlopen(url + path)
