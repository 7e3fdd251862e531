"""`nadenoise send`: a raw file to a server, as a scanner would send it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import ismrmrd
import typer

from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.cli.options import Group
from nadenoise_core.console import counting_bar, note, say
from nadenoise_core.errors import BadInputError, OutputError, RawDataError
from nadenoise_core.files import write_whole
from nadenoise_core.mrd.image import facts_of
from nadenoise_core.mrd.rawfile import RawFile
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.progress import counted
from nadenoise_core.replay.results import ImagesFile, folder_in_progress
from nadenoise_core.stream.client import send_scan


def command(
    raw: Annotated[Path, typer.Argument(help="ISMRMRD file.")],
    to: Annotated[str, typer.Option(help="Server: host:port.")] = "localhost:18000",
    chain: Annotated[str, typer.Option(help="Name of a chain of the server, or path of a chain file here.")] = (
        "sodium_calf"
    ),
    out: Annotated[Path, typer.Option(help="Folder of what returns; a folder in it for each raw file.")] = Path("sent"),
    group: Group = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="As fast as it was measured: one acquisition a TR.")] = (
        False
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace earlier results.")] = False,
) -> None:
    """Send a raw file to a server (ours, or Gadgetron), and keep the images and DICOM files that return."""
    address = parse_address(to)
    final = out / raw.stem
    if final.exists() and not overwrite:
        raise OutputError(f"{final}: exists already; choose another --out, or --overwrite it")
    with RawFile(raw, group) as file, folder_in_progress(final) as folder, counting_bar(raw.name) as progress:
        header = file.header_xml
        acquisitions = counted(file.acquisitions(), len(file), progress)
        interval = _repetition_time(header, raw) if realtime else 0.0
        with ImagesFile(folder / "images.h5", header) as images:
            for answer in send_scan(address, chain, header, acquisitions, interval=interval):
                if isinstance(answer, ismrmrd.Image):
                    images.add(answer)
                    facts = facts_of(answer)
                    if facts is not None:
                        say(facts.description)
                elif isinstance(answer, DicomFile):
                    _keep(answer, folder / "dicom")
                elif isinstance(answer, str):
                    note(answer)
    say(f"results in {final}")


def parse_address(text: str) -> tuple[str, int]:
    """(host, port) of "host:port"; an IPv6 address stands in brackets.

    Raises:
        BadInputError: not of this form.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadInputError(f"'{text}' is no address; write host:port, e.g. localhost:18000")
    return host.strip("[]"), int(port)


def _repetition_time(header_xml: bytes, raw: Path) -> float:
    """Seconds between acquisitions."""
    time = read_scan(header_xml).repetition_time
    if time is None:
        raise RawDataError(f"{raw}: the header has no TR, which --realtime needs; leave it out")
    return time


def _keep(file: DicomFile, folder: Path) -> None:
    name = Path(file.name).name or "image.dcm"  # a server's name must not lead out of the folder
    write_whole(folder / name, file.content)
