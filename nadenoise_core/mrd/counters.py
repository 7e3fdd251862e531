"""The counters of an acquisition."""

from __future__ import annotations

from nadenoise_core.enums import StrEnum


class Counter(StrEnum):
    """The counters of an acquisition (ISMRMRD `idx`)."""

    KSPACE_ENCODE_STEP_1 = "kspace_encode_step_1"
    KSPACE_ENCODE_STEP_2 = "kspace_encode_step_2"
    AVERAGE = "average"
    SLICE = "slice"
    CONTRAST = "contrast"
    PHASE = "phase"
    REPETITION = "repetition"
    SET = "set"
    SEGMENT = "segment"

    @property
    def limit(self) -> str:
        """The name of the counter's limits in a header."""
        return self.value.replace("encode_step", "encoding_step")
