"""nadenoise: rapid 2D 23Na MRI with a denoising convolutional neural network.

From a raw file to concentrations, step by step or all at once:

    import nadenoise_core as nd

    nd.simulate("scan.h5", averages=30)
    images = nd.quantify(nd.denoise(nd.reconstruct("scan.h5")), tube_diameter=20)
    images.plot().savefig("scan.png")
    print(images.tubes)

    results = nd.replay("scan.h5", "sodium_calf", "results")
    print(nd.measure("scan.h5", "labels.nii.gz"))

What a function needs is imported when it is called.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

__version__ = "0.1.0"

# The names of the Python API, and the modules of `nadenoise_core.api` that they are in.
_API = {
    "Chain": "chains",
    "Image": "images",
    "Images": "images",
    "RawScan": "raw",
    "Results": "chains",
    "average": "raw",
    "denoise": "steps",
    "load": "raw",
    "measure": "regions",
    "quantify": "steps",
    "read_images": "images",
    "reconstruct": "steps",
    "replay": "chains",
    "save": "raw",
    "simulate": "raw",
}
# Of these, the packages of the same name, which can be called as well as imported from.
_ROOMS = ("denoise", "measure", "quantify", "replay", "simulate")


class _Room(ModuleType):
    """A package that can be called, as the function of the API that has its name."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return _of_api(self.__name__.rpartition(".")[2])(*arguments, **options)


def make_callable(room: str) -> None:
    """Let a package of this name be called: `nd.replay(...)` replays, whoever imported `nadenoise_core.replay`."""
    sys.modules[room].__class__ = _Room


def _of_api(name: str) -> Any:
    return getattr(import_module(f"{__name__}.api.{_API[name]}"), name)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"{__name__}.{name}")
    if name in _API:
        return _of_api(name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_API})
