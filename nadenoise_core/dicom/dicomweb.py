"""STOW-RS to a DICOMweb server (DICOM PS3.18 10.5), through dicomweb-client."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session, create_session_from_auth, create_session_from_user_pass
from pydicom import Dataset

from nadenoise_core.dicom.delivery import Outcome, State
from nadenoise_core.dicom.outbox import Waiting, read_whole
from nadenoise_core.dicom.store_status import meaning_of
from nadenoise_core.dicom.web_session import BoundedAdapter, TooMuch, one_host
from nadenoise_core.errors import BadInputError, ConnectionFailed

USER, PASSWORD, TOKEN = (f"NADENOISE_DICOMWEB_{word}" for word in ("USER", "PASSWORD", "TOKEN"))

_NOT_LET_IN = (401, 403, 407)
_NOT_THERE = (404, 405, 410, 501)
_BUSY = (408, 425, 429, 502, 503, 504)
_LONGEST_COMMENT = 2000
_PATIENCE = 10.0  # times the time between two bytes, for a whole request

log = logging.getLogger("nadenoise.dicomweb")


class _Bearer(requests.auth.AuthBase):
    """A bearer token (RFC 6750), which an entry in ~/.netrc does not replace."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@dataclass(frozen=True)
class DicomWeb:
    """A DICOMweb server.

    Args:
        url: its root, to which `/studies` is added.
        user: name and password, or
        token: a bearer token; neither: no authentication.
        timeout: seconds to wait for a connection, and for every answer.

    Raises:
        BadInputError: the URL is none, holds a password, or user, password and token do not go together.
    """

    url: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    timeout: float = 30.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            named = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            named = None
        if not named or parts.query or parts.fragment:
            raise BadInputError("DICOMweb: the URL must be like https://pacs.example.org/dicom-web")
        if "@" in parts.netloc:
            raise BadInputError(f"DICOMweb: user and password do not belong into the URL; set {USER} and {PASSWORD}")
        if self.token and (self.user or self.password):
            raise BadInputError(f"DICOMweb: set {TOKEN}, or {USER} and {PASSWORD}, not both")
        if bool(self.user) != bool(self.password):
            raise BadInputError(f"DICOMweb: {USER} and {PASSWORD} must both be set")
        if parts.scheme == "http" and (self.user or self.token) and parts.hostname not in ("localhost", "127.0.0.1"):
            log.warning("%s: user, password or token go over the network unencrypted; use https", self.url)

    @classmethod
    def at(cls, url: str, timeout: float = 30.0, environment: Mapping[str, str] = os.environ) -> DicomWeb:
        """The server at `url`, with what the environment says of user, password or token."""
        user, password, token = (environment.get(name, "") for name in (USER, PASSWORD, TOKEN))
        return cls(url.rstrip("/"), user, password, token, timeout)

    def __str__(self) -> str:
        return self.url

    def send(self, files: Sequence[Waiting]) -> Generator[Outcome, None, None]:
        """Store files, one a request, so that every answer is about one: an outcome for each.

        Raises:
            ConnectionFailed: the server cannot be reached, is busy, lets us not in, or is no DICOMweb server.
        """
        with one_host(self._session()) as session:
            for scheme in ("http://", "https://"):
                session.mount(scheme, BoundedAdapter(_PATIENCE * self.timeout))
            client = DICOMwebClient(
                self.url, session, headers={"Accept": "application/dicom+json"}, timeout=self.timeout
            )
            client.set_http_retry_params(retry=False)  # the outbox waits and tries again
            for file in files:
                yield self._store(client, file)

    def _session(self) -> requests.Session:
        if self.token:
            return create_session_from_auth(_Bearer(self.token))
        return create_session_from_user_pass(self.user, self.password) if self.user else create_session()

    @property
    def _no_dicomweb(self) -> str:
        return f"{self} answers, but not as a DICOMweb server does; check the URL"

    def _store(self, client: DICOMwebClient, file: Waiting) -> Outcome:
        try:
            dataset = read_whole(file)
        except OSError as error:
            return Outcome(file.path, State.LATER, f"it cannot be read: {error.strerror or error}")
        except BadInputError as error:
            return Outcome(file.path, State.REFUSED, str(error))
        try:
            return self._confirmed(file, client.store_instances([dataset]))
        except requests.HTTPError as error:
            return self._failed(file, error.response)
        except requests.exceptions.SSLError:
            raise ConnectionFailed(f"{self}: TLS failed; REQUESTS_CA_BUNDLE names the certificates to trust") from None
        except requests.TooManyRedirects:
            raise ConnectionFailed(f"{self} sends us elsewhere, which is not followed; give the URL it means") from None
        except TooMuch as error:
            raise ConnectionFailed(f"{self}: {error}; check the server") from None
        except requests.ReadTimeout:
            return Outcome(file.path, State.LATER, f"{self} gave no answer in {self.timeout:g} s")
        except requests.JSONDecodeError:
            raise ConnectionFailed(self._no_dicomweb) from None
        except requests.RequestException as error:
            raise ConnectionFailed(f"{self} cannot be reached ({type(error).__name__}); check URL and server") from None
        except (ValueError, KeyError, TypeError, AttributeError, SyntaxError):  # of XML that is none, too
            raise ConnectionFailed(self._no_dicomweb) from None

    def _confirmed(self, file: Waiting, answer: Dataset) -> Outcome:
        """Read the answer to a request that went well: only what the server names as stored is stored."""
        failed = _about(answer, "FailedSOPSequence", file)
        if failed is not None:
            state, meaning = meaning_of(int(failed.get("FailureReason", 0xC000)))
            return Outcome(file.path, state, f"{self}: {meaning}")
        stored = _about(answer, "ReferencedSOPSequence", file)
        if stored is None:
            raise ConnectionFailed(self._no_dicomweb)
        state, meaning = meaning_of(int(stored.get("WarningReason", 0) or 0))
        return Outcome(file.path, state, f"{self}: {meaning}" if meaning else "")

    def _failed(self, file: Waiting, response: requests.Response) -> Outcome:
        status = response.status_code
        answer = f"HTTP {status} {response.reason}"
        if status in _NOT_LET_IN:
            raise ConnectionFailed(f"{self} does not let us in ({answer}); set {TOKEN}, or {USER} and {PASSWORD}")
        if status in _NOT_THERE:
            raise ConnectionFailed(f"{self} takes no objects here ({answer}); check the URL")
        if status in _BUSY:
            raise ConnectionFailed(f"{self} is busy ({answer})")
        if status >= 500:
            return Outcome(file.path, State.LATER, f"{self}: {answer}")
        failed = _about(_parsed(response), "FailedSOPSequence", file)
        state, meaning = (
            meaning_of(int(failed.FailureReason)) if failed and "FailureReason" in failed else (State.REFUSED, "")
        )
        reason = f"{self}: {answer}, {meaning}" if meaning else f"{self}: {answer}"
        return Outcome(file.path, state, reason, response.text[:_LONGEST_COMMENT])


def _parsed(response: requests.Response) -> Dataset:
    try:
        return Dataset.from_json(response.json())
    except Exception:  # the body of an error may be anything, and pydicom raises as many kinds
        return Dataset()


def _about(answer: Dataset, sequence: str, file: Waiting) -> Any:
    """The item of a sequence of the answer that is about this file, if there is one."""
    for item in answer.get(sequence) or ():
        if str(item.get("ReferencedSOPInstanceUID", "")) == file.sop_instance:
            return item
    return None
