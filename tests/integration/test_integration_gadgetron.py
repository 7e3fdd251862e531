"""Every chain file as Gadgetron runs it: nodes started by its own command, or connected to a warm server."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ismrmrd
import pytest
from lxml import etree

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import chain_files, read_chain
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.server import Server

pytestmark = [
    # gadgetron-python's own reader of headers, and that of images of ismrmrd 1.14.
    pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This function currently returns a result that is inconsistent:UserWarning"),
]

ROOT = Path(__file__).parents[2]
CHAINS = {path.stem: path for path in chain_files()}


def nodes(chain: Path) -> Iterator[tuple[Any, str]]:
    """How Gadgetron reaches each node of a file, and the `<configuration>` that it sends: comments are gone."""
    parsed = etree.parse(chain, etree.XMLParser(remove_comments=True))
    for external in parsed.iterfind("stream/external"):
        (way,) = (child for child in external if child.tag in ("execute", "connect"))
        configuration = etree.tostring(external.find("configuration"), encoding="unicode", with_tail=False)
        yield way, f'<?xml version="1.0"?>\n{configuration}\n'


@pytest.fixture
def scan(measured):
    measurement, acquisitions = measured(averages=6, noise=58.0)
    return measurement.header_xml(), acquisitions


@pytest.fixture
def connect() -> Iterator[Callable[[], socket.socket]]:
    """Connections to a warm server."""
    server = Server(("127.0.0.1", 0), ChainFolders())
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield lambda: socket.create_connection(server.address)
    server.stop()
    thread.join(60)


def exchange(peer: type[Any], configuration: str, header: str, items: list[Any], link: socket.socket) -> list[Any]:
    """What a node gives; the peer knows only the messages that Gadgetron reads."""
    gadgetron = peer(link)
    received = gadgetron.talk(configuration, header, items)
    assert gadgetron.errors == [] and link.recv(1) == b""  # nothing after CLOSE
    return received


def started(way: Any, talk: Callable[[socket.socket], list[Any]]) -> list[Any]:
    """What a node gives that is started as Gadgetron starts it; it must end well and print nothing."""
    with socket.create_server(("localhost", 0)) as listener:
        listener.settimeout(240)
        port = str(listener.getsockname()[1])
        with subprocess.Popen(
            [sys.executable, "-m", "gadgetron", port, way.get("name"), way.get("target")],
            cwd=ROOT, env={**os.environ, "GADGETRON_EXTERNAL_LOG_LEVEL": "ERROR"}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        ) as node:  # fmt: skip
            try:
                link, _ = listener.accept()
                with link:
                    received = talk(link)
                output, log = node.communicate(timeout=240)
            finally:
                node.kill()
    assert node.returncode == 0, log
    assert output == ""  # Gadgetron's own output, which may be the data channel
    return received


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_file_gives_in_gadgetron_what_a_replay_gives(name, scan, peer, connect) -> None:
    header, items = scan
    for way, configuration in nodes(CHAINS[name]):
        talk = partial(exchange, peer, configuration, header, items)
        if way.tag == "execute":
            items = started(way, talk)
        else:
            with connect() as link:
                items = talk(link)
    chain = read_chain(CHAINS[name])
    expected = list(run(build(chain, read_scan(header)), scan[1]))
    assert len(expected) >= 1
    assert [image.to_bytes() for image in items] == [image.to_bytes() for image in expected]
    # What Gadgetron's readers of images take.
    assert {image.data_type for image in items} <= {
        ismrmrd.DATATYPE_USHORT,
        ismrmrd.DATATYPE_CXFLOAT,
        ismrmrd.DATATYPE_FLOAT,
    }


def test_a_node_that_asks_for_dicom_is_refused_before_the_scan(scan, peer, connect, node_xml) -> None:
    header, items = scan
    with connect() as link:
        other = peer(link)
        other.talk(node_xml(["accumulate", "reconstruct", ("deliver", {"send": "true"})]), header, items)
    assert re.search("takes no DICOM from inside", other.errors[0])
