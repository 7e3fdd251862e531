"""What a peer's status of a stored object means (DICOM PS3.4 B.2.3, PS3.7 annex C, PS3.18 I.2.2)."""

from __future__ import annotations

from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from nadenoise_core.dicom.delivery import State

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_PASSES = (0x0110, 0x0213)  # processing failure and resource limitation: of the peer, not of the object
_STORED = (0xB000, 0xB006, 0xB007)  # with elements coerced, discarded, or not of its class
_THERE_ALREADY = 0x0111  # an object of this UID, which tells what it was made of


def meaning_of(status: int) -> tuple[State, str]:
    """The state of an object with this status, and the status as text, empty for 0."""
    if status == 0:
        return State.SENT, ""
    _, name = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", "Unknown Status"))
    text = f"status 0x{status:04X}, {name}"
    if status == _THERE_ALREADY:
        return State.SENT, f"it was there already: {text}"
    if status in _STORED:
        return State.SENT, f"stored, but not as it was sent: {text}"
    if status in _OUT_OF_RESOURCES or status in _PASSES:
        return State.LATER, text
    return State.REFUSED, text
