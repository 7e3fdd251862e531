"""A scan that came over a connection: which chain it asks for, and the chain run over it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import ismrmrd

from nadenoise_core.chain.chain import Chain, Stage, build, check_runs_here
from nadenoise_core.chain.files import chain_files, parse_chain, read_chain, read_node
from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.chain.openrecon import CONFIG_ID, with_parameters
from nadenoise_core.chain.runner import run
from nadenoise_core.configuration import suggestion
from nadenoise_core.denoise.bundle import listed_checksum
from nadenoise_core.errors import ChainError, ConnectionFailed, NadenoiseError
from nadenoise_core.log import warnings_told
from nadenoise_core.mrd.budget import USUAL, Budget
from nadenoise_core.mrd.deidentification import deidentified
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.stream.connection import Opening, ScanConnection, failures_reported
from nadenoise_core.stream.observers import Observer, Observers

_log = logging.getLogger("nadenoise.server")
_NAMED = 40  # elements of a header in a log line


class ChainFolders:
    """The folders in which a peer may choose a chain by name, and that chains from a peer may open files in.

    Args:
        folders: beside that of the chains that came with nadenoise.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        files = [*chain_files(), *(path for folder in folders for path in sorted(folder.glob("*.xml")))]
        self._files = {path.stem: path for path in files}  # a site's chain goes before ours of the same name
        self._folders = [folder.resolve() for folder in {*folders, *(path.parent for path in files)}]

    @property
    def names(self) -> list[str]:
        """Names of all chains."""
        return sorted(self._files)

    def named(self, name: str) -> Chain:
        """The chain of a name, with or without ".xml".

        Raises:
            ChainError: there is none, or its file is wrong.
        """
        known = name.removesuffix(".xml")
        if known not in self._files:
            raise ChainError(f"there is no chain '{name}'{suggestion(known, self.names)}")
        return read_chain(self._files[known])

    def confined(self, chain: Chain) -> Chain:
        """A chain that came over a connection, if it opens files in these folders only and runs no code of its own.

        A bundle can run code: it must be one of ours, or stand in a `SHA256SUMS` beside it; no sender vouches for it.

        Raises:
            ChainError: it names a file or a folder elsewhere, a bundle that nobody here knows, or a checksum.
        """
        stages = [self._confined(stage) for stage in chain.stages]
        return replace(chain, stages=tuple(stages))

    def _confined(self, stage: Stage) -> Stage:
        parameters = stage.parameters()
        for name, value in parameters.paths().items():
            if not any(Path(value).resolve().is_relative_to(folder) for folder in self._folders):
                raise ChainError(
                    f"{stage.place((name,))}, property '{name}' is '{value}', outside the chain folders; put the file "
                    "there, or the chain itself, and send its name"
                )
        if getattr(parameters, "bundle_sha256", None) is not None:
            raise ChainError(
                f"{stage.place(('bundle_sha256',))}: a checksum may not come over a connection; list the bundle in "
                "SHA256SUMS in the chain folder"
            )
        bundle = parameters.paths().get("bundle")
        listed = listed_checksum(Path(bundle).resolve()) if bundle is not None else None
        return stage if listed is None else stage.with_property("bundle_sha256", listed)


def attended(connection: ScanConnection, number: int, serve: Callable[[], str]) -> str:
    """Serve a scan and end its connection; what fails is told to the peer, and logged.

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
    folders: ChainFolders,
    observers: Sequence[Observer] = (),
    budget: Budget = USUAL,
    pseudonyms: Pseudonyms | None = None,
) -> None:
    """Run one scan of a peer: Gadgetron with a node's configuration, or a client with that of a whole chain.

    Args:
        pseudonyms: by which what is written is de-identified; None: it is not. What goes back to the peer, who knows
            the patient, is as it would be, but for DICOM.

    Raises:
        Exception: whatever went wrong.
    """
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
        told = ", ".join(hidden.removed[:_NAMED]) or "nothing"
        _log.info("de-identified as %s; %d elements removed: %.2000s", hidden.name, len(hidden.removed), told)
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

    def send(level: int, words: str) -> None:
        with suppress(ConnectionFailed):  # the scan finds out by itself
            connection.send_text(f"{'ERR' if level >= logging.ERROR else 'WRN'} {words}")

    with warnings_told(send):
        yield
