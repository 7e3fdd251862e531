"""Tables from a long table whose numbers are chosen, and the paper's numbers against themselves."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nadenoise_core import paper
from nadenoise_core.errors import BadInputError
from nadenoise_core.study.measures import METHODS, Measures, Row, read_measures, write_measures
from nadenoise_core.study.tables import compute_tables

VOLUNTEERS = [f"v{number:02d}" for number in range(10)]
SHAPE = np.array([-1.3, 0.4, 1.1, -0.6, 0.2, 1.7, -1.0, 0.5, -0.1, -0.9])


def chosen(bias: dict[tuple[str, str], float], spread: float = 0.4, averages: tuple[int, ...] = (30, 10)) -> Measures:
    """Measures whose muscle and skin biases are known exactly; SNR rises from NUFFT to CS to CNN."""
    unit = (SHAPE - SHAPE.mean()) / SHAPE.std(ddof=1)
    rng = np.random.default_rng(5)
    rows = []
    for index, name in enumerate(VOLUNTEERS):
        truth = {"atsc_muscle": 20 + index / 3, "atsc_skin": 15 + index / 2, "snr": 6.7, "sharpness": 12.6}
        rows += [Row(name, "reference", 150, measure, value) for measure, value in truth.items()]
        for count in averages:
            for number, method in enumerate(METHODS):
                for region in ("muscle", "skin"):
                    change = bias.get((region, method), 0.0) + spread * float(unit[index])
                    rows.append(Row(name, method, count, f"atsc_{region}", truth[f"atsc_{region}"] + change))
                rows.append(Row(name, method, count, "snr", 4.0 + 10 * number + float(rng.random())))
                rows.append(Row(name, method, count, "sharpness", 12.6 + float(rng.standard_normal())))
    return Measures(tuple(rows))


def test_bias_and_limits_are_those_that_were_put_in() -> None:
    tables = compute_tables(chosen({("muscle", "CNN"): 0.3, ("skin", "CS"): -1.0}, spread=0.4))
    for region, method, bias in (("muscle", "CNN", 0.3), ("skin", "CS", -1.0), ("skin", "NUFFT", 0.0)):
        row = tables.find(region, method, 30)
        assert row is not None and row.agreement is not None and row.correlation is not None
        assert row.agreement.bias == pytest.approx(bias) and row.agreement.sd == pytest.approx(0.4)
        assert row.agreement.upper - row.agreement.bias == pytest.approx(1.96 * 0.4, rel=1e-4)
        assert row.correlation.r > 0.9


def test_fits_are_compared_with_the_fit_of_all_averages_and_with_the_truth() -> None:
    rows = list(chosen({}, averages=(30,)).rows)
    unit = (SHAPE - SHAPE.mean()) / SHAPE.std(ddof=1)
    for index, name in enumerate(VOLUNTEERS):
        of_all = 19 + index / 4
        rows += [
            Row(name, "reference fit", 150, "atsc_muscle", of_all),
            Row(name, "fit", 30, "atsc_muscle", of_all + 0.2 + 0.3 * float(unit[index])),
            Row(name, "truth", 0, "tissue_muscle", of_all - 0.5),
        ]
    tables = compute_tables(Measures(tuple(rows)))
    found = tables.find("muscle", "fit", 30)
    assert tables.fits == ("fit",) and found is not None and found.agreement is not None
    assert found.agreement.bias == pytest.approx(0.2) and found.agreement.sd == pytest.approx(0.3)
    errors = {row.averages: row.errors for row in tables.errors}
    assert errors[30]["fit"] == pytest.approx((0.7, 0.3)) and errors[150]["reference fit"] == pytest.approx((0.5, 0.0))
    assert [row.region for row in tables.errors] == ["muscle", "muscle"]


def test_table_2_marks_what_differs_as_the_paper_does() -> None:
    tables = compute_tables(chosen({}))
    snr = next(row for row in tables.quality if (row.measure, row.averages) == ("snr", 30))
    assert snr.comparison is not None and [pair.p for pair in snr.comparison.pairs] == pytest.approx([12 / 1024] * 6)
    assert snr.marks == {"reference": "", "NUFFT": "*", "CS": "*#", "CNN": "*#+"}
    assert snr.published["CNN"].middle == 21.2 and snr.published["reference"].middle == 6.7
    sharpness = next(row for row in tables.quality if row.measure == "sharpness")
    assert sharpness.comparison is not None and sharpness.comparison.pairs == ()
    assert set(sharpness.marks.values()) == {""}


def test_a_volunteer_that_misses_a_value_is_left_out_of_its_test_only() -> None:
    rows = [
        Row(row.volunteer, row.method, row.averages, row.measure, math.nan)
        if (row.volunteer, row.method, row.averages) == ("v03", "CNN", 10) and row.measure.startswith("atsc")
        else row
        for row in chosen({}).rows
    ]
    tables = compute_tables(Measures(tuple(rows)))
    assert tables.find("muscle", "CNN", 10).agreement.n == 9 and tables.find("muscle", "CNN", 10).spread.n == 9
    assert tables.find("muscle", "CNN", 30).agreement.n == 10 and tables.find("muscle", "CS", 10).agreement.n == 10


def test_with_two_volunteers_there_are_numbers_but_no_tests() -> None:
    few = Measures(tuple(row for row in chosen({}).rows if row.volunteer in ("v00", "v01")))
    tables = compute_tables(few)
    assert tables.find("muscle", "CNN", 30).agreement is None and tables.find("muscle", "CNN", 30).spread.n == 2
    assert all(row.comparison is None for row in tables.quality)


@pytest.mark.parametrize("key", paper.TABLES_4_5, ids=lambda key: " ".join(map(str, key)))
def test_rows_of_the_paper_are_consistent(key: tuple[str, str, int]) -> None:
    """The bias is the middle of the limits, and p follows from both for ten volunteers."""
    row = paper.TABLES_4_5[key]
    assert (row.lower + row.upper) / 2 == pytest.approx(row.bias, abs=0.0101)
    t = abs(row.bias) / (row.half_width / 1.96 / 10**0.5)
    p = 2 * stats.t.sf(t, 9)
    assert p <= 0.0015 if row.p == 0.001 else p == pytest.approx(row.p, abs=0.0006 + 0.15 * row.p)


def test_tables_of_the_paper_are_whole() -> None:
    wanted = {
        (region, method, count) for region in ("muscle", "skin") for method in METHODS for count in paper.AVERAGES
    }
    assert set(paper.TABLES_4_5) == wanted
    assert set(paper.TABLE_2) == {(method, count) for method in METHODS for count in paper.AVERAGES}
    assert set(paper.TABLE_1) == set(paper.TABLE_3) == set(paper.AVERAGES)


def test_a_long_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    rows = (*chosen({}).rows, Row('a "b", c', "CNN", 5, "atsc_skin", math.nan))
    write_measures(tmp_path / "measures.csv", rows)
    back = read_measures([tmp_path / "measures.csv"])
    assert back.rows[:-1] == rows[:-1]
    assert back.rows[-1].volunteer == 'a "b", c' and math.isnan(back.rows[-1].value)
    assert (tmp_path / "measures.csv").read_text().splitlines()[0] == "volunteer,method,averages,measure,value"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "first line must be volunteer,method,averages,measure,value"),
        ("a,b\n", "first line must be"),
        ("volunteer,method,averages,measure,value\na,CNN,many,snr,1\n", "measures.csv:2: is no row"),
        ("volunteer,method,averages,measure,value\na,CNN,3\n", "measures.csv:2: is no row"),
    ],
)
def test_a_damaged_table_is_told(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "measures.csv").write_text(text)
    with pytest.raises(BadInputError, match=words):
        read_measures([tmp_path / "measures.csv"])
    with pytest.raises(BadInputError, match="cannot be read"):
        read_measures([tmp_path / "none.csv"])
