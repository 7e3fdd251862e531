"""An outbox loses nothing and shows nothing half-written, whoever is killed when."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nadenoise_core.dicom import Study, encode, to_dataset
from nadenoise_core.dicom.outbox import Outbox, read_waiting, read_whole
from nadenoise_core.errors import BadInputError, OutputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def datasets(make, geometry, full_study):
    return [to_dataset(make("plain", instance_number=number), geometry, full_study) for number in range(1, 4)]


@pytest.fixture
def outbox(tmp_path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_is_put_in_waits_oldest_first(outbox, datasets) -> None:
    paths = [outbox.put(dataset) for dataset in datasets]
    for age, path in enumerate(reversed(paths)):
        os.utime(path, (1e9 - age, 1e9 - age))
    assert outbox.waiting() == paths
    file = read_waiting(paths[0])
    assert (file.sop_instance, file.sop_class) == (datasets[0].SOPInstanceUID, datasets[0].SOPClassUID)
    assert encode(read_whole(file)) == encode(datasets[0])


def test_the_same_object_twice_waits_once_and_another_scan_does_not_replace_it(
    outbox, datasets, make, geometry
) -> None:
    outbox.put(datasets[0])
    outbox.put(datasets[0])
    assert len(outbox.waiting()) == 1
    outbox.put(to_dataset(make("plain"), geometry, Study(measurement_id="another scan")))
    assert len(outbox.waiting()) == 2


def test_only_dicom_files_of_the_folder_itself_wait(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    (outbox.folder / "folder.dcm").mkdir()
    for name in (".hidden.dcm", ".1234.part", "notes.txt"):
        (outbox.folder / name).touch()
    assert outbox.waiting() == [path]


@pytest.mark.parametrize("keep", [False, True])
def test_what_was_sent_is_gone_or_kept(keep, outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    content = path.read_bytes()
    outbox.remove(read_waiting(path), keep=keep)
    assert outbox.waiting() == []
    assert names(outbox.folder) == (["sent"] if keep else [])
    if keep:
        assert (outbox.folder / "sent" / path.name).read_bytes() == content


def test_a_file_that_was_replaced_while_the_old_one_was_sent_goes_on_waiting(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    file = read_waiting(path)
    outbox.put(datasets[0])
    outbox.remove(file, keep=False)
    assert outbox.waiting() == [path]


def test_a_file_that_somebody_took_out_is_no_trouble(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    file = read_waiting(path)
    path.unlink()
    outbox.remove(file, keep=True)
    outbox.refuse(path, "too late")
    assert outbox.waiting() == [] and not list((outbox.folder / "refused").iterdir())


def test_a_refused_file_lies_beside_its_reason_and_can_be_sent_again(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    content = path.read_bytes()
    outbox.refuse(path, "no MR today")
    assert outbox.waiting() == []
    refused = outbox.folder / "refused" / path.name
    assert refused.read_bytes() == content and refused.with_suffix(".txt").read_text() == "no MR today\n"
    assert outbox.recall() == 1
    assert outbox.waiting() == [path] and path.read_bytes() == content
    assert names(outbox.folder / "refused") == []
    assert outbox.recall() == 0


def test_an_outbox_that_cannot_be_moved_in_is_told(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    (outbox.folder / "refused").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot move"):
        outbox.refuse(path, "no")
    assert outbox.waiting() == [path]


def test_a_folder_that_is_missing_is_told(outbox) -> None:
    with pytest.raises(BadInputError, match="No such file"):
        outbox.waiting()
    with pytest.raises(BadInputError, match="No such file"), outbox.delivering():
        pass


@pytest.mark.parametrize("cut", [0, 100, 200, 500, 1500, -12812, -12805, -1000, -1], ids=str)
def test_a_file_that_is_cut_off_is_told(cut, outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(BadInputError, match="DICOM file"):
        read_whole(read_waiting(path))


@pytest.mark.parametrize("missing", ["SOPClassUID", "SOPInstanceUID"])
def test_a_file_that_does_not_tell_what_it_is_is_told(missing, tmp_path, make, geometry, full_study) -> None:
    dataset = to_dataset(make("plain"), geometry, full_study)
    del dataset[missing]
    dataset.save_as(tmp_path / "object.dcm", enforce_file_format=False)
    with pytest.raises(BadInputError, match=f"without {missing}"):
        read_waiting(tmp_path / "object.dcm")


HOLD = """
import sys, time
from pathlib import Path
from nadenoise_core.dicom.outbox import Outbox
with Outbox(Path(sys.argv[1])).delivering():
    print("held", flush=True)
    time.sleep(600)
"""


def test_one_delivers_at_a_time_and_a_killed_one_leaves_the_way_free(outbox, datasets) -> None:
    outbox.put(datasets[0])
    with subprocess.Popen([sys.executable, "-c", HOLD, outbox.folder], cwd=ROOT, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(BadInputError, match="another process delivers"), outbox.delivering():
                pass
            outbox.put(datasets[1])  # putting in needs no lock
        finally:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
    with outbox.delivering():
        assert len(outbox.waiting()) == 2


PUT = """
import sys
from pathlib import Path
import numpy as np
from nadenoise_core.mrd.facts import ImageFacts, Kind
from nadenoise_core.dicom import Geometry, Product, Study, to_dataset
from nadenoise_core.dicom.outbox import Outbox
geometry = Geometry((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (180, 180), 30)
for number in range(1, 100000):
    product = Product(ImageFacts(Kind.PLAIN, 30), np.ones((80, 80)), scale=1.0, instance_number=number)
    Outbox(Path(sys.argv[1])).put(to_dataset(product, geometry, Study(measurement_id="scan")))
    print(number, flush=True)
"""


@pytest.mark.parametrize("after", [1, 5, 20])
def test_a_scan_that_is_killed_leaves_whole_files_and_what_it_had_put_in(after, outbox) -> None:
    with subprocess.Popen([sys.executable, "-c", PUT, outbox.folder], cwd=ROOT, stdout=subprocess.PIPE) as scan:
        try:
            for _ in range(after):
                scan.stdout.readline()
        finally:
            scan.send_signal(signal.SIGKILL)
            scan.wait()
    assert len(outbox.waiting()) >= after
    for path in outbox.waiting():
        assert (read_whole(read_waiting(path)).pixel_array == 1).all()


def test_what_a_killed_scan_began_is_swept_away_once_it_is_old(outbox, datasets) -> None:
    path = outbox.put(datasets[0])
    old, new = outbox.folder / ".old.part", outbox.folder / ".new.part"
    for part in (old, new):
        part.write_bytes(b"begun")
    os.utime(old, (time.time() - 7200,) * 2)
    with outbox.delivering():
        assert new.exists() and not old.exists()
    assert path.read_bytes() == encode(datasets[0])
