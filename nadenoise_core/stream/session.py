"""A scan that came over a connection: which chain it asks for, and the chain run over it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

import ismrmrd

from nadenoise_core.chain.chain import Chain, build, check_runs_here
from nadenoise_core.chain.files import parse_chain, read_node
from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.chain.openrecon import CONFIG_ID, with_parameters
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import ChainError, ConnectionFailed, NadenoiseError
from nadenoise_core.log import warnings_sent_to
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.deidentification import deidentified
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.stream.chain_folders import ChainFolders
from nadenoise_core.stream.connection import Opening, ScanConnection, failures_reported
from nadenoise_core.stream.observers import Observer, Observers

_log = logging.getLogger("nadenoise.server")
_NAMED = 40  # elements of a header in a log line


@dataclass(frozen=True)
class ScanSettings:
    """How a server runs scans; it can be pickled.

    Attributes:
        folders: where peers may choose chains.
        budget: of each scan.
        pseudonyms: by which what is written of scans is de-identified; None: it is not.
    """

    folders: ChainFolders
    budget: Budget = USUAL
    pseudonyms: Pseudonyms | None = None


def attended(connection: ScanConnection, number: int, serve: Callable[[], str]) -> str:
    """Serve a scan and end its connection; what fails is sent to the peer, and logged.

    Args:
        connection: of the scan.
        number: of the scan.
        serve: the serving; it gives why it failed where the peer and the log know that already.

    Returns:
        Why it failed; empty if it did not.
    """
    try:
        with connection, failures_reported(connection):
            return serve()
    except NadenoiseError as error:
        # Who connects and says nothing looks whether the server is there.
        _log.log(logging.DEBUG if connection.socket.silent else logging.ERROR, "scan %d: %s", number, error)
        return str(error)
    except Exception as error:
        _log.exception("scan %d failed; this is a fault of nadenoise", number)
        return f"a fault of nadenoise, {type(error).__name__}"


def serve_scan(
    connection: ScanConnection,
    number: int,
    opening: Opening,
    settings: ScanSettings,
    observers: Sequence[Observer] = (),
) -> None:
    """Run the chain that a peer asks for over its items.

    Args:
        connection: of the scan, whose opening was read.
        number: of the scan, for the log.
        opening: what the peer said before its data.
        settings: of the server. What goes back to the peer, who knows the patient, is not de-identified, but for DICOM.
        observers: who look on.

    Raises:
        Exception: whatever went wrong.
    """
    folders, budget, pseudonyms = settings.folders, settings.budget, settings.pseudonyms
    if connection.peer == "gadgetron":
        chain = folders.confined(read_node(opening.configuration.encode()))
        run_scan(connection, chain, opening.header_xml, observers, budget, pseudonyms)
    else:
        with _warnings_to(connection):
            chain = _chain_of_client(connection, opening, folders)
            run_scan(connection, chain, opening.header_xml, observers, budget, pseudonyms)
    _log.info("scan %d is done", number)


def run_scan(
    connection: ScanConnection,
    chain: Chain,
    header_xml: bytes,
    observers: Sequence[Observer] = (),
    budget: Budget = USUAL,
    pseudonyms: Pseudonyms | None = None,
) -> None:
    """Run a chain over the items of a connection; what comes out is sent as it becomes ready.

    A client is sent images and files alone: Gadgetron's ends at whatever else comes, and keeps nothing.

    Raises:
        Exception: whatever went wrong.
    """
    check_runs_here(chain)
    hidden = None
    if pseudonyms is not None:
        hidden = deidentified(header_xml, pseudonyms).without(chain.paths())
        header_xml = hidden.header_xml
        removed = ", ".join(hidden.removed[:_NAMED]) or "nothing"
        _log.info("de-identified as %s; %d elements removed: %.2000s", hidden.name, len(hidden.removed), removed)
    scan = replace(read_scan(header_xml, budget), deidentification=hidden)
    gadgets = build(chain, scan)
    watching = Observers(observers)
    failure: Exception | None = None
    try:
        watching.begin(scan, header_xml)
        for item in run(gadgets, watching.seen(connection)):
            if connection.peer == "gadgetron" or isinstance(item, ismrmrd.Image | DicomFile):
                connection.send(item)
            if isinstance(item, ismrmrd.Image):
                watching.image(item)
    except Exception as error:
        failure = error
        raise
    finally:
        watching.end(failure)


def _chain_of_client(connection: ScanConnection, opening: Opening, folders: ChainFolders) -> Chain:
    if opening.configuration:
        return folders.confined(parse_chain(opening.configuration.encode(), "chain", "configuration"))
    connection.read_parameters()
    name = connection.parameters.pop(CONFIG_ID, opening.name)
    if not name:
        raise ChainError(f"no configuration came; name a chain, of {', '.join(folders.names)}")
    chain = folders.named(name)
    return with_parameters(chain, connection.parameters) if connection.parameters else chain


@contextmanager
def _warnings_to(connection: ScanConnection) -> Iterator[None]:
    """Send what this scan's thread warns of as text."""

    def send(level: int, message: str) -> None:
        with suppress(ConnectionFailed):  # the scan finds out by itself
            connection.send_text(f"{'ERR' if level >= logging.ERROR else 'WRN'} {message}")

    with warnings_sent_to(send):
        yield
