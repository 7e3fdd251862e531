"""C-STORE to a PACS (DICOM PS3.4 annex B), through pynetdicom."""

from __future__ import annotations

import re
import ssl
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext, build_context

from nadenoise_core.dicom.delivery import Outcome, State
from nadenoise_core.dicom.outbox import Waiting, read_whole
from nadenoise_core.dicom.store_status import meaning_of
from nadenoise_core.errors import BadInputError, ConnectionFailed, reason_of

OWN_TITLE = "NADENOISE"

_ADDRESS = re.compile(r"(?P<title>[^@]*)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s@:\[\]]+):(?P<port>\d{1,5})")
_TITLE = re.compile(r"(?=.*[^ ])[ -\[\]-~]{1,16}")
_MOST_CONTEXTS = 128  # PS3.8 9.3.2.2: odd numbers in a byte


@dataclass(frozen=True)
class Pacs:
    """A PACS, and the title that it knows us by.

    Args:
        title: its application entity title.
        host: name or address.
        port: of TCP.
        own_title: our application entity title, which many PACS must know before they accept anything.
        timeout: seconds to wait for a connection, and for every answer.
        tls: with what to encrypt; None: not at all.

    Raises:
        BadInputError: a title or the port is none.
    """

    title: str
    host: str
    port: int
    own_title: str = OWN_TITLE
    timeout: float = 30.0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        for title in (self.title, self.own_title):
            if not _TITLE.fullmatch(title):
                raise BadInputError(f"PACS: an AE title is 1 to 16 ASCII characters without backslash, not {title!r}")
        if not 0 < self.port < 65536:
            raise BadInputError(f"PACS: the port must be 1 to 65535, not {self.port}")

    @classmethod
    def at(
        cls, address: str, own_title: str = OWN_TITLE, timeout: float = 30.0, tls: ssl.SSLContext | None = None
    ) -> Pacs:
        """The PACS at `AET@host:port`.

        Raises:
            BadInputError: the address is not of this form.
        """
        parts = _ADDRESS.fullmatch(address)
        if parts is None:
            raise BadInputError(f"PACS: the address must be AET@host:port, such as ORTHANC@pacs:4242, not {address!r}")
        return cls(parts["title"], parts["host"].strip("[]"), int(parts["port"]), own_title, timeout, tls)

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"

    def send(self, files: Sequence[Waiting]) -> Generator[Outcome, None, None]:
        """Store files, over one association as long as it holds: an outcome for each.

        Raises:
            ConnectionFailed: the PACS cannot be reached, or rejects the association.
        """
        remaining = deque(files)
        while remaining:
            association = self._associate(remaining)
            accepted = {
                (context.abstract_syntax, syntax)
                for context in association.accepted_contexts
                for syntax in context.transfer_syntax
            }
            try:
                while remaining:
                    file = remaining.popleft()
                    if accepted.isdisjoint(_offered(file)):
                        kind, syntax = UID(file.sop_class).name, UID(file.transfer_syntax).name
                        yield Outcome(file.path, State.REFUSED, f"{self} does not take {kind} in {syntax}")
                        continue
                    yield self._store(association, file)
                    if not association.is_established:
                        break
            finally:
                if association.is_established:
                    association.release()

    def _associate(self, files: Iterable[Waiting]) -> Association:
        entity = AE(self.own_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = self.timeout
        entity.connection_timeout = self.timeout
        rejections: list[A_ASSOCIATE_RJ] = []

        def keep_rejection(event: evt.Event) -> None:
            """Keep the PDU: if it comes before pynetdicom looks, that says no more than that it was aborted."""
            if isinstance(event.pdu, A_ASSOCIATE_RJ):
                rejections.append(event.pdu)

        try:
            association = entity.associate(
                self.host,
                self.port,
                _contexts(files),
                ae_title=self.title,
                evt_handlers=[(evt.EVT_PDU_RECV, keep_rejection)],
                tls_args=(self.tls, self.host) if self.tls is not None else None,
            )
        except OSError as error:  # a name that is not known
            raise ConnectionFailed(
                f"{self} cannot be reached: {error.strerror or error}; check its host and port"
            ) from None
        if association.is_established or association.rejected_contexts:
            return association
        for rejection in rejections:
            raise ConnectionFailed(
                f"{self} rejects the association of {self.own_title} ({_reason(rejection)}); "
                "check the two AE titles and what the PACS knows of them"
            )
        what = "host, port, certificates and PACS" if self.tls is not None else "host, port and PACS"
        raise ConnectionFailed(f"{self} cannot be reached, or ends the association at once; check {what}")

    @property
    def _ended(self) -> str:
        return (
            f"{self} ended the association, or gave no answer in {self.timeout:g} s; if it always does, "
            f"check that it knows our AE title {self.own_title}"
        )

    def _store(self, association: Association, file: Waiting) -> Outcome:
        try:
            status = association.send_c_store(read_whole(file))
        except OSError as error:
            return Outcome(file.path, State.LATER, f"it cannot be read: {error.strerror or error}")
        except BadInputError as error:
            return Outcome(file.path, State.REFUSED, str(error))
        except RuntimeError:
            return Outcome(file.path, State.LATER, self._ended)
        except (ValueError, AttributeError):  # of pynetdicom, when it cannot encode the object
            return Outcome(file.path, State.REFUSED, "it is a damaged DICOM file: it cannot be encoded")
        if "Status" not in status:
            association.abort()  # pynetdicom may not have seen yet that it is at its end
            return Outcome(file.path, State.LATER, self._ended)
        state, meaning = meaning_of(int(status.Status))
        return Outcome(
            file.path, state, f"{self}: {meaning}" if meaning else "", str(status.get("ErrorComment", "") or "")
        )


def tls_context(
    authority: Path | None = None, certificate: Path | None = None, key: Path | None = None
) -> ssl.SSLContext:
    """What encrypts associations (DICOM PS3.15 B.12): the PACS must show a certificate of its name that is trusted.

    Args:
        authority: PEM file of the certificates to trust; None: those of the system.
        certificate: PEM file of our own, for a PACS that asks for one.
        key: PEM file of its key, if that is not in the same file.

    Raises:
        BadInputError: a file cannot be read, or holds no certificate or key.
    """
    try:
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            context.load_cert_chain(certificate, key)
    except (OSError, ValueError) as error:  # SSLError is an OSError
        names = ", ".join(str(path) for path in (authority, certificate, key) if path is not None)
        raise BadInputError(
            f"TLS: {names} cannot be used ({reason_of(error)}); give certificates and keys as PEM"
        ) from None
    return context


def _reason(rejection: A_ASSOCIATE_RJ) -> str:
    try:
        return f"{rejection.result_str}: {rejection.reason_str}".lower()
    except ValueError:
        return "for a reason that the standard does not know"


def _offered(file: Waiting) -> list[tuple[UID, UID]]:
    """What a file can go as: as it is, or in the syntax that all must understand (PS3.5 10.1), with the same pixels."""
    kind, syntax = UID(file.sop_class), UID(file.transfer_syntax)
    if syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian):
        return [(kind, syntax), (kind, ImplicitVRLittleEndian)]
    return [(kind, syntax)]


def _contexts(files: Iterable[Waiting]) -> list[PresentationContext]:
    offers = dict.fromkeys(offer for file in files for offer in _offered(file))
    return [build_context(kind, syntax) for kind, syntax in list(offers)[:_MOST_CONTEXTS]]
