from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from nadenoise_core.errors import OutputError
from training.config import DataSettings, NiftiSettings, SplitSettings, SyntheticSettings
from training.data import cache as cache_module
from training.data.cache import PARTS, Images, read_provenance
from training.data.prepare import load_prepared, prepare, split_subjects
from training.errors import DataError
from training.sources import Journal


def data(folder: Path, count: int = 8, **changes: Any) -> DataSettings:
    source = SyntheticSettings(kind="synthetic", count=count, render_size=48)
    return DataSettings(**{"source": source, "cache": folder / "cache.h5", "matrix": 24, **changes})


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> DataSettings:
    settings = data(tmp_path_factory.mktemp("cache"))
    prepare(settings, Journal())
    return settings


def test_the_split_is_by_subject_and_by_seed() -> None:
    split = split_subjects(1893, SplitSettings(), seed=1)
    assert {part: len(numbers) for part, numbers in split.items()} == {"train": 1041, "validation": 379, "test": 473}
    assert sorted(number for numbers in split.values() for number in numbers) == list(range(1893))
    assert split == split_subjects(1893, SplitSettings(), seed=1) != split_subjects(1893, SplitSettings(), seed=2)
    for count in (3, 4, 5):
        for shares in ((0.55, 0.2, 0.25), (0.05, 0.9, 0.05), (0.05, 0.05, 0.9)):
            few = split_subjects(count, SplitSettings(train=shares[0], validation=shares[1], test=shares[2]), 1)
            assert min(map(len, few.values())) >= 1 and sum(map(len, few.values())) == count


def test_what_was_prepared_is_read(made: DataSettings) -> None:
    cache = load_prepared(made)
    assert {part: len(cache.parts[part]) for part in PARTS} == cache.provenance.images
    assert sum(cache.provenance.images.values()) == 8
    subjects = [set(cache.parts[part].subject.tolist()) for part in PARTS]
    assert sum(map(len, subjects)) == len(set().union(*subjects)) == 8
    assert cache.provenance.configuration == made.model_dump(mode="json")
    assert [path.name for path in made.cache.parent.iterdir()] == ["cache.h5"]


def test_the_same_configuration_makes_the_same_cache(made: DataSettings, tmp_path: Path) -> None:
    again = prepare(data(tmp_path), Journal()).provenance
    first = read_provenance(made.cache)
    assert again.sha256 == first.sha256 and again.source_sha256 == first.source_sha256
    assert load_prepared(data(made.cache.parent)).provenance == first
    other = prepare(data(tmp_path, seed=2), Journal()).provenance
    assert other.source_sha256 == first.source_sha256 and other.sha256 != first.sha256


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"seed": 5}, r"another configuration \(data.seed is 5 here, 1 there\)"),
        ({"count": 9}, r"data.source.count is 9 here, 8 there"),
        ({"source": NiftiSettings(kind="nifti", folder=Path("x"))}, r"data.source.kind is \"nifti\" here"),
    ],
)
def test_a_cache_of_another_configuration_is_refused(made: DataSettings, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError, match=words):
        load_prepared(data(made.cache.parent, **changes))


def changed_copy(made: DataSettings, folder: Path) -> DataSettings:
    settings = data(folder)
    settings.cache.write_bytes(made.cache.read_bytes())
    return settings


def test_a_damaged_cache_is_refused(made: DataSettings, tmp_path: Path) -> None:
    settings = changed_copy(made, tmp_path)
    whole = settings.cache.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 1):
        settings.cache.write_bytes(whole[:length])
        with pytest.raises(DataError, match="cache.h5: .*(damaged|no cache)"):
            load_prepared(settings)
    settings.cache.write_bytes(whole)
    with h5py.File(settings.cache, "r+") as file:
        file["train/image"][0, 0, 0] += 1
    with pytest.raises(DataError, match="another checksum"):
        load_prepared(settings)
    with h5py.File(settings.cache, "r+") as file:
        del file["test/clearance"]
    with pytest.raises(DataError, match="not all images can be read"):
        load_prepared(settings)
    with h5py.File(settings.cache, "r+") as file:
        file.attrs["provenance"] = "{}"
    with pytest.raises(DataError, match="another version"):
        load_prepared(settings)


def test_a_missing_cache_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such cache; make it with `nadenoise-train prepare"):
        load_prepared(data(tmp_path))


def test_another_preparation_is_refused(made: DataSettings) -> None:
    with pytest.raises(DataError, match="another version"):
        cache_module.read_cache(made.cache, made, preparation=-1)


def test_nothing_is_left_of_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nadenoise_core.files.os.replace", fail)
    with pytest.raises(OutputError, match="No space left"):
        prepare(data(tmp_path, count=3), Journal())
    assert list(tmp_path.iterdir()) == []


def test_slices_of_a_subject_stay_together_and_bad_ones_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(4):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file["reconstruction_rss"] = rng.random((5, 30, 26)) + np.eye(30)[None, :, :26]
    with h5py.File(folder / "small.h5", "w") as file:
        file["reconstruction_rss"] = np.ones((5, 8, 8))
    (folder / "bad.h5").write_bytes(b"nothing")
    source = {"kind": "hdf5", "folder": folder, "slices": 3}
    settings = data(tmp_path, source=source)
    journal = Journal()
    cache = prepare(settings, journal)
    assert sum(cache.provenance.images.values()) == 12 and sum(cache.provenance.subjects.values()) == 4
    for part in PARTS:
        counts = np.unique(cache.parts[part].subject, return_counts=True)[1]
        assert (counts == 3).all() and cache.parts[part].muscle is None
    assert cache.provenance.skipped == {
        "it has 8 x 8 pixels, fewer than the matrix of 24 x 24": 3,
        "it is no HDF5 file, or damaged": 1,
    }
    assert journal.reasons() == cache.provenance.skipped
    assert load_prepared(settings).parts["test"].muscle is None


def test_too_few_subjects_are_refused_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "bad.h5").write_bytes(b"nothing")
    with pytest.raises(DataError, match="no usable image; .*1 skipped: it is no HDF5 file"):
        prepare(data(tmp_path, source={"kind": "hdf5", "folder": tmp_path}), Journal())


def test_checksums_are_of_the_numbers(limbs: Images) -> None:
    assert limbs.first(3).checksum() == limbs.first(3).checksum() != limbs.first(4).checksum()
    assert len(limbs.first(None)) == len(limbs) and limbs.matrix == 80


def test_clearance_is_distance_from_the_skin(limbs: Images) -> None:
    assert limbs.muscle is not None
    for clearance, muscle in zip(limbs.clearance, limbs.muscle, strict=True):
        assert clearance.min() == 0 and clearance.max() > 3
        assert clearance[muscle > 0.9].max() == 0


@pytest.mark.parametrize("content", ["HDF5", "text", "folder"])
def test_what_is_no_cache_is_not_replaced_by_one(tmp_path: Path, content: str) -> None:
    settings = data(tmp_path)
    if content == "HDF5":
        with h5py.File(settings.cache, "w") as file:
            file["dataset"] = 1.0
    elif content == "text":
        settings.cache.write_text("mine")
    else:
        settings.cache.mkdir()
    with pytest.raises(DataError, match="cache.h5: is not replaced, since it is no cache of nadenoise"):
        prepare(settings, Journal())


def test_a_damaged_cache_is_made_again(tmp_path: Path, made: DataSettings) -> None:
    settings = data(tmp_path)
    settings.cache.write_bytes(made.cache.read_bytes()[:2000])
    prepare(settings, Journal())
    assert read_provenance(settings.cache).images == read_provenance(made.cache).images
