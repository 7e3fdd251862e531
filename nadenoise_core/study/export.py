"""The reference image of a raw file as NIfTI, to draw regions on."""

from __future__ import annotations

import json
from pathlib import Path

from nadenoise_core.errors import OutputError
from nadenoise_core.files import make_folder, write_whole
from nadenoise_core.mrd.deidentification import Deidentification, deidentified
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.mrd.rawfile import RawFile, named_in_errors
from nadenoise_core.quantify.nifti import write_nifti
from nadenoise_core.replay.report import described_deidentification
from nadenoise_core.study.chains import read_chains
from nadenoise_core.study.config import MethodSettings
from nadenoise_core.study.nifti import nifti_stem, write_label_names
from nadenoise_core.study.products import make_reference
from nadenoise_core.study.subjects import Subject


def export_scan(
    raw: Path, folder: Path, chain: str = "sodium_calf", pseudonyms: Pseudonyms | None = None
) -> list[Path]:
    """Write the magnitude and the aTSC map of all averages, and the names of the labels for ITK-SNAP.

    Args:
        raw: ISMRMRD file.
        folder: of the files; `<name of the raw file>_<averages>...nii.gz`.
        chain: that makes the image; its network is left out.
        pseudonyms: by which the files are called, with a report of what was taken out; None: by the raw file's name.

    Raises:
        NadenoiseError: the raw file or the chain is not usable, or a file cannot be written.
    """
    chains = read_chains(MethodSettings(chain=chain, cs_chain=chain))
    with named_in_errors(raw), Subject(raw.stem, raw=raw).open(chains.average_counter) as source:
        products = make_reference(source, chains)
    hidden = _deidentified(raw, pseudonyms)
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror}; choose another --out") from None
    stem = nifti_stem(hidden.name if hidden is not None else raw.stem, products.averages)
    written = [folder / f"{stem}.nii.gz", folder / f"{stem}_atsc.nii.gz", folder / "labels.txt"]
    reference = products.reference
    write_nifti(written[0], reference.magnitude, products.affine, "magnitude, arbitrary unit")
    assert reference.concentration is not None  # make_reference refuses a scan without
    write_nifti(written[1], reference.concentration, products.affine, "aTSC, mmol/L")
    write_label_names(written[2])
    if hidden is not None:
        written.append(folder / f"{stem}_deidentification.json")
        write_whole(written[-1], (json.dumps(described_deidentification(hidden), indent=2) + "\n").encode())
    return written


def _deidentified(raw: Path, pseudonyms: Pseudonyms | None) -> Deidentification | None:
    if pseudonyms is None:
        return None
    with RawFile(raw) as file, named_in_errors(raw):
        return deidentified(file.header_xml, pseudonyms)
