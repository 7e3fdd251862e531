"""Running a bundle's network on an image."""

from __future__ import annotations

import json
import threading
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
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
        self._network = _load(bundle, device)
        if (bundle.sha256, device) not in _tried:
            rows, columns = (size + 2 * self.context for size in bundle.metadata.matrix)
            self._run(self._channels_of(np.zeros((1, rows, columns), np.complex64)))  # also warms it up
            _tried.add((bundle.sha256, device))

    @property
    def context(self) -> int:
        """Pixels around an image that the network sees too, on every side."""
        return self.bundle.metadata.input.context

    @property
    def _channels(self) -> int:
        return 2 if self.bundle.metadata.input.channels == "complex" else 1

    def __call__(self, image: Any, noise_std: float, surroundings: int = 0) -> Image:
        """Denoise one image, on its own scale.

        Args:
            image: (rows, columns) complex64; numpy's, or one on the network's GPU that speaks DLPack, such as cupy's.
            noise_std: standard deviation of the noise in its real part.
            surroundings: pixels around the image proper that are there on every side. Of fewer than `context` the
                rest is mirrored, which leaves more noise at the rim.

        Returns:
            The image proper: complex64 from a complex network, float32 magnitude from a magnitude network.

        Raises:
            BundleError: the noise level is needed and unknown, the network fails, or the result is not finite.
        """
        denoised: Image = self.batch(image[None], [noise_std], surroundings)[0]
        return denoised

    def batch(self, images: Any, noise_std: Sequence[float], surroundings: int = 0) -> Image:
        """Denoise several images at once, (images, rows, columns), each with its noise; else as for one."""
        import torch

        channels = _surrounded(self._channels_of(images), self.context - surroundings)
        scales = [self._scale(image, std) for image, std in zip(channels, noise_std, strict=True)]
        scaling = torch.tensor(scales, dtype=channels.dtype, device=channels.device)
        offset, scale = scaling[:, :, None, None, None].unbind(1)
        result = _surrounded(self._run((channels - offset) / scale) * scale + offset, -self.context).cpu().numpy()
        if not np.all(np.isfinite(result)):
            raise BundleError("the network gave values that are not finite")
        if self._channels == 2:
            return np.asarray(result[:, 0] + 1j * result[:, 1], dtype=np.complex64)
        return np.asarray(result[:, 0], dtype=np.float32)

    def _scale(self, channels: Any, noise_std: float) -> tuple[float, float]:
        """What is taken from an image (channels, rows, columns), and what it is then divided by."""
        if self.bundle.metadata.input.normalisation == "noise":
            peak = float((channels**2).sum(0).max()) ** 0.5
            return 0.0, self._noise_scale(peak, noise_std)
        return _range_scale(channels)

    def _channels_of(self, image: Any) -> Any:
        """A tensor (images, channels, rows, columns) on the network's device: real and imaginary part, or magnitude."""
        import torch

        # An image on a GPU stays there: DLPack hands it over without a copy.
        given = torch.from_numpy(image) if isinstance(image, np.ndarray) else torch.utils.dlpack.from_dlpack(image)
        tensor = given.to(self.device, torch.complex64)
        return torch.view_as_real(tensor).movedim(-1, 1) if self._channels == 2 else tensor.abs()[:, None]

    def _noise_scale(self, peak: float, noise_std: float) -> float:
        """The noise level, if the network can work with it: SNR units."""
        if not (np.isfinite(noise_std) and noise_std > 0):
            known = "is 0" if noise_std == 0 else "is unknown (nothing was averaged)"
            raise BundleError(f"the noise level of the image {known}, and the network {self.bundle.name} needs it")
        trained = self.bundle.metadata.peak_snr
        if trained is not None and peak > _OVER_DOMAIN * trained[1] * noise_std:
            raise BundleError(
                f"the signal is {peak / noise_std:.0f} times the noise, the network {self.bundle.name} was trained up "
                f"to {trained[1]:g}; the plain image needs no denoising"
            )
        return noise_std

    def _run(self, channels: Any) -> Any:
        """The network's answer to a tensor (images, channels, rows, columns), of the same shape."""
        import torch

        try:
            with torch.inference_mode(), _one_thread():
                batch = channels.contiguous(memory_format=torch.channels_last)
                result = self._network(batch)
                if not isinstance(result, torch.Tensor):
                    raise RuntimeError(f"it gives a {type(result).__name__}, not one tensor")
                if result.shape != batch.shape:
                    raise RuntimeError(f"it maps shape {tuple(batch.shape)} to {tuple(result.shape)}")
                return result
        except (RuntimeError, AssertionError, torch.jit.Error) as error:  # the guards of torch.export assert
            raise BundleError(f"{self.bundle.path}: the network does not run ({_reason(error)})") from None


