"""Sources, from real files that are written here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from training.config import DicomSettings, Hdf5Settings, NiftiSettings, SyntheticSettings
from training.errors import DataError
from training.sources import Journal, Series, open_source
from training.sources.base import evenly

NAME = "Doe^Jane"


def write_dicom(path: Path, pixels: np.ndarray, **fields: Any) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.PatientName, dataset.PatientID = NAME, "ID4711"
    dataset.SeriesDescription = "AX T2 FS"
    dataset.PixelSpacing = [2.0, 1.0]
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.PixelData = pixels.astype("<u2").tobytes()
    for name, value in fields.items():
        setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)


def image(level: int) -> np.ndarray:
    return np.arange(12).reshape(3, 4) + level


def write_series(folder: Path, uid: str, study: str, count: int = 5, **fields: Any) -> None:
    """Slices whose file names run against their place along the normal; the level says the place."""
    for index in range(count):
        write_dicom(
            folder / f"IM{count - index:03d}",
            image(100 * index),
            SeriesInstanceUID=uid,
            StudyInstanceUID=study,
            InstanceNumber=count - index,
            ImagePositionPatient=[0, 0, 3.0 * index],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            **fields,
        )


def read(settings: Any, journal: Journal | None = None) -> list[Series]:
    return list(open_source(settings).series(journal or Journal()))


def dicom(folder: Path, **changes: Any) -> DicomSettings:
    return DicomSettings(kind="dicom", folder=folder, **changes)


def test_slices_are_spread_evenly() -> None:
    assert [evenly(5, 1), evenly(4, 1), evenly(9, 3), evenly(3, 0), evenly(2, 5)] == [
        [2],
        [2],
        [1, 4, 7],
        [0, 1, 2],
        [0, 1],
    ]


def test_the_middle_slice_along_the_normal_is_taken_of_every_axial_series(tmp_path: Path) -> None:
    write_series(tmp_path / "a", "1.2.1", "1.1")
    write_series(tmp_path / "b", "1.2.2", "1.1", SeriesDescription="ax pd")
    write_series(tmp_path / "c", "1.2.3", "1.3", SeriesDescription="SAG T1")
    journal = Journal()
    found = read(dicom(tmp_path), journal)
    assert [len(series.slices) for series in found] == [1, 1]
    for series in found:
        np.testing.assert_array_equal(series.slices[0].image, image(200))
        assert series.slices[0].image.dtype == np.float32 and series.slices[0].spacing == (2.0, 1.0)
    assert found[0].subject == found[1].subject  # one study
    assert dict(journal.unchosen) == {"SAG T1": 1} and not journal.skipped
    apart = read(dicom(tmp_path, subject="series"))
    assert apart[0].subject != apart[1].subject
    together = read(dicom(tmp_path, subject="patient", description="."))
    assert len({series.subject for series in together}) == 1


def test_the_description_and_the_number_of_slices_can_be_chosen(tmp_path: Path) -> None:
    write_series(tmp_path, "1.2.3", "1.3", SeriesDescription="SAG T1")
    (series,) = read(dicom(tmp_path, description="^sag", slices=0))
    assert [slice_.image[0, 0] for slice_ in series.slices] == [0, 100, 200, 300, 400]
    with pytest.raises(DataError, match=r"no series .*'AX'; there are SAG T1 \(1\)"):
        read(dicom(tmp_path))


def test_frames_rescaling_and_inverted_pixels(tmp_path: Path) -> None:
    write_dicom(
        tmp_path / "multi",
        np.stack([image(0), image(10), image(20)]),
        SeriesInstanceUID="1.2",
        NumberOfFrames=3,
        RescaleSlope=2,
        RescaleIntercept=5,
    )
    write_dicom(tmp_path / "dark", image(0), SeriesInstanceUID="1.3", PhotometricInterpretation="MONOCHROME1")
    multi, dark = sorted((series.slices[0].image for series in read(dicom(tmp_path))), key=lambda one: -one[0, 0])
    np.testing.assert_array_equal(multi, 2 * image(10) + 5)
    np.testing.assert_array_equal(dark, 11 - image(0))


def test_bad_files_are_listed_and_the_nearest_slice_is_taken(tmp_path: Path) -> None:
    write_series(tmp_path, "1.2.1", "1.1")
    middle = tmp_path / "IM003"
    middle.write_bytes(middle.read_bytes()[:-10])
    (tmp_path / "notes.txt").write_text("no image")
    write_dicom(tmp_path / "colour", image(0), SeriesInstanceUID="1.2.5", SamplesPerPixel=3)
    write_dicom(tmp_path / "phase", image(0), SeriesInstanceUID="1.2.5", ImageType=["ORIGINAL", "PRIMARY", "P"])
    write_dicom(tmp_path / "homeless", image(0))
    (tmp_path / "again").write_bytes((tmp_path / "IM001").read_bytes())
    journal = Journal()
    (series,) = read(dicom(tmp_path), journal)
    assert series.slices[0].image[0, 0] in (100, 300)
    reasons = dict(journal.skipped)
    assert reasons["notes.txt"] == "it is no DICOM file"
    assert reasons["IM003"].startswith("it is damaged") or reasons["IM003"].startswith("its pixels")
    assert reasons["colour"] == "it is in colour" and reasons["phase"] == "it is a phase image"
    assert reasons["homeless"] == "it has no SeriesInstanceUID"
    assert len(journal.skipped) == sum(journal.reasons().values()) == 6


def test_no_name_of_a_patient_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    write_series(folder / "DOE_Jane_ID4711", "1.2.1", "1.1")
    (folder / "DOE_Jane_ID4711" / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    (folder / "DOE_Jane_ID4711" / "doe.txt").write_text("Jane")
    journal = Journal()
    told = repr(read(dicom(folder), journal)) + repr(journal)
    assert len(journal.skipped) == 2
    for word in ("doe", "jane", "4711"):
        assert word not in told.lower()
    with pytest.raises(DataError) as caught:
        read(dicom(folder, description="SAG"))
    assert "jane" not in str(caught.value).lower()


def test_nifti_files_give_slices_along_an_axis(tmp_path: Path) -> None:
    volume = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    for name in ("sub-1_a", "sub-1_b", "sub-2_a"):
        made = nibabel.Nifti1Image(volume, np.diag([1.0, 2.0, 3.0, 1.0]))
        nibabel.save(made, tmp_path / f"{name}.nii.gz")
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.int16), np.eye(4)), tmp_path / "sub-3.nii")
    (tmp_path / "sub-4.nii").write_bytes(b"nothing")
    (tmp_path / "other.nii").write_bytes(b"nothing")
    journal = Journal()
    settings = NiftiSettings(kind="nifti", folder=tmp_path, subject="(sub-[0-9]+)")
    found = read(settings, journal)
    np.testing.assert_array_equal(found[0].slices[0].image, volume[:, :, 3])
    assert found[0].slices[0].spacing == (1.0, 2.0)
    assert found[0].subject == found[1].subject != found[2].subject
    assert journal.skipped == [
        ("other.nii", "data.source.subject is not found in its path"),
        ("sub-3.nii", "it has 4 axes; 2 or 3 are needed"),
        ("sub-4.nii", "it is no NIfTI file, or damaged"),
    ]
    sideways = read(NiftiSettings(kind="nifti", folder=tmp_path, pattern="sub-1_a*", axis=0, slices=2))
    np.testing.assert_array_equal(sideways[0].slices[1].image, volume[3])
    assert sideways[0].slices[1].spacing == (2.0, 3.0)


def test_hdf5_files_of_fastmri_and_others(tmp_path: Path) -> None:
    volume = np.arange(5 * 4 * 3, dtype=np.float32).reshape(5, 4, 3)
    for name, acquisition in (("a", "AXT2"), ("b", "AXT2"), ("c", "CORPD_FBK")):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["reconstruction_rss"] = volume
            file["kspace"] = (volume + 1j * volume)[0].astype(np.complex64)
            file["words"] = ["no", "numbers"]
            file.attrs["acquisition"], file.attrs["patient_id"] = acquisition, "secret"
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    journal = Journal()
    found = read(Hdf5Settings(kind="hdf5", folder=tmp_path, acquisition="^AX"), journal)
    assert len(found) == 2 and found[0].subject == found[1].subject
    np.testing.assert_array_equal(found[0].slices[0].image, volume[2])
    assert journal.skipped == [("bad.h5", "it is no HDF5 file, or damaged")]
    assert dict(journal.unchosen) == {"CORPD_FBK": 1}
    assert "secret" not in repr(found) + repr(journal)
    (flat,) = read(Hdf5Settings(kind="hdf5", folder=tmp_path, pattern="a.h5", dataset="kspace"))
    np.testing.assert_allclose(flat.slices[0].image, volume[0] * 2**0.5, rtol=1e-6)
    for dataset, reason in (("words", "holds no numbers"), ("other", "there are kspace, reconstruction_rss, words")):
        journal = Journal()
        assert read(Hdf5Settings(kind="hdf5", folder=tmp_path, pattern="a.h5", dataset=dataset), journal) == []
        assert reason in journal.skipped[0][1]


@pytest.mark.parametrize("kind", ["dicom", "nifti", "hdf5"])
def test_a_folder_that_is_missing_or_empty_is_refused(kind: str, tmp_path: Path) -> None:
    settings = {"dicom": DicomSettings, "nifti": NiftiSettings, "hdf5": Hdf5Settings}[kind]
    with pytest.raises(DataError, match="no such folder; set data.source.folder"):
        read(settings(kind=kind, folder=tmp_path / "missing"))
    with pytest.raises(DataError, match="holds no file"):
        read(settings(kind=kind, folder=tmp_path))


def test_random_limbs_are_subjects_of_their_own() -> None:
    done: list[int] = []
    journal = Journal(progress=lambda count, total: done.append(count))
    found = read(SyntheticSettings(kind="synthetic", count=3, render_size=32), journal)
    assert len({series.subject for series in found}) == 3 and done == [1, 2, 3]
    assert found[0].slices[0].muscle is not None and found[0].slices[0].level is not None
