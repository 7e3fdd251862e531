"""Header text made fit for DICOM values (PS3.5 section 6.2); what cannot be written is left empty, never guessed."""

from __future__ import annotations

import logging
import re
from datetime import date

from pydicom.valuerep import DSfloat

_log = logging.getLogger("nadenoise.dicom")

_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?!\d)")
_TIME = re.compile(r"([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d)(\.\d{1,6})?")
_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")


def line(value: str, limit: int = 64) -> str:
    """One line without backslash, which would part it into several values; cut to `limit` characters."""
    printable = "".join(" " if c == "\\" or not c.isprintable() else c for c in value)
    return printable.strip()[:limit].rstrip()


def paragraph(value: str, limit: int) -> str:
    """Text of several lines, cut after a whole word to `limit` characters, with " ..." as the mark of a cut."""
    readable = "".join(c if c == "\n" or c.isprintable() else " " for c in value).strip().replace("\n", "\r\n")
    if len(readable) <= limit:
        return readable
    mark = " ..."
    whole_words = readable[: limit - len(mark) + 1].rsplit(maxsplit=1)[0]
    return whole_words[: limit - len(mark)] + mark


def identifier(value: str, name: str, limit: int = 64) -> str:
    """A line that identifies somebody or something: empty when too long, since a cut one could be somebody else's."""
    whole = line(value, len(value))
    if len(whole) <= limit:
        return whole
    _log.warning("DICOM: %s is left empty: it is longer than the %d characters that fit", name, limit)
    return ""


def person(value: str) -> str:
    """A person's name: up to three groups (alphabetic=ideographic=phonetic) of 64 characters."""
    return "=".join(line(group) for group in value.split("=")[:3])


def code(value: str) -> str:
    """A coded word in capitals, or empty."""
    word = value.strip().upper()
    return word if _CODE.fullmatch(word) else ""


def day(value: str) -> str:
    """A date as YYYYMMDD, or empty."""
    found = _DATE.match(value.strip())
    if not found:
        return ""
    try:
        return date(*map(int, found.groups())).strftime("%Y%m%d")
    except ValueError:
        return ""


def clock(value: str) -> str:
    """A time of day as HHMMSS or HHMMSS.FFFFFF, or empty; a time zone is not kept."""
    found = _TIME.match(value.strip())
    return "".join(found.groups(default="")) if found else ""


def decimal(value: float | None) -> DSfloat | None:
    """A number in the 16 characters of a decimal string; None stays None."""
    return None if value is None else DSfloat(float(value), auto_format=True)
