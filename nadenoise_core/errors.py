"""The one exception family: every message says what is wrong, where, and what to do."""

from __future__ import annotations

import traceback
from pathlib import Path

from nadenoise_core import __version__


class NadenoiseError(Exception):
    """Base of all errors that a user can act on; the command line prints it in one line."""

    exit_status = 1


def reason_of(error: BaseException) -> str:
    """What an error of the system or of a library says, in one line."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = (str(error).splitlines() or [type(error).__name__])[0]
    if text.lstrip("\"'").startswith(("Unable to", "Can't")) and "(" in text:  # HDF5 says what was wrong in brackets
        return text.rpartition("(")[2].rstrip(")")
    return text


class BadInputError(NadenoiseError):
    """What was given is wrong: a file, a chain, a property, a bundle."""

    exit_status = 2


class RawDataError(BadInputError):
    """The raw data (ISMRMRD header or acquisitions) cannot be used."""


class TrajectoryError(RawDataError):
    """The k-space trajectory is missing, ambiguous, or does not fit the matrix."""


class ChainError(BadInputError):
    """The chain file is wrong; the message names file, line, gadget and property."""


class ConfigError(BadInputError):
    """The configuration is wrong; the message names file, line, key and value."""


class BundleError(BadInputError):
    """The model bundle is missing, damaged, untrusted, or does not fit the images."""


class CalibrationError(NadenoiseError):
    """The reference tubes were not found or do not give a calibration line."""


class RegionError(NadenoiseError):
    """The regions of a label map cannot be fitted to the scan."""


class OutputError(NadenoiseError):
    """A result could not be written: no permission, no space left, a folder in the way."""

    exit_status = 2


class ConnectionFailed(NadenoiseError):
    """The peer vanished, or sent what cannot be understood."""


class LimitExceeded(NadenoiseError):
    """A scan took more memory or time than it may, or ended its process."""


class ScanFailed(NadenoiseError):
    """A server said that a scan has failed."""


class Fault(NadenoiseError):
    """Something that was not foreseen: a fault of this program."""


def as_ours(error: Exception) -> NadenoiseError:
    """An error of the family as it is; any other as a `Fault` that says what it is, and to whom to tell it."""
    if isinstance(error, NadenoiseError):
        return error
    place = traceback.extract_tb(error.__traceback__)[-1:]
    where = "".join(f" ({Path(frame.filename).name}:{frame.lineno})" for frame in place)
    what = " ".join(str(error).split())
    return Fault(
        f"{type(error).__name__}{f': {what}' if what else ''}{where}; this is a fault of nadenoise {__version__}, "
        "please report it to its maintainers with what `nadenoise --debug ...` shows"
    )
