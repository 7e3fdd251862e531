"""All images of one scan: the reference, and NUFFT, compressed sensing and network at fewer averages.

The scan is read once. Readouts are averaged at every number of averages as they come; the stages after `accumulate`
then run over these averages, for each method its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import ismrmrd
import numpy as np
from numpy.typing import NDArray

from nadenoise_core.chain.chain import Chain, build
from nadenoise_core.chain.runner import StageClock, run
from nadenoise_core.denoise import bundle as bundles
from nadenoise_core.denoise.bundle import Bundle
from nadenoise_core.errors import CalibrationError, RawDataError
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.geometry import affine_of
from nadenoise_core.mrd.image import facts_of, known_facts, pixels_of
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.mrd.scan import Scan, read_scan
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.study.chains import Chains, with_properties, without
from nadenoise_core.study.config import MethodSettings
from nadenoise_core.study.measures import Method
from nadenoise_core.study.subjects import Source


@dataclass(frozen=True)
class Product:
    """One image and its aTSC map.

    Attributes:
        image: as the chain gave it.
        atsc: its map; None where it could not be calibrated, which `comments` of the image say.
    """

    image: ismrmrd.Image
    atsc: ismrmrd.Image | None

    @property
    def magnitude(self) -> NDArray[np.float32]:
        """(rows, columns), in the unit of the scanner."""
        return np.asarray(np.abs(pixels_of(self.image)), np.float32)

    @property
    def concentration(self) -> NDArray[np.float32] | None:
        """(rows, columns), mmol/L."""
        return None if self.atsc is None else np.asarray(pixels_of(self.atsc), np.float32)

    @property
    def tubes(self) -> tuple[Tube, ...]:
        """The reference tubes of the map; none where there is no map."""
        atsc = None if self.atsc is None else known_facts(self.atsc).atsc
        return () if atsc is None else atsc.tubes

    @property
    def comments(self) -> list[str]:
        """What was remarked on image and map."""
        images = (self.image, self.atsc) if self.atsc is not None else (self.image,)
        return list(dict.fromkeys(comment for image in images for comment in known_facts(image).comments))


@dataclass(frozen=True)
class Products:
    """The images of a scan.

    Attributes:
        images: by method and number of averages.
        averages: of the reference.
        seconds: an image takes by each method, set-up included; CNN is on top of NUFFT.
        bundles: networks used, as name, version and sha256.
        seconds_per_average: acquisition time; None where the header does not tell the repetition time.
        virtual: whether the header is that of a simulated scan.
    """

    images: Mapping[tuple[Method, int], Product]
    averages: int
    seconds: Mapping[str, float]
    bundles: tuple[dict[str, str], ...]
    seconds_per_average: float | None
    virtual: bool

    @property
    def reference(self) -> Product:
        """The image of all averages."""
        return self.images["reference", self.averages]

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) of all images, for NIfTI."""
        return affine_of(self.reference.image)


def bundles_of(methods: MethodSettings) -> tuple[Bundle, ...]:
    """The bundles of which `denoise` takes one for each image; each once.

    Raises:
        BundleError: there is no such bundle.
    """
    names = dict.fromkeys(_bundle_name(methods, averages) for averages in methods.averages)
    found = [bundle for name in names for bundle in bundles.find_bundles(name, methods.bundle_sha256)]
    return tuple({bundle.sha256: bundle for bundle in found}.values())


def make_products(source: Source, methods: MethodSettings, chains: Chains) -> Products:
    """Make all images of a scan.

    Args:
        source: the scan; read once.
        methods: of the study.
        chains: as `read_chains` gave them.

    Raises:
        CalibrationError: the reference gives no aTSC map.
        RawDataError: no number of averages is below the scan's.
        NadenoiseError: the scan or a chain cannot be used.
    """
    scan = read_scan(source.header_xml)
    levels = sorted(averages for averages in methods.averages if averages < source.averages)
    if not levels:
        raise RawDataError(
            f"the scan has {source.averages} averages, and a study compares fewer with all of them: give "
            "methods.averages some below that, or run `nadenoise study cohort`"
        )
    data = _averaged(source, chains.head, scan, levels)
    images: dict[tuple[Method, int], Product] = {}
    whole = images["reference", source.averages] = _reference(chains, scan, data[-1])
    tubes = tube_properties(whole, chains.plain) if methods.tubes == "reference" else {}
    clocks = {"plain": StageClock(), "cs": StageClock()}
    for name, chosen in _by_bundle(methods, levels).items():
        network = {"bundle": name} | ({"bundle_sha256": methods.bundle_sha256} if methods.bundle_sha256 else {})
        plain = with_properties(with_properties(chains.plain, "denoise", **network), "quantify", maps="all", **tubes)
        items = [item for item, level in zip(data, levels, strict=False) if level in chosen]
        _collect(images, run(build(plain, scan), items, clocks["plain"]), "NUFFT")
    cs = with_properties(chains.cs, "quantify", **tubes)
    _collect(images, run(build(cs, scan), data[:-1], clocks["cs"]), "CS")
    return Products(
        images,
        source.averages,
        _seconds(clocks, len(levels)),
        _networks(images),
        _seconds_per_average(scan, source),
        scan.is_virtual,
    )


