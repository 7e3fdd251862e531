"""Off-resonance and relaxation against integrals over the object, and against the Bloch equations pulse by pulse."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nadenoise_core.errors import BadInputError
from nadenoise_core.phantom import (
    ILLUSTRATIVE_TIMES,
    KINDS,
    Calf,
    Ellipse,
    FieldMap,
    Physics,
    Relaxation,
    RelaxationTimes,
    VirtualScan,
    kspace,
)
from nadenoise_core.phantom.pixels import pixel_grid

PIXEL = 2.25
DWELL = 190.0  # us: 40 samples take as long as the paper's 510
Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]

FIELD = FieldMap(offset=-20.0, amplitude=55.0, cycles=(1, -2), start=0.7)
RELAXATION = Relaxation(100.0, 90.0, 0.23)


@pytest.fixture(scope="module")
def some(trajectory: Floats) -> Floats:
    """Two of the interleaves."""
    return trajectory[:2]


def times(k: Floats) -> Floats:
    """Of the samples, ms."""
    return DWELL * np.arange(k.shape[1]) / 1000


def integral(outline: Ellipse, k: Floats, seen: Callable[[Floats], Complexes]) -> Complexes:
    """Integral of what is seen, (..., samples, points), times exp(-2 pi i k.r) over an ellipse: (..., arms, samples).

    Gauss-Legendre along the radius, the trapezoidal rule around: exact once the nodes outnumber the oscillations.
    """
    nodes, weights = np.polynomial.legendre.leggauss(70)
    radius, angle = (nodes + 1) / 2, 2 * np.pi * np.arange(180) / 180
    a, b = outline.semi_axes
    u, v = (np.outer(radius, axis * around).ravel() for axis, around in ((a, np.cos(angle)), (b, np.sin(angle))))
    cos, sin = np.cos(outline.angle), np.sin(outline.angle)
    points = np.stack([outline.centre[0] + cos * u - sin * v, outline.centre[1] + sin * u + cos * v], axis=-1)
    area = np.repeat(radius * weights / 2, angle.size) * a * b * 2 * np.pi / angle.size
    waves = np.exp(-2j * np.pi * (k @ points.T))
    result: Complexes = np.einsum("...sp,asp,p->...as", seen(points), waves, area, optimize=True)
    return result


def integrated(
    calf: Calf, k: Floats, seen: Callable[[Floats], Complexes], signal: Callable[[str], Floats]
) -> Complexes:
    """K-space of every tissue without what lies in it, times its own signal at every sample, and of the tubes."""
    whole = {tissue.name: integral(tissue.outline, k, seen) for tissue in calf.tissues}
    total: Any = 0
    for tissue in calf.tissues:
        own = whole[tissue.name] - sum(whole[child.name] for child in calf.tissues if child.parent == tissue.name)
        total = total + tissue.concentration * signal(tissue.kind) * own
    for tube in calf.tubes:
        total = total + tube.concentration * signal("tube") * integral(tube.outline, k, seen)
    return np.asarray(total) / PIXEL**2


def close(found: Complexes, expected: Complexes) -> bool:
    return bool(np.abs(found - expected).max() < 1e-9 * np.abs(expected).max())


def test_the_field_map_is_a_constant_and_a_sinusoid() -> None:
    points = np.array([[0, 0], [50, 0], [-50, 0], [10, 30]])
    assert FieldMap(3.0, 10.0).at(points) == pytest.approx([3, 13, -7, 3 + 10 * math.sin(2 * math.pi * 20 / 400)])
    assert FIELD.at([10.0, 30.0]) == pytest.approx(-20 + 55 * math.sin(2 * math.pi * (10 - 2 * 30) / 400 + 0.7))
    assert FieldMap().at(points).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("field", [FIELD, FieldMap(5.0), FieldMap(0.0, -200.0, (0, 1), 2.0), FieldMap(900.0, 1000.0)])
def test_its_phase_at_every_sample(field: FieldMap) -> None:
    points, instants = pixel_grid(12, 180.0), np.array([0.0, 0.3, 7.55])
    expected = np.exp(-2j * np.pi * 1e-3 * np.multiply.outer(instants, field.at(points)))
    np.testing.assert_allclose(field.phase(instants).at(points), expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("coils", "object_phase"), [(1, 0.0), (3, 50.0)])
def test_off_resonance_is_a_phase_of_the_object(calf: Calf, some: Floats, coils: int, object_phase: float) -> None:
    some = some[:, ::13]
    physics = Physics(DWELL * 13, FIELD)
    scan = VirtualScan(calf, some, PIXEL, coils=coils, object_phase=object_phase, physics=physics)

    def seen(points: Floats) -> Complexes:
        turns = np.exp(-2j * np.pi * 1e-3 * np.multiply.outer(13 * times(some), FIELD.at(points)))
        return np.asarray(scan.sensitivities(points)[:, None] * turns)

    assert close(scan.kspace, integrated(calf, some, seen, lambda kind: np.ones(some.shape[1])))


def test_a_constant_offset_turns_every_sample(calf: Calf, some: Floats) -> None:
    off = VirtualScan(calf, some, PIXEL, physics=Physics(DWELL, FieldMap(40.0))).kspace
    on = VirtualScan(calf, some, PIXEL).kspace
    assert close(off, on * np.exp(-2j * np.pi * 0.040 * times(some)))


def test_a_small_field_along_a_line_moves_the_object_in_kspace(calf: Calf, some: Floats) -> None:
    """Near the centre the field is a gradient: f = g.r, whose phase is that of k + g t. That tells its sign."""
    tubes = dataclasses.replace(calf, tissues=(), tubes=(dataclasses.replace(calf.tubes[0], centre=(1.0, -2.0)),))
    physics = Physics(DWELL, FieldMap(0.0, 30.0, (1, 0)))
    moved = some + np.stack([2 * np.pi / 400 * 0.030 * times(some), np.zeros(some.shape[1])], axis=-1)
    error = np.abs(VirtualScan(tubes, some, PIXEL, physics=physics).kspace[0]) - np.abs(kspace(tubes, moved, PIXEL))
    still = np.abs(kspace(tubes, some, PIXEL)) - np.abs(kspace(tubes, moved, PIXEL))
    assert np.abs(error).max() < 0.05 * np.abs(still).max()


def test_every_tissue_has_its_own_signal(calf: Calf, some: Floats) -> None:
    some = some[:, ::8]
    late = 0.23 + 8 * times(some)
    # Worked out without the code: (1 - exp(-100 / T1)) of 90 degrees, times the components.
    signals = {
        kind: (1 - math.exp(-100 / t.t1)) * sum(share * np.exp(-late / time) for share, time in t.t2_star)
        for kind, t in ILLUSTRATIVE_TIMES.items()
    }
    scan = VirtualScan(calf, some, PIXEL, physics=Physics(8 * DWELL, relaxation=RELAXATION))
    phase = scan.sensitivities(np.zeros(2))

    def seen(points: Floats) -> Complexes:
        return np.broadcast_to(phase[:, None, None], (1, some.shape[1], len(points)))

    assert close(scan.kspace, integrated(calf, some, seen, signals.__getitem__))


def test_all_at_once(calf: Calf, some: Floats) -> None:
    some = some[:, ::13]
    scan = VirtualScan(calf, some, PIXEL, coils=2, object_phase=30.0, physics=Physics(13 * DWELL, FIELD, RELAXATION))

    def seen(points: Floats) -> Complexes:
        turns = np.exp(-2j * np.pi * 1e-3 * np.multiply.outer(13 * times(some), FIELD.at(points)))
        return np.asarray(scan.sensitivities(points)[:, None] * turns)

    assert close(scan.kspace, integrated(calf, some, seen, lambda kind: RELAXATION.signal(kind, 13 * times(some))))
    halves = [acquisition.samples for acquisition in scan.acquisitions()]
    summed = np.array(halves[::2]) + np.array(halves[1::2])  # (interleaves, coils, samples)
    assert np.abs(summed.swapaxes(0, 1) - scan.kspace).max() < 1e-6 * np.abs(scan.kspace).max()
    assert np.abs(halves[0] - halves[1]).max() > 0.1 * np.abs(halves[0]).max(), "there must be something to cancel"


@pytest.mark.parametrize(("coils", "object_phase"), [(1, 0.0), (4, 60.0)])
def test_without_effects_nothing_changes(calf: Calf, some: Floats, coils: int, object_phase: float) -> None:
    scan = VirtualScan(calf, some, PIXEL, coils=coils, object_phase=object_phase)
    assert close(dataclasses.replace(scan, physics=Physics(DWELL)).kspace, scan.kspace)


def bloch(flip_angle: float, repetition_time: float, t1: float) -> float:
    """Transverse magnetisation of the last of 3000 excitations, spoiled before each."""
    angle = math.radians(flip_angle)
    turn = np.array([[1, 0, 0], [0, math.cos(angle), math.sin(angle)], [0, -math.sin(angle), math.cos(angle)]])
    m = np.array([0.0, 0.0, 1.0])
    for _ in range(3000):
        excited = turn @ m
        m = np.array([0.0, 0.0, 1 + (excited[2] - 1) * math.exp(-repetition_time / t1)])
    return float(np.hypot(excited[0], excited[1]))


@pytest.mark.parametrize("flip_angle", [5.0, 54.7, 90.0, 130.0])
@pytest.mark.parametrize("repetition_time", [10.0, 100.0])
def test_the_steady_state_is_that_of_many_pulses(flip_angle: float, repetition_time: float) -> None:
    relaxation = Relaxation(repetition_time, flip_angle, 0.0)
    for kind, kind_times in ILLUSTRATIVE_TIMES.items():
        expected = bloch(flip_angle, repetition_time, kind_times.t1)
        assert relaxation.saturation(kind) == pytest.approx(expected, rel=1e-9)
        assert relaxation.signal(kind, np.zeros(1)) == pytest.approx([expected], rel=1e-9)


def test_muscle_at_the_papers_timing() -> None:
    """0.942567 * (0.6 exp(-0.23 / 2.5) + 0.4 exp(-0.23 / 15)), and 7.55 ms later; a tube 0.837679 exp(-t / 40)."""
    muscle, tube = (RELAXATION.signal(kind, np.array([0.0, 7.55])) for kind in ("muscle", "tube"))
    assert muscle == pytest.approx([0.887122, 0.249623], abs=2e-6)
    assert tube == pytest.approx([0.832877, 0.689616], abs=2e-6)


def test_it_is_described_in_plain_data() -> None:
    field, relaxation = json.loads(json.dumps([FIELD.to_dict(), RELAXATION.to_dict()]))
    assert field == {"offset": -20.0, "amplitude": 55.0, "cycles": [1, -2], "start": 0.7, "period": 400.0}
    assert set(relaxation["times"]) == {*KINDS, "tube"}
    assert relaxation["times"]["tube"] == {"t1": 55.0, "t2_star": [[1.0, 40.0]], "saturation": pytest.approx(0.837679)}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FieldMap(offset=math.nan), "offset of a field map must be within 1000 Hz"),
        (lambda: FieldMap(amplitude=-1001), "amplitude of a field map must be within 1000 Hz"),
        (lambda: FieldMap(cycles=(0.5, 0)), "two whole numbers"),  # type: ignore[arg-type]
        (lambda: FieldMap(cycles=(1, 2, 3)), "two whole numbers"),  # type: ignore[arg-type]
        (lambda: FieldMap(start=math.inf), "start of a field map"),
        (lambda: RelaxationTimes(0.0, ((1.0, 10.0),)), "positive numbers of ms"),
        (lambda: RelaxationTimes(30.0, ((0.6, 2.0), (0.4, math.nan))), "positive numbers of ms"),
        (lambda: RelaxationTimes(30.0, ((0.6, 2.0), (0.6, 15.0))), "1 together"),
        (lambda: RelaxationTimes(30.0, ()), "1 together"),
        (lambda: RelaxationTimes(30.0, ((1.5, 2.0), (-0.5, 15.0))), "0 or more"),
        (lambda: Relaxation(0.0, 90.0, 0.2), "repetition time"),
        (lambda: Relaxation(100.0, 180.0, 0.2), "flip angle"),
        (lambda: Relaxation(100.0, 90.0, -0.1), "echo time"),
        (lambda: Relaxation(100.0, 90.0, 0.2, {"tube": ILLUSTRATIVE_TIMES["tube"]}), "missing of skin, fat"),
        (lambda: Physics(0.0), "dwell time"),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        make()
