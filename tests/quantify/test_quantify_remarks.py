"""What is said of an aTSC map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nadenoise_core.quantify.atsc import ConcentrationMap
from nadenoise_core.quantify.calibration import Calibration, Line
from nadenoise_core.quantify.readings import Tube
from nadenoise_core.quantify.remarks import on_corrections, on_line, on_tubes


def result(uncovered: float = 0.0, uncovered_tubes: tuple[float, ...] = ()) -> ConcentrationMap:
    tubes = tuple(Tube(c, (0.0, 0.0), 20.0, c, 1.0, 40.0) for c in (10.0, 50.0, 100.0))
    map_ = np.ones((2, 2), np.float32)
    return ConcentrationMap(
        map_, map_, Calibration(1.0, 0.0, 1.0, ((0.0, 0.0), (0.0, 0.0))), tubes, 1.0, uncovered, uncovered_tubes
    )


def test_a_lost_tube_warns() -> None:
    (remark,) = on_tubes(result(), (10, 25, 50, 75, 100))
    assert remark.warns and remark.text.startswith("the tubes of 25, 75 mmol/L are hidden")
    assert list(on_tubes(result(), (10, 50, 100))) == []


def test_a_tube_that_is_not_what_it_is_said_to_be_warns() -> None:
    """20 for 50 mmol/L, as in a list of concentrations that is that of other tubes; by noise it may be off."""
    tubes = (*result().tubes[:1], Tube(50.0, (0.0, 0.0), 20.0, 20.0, 1.0, 40.0), *result().tubes[2:])
    wrong = replace(result(), tubes=tubes)
    (remark,) = on_tubes(wrong, (10, 50, 100))
    assert remark.warns and remark.text.startswith("the tube of 50 mmol/L reads 20: check concentrations")
    assert list(on_tubes(replace(wrong, noise_std=60.0), (10, 50, 100))) == []


@pytest.mark.parametrize("noise", [1.0, 6.0])
def test_tubes_that_are_measured_beside_themselves_warn(noise) -> None:
    """Variance of noise, and of 5 % or 30 % of the signal, in 40 pixels each."""
    for share, warns in ((0.05, False), (0.3, True)):
        stds = [(noise**2 + (share * tube.signal) ** 2) ** 0.5 for tube in result().tubes]
        tubes = tuple(replace(tube, std=std) for tube, std in zip(result().tubes, stds, strict=True))
        remarks = list(on_tubes(replace(result(), tubes=tubes), (10, 50, 100)))
        assert [remark.text[:28] for remark in remarks] == ["the tubes scatter by 30 % of"] * warns


def test_the_line_is_written_out() -> None:
    assert on_line(Line(1.23456, 0.5, 0.99)).text == "signal = 1.235 * c + 0.5, R2 0.9900"


def test_corrections_say_what_they_multiply_and_what_they_do_not_reach() -> None:
    assert list(on_corrections(result(), {}, ())) == []
    (factors,) = on_corrections(result(), {"a": 2.0, "b": 0.25}, ())
    assert "multiplied by 0.5 (a 2, b 0.25), so the tubes read 0.5 times" in factors.text
    maps = ("b1_map", "receive_map")
    assert [remark.text for remark in on_corrections(result(0.05), {}, maps)] == ["corrected by b1_map and receive_map"]
    _, rim = on_corrections(result(0.25), {}, maps)
    assert rim.warns and rim.text.endswith("of 25 % of the object; there the signal is not corrected")
    _, tube = on_corrections(result(0.0, (50.0,)), {}, maps)
    assert tube.warns and "of 0 % of the object and the tubes of 50 mmol/L" in tube.text


def test_the_typical_error_is_that_of_the_object_though_one_tube_holds_no_sodium() -> None:
    blank = Tube(0.0, (0.0, 0.0), 20.0, 0.0, 1.0, 40.0)
    values, errors = np.array([[0.5, 1.0], [20.0, 30.0]], np.float32), np.array([[9.0, 8.0], [2.0, 4.0]], np.float32)
    shown = replace(result(), values=values, standard_error=errors, tubes=(blank, *result().tubes))
    assert shown.typical_error == 3.0
