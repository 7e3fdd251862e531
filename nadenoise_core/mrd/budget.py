"""What one scan may need: checked by its header before anything is made, and counted as its data come."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from nadenoise_core.errors import RawDataError
from nadenoise_core.sampling.trajectory import Encoding

_PIXEL = 8  # bytes, complex64
_KINDS = 3  # of images: plain, denoised, concentration


@dataclass(frozen=True)
class Budget:
    """Limits that no scan of a calf comes near.

    Attributes:
        matrix: pixels along an edge of an image.
        memory: bytes of the sums in k-space, and as many of all images of a scan.
    """

    matrix: int = 512
    memory: int = 4 << 30

    def check_matrix(self, encoding: Encoding) -> None:
        """Check the matrices of a header.

        Raises:
            RawDataError: one is larger than the limit.
        """
        largest = max(*encoding.matrix, *encoding.encoded_matrix)
        if largest > self.matrix:
            raise RawDataError(
                f"the header says a matrix of {largest:.6g} pixels, and the limit is {self.matrix}; check the header, "
                "or raise --max-matrix"
            )

    def check_images(self, encoding: Encoding, count: int) -> None:
        """Check that a scan may have so many images, replicas among them.

        Raises:
            RawDataError: they take too much memory.
        """
        self._check(count * _KINDS * prod(encoding.matrix) * _PIXEL, f"{count} images of the scan")

    def check_sums(self, size: int) -> None:
        """Check that the sums of a scan in k-space may take so many bytes.

        Raises:
            RawDataError: they take too much memory.
        """
        self._check(size, "sums of the scan in k-space")

    def _check(self, size: int, what: str) -> None:
        if size > self.memory:
            raise RawDataError(
                f"the {what} take more than {self.memory >> 20} MiB, the limit; check the counters of the "
                "acquisitions, or raise --max-memory"
            )


USUAL = Budget()
"""What a scan may need where nobody says otherwise."""
