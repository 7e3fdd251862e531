"""Networks in a process of their own, which imports torch while this one reads raw data.

Torch takes as long to import as a ten-minute exam to replay, so a command that makes one image waits half as long with
a second core. Images go there and back; what is computed is the same.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import lru_cache
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeAlias

from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.denoise.network import Denoiser, Image
from nadenoise_core.device import missing_gpu_package
from nadenoise_core.errors import BadInputError, BundleError
from nadenoise_core.helper import Helper, HelperFailed

_Batch: TypeAlias = "tuple[Any, Sequence[float], int]"
_Answer: TypeAlias = "tuple[Image | None, BundleError | None]"

_process: ContextVar[NetworkProcess | None] = ContextVar("_process", default=None)


@contextmanager
def networks_apart(wanted: bool = True) -> Iterator[None]:
    """Within it, what `denoiser_of` gives works in another process, which is begun at once and ended at the end.

    Nothing changes where it is not wanted or no gain (torch is here already), where images may be on a GPU, and where
    libraries do not stand a fork (macOS) or there is none.
    """
    if not wanted or sys.platform != "linux" or "torch" in sys.modules or missing_gpu_package() is None:
        yield
        return
    process = NetworkProcess()
    token = _process.set(process)
    try:
        yield
    finally:
        _process.reset(token)
        process.close()


def denoiser_of(bundle: Bundle, device: str) -> Denoiser:
    """The denoiser of a bundle, here or in the process of `networks_apart`; errors as of `Denoiser`."""
    process = _process.get()
    return Denoiser(bundle, device) if process is None else DenoiserApart(bundle, process)


class DenoiserApart(Denoiser):
    """A bundle's network in another process, which loads it now.

    A bundle that cannot be loaded is a BadInputError as the first image comes.
    """

    def __init__(self, bundle: Bundle, process: NetworkProcess) -> None:
        self.bundle, self.device = bundle, "cpu"
        self._process = process
        process.load(bundle)

    def batch(self, images: Any, noise_std: Sequence[float], surroundings: int = 0) -> Image:
        """See `Denoiser.batch`."""
        return self._process.batch(self.bundle, (images, noise_std, surroundings))


class NetworkProcess:
    """A process that runs networks on the CPU; it ends with this one."""

    def __init__(self) -> None:
        asked, self._asking = Pipe(duplex=False)
        self._answers: Helper[_Answer] = Helper(lambda: _answers(asked, self._asking), None)
        asked.close()
        self._loading = 0

    def load(self, bundle: Bundle) -> None:
        """Let it load a network, and try it."""
        self._ask(bundle, None)
        self._loading += 1

    def batch(self, bundle: Bundle, batch: _Batch) -> Image:
        """What `Denoiser.batch` gives.

        Raises:
            BadInputError: a network could not be loaded.
            BundleError: see `Denoiser.batch`.
            HelperFailed: the process has ended.
        """
        try:
            while self._loading:
                self._loading -= 1
                self._answer()
        except BundleError as error:  # of the bundle, not of an image
            raise BadInputError(str(error)) from None
        self._ask(bundle, batch)
        image = self._answer()
        assert image is not None
        return image

    def close(self) -> None:
        """End it, whatever it does."""
        self._answers.close()
        self._asking.close()

    def _ask(self, bundle: Bundle, batch: _Batch | None) -> None:
        with suppress(BrokenPipeError):  # it has ended, as the answer will show
            self._asking.send((bundle.path, bundle.sha256, batch))

    def _answer(self) -> Image | None:
        try:
            image, error = next(self._answers)
        except HelperFailed as failure:
            raise HelperFailed(f"the process that runs the networks has failed ({failure})") from None
        if error is not None:
            raise error
        return image


def _answers(asked: Connection, asking: Connection) -> Iterator[_Answer]:
    """What the other process answers, until nobody asks."""
    asking.close()  # the copy of this process, which would keep it waiting for itself
    import torch  # noqa: F401

    with suppress(EOFError):
        while True:
            path, sha256, batch = asked.recv()
            try:
                denoiser = Denoiser(_bundle(path, sha256))
                yield None if batch is None else denoiser.batch(*batch), None
            except BundleError as error:
                yield None, error


@lru_cache(maxsize=8)
def _bundle(path: Path, sha256: str) -> Bundle:
    return Bundle(path, sha256)
