"""`nadenoise deliver`: an outbox to a PACS or a DICOMweb server."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Annotated

import typer

from nadenoise_core.cli.console import show_log, when_stopped
from nadenoise_core.console import note, say
from nadenoise_core.dicom.delivery import Delivery, Outcome, Sender
from nadenoise_core.dicom.outbox import Outbox
from nadenoise_core.errors import BadInputError

_LIBRARIES = ("pynetdicom", "dicomweb_client", "urllib3")


def command(
    outbox: Annotated[Path, typer.Argument(help="Folder that a chain's gadget `deliver` puts DICOM files in.")],
    pacs: Annotated[str | None, typer.Option(help="PACS to send to by C-STORE.", metavar="AET@HOST:PORT")] = None,
    dicomweb: Annotated[
        str | None,
        typer.Option(
            help="DICOMweb server to send to by STOW-RS. NADENOISE_DICOMWEB_USER and NADENOISE_DICOMWEB_PASSWORD, or "
            "NADENOISE_DICOMWEB_TOKEN, in the environment let us in.",
            metavar="URL",
        ),
    ] = None,
    aet: Annotated[str, typer.Option(help="Our own AE title, as the PACS knows it.")] = "NADENOISE",
    tls: Annotated[
        bool, typer.Option("--tls", help="Encrypt C-STORE; the PACS must show a certificate of its name.")
    ] = False,
    tls_ca: Annotated[Path | None, typer.Option(help="Certificates to trust, PEM; else those of the system.")] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Our own certificate, PEM, for a PACS that asks for one.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM, if it is not in the same file.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Seconds to wait for a connection, and for an answer.")] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="Deliver what is there and end: status 0 if all was sent.")] = (
        False
    ),
    keep: Annotated[
        bool, typer.Option("--keep", help="Move what was sent to OUTBOX/sent; else it is removed.")
    ] = False,
    again: Annotated[bool, typer.Option("--again", help="Send again what lies in OUTBOX/refused.")] = False,
) -> None:
    """Deliver what waits in an outbox to a PACS or a DICOMweb server, and go on until stopped (SIGTERM, Ctrl-C).

    What the peer refuses goes to OUTBOX/refused, each file with the reason in a text beside it. When the peer cannot be
    reached, the files wait and are tried again, after 5 seconds, then less and less often, up to every five minutes.
    """
    sender = _sender(pacs, dicomweb, aet, timeout, tls, (tls_ca, tls_certificate, tls_key))
    show_log(logging.WARNING)
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        for library in _LIBRARIES:  # what they log of a failure is in our outcomes
            logging.getLogger(library).setLevel(logging.CRITICAL)
    # A connection that failed is left to Python to close, which is nothing that an operator can mend.
    warnings.filterwarnings("ignore", category=ResourceWarning, module="pynetdicom")
    box = Outbox(outbox)
    stops: list[bool] = []
    with box.delivering():
        if again:
            note(f"{box.recall()} refused files wait again")
        delivery = Delivery(box, sender, keep=keep, on_outcome=_show, stopped=lambda: bool(stops))
        when_stopped(lambda: stops.append(True))
        if not once:
            note(f"delivering {outbox} to {sender}")
            delivery.watch()
            note("stopped")
            return
        done = delivery.once()
        if done.waiting:
            note(f"{done.waiting} files wait in {outbox} still: {done.trouble or 'stopped'}")
        if done.waiting or done.refused:
            raise typer.Exit(1)


def _sender(
    pacs: str | None,
    dicomweb: str | None,
    aet: str,
    timeout: float,
    tls: bool,
    certificates: tuple[Path | None, Path | None, Path | None],
) -> Sender:
    """The peer; its library is loaded only where it is wanted."""
    if not tls and any(certificates):
        raise BadInputError("certificates are given, and no --tls; add it")
    if tls and pacs is None:
        raise BadInputError("--tls is of --pacs; for DICOMweb give a URL with https")
    if (pacs is None) == (dicomweb is None):
        raise BadInputError("say where to deliver: either --pacs AET@host:port or --dicomweb URL")
    if pacs is not None:
        from nadenoise_core.dicom.pacs import Pacs, tls_context

        return Pacs.at(pacs, aet, timeout, tls_context(*certificates) if tls else None)
    from nadenoise_core.dicom.dicomweb import DicomWeb

    return DicomWeb.at(dicomweb or "", timeout)


def _show(outcome: Outcome) -> None:
    """A line a file, by the name of the object: no line names a patient."""
    say(f"{outcome.state.value} {outcome.name}" + (f": {outcome.reason}" if outcome.reason else ""))
