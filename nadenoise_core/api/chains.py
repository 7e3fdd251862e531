"""Chains built in Python, and raw files through chains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nadenoise_core.api.gadgets import as_text, stage_of
from nadenoise_core.api.images import Image, Images, read_images
from nadenoise_core.api.table import Table
from nadenoise_core.chain.chain import Chain as Stages
from nadenoise_core.chain.chain import build, check_order, check_runs_here
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.errors import ChainError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from nadenoise_core.replay.schema import Report

StageGiven = str | tuple[str, Mapping[str, Any]]


class Chain:
    """Gadgets in a row: `nd.Chain(["accumulate", ("reconstruct", {"method": "total_variation"})])`.

    Args:
        stages: names of gadgets, each alone or with its properties.
        name: of the chain.

    Raises:
        ChainError: an unknown gadget or property, a value that a property cannot have, or a wrong order.
    """

    def __init__(self, stages: Iterable[StageGiven], name: str = "python") -> None:
        pairs = [(given, {}) if isinstance(given, str) else given for given in stages]
        if not pairs:
            raise ChainError("Python: the chain has no stages; name gadgets, such as 'accumulate' and 'reconstruct'")
        made = (stage_of(gadget, properties, number) for number, (gadget, properties) in enumerate(pairs, 1))
        self._take(Stages(name, "Python", tuple(made), 1))

    @classmethod
    def named(cls, name: str | Path) -> Chain:
        """A chain that came with nadenoise, by name, or a chain file, by path.

        Raises:
            ChainError: there is none, or it is wrong.
        """
        chain = cls.__new__(cls)
        chain._take(read_chain(find_chain(str(name))))
        return chain

    def with_properties(self, gadget: str, **properties: Any) -> Chain:
        """The same chain with properties of one gadget set.

        Raises:
            ChainError: it has no such gadget, or a property that cannot be.
        """
        chain = type(self).__new__(type(self))
        chain._take(self.stages.with_assignments(f"{gadget}.{name}={as_text(v)}" for name, v in properties.items()))
        return chain

    def run(self, raw: str | Path, group: str | None = None) -> Images:
        """The images that a raw file gives; nothing is written but what the chain itself delivers.

        Raises:
            NadenoiseError: the raw file or the chain is not usable.
        """
        import ismrmrd

        from nadenoise_core.chain.runner import run
        from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
        from nadenoise_core.mrd.scan import read_scan

        check_runs_here(self.stages)
        with RawFile(Path(raw), group) as file, named_in_errors(Path(raw)):
            scan = read_scan(file.header_xml)
            items = list(run(build(self.stages, scan), file.acquisitions()))
        return Images([Image(item) for item in items if isinstance(item, ismrmrd.Image)], scan)

    def save(self, path: str | Path) -> Path:
        """Write the chain as XML, as Gadgetron and `nadenoise replay --chain` read it; gives the file.

        Raises:
            OutputError: it cannot be written.
        """
        from nadenoise_core.chain.files import chain_text
        from nadenoise_core.files import write_whole

        write_whole(Path(path), chain_text(self.stages), private=False)
        return Path(path)

    def __repr__(self) -> str:
        return f"<Chain {self.stages.name}: {' > '.join(stage.name for stage in self.stages.stages)}>"

    def _take(self, stages: Stages) -> None:
        for stage in stages.stages:
            stage.parameters()
        check_order(stages)
        self.stages = stages


class Results:
    """What a replay left in its folder.

    Attributes:
        folder: with `dicom/`, `images.h5`, `report.json`, `report.html` and `overview.png`.
        report: what `report.json` holds.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self.folder, self.report = folder, report

    @property
    def images(self) -> Images:
        """The images, read anew."""
        return read_images(self.folder)

    @property
    def tubes(self) -> Table:
        """What the reference tubes read in the last map, mmol/L."""
        return self.images.tubes

    @property
    def regions(self) -> Table:
        """What the regions of a label map read in the last map, mmol/L."""
        return self.images.regions

    @property
    def warnings(self) -> list[str]:
        """What the gadgets warned of."""
        return list(self.report["warnings"])

    def plot(self) -> Figure:
        """One figure of the last image in all its kinds, with the calibration line."""
        return self.images.plot()

    def to_nifti(self, folder: str | Path | None = None) -> list[Path]:
        """Write every image as NIfTI, into `nifti/` of the results if no folder is given; gives the files."""
        return self.images.to_nifti(folder if folder is not None else self.folder / "nifti")

    def __repr__(self) -> str:
        return f"<Results: {self.folder}, {len(self.report['images'])} images>"

    def _repr_html_(self) -> str:
        return self.images._repr_html_()


def replay(
    raw: str | Path,
    chain: str | Path | Chain = "sodium_calf",
    out: str | Path = "results",
    *,
    group: str | None = None,
    overwrite: bool = False,
    bids: str | Path | None = None,
    deidentify: str | Path | None = None,
) -> Results:
    """Run a chain over a raw file, into a folder of results, `out / <name of the raw file>`.

    Args:
        raw: ISMRMRD file.
        chain: name of a chain, path of a chain file, or a chain built in Python.
        out: folder of the results of all raw files.
        group: of the measurement in the raw file, if it holds several.
        overwrite: replace the results of an earlier replay, also in the dataset.
        bids: BIDS dataset to put the images into, too, under the name of the raw file; None: none.
        deidentify: file with the secret key of pseudonyms, by which the results are de-identified; it is made if it is
            missing. None: they are not.

    Raises:
        NadenoiseError: the raw file, the chain, the folder or the dataset is not usable; nothing is left behind, but
            the results where the dataset has other images of this name.
    """
    from nadenoise_core.mrd.pseudonyms import read_pseudonyms
    from nadenoise_core.replay.bids import check_bids
    from nadenoise_core.replay.job import put_into_bids
    from nadenoise_core.replay.replay import replay as replay_file

    if bids is not None:  # what the dataset has of the scan is looked at when the images are there
        check_bids(Path(bids), [Path(raw).stem] if deidentify is None else (), overwrite=True)
    pseudonyms = read_pseudonyms(Path(deidentify)) if deidentify is not None else None
    chosen = chain if isinstance(chain, Chain) else Chain.named(chain)
    result = replay_file(Path(raw), chosen.stages, Path(out), group=group, overwrite=overwrite, pseudonyms=pseudonyms)
    if bids is not None:
        put_into_bids(Path(bids), result, overwrite)
    return Results(result.folder, result.report)
