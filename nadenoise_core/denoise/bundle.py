"""A bundle: a network, as TorchScript or by torch.export, with the metadata that says what it was trained for.

The metadata lies inside the file (`extra/metadata.json`), so it can be read without torch. A file of either kind can
run code when it is loaded; only files whose checksum is known are.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from importlib.metadata import EntryPoint, entry_points
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nadenoise_core.errors import BundleError

FORMAT = 1
CHECKSUMS = "SHA256SUMS"  # file of the checksums of the bundles beside it

GROUP = "nadenoise.bundles"
"""Of the entry points by which installed packages offer bundles."""

_LARGEST = 1 << 30  # bytes
_LARGEST_METADATA = 1 << 20  # bytes

Archive = Literal["torchscript", "exported"]
SUFFIXES: dict[Archive, str] = {"torchscript": ".pt", "exported": ".pt2"}


class InputFormat(BaseModel):
    """What the network takes.

    Attributes:
        channels: "complex" (real and imaginary part) or "magnitude".
        normalisation: "noise" divides by the known noise standard deviation of the real part; "range" shifts and
            scales to 0..1 by the image's own minimum and maximum (paper, section 2.1).
        context: pixels around the image that it wants to see too, on every side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    channels: Literal["complex", "magnitude"]
    normalisation: Literal["noise", "range"]
    context: int = Field(0, ge=0)


class Metadata(BaseModel):
    """What a bundle says of itself, in `metadata.json`.

    Attributes:
        matrix: (rows, columns) of images.
        averages, peak_snr: least and most that the network is made for; signal over the noise of its real part.
        training, metrics: how it was made, and how good it is on its test set, in plain values.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    format: Literal[1]
    name: str
    version: str
    description: str
    input: InputFormat
    matrix: tuple[int, int]
    averages: tuple[int, int]
    peak_snr: tuple[float, float] | None = None
    training: dict[str, Any] = Field(default_factory=dict)
    metrics: dict[str, Any] = Field(default_factory=dict)

    @property
    def averages_in_words(self) -> str:
        """The numbers of averages, such as "5 to 150"."""
        low, high = self.averages
        return str(low) if low == high else f"{low} to {high}"


class Bundle:
    """A bundle file, its metadata and its checksum; the network is loaded when it is first used.

    Args:
        path: of the file.
        sha256: the checksum that it must have, before anything inside is read; None: any.

    Attributes:
        content: of the file.
        archive: how the network is stored; what is inside says it, not the name of the file.

    Raises:
        BundleError: the file is missing, damaged, no bundle, or has another checksum.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        self.path = path
        self.content = _content(path)
        self.sha256 = hashlib.sha256(self.content).hexdigest()
        if sha256 is not None and self.sha256 != sha256.lower():
            raise BundleError(
                f"{path}: checksum is {self.sha256[:12]}..., expected {sha256[:12]}...; the file was changed or "
                "damaged: install it anew"
            )
        self.metadata, self.archive = _read(path, self.content)

    @property
    def name(self) -> str:
        return self.metadata.name

    def misfit(self, matrix: tuple[int, int], averages: int | None = None) -> str | None:
        """Why this bundle does not fit an image of a matrix (rows, columns), in words; None if it fits."""
        trained = self.metadata.matrix
        if matrix != trained:
            return f"it was trained for matrix {trained[1]}x{trained[0]}, the image is {matrix[1]}x{matrix[0]}"
        least, most = self.metadata.averages
        if averages is not None and not least <= averages <= most:
            return f"it was trained for {least} to {most} averages, the image has {averages}"
        return None


def shipped_bundles() -> list[Bundle]:
    """The bundles that come with nadenoise, by name; their checksums are verified.

    Of a bundle that comes in both formats, TorchScript, which loads ten times sooner.

    Raises:
        BundleError: a file does not have the checksum it was shipped with.
    """
    return _bundles_in(Path(str(resources.files("nadenoise_core.models"))))


def offered_bundles() -> list[Bundle]:
    """The bundles of installed packages, which are used by name alone.

    An entry point of the group `nadenoise.bundles` names a package that holds them beside a `SHA256SUMS`, as ours does.

    Raises:
        BundleError: such a package is missing, or a file does not have the checksum that is listed.
    """
    return [bundle for point in entry_points(group=GROUP) for bundle in _bundles_in(_folder_of(point))]


def _folder_of(point: EntryPoint) -> Path:
    """The folder of the bundles that an entry point offers."""
    try:
        return Path(str(resources.files(point.value)))
    except ImportError as error:
        raise BundleError(f"bundles of '{point.value}' cannot be found ({error}); install that package anew") from None


def _bundles_in(folder: Path) -> list[Bundle]:
    known = known_checksums(folder)
    bundles: dict[str, Bundle] = {}
    for name in sorted(known):  # .pt comes before .pt2
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name}: the bundle is listed but missing; install its package anew")
        now = (folder / name).stat()
        bundles.setdefault(Path(name).stem, _read_once(folder / name, known[name], (now.st_mtime_ns, now.st_size)))
    return list(bundles.values())


@lru_cache(maxsize=16)
def _read_once(path: Path, sha256: str, state: tuple[int, int]) -> Bundle:
    """A bundle as long as its file stays as it is: to read and check them all takes 20 ms, for every scan."""
    return Bundle(path, sha256)


