"""The XML header of an ISMRMRD measurement, read leniently, and written.

Elements are found by name, whatever their namespace and order; unknown ones are ignored. A word where a number should
be, or text in another encoding than the header declares, is left out with a warning. So a scan is not lost to a part of
its header that does not matter; what does matter is checked by `mrd.scan`.
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
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


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
        found = [_number(word) for text in self.texts(name) for word in text.split()]
        if None in found:
            _log.warning("the header's %s is no number and is left out", name)
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
            _log.warning("the header's %s is in another encoding than the header declares, and is left out", name)
            return ""
        return text


def parse_header(xml: bytes | str) -> Section:
    """The root of an ISMRMRD header; FIRE ends it with a NUL.

    Raises:
        RawDataError: not an ISMRMRD header.
    """
    data = xml if isinstance(xml, bytes) else _DECLARATION.sub("", xml).encode("utf-8", "replace")
    if not data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = data.strip(b"\0 \t\r\n")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_comments=True, remove_pis=True)
    try:
        try:
            root = etree.fromstring(data, parser)
        except etree.XMLSyntaxError:
            root = etree.fromstring(data.decode("utf-8", "replace").encode(), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise RawDataError(f"the ISMRMRD header cannot be read ({reason}); convert the raw data anew") from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise RawDataError("the ISMRMRD header cannot be read (it has a DTD); convert the raw data anew")
    name = etree.QName(root).localname
    if name != "ismrmrdHeader":
        raise RawDataError(f"the XML is no ISMRMRD header but <{name[:60]}>; convert the raw data anew")
    return Section(root)


def serialise_header(header: Any) -> str:
    """An ISMRMRD header as XML; `ismrmrd.xsd.ToXML` of ismrmrd 1.14 fails with the xsdata that Gadgetron has."""
    serialiser = XmlSerializer(context=XmlContext(), config=SerializerConfig(encoding="utf-8"))
    return serialiser.render(header, ns_map={"": "http://www.ismrm.org/ISMRMRD"})


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    if value.is_integer() and math.isfinite(value):
        return value
    rounded = float(str(np.float32(value))) if abs(value) < float(np.finfo(np.float32).max) else math.inf
    return rounded if math.isfinite(rounded) else None
