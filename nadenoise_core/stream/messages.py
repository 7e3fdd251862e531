"""The messages of ISMRMRD's stream: what each holds, read with suspicion and written in one piece.

All numbers are little-endian. A message starts with its identifier and, texts apart, does not tell its length: one that
is not known cannot be skipped.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from typing import Any

import ismrmrd
import numpy as np
from gadgetron.external.writers import write_acquisition, write_image, write_waveform
from gadgetron.types.image_array import ImageArray, read_image_array, write_image_array
from gadgetron.types.recon_data import read_recon_data as read_their_recon_data
from gadgetron.types.recon_data import write_recon_data
from ismrmrd.constants import DATATYPE_CXDOUBLE, DATATYPE_USHORT
from ismrmrd.image import get_dtype_from_data_type

from nadenoise_core.chain.gadget import DicomFile
from nadenoise_core.errors import ConnectionFailed
from nadenoise_core.mrd.recon_data import ReconBit, ReconBuffer, ReconData
from nadenoise_core.stream.wire import CLOSE, Wire

CONFIG_FILE, CONFIG, HEADER, TEXT, ERROR = 1, 2, 3, 5, 8
ACQUISITION, DICOM, IMAGE, RECON_DATA, IMAGE_ARRAY, WAVEFORM = 1008, 1018, 1022, 1023, 1024, 1026
LONGEST_TEXT = 1 << 24  # bytes

_NAME_BYTES = 1024
_HEADER_BYTES = ctypes.sizeof(ismrmrd.AcquisitionHeader)
_WAVEFORM_BYTES = ctypes.sizeof(ismrmrd.WaveformHeader)
_IMAGE_BYTES = ctypes.sizeof(ismrmrd.ImageHeader)

Reader = Callable[[Wire], Any]


def read_identifier(wire: Wire) -> int:
    """The identifier of the next message."""
    return int(struct.unpack("<H", wire.read(2))[0])


def read_name(wire: Wire) -> str:
    """The name in a CONFIG_FILE message."""
    return _decoded(wire.read(_NAME_BYTES))


def read_header(wire: Wire) -> bytes:
    """The XML of a HEADER message as it came, in the encoding that it declares, without the NUL that ends FIRE's.

    Raises:
        ConnectionFailed: longer than any header can be.
    """
    return _read_sized(wire, "<I").rstrip(b"\0")


def read_text(wire: Wire, length: str = "<I") -> str:
    """The text of a CONFIG, TEXT or ERROR message, without the NUL that ends FIRE's.

    Args:
        length: the form of the length that comes first; "<Q" in an ERROR.

    Raises:
        ConnectionFailed: longer than any text can be, or not UTF-8.
    """
    return _decoded(_read_sized(wire, length))


def _read_sized(wire: Wire, length: str) -> bytes:
    count = int(struct.unpack(length, wire.read(struct.calcsize(length)))[0])
    if count > LONGEST_TEXT:
        raise ConnectionFailed(
            f"a text of {count} bytes was announced, the limit is {LONGEST_TEXT}; check the peer's data"
        )
    text = wire.read(count)
    wire.fire = wire.fire or text.endswith(b"\0")
    return text


def read_acquisition(wire: Wire) -> ismrmrd.Acquisition:
    """An acquisition; its arrays cannot be written to."""
    head = ismrmrd.AcquisitionHeader.from_buffer_copy(wire.read(_HEADER_BYTES))
    samples, coils, dimensions = head.number_of_samples, head.active_channels, head.trajectory_dimensions
    wire.check(8 * samples * coils)
    trajectory = np.frombuffer(wire.read(4 * samples * dimensions), np.float32)
    data = np.frombuffer(wire.read(8 * samples * coils), np.complex64)
    return ismrmrd.Acquisition(head, data.reshape(coils, samples), trajectory.reshape(samples, dimensions))


def read_waveform(wire: Wire) -> ismrmrd.Waveform:
    """A waveform, such as an ECG."""
    head = ismrmrd.WaveformHeader.from_buffer_copy(wire.read(_WAVEFORM_BYTES))
    data = np.frombuffer(wire.read(4 * head.channels * head.number_of_samples), np.uint32)
    return ismrmrd.Waveform(head, data.reshape(head.channels, head.number_of_samples))


def read_image(wire: Wire) -> ismrmrd.Image:
    """An image with its meta."""
    head = ismrmrd.ImageHeader.from_buffer_copy(wire.read(_IMAGE_BYTES))
    if not DATATYPE_USHORT <= head.data_type <= DATATYPE_CXDOUBLE:
        raise ConnectionFailed(
            f"an image came with the data type {head.data_type}, which does not exist; check the peer's data"
        )
    shape = (head.channels, *head.matrix_size[::-1])
    dtype = get_dtype_from_data_type(head.data_type)
    size = dtype.itemsize * math.prod(shape)
    wire.check(size)
    meta = _sized_text(wire)
    if "<!DOCTYPE" in meta:
        raise ConnectionFailed(
            "an image came whose meta has a <!DOCTYPE>, whose entities can change what it says; take it out"
        )
    pixels = np.frombuffer(wire.read(size), dtype).reshape(shape)
    image = ismrmrd.Image(head, attribute_string=meta) if meta else ismrmrd.Image(head)
    image.data[:] = pixels
    return image


def read_recon_data(wire: Wire) -> ReconData:
    """Gadgetron's buffer."""
    bits = read_their_recon_data(wire)
    return ReconData([ReconBit(_buffer(bit.data), None if bit.ref is None else _buffer(bit.ref)) for bit in bits])


