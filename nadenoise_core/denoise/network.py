"""Running a bundle's network on an image."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import BundleError

_OVER_DOMAIN = 1.25  # the peak SNR a network was trained for may be exceeded by this factor

Image = NDArray[np.complex64] | NDArray[np.float32]


class Denoiser:
    """A bundle's network, loaded and ready.

    Args:
        bundle: which one; its checksum was verified by `find_bundle`.
        device: "cpu", "cuda" or "cuda:N".

    Raises:
        BundleError: the file holds no network that runs on images of the bundle's matrix.
    """

    def __init__(self, bundle: Bundle, device: str = "cpu") -> None:
        self.bundle = bundle
        self.device = device
        self._network = _load(bundle.path, bundle.sha256, device)
        self._run(np.zeros((self._channels, *bundle.metadata.matrix), np.float32))  # also warms it up

    @property
    def _channels(self) -> int:
        return 2 if self.bundle.metadata.input.channels == "complex" else 1

    def __call__(self, image: NDArray[np.generic], noise_std: float) -> Image:
        """Denoise one image, on its own scale.

        Args:
            image: (rows, columns) complex64.
            noise_std: standard deviation of the noise in its real part.

        Returns:
            (rows, columns): complex64 from a complex network, float32 magnitude from a magnitude network.

        Raises:
            BundleError: the noise level is needed and unknown, the network fails, or the result is not finite.
        """
        shape = self.bundle.metadata.input
        channels = np.stack([image.real, image.imag] if shape.channels == "complex" else [np.abs(image)])
        offset, scale = 0.0, noise_std
        if shape.normalisation == "range":
            offset = float(channels.min())
            scale = float(channels.max()) - offset
        most = self.bundle.metadata.peak_snr[1] if self.bundle.metadata.peak_snr else np.inf
        if shape.normalisation == "noise" and scale > 0 and np.abs(image).max() > _OVER_DOMAIN * most * scale:
            raise BundleError(
                f"the signal is {np.abs(image).max() / scale:.0f} times the noise, the network {self.bundle.name} was "
                f"trained up to {most:g}; the plain image needs no denoising"
            )
        if not (np.isfinite(scale) and scale > 0):
            raise BundleError(
                "the noise level of the image is unknown (nothing was averaged), and the network needs it"
                if shape.normalisation == "noise"
                else "the image is uniform; there is nothing to denoise"
            )
        normalised = ((channels - offset) / scale).astype(np.float32)
        result = self._run(normalised) * np.float32(scale) + np.float32(offset)
        if not np.all(np.isfinite(result)):
            raise BundleError("the network gave values that are not finite")
        if shape.channels == "complex":
            return np.asarray(result[0] + 1j * result[1], dtype=np.complex64)
        return np.asarray(result[0], dtype=np.float32)

    def _run(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        try:
            with torch.inference_mode():
                batch = torch.from_numpy(np.ascontiguousarray(channels, dtype=np.float32)[None]).to(self.device)
                result = self._network(batch.contiguous(memory_format=torch.channels_last))
                if not isinstance(result, torch.Tensor):
                    raise RuntimeError(f"it gives a {type(result).__name__}, not one tensor")
                if result.shape != batch.shape:
                    raise RuntimeError(f"it maps shape {tuple(batch.shape)} to {tuple(result.shape)}")
                return np.asarray(result[0].cpu().numpy())
        except torch.jit.Error as error:  # no RuntimeError; its reason comes last, after the traceback of the script
            reason = str(error).strip().splitlines()[-1]
            raise BundleError(f"{self.bundle.path}: the network does not run ({reason})") from None
        except RuntimeError as error:
            raise BundleError(f"{self.bundle.path}: the network does not run ({_first_line(error)})") from None


@lru_cache(maxsize=8)
def _load(path: Path, sha256: str, device: str) -> Any:
    """The network, once a file and device; `sha256` tells versions of a file apart."""
    import torch

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        try:
            network: Any = torch.jit.load(str(path), map_location=device).eval()  # type: ignore[no-untyped-call]
        except (RuntimeError, ValueError) as error:
            raise BundleError(f"{path}: cannot be loaded as TorchScript ({_first_line(error)})") from None
    return network.to(memory_format=torch.channels_last)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
