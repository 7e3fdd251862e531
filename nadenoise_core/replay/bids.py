"""Images as BIDS derivatives (https://bids-specification.readthedocs.io): names, sidecars, and the dataset around them.

BIDS 1.11 has the entity `nuc` for spectroscopy alone, and no suffix for what an image of sodium shows. Names follow its
rules with `nuc-23Na` and the suffixes `sodium` and `TSCmap`, which `.bidsignore` tells its validator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core import __version__
from nadenoise_core.errors import BadInputError, OutputError
from nadenoise_core.files import write_whole
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.mrd.geometry import affine_of
from nadenoise_core.mrd.image import facts_of, known_facts, pixels_of
from nadenoise_core.mrd.scan import Scan, read_scan
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.replay.report import described_image
from nadenoise_core.replay.results import folder_in_progress, read_images_file

if TYPE_CHECKING:
    import ismrmrd

VERSION = "1.11.0"
"""Of the standard."""
CONCENTRATION, SIGNAL = "mmol/L", "arbitrary"
CONTENT = "anat"
"""What the folder of a subject or session holds."""
_SUFFIXES = {CONCENTRATION: "TSCmap", SIGNAL: "sodium"}
_IGNORED = "*_nuc-23Na_*"
_ENTITIES = ("acq", "nuc", "rec", "run", "echo", "chunk", "desc")  # in BIDS's order
_README = f"""# 23Na images and maps of apparent tissue sodium concentration

Made by nadenoise {__version__}. Names are those of BIDS derivatives, with two additions that BIDS does not have yet and
that `.bidsignore` tells its validator: the entity `nuc-23Na` of an image, and the suffixes `sodium` (magnitude of the
signal, arbitrary unit) and `TSCmap` (apparent tissue sodium concentration, mmol/L).

