"""Regions of virtual scans as a table, against what is true of them."""

from __future__ import annotations

import csv
import json

import pytest

from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.errors import CalibrationError, ChainError
from nadenoise_core.measure.measure import MeasureSettings, measure, measuring_chain
from nadenoise_core.measure.table import COLUMNS, write_table
from nadenoise_core.quantify.pose import PoseKind
from nadenoise_core.quantify.readings import RegionMethod

QUIET = {"seed": 5, "averages": 4, "noise": 4.0}  # as little noise as 200 of the paper's averages have


@pytest.fixture
def chain():
    return read_chain(find_chain("sodium_calf"))


def read(chain, raw, labels, **settings):
    settings = MeasureSettings(str(labels), **settings)
    return measure(raw, measuring_chain(chain, settings), settings)


def test_the_fit_reads_muscle_and_skin_and_a_mean_does_not(chain, scan_file, measured, label_file, names_file) -> None:
    calf = measured(**QUIET)[0].calf()
    rows = read(
        chain, scan_file(**QUIET), label_file(measured(**QUIET)[0]),
        names=names_file, methods=(RegionMethod.FIT, RegionMethod.MEAN),
    )  # fmt: skip
    values = {(row.reading.name, row.reading.method): row.reading for row in rows}
    assert [row.reading.name for row in rows[:4]] == ["muscle", "muscle", "skin", "skin"]
    assert [row.reading.method for row in rows[:2]] == [RegionMethod.FIT, RegionMethod.MEAN]
    for name, truth in (("muscle", calf.muscle), ("skin", calf.skin)):
        fit = values[name, RegionMethod.FIT]
        assert abs(fit.atsc - truth) < 3 * fit.standard_error + 0.3
        assert fit.interval[0] < fit.atsc < fit.interval[1]
    assert values["skin", RegionMethod.MEAN].atsc < calf.skin - 2
    assert all(row.scan == scan_file(**QUIET).stem and row.averages == 4 for row in rows)


def test_rows_stored_the_other_way_round_read_the_same(chain, scan_file, measured, label_file) -> None:
    straight, flipped = (
        read(chain, scan_file(**QUIET), label_file(measured(**QUIET)[0], flipped=turned)) for turned in (False, True)
    )
    for one, other in zip(straight, flipped, strict=True):
        assert other.reading.atsc == pytest.approx(one.reading.atsc, abs=0.02)


def test_fewer_averages_are_measured_from_the_same_file(chain, scan_file, measured, label_file) -> None:
    rows = read(chain, scan_file(**QUIET), label_file(measured(**QUIET)[0]), averages=(1, 2))
    muscle = {row.averages: row.reading for row in rows if row.reading.label == 2}
    assert sorted(muscle) == [1, 2]
    assert muscle[2].standard_error == pytest.approx(muscle[1].standard_error / 2**0.5, rel=0.2)


def test_the_pose_stands_in_the_table(chain, scan_file, measured, label_file, tmp_path) -> None:
    rows = read(chain, scan_file(**QUIET), label_file(measured(**QUIET)[0]), pose=PoseKind.RIGID)
    pose = rows[0].pose
    assert pose is not None
    assert abs(pose.shift[0]) < 4 * pose.standard_error[0] + 0.05
    sidecar = write_table(tmp_path / "table.csv", rows)
    written = list(csv.DictReader((tmp_path / "table.csv").read_text().splitlines()))
    assert list(written[0]) == list(COLUMNS)
    assert float(written[0]["shift_x_mm"]) == pytest.approx(pose.shift[0], rel=1e-4)
    described = json.loads(sidecar.read_text())
    assert described["atsc"]["Units"] == "mmol/L"
    assert set(COLUMNS) < set(described)


def test_a_scan_without_tubes_is_told(chain, scan_file, label_file, measured) -> None:
    given = chain.with_property("quantify", "tube_positions", "0, 0, 1, 1, 2, 2, 3, 3, 4, 4")
    with pytest.raises(CalibrationError, match="no aTSC map"):
        read(given, scan_file(**QUIET), label_file(measured(**QUIET)[0]))


def test_a_chain_that_cannot_measure_is_told(chain_file) -> None:
    path = chain_file(["accumulate", "reconstruct"])
    with pytest.raises(ChainError, match="has no stage 'quantify'"):
        measuring_chain(read_chain(path), MeasureSettings("x"))
    path = chain_file(["accumulate", "reconstruct", "quantify"])
    with pytest.raises(ChainError, match="has no stage 'denoise'"):
        measuring_chain(read_chain(path), MeasureSettings("x", methods=(RegionMethod.DENOISED_MEAN,)))
