"""A small study run for real: images, measures, resuming, processes, failures, raw files with label maps."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import ismrmrd
import nibabel
import numpy as np
import pytest

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.denoise.bundle import noise_aware_bundles
from nadenoise_core.errors import BadInputError, ChainError, RawDataError
from nadenoise_core.jobs.here import Processes
from nadenoise_core.mrd.image import pixels_of
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.replay.replay import replay
from nadenoise_core.simulate.files import write_label_map
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.study import volunteer
from nadenoise_core.study.bids import write_study_bids
from nadenoise_core.study.chains import read_chains
from nadenoise_core.study.config import FileSubjects, MethodSettings, StudyConfig, VirtualSubjects
from nadenoise_core.study.export import export_scan
from nadenoise_core.study.measures import Measures
from nadenoise_core.study.products import bundles_of, make_products
from nadenoise_core.study.regions import true_regions
from nadenoise_core.study.run import run_study
from nadenoise_core.study.subjects import Subject, list_subjects

LEVELS = (8, 5)
CONFIG = StudyConfig(
    # Nothing leans or decays and skin is thick, so that what is measured is the truth.
    subjects=VirtualSubjects(
        kind="virtual",
        count=3,
        seed=41,
        averages=20,
        skin=(18.8, 5.0),
        skin_thickness=(2.0, 0.5),
        noise=(20.0, 0.0),
        tube_tilt=(0.0, 0.0),
        off_resonance=(0.0, 0.0),
        relaxation=False,
    ),
    methods=MethodSettings(averages=LEVELS),
)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Any:
    """The study, run in two processes."""
    return run_study(CONFIG, tmp_path_factory.mktemp("study"), engine=Processes(2))


def nifti(folder: Path, name: str) -> np.ndarray:
    """(rows, columns) of a file."""
    return np.asarray(nibabel.load(folder / "nifti" / f"{name}.nii.gz").dataobj)[:, :, 0].T


def value(measures: Measures, *key: object) -> float:
    (found,) = [row.value for row in measures.rows if (row.volunteer, row.method, row.averages, row.measure) == key]
    return found


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted((folder / "volunteers").rglob("*"))
        if path.is_file()
    }


def test_every_method_and_number_of_averages_is_measured(study) -> None:
    assert study.failures == {} and study.skipped == ()
    measures = study.measures
    assert measures.volunteers == ["virtual01", "virtual02", "virtual03"]
    assert measures.averages == [8, 5] and measures.reference_averages() == [20]
    for measure in ("snr", "sharpness", "atsc_muscle", "atsc_skin", "slope", "r2", "tube_10", "tube_100"):
        assert np.isfinite(measures.values(measure, "reference")).all()
        for method in ("NUFFT", "CS", "CNN"):
            for count in LEVELS:
                assert np.isfinite(measures.values(measure, method, count)).all(), (measure, method, count)


def test_its_images_as_bids_derivatives(study, tmp_path: Path, bids_errors) -> None:
    write_study_bids(tmp_path / "bids", study)
    assert bids_errors(tmp_path / "bids") == [] and bids_errors(tmp_path / "bids", known_names=True) == []
    images = tmp_path / "bids" / "sub-virtual02" / "anat"
    assert len(list(images.glob("*.nii.gz"))) == 2 * (1 + 3 * len(LEVELS)) + 1  # signal and map each; labels
    name = "sub-virtual02_acq-8avg_nuc-23Na_rec-nufft_desc-denoised_TSCmap"
    source = study.folder / "volunteers" / "virtual02" / "nifti" / "cnn_008_atsc.nii.gz"
    found, expected = nibabel.load(images / f"{name}.nii.gz"), nibabel.load(source)
    np.testing.assert_array_equal(found.get_fdata(), expected.get_fdata())
    np.testing.assert_array_equal(found.affine, expected.affine)
    said = json.loads((images / f"{name}.json").read_text())
    assert said["Units"] == "mmol/L"
    muscle = value(study.measures, "virtual02", "CNN", 8, "atsc_muscle")
    assert said["Nadenoise"]["measures"]["atsc_muscle"] == muscle
    write_study_bids(tmp_path / "bids", study)  # a study that goes on


def test_concentrations_are_near_the_truth(study) -> None:
    """At this noise the standard error of muscle is well below 0.5 mmol/L."""
    measures = study.measures
    for method, count in (("reference", None), ("NUFFT", 8), ("CNN", 8)):
        np.testing.assert_allclose(
            measures.values("atsc_muscle", method, count), measures.values("atsc_muscle", "truth"), atol=1.0
        )
    np.testing.assert_allclose(
        measures.values("atsc_skin", "reference"), measures.values("atsc_skin", "truth"), atol=1.5
    )


def test_the_fit_reads_the_tissue_where_a_mean_holds_what_lies_around_it(study) -> None:
    measures = study.measures
    truth = measures.values("tissue_skin", "truth")
    fitted, error = measures.values("atsc_skin", "reference fit"), measures.values("error_skin", "reference fit")
    assert (np.abs(fitted - truth) < 3 * error + 0.5).all()
    assert (measures.values("atsc_skin", "reference") < truth - 1).all()
    for method in ("fit", "fit, slope known"):
        for count in LEVELS:
            off = measures.values("atsc_muscle", method, count) - measures.values("tissue_muscle", "truth")
            assert (np.abs(off) < 3 * measures.values("error_muscle", method, count) + 0.2).all()
    known, own = (measures.values("error_muscle", method, 5) for method in ("fit, slope known", "fit"))
    assert (known < own).all()


def test_fewer_averages_are_the_first_of_the_same_data(study, tmp_path: Path) -> None:
    """A raw file that ends after eight averages, replayed on its own, gives the images of the study at eight."""
    measurement = list_subjects(CONFIG.subjects)[1].measurement
    assert measurement is not None
    first = list(islice(measurement.acquisitions(), 8 * 40))
    assert {item.idx.average for item in first} == set(range(8))
    header = VirtualMeasurement(averages=8).header_xml()
    write_raw_file(tmp_path / "short.h5", header, first)
    replay(tmp_path / "short.h5", read_chain(find_chain("sodium_calf")), tmp_path / "out")
    dataset = ismrmrd.Dataset(str(tmp_path / "out" / "short" / "images.h5"), "dataset", create_if_needed=False)
    folder = study.folder / "volunteers" / "virtual02"
    for series, name in (("image_1", "nufft_008"), ("image_2", "cnn_008")):
        alone = np.abs(pixels_of(dataset.read_image(series, 0)))
        np.testing.assert_allclose(nifti(folder, name), alone, atol=1e-3 * alone.max())
    dataset.close()


def test_measures_are_those_of_the_exported_images(study) -> None:
    folder = study.folder / "volunteers" / "virtual03"
    labels = nifti(folder, "labels")
    for method, count, name in (("reference", 20, "reference_020"), ("CS", 5, "cs_005"), ("CNN", 8, "cnn_008")):
        magnitude, atsc = nifti(folder, name), nifti(folder, f"{name}_atsc")
        key = ("virtual03", method, count)
        snr = magnitude[labels == 1].mean() / magnitude[labels == 3].std()
        assert value(study.measures, *key, "snr") == pytest.approx(snr, rel=1e-5)
        assert value(study.measures, *key, "atsc_muscle") == pytest.approx(atsc[labels == 1].mean(), rel=1e-5)
        assert value(study.measures, *key, "atsc_skin") == pytest.approx(atsc[labels == 2].mean(), rel=1e-5)


def test_images_and_labels_have_one_geometry_and_names_for_itk_snap(study) -> None:
    folder = study.folder / "volunteers" / "virtual01" / "nifti"
    affines = [nibabel.load(path).affine for path in folder.glob("*.nii.gz") if "outlines" not in path.name]
    assert len(affines) == 2 * 7 + 1
    assert all(np.array_equal(affine, affines[0]) for affine in affines)
    lines = (folder / "labels.txt").read_text().splitlines()
    assert [line.split()[-1] for line in lines[2:]] == ['"muscle"', '"skin"', '"background"']


def test_the_record_says_what_was_run(study) -> None:
    record = study.records[0]
    assert record["averages"] == 20 and record["subject"]["measurement"]["seed"] == 41
    assert record["bundles"][0]["name"] == "noise_aware" and len(record["bundles"][0]["sha256"]) == 64
    assert record["seconds_per_average"] == pytest.approx(4.0)  # section 2.4
    assert set(record["seconds"]) == {"NUFFT", "CNN", "CS"} and min(record["seconds"].values()) > 0
    assert {"nadenoise", "numpy", "finufft", "torch"} <= set(record["versions"])
    assert record["regions"]["truth"]["skin_share"] < 1


def test_cases_for_readers_name_files_that_are_there(study) -> None:
    lines = (study.folder / "cases.csv").read_text().splitlines()
    assert lines[0] == "case,method,file,averages" and len(lines) == 1 + 3 * 2 * 4
    assert {line.split(",")[1] for line in lines[1:]} == {"reference", "NUFFT", "CS", "CNN"}
    assert all((study.folder / line.split(",")[2]).is_file() for line in lines[1:])


def test_what_is_done_is_not_done_again_and_processes_do_not_change_it(study, tmp_path: Path) -> None:
    before = state_of(study.folder)
    shown: list[tuple[int, int]] = []
    again = run_study(CONFIG, study.folder, progress=lambda done, total: shown.append((done, total)))
    assert again.skipped == ("virtual01", "virtual02", "virtual03")
    assert shown == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert state_of(study.folder) == before and again.measures == study.measures
    alone = run_study(CONFIG, tmp_path)
    for one, other in zip(alone.measures.rows, study.measures.rows, strict=True):
        assert one.value == pytest.approx(other.value, rel=1e-3, nan_ok=True)


def test_another_configuration_or_a_lost_table_is_done_anew(study, tmp_path: Path) -> None:
    one = StudyConfig(
        subjects=VirtualSubjects(kind="virtual", count=2, averages=6), methods=MethodSettings(averages=(3,))
    )
    first = run_study(one, tmp_path)
    (tmp_path / "volunteers" / "virtual01" / "measures.csv").unlink()
    assert run_study(one, tmp_path).skipped == ("virtual02",)
    changed = one.model_copy(update={"methods": MethodSettings(averages=(2,))})
    assert run_study(changed, tmp_path).skipped == ()
    assert first.measures.averages == [3]


@pytest.fixture
def raw_study(tmp_path: Path) -> StudyConfig:
    """Three raw files with label maps, drawn on what `export` writes, and outlines of all tissues."""
    (tmp_path / "raw").mkdir()
    (tmp_path / "drawn").mkdir()
    for seed in (1, 2, 3):
        made = VirtualMeasurement(
            seed=seed, averages=4, noise=10.0, position=(5.0, -20.0, 90.0), angles=(10.0, 5.0, 0.0)
        )
        raw = tmp_path / "raw" / f"calf{seed}.h5"
        write_raw_file(raw, made.header_xml(), made.acquisitions())
        image, *_ = export_scan(raw, tmp_path / "exported")
        shown = nibabel.load(image)
        drawn = true_regions(made.calf(), 80).label_map()
        nibabel.save(nibabel.Nifti1Image(drawn.T[..., None], shown.affine), tmp_path / "drawn" / f"calf{seed}.nii.gz")
        (tmp_path / "outlines").mkdir(exist_ok=True)
        names = write_label_map(made, tmp_path / "outlines" / f"calf{seed}.nii.gz")
    return StudyConfig(
        subjects=FileSubjects(
            kind="files",
            folder=tmp_path / "raw",
            regions=tmp_path / "drawn",
            outlines=tmp_path / "outlines",
            outline_names=names,
        ),
        methods=MethodSettings(averages=(2,)),
    )


def test_raw_files_with_drawn_labels_give_what_virtual_volunteers_give(raw_study: StudyConfig, tmp_path: Path) -> None:
    found = run_study(raw_study, tmp_path / "out")
    assert found.failures == {} and found.measures.volunteers == ["calf1", "calf2", "calf3"]
    truths = [VirtualMeasurement(seed=seed).truth()["muscle"] for seed in (1, 2, 3)]
    np.testing.assert_allclose(found.measures.values("atsc_muscle", "reference"), truths, atol=1.0)
    fitted, error = (found.measures.values(f"{name}_muscle", "fit", 2) for name in ("atsc", "error"))
    assert (np.abs(fitted - truths) < 3 * error + 0.3).all()
    assert found.records[0]["regions"]["truth"] is None
    assert found.virtual == 3  # their headers say that they are simulated
    assert str(tmp_path) not in json.dumps(found.records)  # a path may name a patient


def test_a_volunteer_that_fails_does_not_stop_the_others(raw_study: StudyConfig, tmp_path: Path) -> None:
    path = tmp_path / "drawn" / "calf2.nii.gz"
    image = nibabel.load(path)
    away = image.affine + np.array([[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 80.0], [0, 0, 0, 0]])
    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj), away), path)
    raw = tmp_path / "raw" / "calf3.h5"
    raw.write_bytes(raw.read_bytes()[:2000])
    found = run_study(raw_study, tmp_path / "out")
    assert found.measures.volunteers == ["calf1"] and set(found.failures) == {"calf2", "calf3"}
    assert "calf2.nii.gz: the label map lies 4" in found.failures["calf2"]
    assert "mm outside of the slice" in found.failures["calf2"]
    assert "calf3.h5: not a readable HDF5 file" in found.failures["calf3"]
    assert [folder.name for folder in (tmp_path / "out" / "volunteers").iterdir()] == ["calf1"]


def test_a_fault_of_ours_does_not_stop_the_others(monkeypatch, tmp_path: Path) -> None:
    def evaluate(subject: Subject, methods: object, folder: Path, mark: str) -> None:
        if subject.name == "virtual01":
            raise ZeroDivisionError("no one thought of it")
        real(subject, methods, folder, mark)

    real = volunteer.evaluate
    monkeypatch.setattr(volunteer, "evaluate", evaluate)
    small = StudyConfig(
        subjects=VirtualSubjects(kind="virtual", count=2, averages=6), methods=MethodSettings(averages=(3,))
    )
    found = run_study(small, tmp_path)
    assert found.measures.volunteers == ["virtual02"] and list(found.failures) == ["virtual01"]
    told = found.failures["virtual01"]
    assert "ZeroDivisionError: no one thought of it" in told and "fault of nadenoise" in told


def test_nothing_to_measure_is_an_error(raw_study: StudyConfig, tmp_path: Path) -> None:
    for raw in (tmp_path / "raw").iterdir():
        raw.write_bytes(b"")
    with pytest.raises(RawDataError, match="it is empty"):
        run_study(raw_study, tmp_path / "out")


def test_numbers_of_averages_that_leave_nothing_to_compare_are_an_error(raw_study, tmp_path: Path) -> None:
    short = raw_study.model_copy(update={"methods": MethodSettings(averages=(4, 10))})
    with pytest.raises(RawDataError, match="has 4 averages, and a study compares fewer with all of them"):
        run_study(short, tmp_path / "out")


def test_chains_that_do_not_fit_a_study_are_refused(chain_file) -> None:
    plain = str(chain_file(["accumulate", "reconstruct", "quantify"], name="plain.xml"))
    with pytest.raises(ChainError, match="plain.xml: a study needs a stage 'denoise' in methods.chain"):
        read_chains(MethodSettings(chain=plain, cs_chain=plain))
    other = str(chain_file([("accumulate", {"conjugate_kspace": "true"}), "reconstruct", "quantify"], name="other.xml"))
    with pytest.raises(ChainError, match="averages in another way than"):
        read_chains(MethodSettings(cs_chain=other))
    short = str(chain_file(["accumulate", "reconstruct"], name="short.xml"))
    with pytest.raises(ChainError, match="short.xml: a study needs a stage 'quantify'"):
        read_chains(MethodSettings(cs_chain=short))


def test_a_study_asks_for_the_bundles_that_the_gadget_has() -> None:
    assert [b.sha256 for b in bundles_of(MethodSettings())] == [b.sha256 for b in noise_aware_bundles()]
    names = [bundle.name for bundle in bundles_of(MethodSettings(averages=(30, 10), bundle="paper_{averages}"))]
    assert names == ["paper_30", "paper_10"]


def test_each_number_of_averages_may_have_its_network(bundle_file, tmp_path: Path) -> None:
    """`{averages}` in the name of a bundle is the number; here the two files are one network, which halves."""
    path, sha256 = bundle_file("return 0.5 * x")
    for averages in (3, 2):
        (tmp_path / f"single_{averages}.pt").write_bytes(path.read_bytes())
    methods = MethodSettings(averages=(3, 2), bundle=f"{tmp_path}/single_{{averages}}.pt", bundle_sha256=sha256)
    assert [bundle.sha256 for bundle in bundles_of(methods)] == [sha256]
    with Subject("calf", VirtualMeasurement(averages=4, noise=5.0)).open() as source:
        products = make_products(source, methods, read_chains(methods))
    for averages in (3, 2):
        halved = products.images["CNN", averages].magnitude
        np.testing.assert_allclose(halved, 0.5 * products.images["NUFFT", averages].magnitude, rtol=1e-5)
    assert [bundle["name"] for bundle in products.bundles] == ["tiny"]
    with pytest.raises(BadInputError, match="single_5.pt: no such bundle"):
        bundles_of(methods.model_copy(update={"averages": (5,)}))