| entity | what it says |
|---|---|
| `acq-30avg` | averages in the image |
| `rec-nufft` | method of reconstruction |
| `run`, `echo`, `chunk` | repetition, echo (of a map: `acq-30avgecho2`) and slice, where there are several |
| `desc-denoised` | after a network, or calculated of such an image |
| `desc-error` | standard error of every pixel; `desc-denoisederror` of a denoised map |
"""


def bids_folder(dataset: Path, name: str) -> Path:
    """The folder of a scan in a dataset: of the subject, or of its session.

    Args:
        dataset: its folder.
        name: of the scan, such as "sub-07_ses-2" or "scan 7"; of the latter, letters and digits are the subject.

    Raises:
        BadInputError: the name has neither letter nor digit.
    """
    found = re.match(r"sub-([0-9A-Za-z]+)(?:_ses-([0-9A-Za-z]+))?(?:_|$)", name)
    subject, session = found.groups() if found else (_label(name), None)
    if not subject:
        raise BadInputError(f"'{name}' has no letter or digit to name a subject by; rename the file")
    return dataset / f"sub-{subject}" / (f"ses-{session}" if session else "")


def check_bids(dataset: Path, names: Sequence[str], overwrite: bool = False) -> None:
    """Check that scans can be put into a dataset.

    Args:
        dataset: its folder.
        names: of the scans, as of `bids_folder`.
        overwrite: what the dataset has of them may be replaced.

    Raises:
        BadInputError: a name gives no subject, or two give the same.
        OutputError: the dataset is another one, or has a scan already.
    """
    folders = [bids_folder(dataset, name) for name in names]
    for name, folder in zip(names, folders, strict=True):
        if folders.count(folder) > 1:
            raise BadInputError(f"'{name}' and another scan would both be {folder}; name them sub-<label>_ses-<label>")
        if folder.exists() and not overwrite:
            raise OutputError(f"{folder}: exists already; choose another --bids, or --overwrite it")
    description = dataset / "dataset_description.json"
    if not description.exists():
        if dataset.exists() and (not dataset.is_dir() or any(dataset.iterdir())):
            raise OutputError(f"{dataset}: is no BIDS dataset, and not empty; choose another --bids")
        return
    try:
        by = json.loads(description.read_text(encoding="utf-8"))["GeneratedBy"][0]["Name"]
    except (OSError, ValueError, LookupError, TypeError):
        by = None
    if by != "nadenoise":
        raise OutputError(f"{dataset}: is a BIDS dataset that nadenoise did not make; choose another --bids")


def write_bids(dataset: Path, name: str, results: Path, overwrite: bool = False) -> Path:
    """Put the images of a replay into a dataset.

    Args:
        dataset: its folder; made, if it is not there.
        name: of the scan, as of `bids_folder`.
        results: folder of a replay.
        overwrite: replace what the dataset has of this scan.

    Returns:
        The folder of the subject or of its session.

    Raises:
        NadenoiseError: the dataset is another one, has the scan already, or cannot be written.
    """
    check_bids(dataset, [name], overwrite)
    header_xml, found = read_images_file(results / "images.h5")
    scan, images = read_scan(header_xml), [image for image in found if facts_of(image) is not None]
    start_dataset(dataset)
    final = bids_folder(dataset, name)
    with folder_in_progress(final, (CONTENT,)) as folder:
        for image in images:
            facts, array = known_facts(image), pixels_of(image)
            values = np.asarray(np.abs(array) if np.iscomplexobj(array) else array, np.float32)
            unit = CONCENTRATION if facts.kind.is_concentration else SIGNAL
            stem = image_name(final, unit, entities_of(image, facts, images))
            put_image(folder, stem, values, affine_of(image), sidecar_of(image, facts, scan, unit))
    return final


def start_dataset(dataset: Path) -> None:
    """Write what stands at the top of a dataset, if it is not there.

    Raises:
        OutputError: it cannot be written.
    """
    description = {
        "Name": "23Na MRI: images and maps of apparent tissue sodium concentration",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "nadenoise", "Version": __version__}],
    }
    files = {
        ".bidsignore": f"{_IGNORED}\n",
        "README.md": _README,
        "dataset_description.json": json.dumps(description, indent=2) + "\n",
    }
    for name, text in files.items():
        if not (dataset / name).exists():
            write_whole(dataset / name, text.encode())


def entities_of(image: ismrmrd.Image, facts: ImageFacts, images: Sequence[ismrmrd.Image]) -> dict[str, str]:
    """The entities of an image, by name; counters that do not differ within the scan are left out."""
    counters = {"run": ("repetition", "phase"), "echo": ("contrast",), "chunk": ("slice",)}
    entities = {"acq": f"{facts.averages}avg", "rec": _label(facts.method.label).lower()}
    for name, fields in counters.items():
        values = sorted({tuple(getattr(other, field) for field in fields) for other in images})
        if len(values) > 1:
            entities[name] = str(values.index(tuple(getattr(image, field) for field in fields)) + 1)
    if facts.kind.is_concentration and "echo" in entities:  # maps have no `echo` in BIDS
        entities["acq"] += f"echo{entities.pop('echo')}"
    described = ("denoised" if facts.network is not None else "") + ("error" if facts.kind is Kind.ERROR else "")
    if described:
        entities["desc"] = described
    return entities


def image_name(folder: Path, unit: str, entities: Mapping[str, str]) -> str:
    """The name of an image's files, without what follows the point.

    Args:
        folder: of the subject or session.
        unit: `CONCENTRATION` or `SIGNAL`.
        entities: by name, without subject, session and nucleus.
    """
    labels = {**entities, "nuc": "23Na"}
    parts = [f"{name}-{labels[name]}" for name in _ENTITIES if name in labels]
    return "_".join([stem_of(folder), *parts, _SUFFIXES[unit]])


def stem_of(folder: Path) -> str:
    """What every name in the folder of a subject or session begins with."""
    return f"{folder.parent.name}_{folder.name}" if folder.name.startswith("ses-") else folder.name


def put_image(
    folder: Path, stem: str, values: NDArray[np.generic], affine: NDArray[np.floating], sidecar: Mapping[str, Any]
) -> None:
    """Write one slice, (rows, columns), and its sidecar into the folder of a subject or session.

    Raises:
        OutputError: a file cannot be written, or two images have the same name.
    """
    image = folder / CONTENT / f"{stem}.nii.gz"
    if image.exists():
        raise OutputError(f"two images of the scan are called {image.name}; replay it without --bids")
    write_whole(image.with_name(f"{stem}.json"), (json.dumps(sidecar, indent=2) + "\n").encode())
    write_nifti(image, values, affine, str(sidecar.get("Units", "")))


def sidecar_of(image: ismrmrd.Image, facts: ImageFacts, scan: Scan, unit: str) -> dict[str, Any]:
    """What is known of an image, under BIDS's names, and as `report.json` has it."""
    sequence, study, echo = scan.sequence, scan.study, int(image.contrast)
    known = {
        "MagneticFieldStrength": study.field_strength,
        "Manufacturer": study.manufacturer,
        "ManufacturersModelName": study.model,
        "ImagingFrequency": study.imaging_frequency,
        "RepetitionTime": 1e-3 * sequence.repetition_times[0] if sequence.repetition_times else None,
        "EchoTime": 1e-3 * sequence.echo_times[echo] if echo < len(sequence.echo_times) else None,
        "FlipAngle": sequence.flip_angles[0] if sequence.flip_angles else None,
    }
    return {
        **common_sidecar(facts.description, unit),
        **{name: value for name, value in known.items() if value},
        "SliceThickness": scan.slice_thickness,
        "NumberOfAverages": facts.averages,
        "Nadenoise": described_image(image),
    }


def common_sidecar(description: str, unit: str) -> dict[str, Any]:
    """What the sidecar of every image says."""
    return {
        "Description": description,
        "ResonantNucleus": "23Na",
        "Units": unit,
        "MRAcquisitionType": "2D",
        "SkullStripped": False,
    }


def _label(text: str) -> str:
    """What of a text may be the value of an entity."""
    return re.sub(r"[^0-9A-Za-z]", "", text)
