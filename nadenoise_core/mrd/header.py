"""An ISMRMRD header from XML, read as leniently as it is written in the field.

ismrmrd's own reader is not used: its converters change the warning filters of the whole process, which breaks with
several scans at once, and it refuses headers that lack what the standard wants and no one needs.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, get_args, get_origin, get_type_hints

import ismrmrd
import numpy as np
from lxml import etree
from xsdata.models.datatype import XmlDate, XmlTime

from nadenoise_core.errors import RawDataError

_LARGEST_SINGLE = float(np.finfo(np.float32).max)
_DOUBLES = ismrmrd.xsd.userParameterDoubleType  # all other numbers of a header are 32 bits wide in C++


def parse_header(xml: bytes | str) -> Any:
    """An ISMRMRD header from XML; FIRE ends it with a NUL.

    Elements of any namespace are read and those that are not known are passed over; what is missing is None; text that
    should be a number, a date or one of a few words and is not stays text. Numbers are rounded to the 32 bits that
    they have in C++, so that a header is the same before and after Gadgetron wrote it anew.

    Returns:
        ismrmrd.xsd.ismrmrdHeader.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    data = xml if isinstance(xml, bytes) else xml.encode("utf-8")
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
        root = etree.fromstring(data.rstrip(b"\0 \n"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RawDataError(f"the ISMRMRD header cannot be read ({reason}); convert the raw data anew") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise RawDataError("the ISMRMRD header cannot be read (it has a DTD); convert the raw data anew")
    if _local_name(root) != "ismrmrdHeader":
        raise RawDataError(f"the XML is no ISMRMRD header but <{_local_name(root)[:60]}>; convert the raw data anew")
    return _filled(ismrmrd.xsd.ismrmrdHeader, root)


def _filled(kind: Any, element: Any) -> Any:
    """An object of a class of ismrmrd's schema, from an element."""
    made = object.__new__(kind)
    members = _members(kind)
    for name, (many, _) in members.items():
        setattr(made, name, [] if many else None)
    for child in element:
        name = _local_name(child)
        if name not in members:
            continue
        many, read = members[name]
        if many:
            getattr(made, name).append(read(child))
        else:
            setattr(made, name, read(child))
    return made


def _local_name(element: Any) -> str:
    return str(etree.QName(element).localname)


@lru_cache(maxsize=128)
def _members(kind: Any) -> dict[str, tuple[bool, Callable[[Any], Any]]]:
    """Of each field of a class: whether it is a list, and what reads one of its elements."""
    hints = get_type_hints(kind)
    members = {}
    for field in fields(kind):
        hint = hints[field.name]
        many = get_origin(hint) is list
        members[field.name] = many, _reader(hint, kind)
    return members


def _reader(hint: Any, kind: Any) -> Callable[[Any], Any]:
    """What reads an element of a type, of `list` of it, or of it or None."""
    wanted = next((part for part in get_args(hint) if part is not type(None)), hint)
    if is_dataclass(wanted):
        return lambda element: _filled(wanted, element)
    if wanted is str:
        return lambda element: element.text or ""
    convert = float if kind is _DOUBLES else _CONVERTERS.get(wanted, wanted)
    return lambda element: _converted(convert, element.text)


def _converted(convert: Callable[[str], Any], text: str | None) -> Any:
    """The value of a text; text that has none stays as it is."""
    if text is None or not text.strip():
        return None
    try:
        return convert(text.strip())
    except ValueError:
        return text


def _single(text: str) -> float:
    value = float(text)
    return value if not abs(value) <= _LARGEST_SINGLE else float(str(np.float32(value)))


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)
    if not value.is_integer():
        raise ValueError(text)
    return int(value)


_CONVERTERS: dict[Any, Callable[[str], Any]] = {
    int: _whole,
    float: _single,
    bytes: base64.b64decode,
    XmlDate: XmlDate.from_string,
    XmlTime: XmlTime.from_string,
}
"""How text becomes a value; the words of an Enum are read by the Enum itself."""
