"""What a peer's status of a stored object means (DICOM PS3.4 B.2.3, PS3.7 annex C, PS3.18 I.2.2)."""

from __future__ import annotations

from pynetdicom.status import STORAGE_SERVICE_CLASS_STATUS

from nadenoise_core.dicom.delivery import Fate

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_PASSES = (0x0110, 0x0213)  # processing failure and resource limitation: of the peer, not of the object
_STORED_WITH_CHANGES = range(0xB000, 0xC000)


def judge(status: int) -> tuple[Fate, str]:
    """The fate of an object with this status, and the status in words; but for 0 all are failures.

    An object that was stored with changes counts as refused: a changed or dropped rescale slope is another aTSC.
    """
    if status == 0:
        return Fate.SENT, ""
    _, words = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", "Unknown Status"))
    told = f"status 0x{status:04X}, {words}"
    if status in _OUT_OF_RESOURCES or status in _PASSES:
        return Fate.LATER, told
    if status in _STORED_WITH_CHANGES:
        return Fate.REFUSED, f"stored, but not as it was sent: {told}"
    return Fate.REFUSED, told