def noise_aware_bundles() -> list[Bundle]:
    """The shipped bundles that are told the noise, and so serve a range of averages; the others are chosen by name."""
    return [bundle for bundle in shipped_bundles() if bundle.metadata.input.normalisation == "noise"]


def is_path(name: str) -> bool:
    """Whether the name of a bundle is that of a file, not of an installed bundle."""
    return name.endswith(tuple(SUFFIXES.values()))


def find_bundle(name: str, sha256: str | None = None) -> Bundle:
    """A bundle by name or by path.

    Args:
        name: of one that comes with nadenoise ("noise_aware") or with an installed package; ours goes before another
            of the same name. Or a path that ends in ".pt" or ".pt2".
        sha256: the checksum that the bundle must have; a bundle given by path needs it.

    Raises:
        BundleError: unknown, missing, damaged, or not trusted.
    """
    if not is_path(name):
        known = {bundle.name: bundle for bundle in shipped_bundles()}
        if name not in known:
            known = {bundle.name: bundle for bundle in offered_bundles()} | known
        if name not in known:
            raise BundleError(
                f"unknown bundle '{name}'; there are {', '.join(known) or 'none'}; or give a .pt or .pt2 file"
            )
        return known[name] if sha256 is None else Bundle(known[name].path, sha256)
    path = Path(name)
    if not path.is_file():
        raise BundleError(
            f"{path}: no such bundle; give the name of one (`nadenoise model list`) or the path of a .pt or .pt2 file"
        )
    if sha256 is None:
        sha256 = hashlib.sha256(_content(path)).hexdigest()
        if sha256 not in shipped_checksums():
            raise BundleError(
                f"{path}: not a shipped bundle, and loading one can run code; if you trust it, set bundle_sha256 to "
                f"{sha256}"
            )
    return Bundle(path, sha256)


def find_bundles(name: str, sha256: str | None = None) -> list[Bundle]:
    """The bundles of which `choose_bundle` takes one for each image.

    Args:
        name: "auto" for those that are told the noise; else as for `find_bundle`.
        sha256: as for `find_bundle`.

    Raises:
        BundleError: unknown, missing, damaged, or not trusted.
    """
    return noise_aware_bundles() if name == "auto" else [find_bundle(name, sha256)]


def choose_bundle(bundles: Iterable[Bundle], matrix: tuple[int, int], averages: int) -> Bundle:
    """The bundle to use for an image: of those that fit, the one trained for the widest range of averages.

    Raises:
        BundleError: none fits; the message says why, for each.
    """
    misfits = {bundle: bundle.misfit(matrix, averages) for bundle in bundles}
    fitting = [bundle for bundle, misfit in misfits.items() if misfit is None]
    if not fitting:
        reasons = "; ".join(f"{bundle.name}: {misfit}" for bundle, misfit in misfits.items())
        raise BundleError(f"no bundle fits the image ({reasons or 'none is installed'})")
    return max(fitting, key=lambda bundle: bundle.metadata.averages[1] - bundle.metadata.averages[0])


def shipped_checksums() -> frozenset[str]:
    """The checksums of the bundles that come with nadenoise."""
    return frozenset(known_checksums(Path(str(resources.files("nadenoise_core.models")))).values())


def installed_checksums() -> frozenset[str]:
    """The checksums of all bundles that have a name here: ours, and those that installed packages offer."""
    found = set(shipped_checksums())
    for point in entry_points(group=GROUP):
        with suppress(BundleError):  # a package that is broken holds none; who names one of its bundles is told
            found.update(known_checksums(_folder_of(point)).values())
    return frozenset(found)


def listed_checksum(path: Path) -> str | None:
    """The checksum that `SHA256SUMS` beside a bundle gives for it; None if it gives none."""
    return known_checksums(path.parent).get(path.name)


def known_checksums(folder: Path) -> dict[str, str]:
    """File name to sha256, of `SHA256SUMS` in a folder (the format of sha256sum); empty without it."""
    lines = (folder / CHECKSUMS).read_text().splitlines() if (folder / CHECKSUMS).is_file() else []
    return {name.lstrip("*"): checksum for checksum, name in (line.split(maxsplit=1) for line in lines if line)}


def _content(path: Path) -> bytes:
    try:
        if path.stat().st_size > _LARGEST:
            raise BundleError(f"{path}: is larger than {_LARGEST >> 20} MiB; that is no bundle")
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror}); check the file") from None


def _read(path: Path, content: bytes) -> tuple[Metadata, Archive]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
            inside = [name for name in names if name.endswith("/extra/metadata.json")]
            if not inside:
                raise BundleError(f"{path}: holds no metadata.json; export it with nadenoise's training package")
            if archive.getinfo(inside[0]).file_size > _LARGEST_METADATA:
                raise BundleError(f"{path}: metadata.json is larger than {_LARGEST_METADATA >> 20} MiB; export it anew")
            metadata = Metadata.model_validate(json.loads(archive.read(inside[0])))
            # torch.export marks its archives with this file.
            exported = any(name.endswith("/archive_format") for name in names)
            return metadata, "exported" if exported else "torchscript"
    except BundleError:
        raise
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{path}: metadata.json, {place}: {first['msg'].lower()}; export the bundle anew") from None
    except Exception:  # what zipfile raises for a damaged archive depends on where the damage is
        raise BundleError(
            f"{path}: not a TorchScript bundle nor one of torch.export, or damaged; export or copy it anew"
        ) from None