def read_dicom(wire: Wire) -> DicomFile:
    """A DICOM file with its name."""
    content = wire.read(struct.unpack("<I", wire.read(4))[0])
    name, _ = _sized_text(wire), _sized_text(wire)
    return DicomFile(name, content)


ITEM_READERS: dict[int, Reader] = {
    ACQUISITION: read_acquisition,
    WAVEFORM: read_waveform,
    IMAGE: read_image,
    RECON_DATA: read_recon_data,
    IMAGE_ARRAY: read_image_array,
}
"""What a chain may be given, by message."""

ANSWER_READERS: dict[int, Reader] = {**ITEM_READERS, DICOM: read_dicom}
"""What a client may be given, by message; beside TEXT, ERROR and CLOSE."""


def read_item(readers: dict[int, Reader], message: int, wire: Wire) -> Any:
    """The item of a message whose identifier was read.

    Raises:
        ConnectionFailed: the message is not known, or cannot be understood.
    """
    if message not in readers:
        raise ConnectionFailed(f"message {message} came, which nadenoise does not read; check the gadgets before it")
    try:
        return readers[message](wire)
    except ConnectionFailed:
        raise
    except Exception as error:  # whatever the libraries make of bytes that are no such item
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConnectionFailed(f"message {message} cannot be understood ({reason}); check the peer's data") from error


def text_message(message: int, text: str | bytes, fire: bool = False) -> bytes:
    """A CONFIG, HEADER, TEXT or ERROR message; in FIRE's dialect with a NUL at its end."""
    content = (text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text) + b"\0" * fire
    return struct.pack("<HQ" if message == ERROR else "<HI", message, len(content)) + content


def name_message(name: str) -> bytes:
    """A CONFIG_FILE message."""
    return struct.pack(f"<H{_NAME_BYTES}s", CONFIG_FILE, name.encode())


def item_message(item: Any) -> bytearray:
    """The message of an item.

    Raises:
        TypeError: no item of a stream.
    """
    message = _Message()
    for kind, write in _WRITERS:
        if isinstance(item, kind):
            write(message, item)
            return message
    raise TypeError(f"{type(item).__name__} has no message of its own")


def close_message() -> bytes:
    """A CLOSE message."""
    return struct.pack("<H", CLOSE)


class _Message(bytearray):
    """Bytes that gadgetron-python's writers can write to; one piece, so that the network sends them at once."""

    def write(self, data: Any) -> None:
        self.extend(memoryview(data).cast("B") if not isinstance(data, bytes) else data)


def _buffer(theirs: Any) -> ReconBuffer:
    return ReconBuffer(**vars(theirs))


def _write_dicom(message: _Message, item: DicomFile) -> None:
    name = item.name.encode()
    message.write(struct.pack("<HI", DICOM, len(item.content)) + item.content)
    message.write(struct.pack("<Q", len(name)) + name + struct.pack("<Q", 0))


def _sized_text(wire: Wire) -> str:
    """The meta of an image or the name of a file; C++ ends them with a NUL, too."""
    return _decoded(wire.read(struct.unpack("<Q", wire.read(8))[0]))


def _decoded(text: bytes) -> str:
    try:
        return text.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise ConnectionFailed("a text came that is not UTF-8; check the peer's data") from None


_WRITERS: tuple[tuple[type, Callable[[_Message, Any], None]], ...] = (
    (ismrmrd.Acquisition, write_acquisition),
    (ismrmrd.Waveform, write_waveform),
    (ismrmrd.Image, write_image),
    (ReconData, write_recon_data),
    (ImageArray, write_image_array),
    (DicomFile, _write_dicom),
)