def _surrounded(images: Any, width: int) -> Any:
    """Images (..., rows, columns) with so many mirrored pixels on every side, or without as many where negative."""
    import torch

    if width == 0:
        return images
    return torch.nn.functional.pad(images, [width] * 4, mode="reflect" if width > 0 else "constant")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run on one core: threads that spin beside other work turn 40 ms into 700."""
    import torch

    torch.get_num_threads()  # else torch sets this thread's count when it is first asked for work
    with _thread_pools().limit(limits=1, user_api="openmp"):  # of this thread; torch.set_num_threads is of all
        yield


@lru_cache(maxsize=1)
def _thread_pools() -> Any:
    """The thread pools of the libraries that are loaded, torch's among them."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


def _range_scale(channels: Any) -> tuple[float, float]:
    """Shift and scale of an image to 0..1 (paper, section 2.1)."""
    low, high = float(channels.min()), float(channels.max())
    if not high > low:
        raise BundleError("the image is uniform; there is nothing to denoise")
    return low, high - low


_KEPT = 8  # networks, of those used last
_loaded: OrderedDict[tuple[str, str], Any] = OrderedDict()
_tried: set[tuple[str, str]] = set()  # networks that are known to run in this process
_loading = threading.Lock()


def _load(bundle: Bundle, device: str) -> Any:
    """The network, loaded once in a process as long as it is used."""
    key = bundle.sha256, device
    with _loading:
        if key not in _loaded:
            _loaded[key] = load_network(bundle, device)
        _loaded.move_to_end(key)
        while len(_loaded) > _KEPT:
            _loaded.popitem(last=False)
        return _loaded[key]


def load_network(bundle: Bundle, device: str = "cpu") -> Any:
    """The network of a bundle of either format, ready for inference, from the very bytes whose checksum is known.

    Loading can run code that is in the file: give only a bundle that `find_bundle` trusts, or one of your own.

    Args:
        bundle: which one.
        device: "cpu", "cuda" or "cuda:N".

    Returns:
        A callable: tensor (batch, channels, rows, columns) to the same shape.

    Raises:
        BundleError: the file holds no network that this torch can load.
    """
    import torch

    read = _read_exported if bundle.archive == "exported" else _read_torchscript
    try:
        network = read(bundle.content, device)
    # What torch.export raises for a damaged archive depends on where the damage is.
    except Exception as error:
        kind = "a network of torch.export" if bundle.archive == "exported" else "TorchScript"
        raise BundleError(f"{bundle.path}: cannot be loaded as {kind} ({_reason(error)})") from None
    return network.to(memory_format=torch.channels_last)


def _read_torchscript(content: bytes, device: str) -> Any:
    import torch

    # For good: a filter that is put back at the end is put back for all threads. ismrmrd makes such warnings visible.
    warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
    return torch.jit.load(BytesIO(content), map_location=device).eval()  # type: ignore[no-untyped-call]


def _read_exported(content: bytes, device: str) -> Any:
    import torch
    from torch.export.passes import move_to_device_pass

    _check_plain(content)
    program = torch.export.load(BytesIO(content))  # in inference mode since it was exported
    # Devices are written into the graph too, so moving the parameters alone does not do.
    return (program if torch.device(device).type == "cpu" else move_to_device_pass(program, device)).module()


def _check_plain(content: bytes) -> None:
    """Check that an archive of torch.export holds tensors alone: torch would unpickle whatever else is in it."""
    import torch

    with zipfile.ZipFile(BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith(".pt"):
                torch.load(BytesIO(archive.read(name)), weights_only=True)
            elif name.endswith("_config.json"):
                payloads = json.loads(archive.read(name))["config"].values()
                if any(payload.get("use_pickle") for payload in payloads):
                    raise BundleError(f"{name} names pickled objects")
            elif "/custom_obj" in name:
                raise BundleError(f"{name} is an object of its own kind")


def _reason(error: Exception) -> str:
    """One line of an error: TorchScript's reason comes last, after the traceback of the script."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[-1 if "TorchScript interpreter" in lines[0] else 0].rstrip(".")
