"""The images of a study as BIDS derivatives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nadenoise_core.files import write_whole
from nadenoise_core.replay import bids
from nadenoise_core.replay.results import folder_in_progress
from nadenoise_core.study.measures import Measures
from nadenoise_core.study.nifti import LABEL_NAMES, nifti_stem

if TYPE_CHECKING:
    from nadenoise_core.study.merge import StudyRun

_OF_METHOD = {
    "reference": {"rec": "nufft"},
    "NUFFT": {"rec": "nufft"},
    "CS": {"rec": "cs"},
    "CNN": {"rec": "nufft", "desc": "denoised"},
}


def write_study_bids(dataset: Path, run: StudyRun) -> None:
    """Put images, maps and label maps of all volunteers into a dataset; what it has of a volunteer is replaced.

    Args:
        dataset: its folder; made, if it is not there.
        run: the study, done.

    Raises:
        NadenoiseError: the dataset is another one, or cannot be written.
    """
    bids.check_bids(dataset, [record["volunteer"] for record in run.records], overwrite=True)
    bids.start_dataset(dataset)
    for record in run.records:
        final = bids.bids_folder(dataset, record["volunteer"])
        with folder_in_progress(final, (bids.CONTENT,)) as folder:
            _put_volunteer(
                folder, final, run.folder / "volunteers" / record["volunteer"] / "nifti", record, run.measures
            )


def _put_volunteer(folder: Path, final: Path, nifti: Path, record: Mapping[str, Any], measures: Measures) -> None:
    made = {(row.method, row.averages) for row in measures.rows if row.volunteer == record["volunteer"]}
    for method, averages in sorted(made):
        for unit, end in ((bids.SIGNAL, ""), (bids.CONCENTRATION, "_atsc")):
            source = nifti / f"{nifti_stem(method, averages)}{end}.nii.gz"
            if method in _OF_METHOD and source.is_file():
                entities = {"acq": f"{averages}avg", **_OF_METHOD[method]}
                content = _sidecar(record, measures, method, averages, unit)
                _copy(source, folder, bids.image_name(final, unit, entities), content)
    _put_labels(nifti / "labels.nii.gz", folder, bids.stem_of(final))


def _sidecar(record: Mapping[str, Any], measures: Measures, method: str, averages: int, unit: str) -> dict[str, Any]:
    what = "aTSC" if unit == bids.CONCENTRATION else "magnitude"
    wanted = (record["volunteer"], method, averages)
    rows = [row for row in measures.rows if (row.volunteer, row.method, row.averages) == wanted]
    return {
        **bids.common_sidecar(f"23Na {what} {method} {averages} avg", unit),
        "NumberOfAverages": averages,
        "Nadenoise": {
            "measures": {row.measure: row.value for row in rows if np.isfinite(row.value)},
            "comments": record["comments"].get(f"{method} {averages}", []),
            "bundles": record["bundles"] if method == "CNN" else [],
            "virtual": record["virtual"],
        },
    }


def _copy(source: Path, folder: Path, stem: str, sidecar: Mapping[str, Any]) -> None:
    import nibabel

    image = nibabel.load(source)
    bids.put_image(folder, stem, np.asarray(image.dataobj)[..., 0].T, image.affine, sidecar)


def _put_labels(source: Path, folder: Path, stem: str) -> None:
    """The label map as BIDS's discrete segmentation, with its table of names."""
    if not source.is_file():
        return
    _copy(source, folder, f"{stem}_dseg", {"Description": "Regions that were measured", "SpatialReference": "orig"})
    lines = ["index\tname", *(f"{label}\t{name}" for label, name in LABEL_NAMES.items())]
    write_whole(folder / bids.CONTENT / f"{stem}_dseg.tsv", ("\n".join(lines) + "\n").encode())