def make_reference(source: Source, chains: Chains) -> Products:
    """Make the image of all averages alone; errors as `make_products`."""
    scan = read_scan(source.header_xml)
    (data,) = _averaged(source, chains.head, scan, ())
    images: dict[tuple[Method, int], Product] = {("reference", source.averages): _reference(chains, scan, data)}
    return Products(images, source.averages, {}, (), _seconds_per_average(scan, source), scan.is_virtual)


def _averaged(source: Source, head: Chain, scan: Scan, levels: Sequence[int]) -> list[ReconData]:
    """The averaged readouts at every level, then of all averages."""
    emit_at = ", ".join(map(str, (*levels, source.averages)))
    items = run(build(head.with_property("accumulate", "emit_at", emit_at), scan), source.acquisitions)
    data = [item for item in items if isinstance(item, ReconData)]
    if len(data) != len(levels) + 1:
        raise RawDataError(
            f"the scan gives {len(data)} images at {len(levels) + 1} numbers of averages; a study needs raw data of "
            "one slice, contrast and repetition"
        )
    return data


def _reference(chains: Chains, scan: Scan, data: ReconData) -> Product:
    """The NUFFT image of all averages, with its map."""
    images: dict[tuple[Method, int], Product] = {}
    _collect(images, run(build(without(chains.plain, "denoise"), scan), [data]), "reference")
    (product,) = images.values()
    if product.atsc is None:
        raise CalibrationError(f"the reference has no aTSC map: {'; '.join(product.comments)}")
    return product


def _seconds_per_average(scan: Scan, source: Source) -> float | None:
    time = scan.repetition_time
    return time * source.readouts / source.averages if time and source.averages else None


def _collect(images: dict[tuple[Method, int], Product], items: Iterable[Any], method: Method) -> None:
    """Sort what a chain gives by method and averages; a denoised image is of the network."""
    plain_method = method
    for image in items:
        facts = facts_of(image)
        if facts is None or facts.kind is Kind.ERROR:
            continue
        key: tuple[Method, int] = ("CNN" if facts.network is not None else plain_method, facts.averages)
        images[key] = replace(images[key], atsc=image) if facts.kind is Kind.ATSC else Product(image, None)


def _by_bundle(methods: MethodSettings, levels: Sequence[int]) -> dict[str, list[int]]:
    """The levels that each network serves."""
    chosen: dict[str, list[int]] = {}
    for level in levels:
        chosen.setdefault(_bundle_name(methods, level), []).append(level)
    return chosen


def _bundle_name(methods: MethodSettings, averages: int) -> str:
    return methods.bundle.replace("{averages}", str(averages))


def tube_properties(reference: Product, chain: Chain) -> dict[str, str]:
    """Where the reference shows the tubes, as properties of `quantify`; what the chain itself says stays."""
    given = next(stage for stage in chain.stages if stage.name == "quantify").properties
    if "label_map" in given or "tube_positions" in given:
        return {}
    tubes = reference.tubes
    return {
        "concentrations": ", ".join(str(tube.concentration) for tube in tubes),
        "tube_positions": ", ".join(f"{tube.centre[0]}, {tube.centre[1]}" for tube in tubes),
        "tube_diameter": str(tubes[0].diameter),
    }


def _seconds(clocks: Mapping[str, StageClock], images: int) -> dict[str, float]:
    """Of one image by each method; several networks of one study are counted together."""
    spent = {
        name: sum(time for stage, time in clocks[clock].milliseconds().items() if stage.split()[0] == gadget)
        for name, clock, gadget in (
            ("NUFFT", "plain", "reconstruct"),
            ("CNN", "plain", "denoise"),
            ("CS", "cs", "reconstruct"),
        )
    }
    return {name: time / 1e3 / images for name, time in spent.items()} if images else {}


def _networks(images: Mapping[tuple[Method, int], Product]) -> tuple[dict[str, str], ...]:
    networks = [known_facts(product.image).network for product in images.values()]
    return tuple(asdict(network) for network in dict.fromkeys(networks) if network is not None)
