"""The XML header of an ISMRMRD measurement, read leniently, and written.

Elements are found by name, whatever their namespace and order; unknown ones are ignored. A word where a number should
be, or text that is in another encoding than the header declares or that XML does not allow, is left out with a warning.
So a scan is not lost to a part of its header that does not matter; what does matter is checked by `mrd.scan`.
"""

from __future__ import annotations

import codecs
import logging
import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
from lxml import etree
from xsdata.formats.dataclass.context import XmlContext
from xsdata.formats.dataclass.serializers import XmlSerializer
from xsdata.formats.dataclass.serializers.config import SerializerConfig

from nadenoise_core.errors import RawDataError

_log = logging.getLogger("nadenoise.header")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ONE_BYTE = re.compile(rb"<\?xml[^>]*encoding=[\"'](?:iso-8859|latin|windows-125|us-ascii)", re.IGNORECASE)
_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]|&(?!(?:amp|lt|gt|quot|apos|#\d+|#x[\dA-Fa-f]+);)")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<")
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_PARSER = {"resolve_entities": False, "no_network": True, "remove_comments": True, "remove_pis": True}


class Section:
    """An element of the header; a missing one is as an empty one.

    Args:
        element: None for one that is not there.
    """

    def __init__(self, element: Any | None) -> None:
        self._element = element

    def sections(self, name: str) -> list[Section]:
        """All elements of a name in this one."""
        return [Section(child) for child in self._children(name)]

    def section(self, name: str) -> Section:
        """The first element of a name in this one."""
        return Section(next(self._children(name), None))

    def texts(self, name: str) -> list[str]:
        """What the elements of a name say, as text without the white space around it."""
        return [self._text(child, name) for child in self._children(name)]

    def text(self, name: str) -> str:
        """What the first element of a name says; empty where there is none."""
        return next(iter(self.texts(name)), "")

    def numbers(self, name: str) -> list[float]:
        """The finite numbers that the elements of a name say, as single precision tells them.

        Gadgetron passes headers through single precision: 0.23 comes as 0.230000004.
        """
        found = [number_of(word) for text in self.texts(name) for word in text.split()]
        if None in found:
            within = etree.QName(self._element).localname
            _log.warning("the header's %s %s is no number and is left out", within, name)
        return [value for value in found if value is not None]

    def number(self, name: str) -> float | None:
        """The first number of an element of a name; None where there is none."""
        return next(iter(self.numbers(name)), None)

    def _children(self, name: str) -> Iterator[Any]:
        if self._element is not None:
            yield from (child for child in self._element.iterchildren("{*}" + name))

    @staticmethod
    def _text(element: Any, name: str) -> str:
        text = (element.text or "").strip()
        if _UNREADABLE in text:
            _log.warning(
                "the header's %s is in another encoding than the header declares, or no XML, and is left out", name
            )
            return ""
        return text


def parse_header(xml: bytes | str) -> Section:
    """An ISMRMRD header; FIRE ends it with a NUL.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    return Section(parse_root(xml))


def storable_header(xml: bytes | str) -> bytes:
    """A header as HDF5 can store it: as it came, or in UTF-8 where it has a NUL, as UTF-16 does.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    data = (xml.encode("utf-8") if isinstance(xml, str) else xml).rstrip(b"\0")
    return etree.tostring(parse_root(xml), encoding="utf-8", xml_declaration=True) if b"\0" in data else data


def parse_root(xml: bytes | str) -> Any:
    """The root element of an ISMRMRD header, as lxml has it.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    data = xml if isinstance(xml, bytes) else _DECLARATION.sub("", xml).encode("utf-8", "replace")
    try:
        root = _parse(_document(data))
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RawDataError(f"the ISMRMRD header cannot be read ({reason}); convert the raw data anew") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise RawDataError("the ISMRMRD header cannot be read (it has a DTD); convert the raw data anew")
    name = etree.QName(root).localname
    if name != "ismrmrdHeader":
        raise RawDataError(f"the XML is no ISMRMRD header but <{name[:60]}>; convert the raw data anew")
    return root


def _document(data: bytes) -> bytes:
    """The document within what was stored or sent: without what follows a NUL, and its own encoding declared."""
    if data.startswith(_UTF_16):
        return data + b"\0" * (len(data) % 2)  # storage of a fixed length takes the last 0 for its own
    document = data.strip(b"\0 \t\r\n").partition(b"\0")[0]
    if _ONE_BYTE.match(document) and not document.isascii():
        try:
            text = document.decode("utf-8")  # which text of single bytes is by a rare chance only
        except UnicodeDecodeError:
            return document
        _log.warning("the header is in UTF-8, not in the encoding that it declares")
        return _DECLARATION.sub("", text).encode("utf-8")
    return document


def _parse(document: bytes) -> Any:
    """The root of a document; what is no XML in its texts becomes a character that tells so."""
    try:
        return etree.fromstring(document, etree.XMLParser(**_PARSER))
    except etree.XMLSyntaxError:
        text = _DECLARATION.sub("", document.decode("utf-8", "replace"))
        return etree.fromstring(_NO_XML.sub(_UNREADABLE, text).encode("utf-8"), etree.XMLParser(**_PARSER))


def serialise_header(header: Any) -> str:
    """An ISMRMRD header as XML; `ismrmrd.xsd.ToXML` of ismrmrd 1.14 fails with the xsdata that Gadgetron has."""
    serialiser = XmlSerializer(context=XmlContext(), config=SerializerConfig(encoding="utf-8"))
    return serialiser.render(header, ns_map={"": "http://www.ismrm.org/ISMRMRD"})


def number_of(word: str) -> float | None:
    """A finite number, as single precision tells it; None of what is none."""
    try:
        value = float(word)
    except ValueError:
        return None
    if value.is_integer() and math.isfinite(value):
        return value
    rounded = float(str(np.float32(value))) if abs(value) < float(np.finfo(np.float32).max) else math.inf
    return rounded if math.isfinite(rounded) else None
