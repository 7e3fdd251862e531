"""The fit of regions to k-space, on legs of polygons whose k-space is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.errors import CalibrationError, RegionError
from nadenoise_core.phantom import (
    Calf,
    FieldMap,
    Physics,
    Relaxation,
    RelaxationTimes,
    VirtualScan,
    labels,
    random_calf,
)
from nadenoise_core.quantify.calibration import Slope
from nadenoise_core.quantify.image_readouts import readouts_of_image
from nadenoise_core.quantify.pose import Pose, PoseKind
from nadenoise_core.quantify.readouts import Transform, readouts
from nadenoise_core.quantify.region_fit import FitSettings, calibrate, fit_regions
from nadenoise_core.quantify.regions import Regions
from nadenoise_core.quantify.relaxation import readout_decay, t2_star_factor
from nadenoise_core.quantify.residual import check_residual
from nadenoise_core.quantify.tube_columns import TubeDiscs
from nadenoise_core.recon.model import SignalModel, image_noise_std
from nadenoise_core.sampling import PAPER_SPIRAL, sample_weights

K = PAPER_SPIRAL.trajectory()
PIXEL = (2.25, 2.25)
MERGE = {"all muscle": ("muscle", "soleus")}


def moved(shift: tuple[float, float], angle: float, scale: float) -> np.ndarray:
    turn = np.radians(angle)
    matrix = np.eye(4)
    matrix[:2, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix[:2, 3] = shift
    return matrix


def true_muscle(leg, regions) -> float:
    areas = dict(zip(regions.names, regions.areas, strict=True))
    parts = MERGE["all muscle"]
    return sum(leg.concentration(part) * areas[part] for part in parts) / sum(areas[part] for part in parts)


def tubes_of(leg) -> tuple[list[float], TubeDiscs]:
    return [value for value, _ in leg.tubes], TubeDiscs(np.array([centre for _, centre in leg.tubes]), 20.0)


def test_the_transform_is_that_of_closed_form(leg_regions, polygon_leg) -> None:
    """A region's samples against the exact transform of the polygon that was drawn."""
    leg = polygon_leg(1)
    regions = leg_regions(leg.labels(0.25))
    k = K.reshape(-1, 2)
    transform = Transform(k, regions.fractions.shape[1:], regions.cell, regions.corner)
    corners = {name: corners for name, corners, _ in leg.parts}["tibia"]
    outlined = (("skin", corners, 1.0), ("fat", corners, 1.0), ("muscle", corners, 1.0))
    exact = leg.__class__(outlined, ()).kspace(k, 1.0)
    found = transform.forward(regions.mask("tibia"))
    assert np.linalg.norm(found - exact) < 0.01 * np.linalg.norm(exact)
    samples = np.random.default_rng(0).normal(size=(len(k), 2)).view(complex)[:, 0].astype(np.complex64)
    both = np.vdot(found, samples), np.vdot(regions.mask("tibia"), transform.adjoint(samples))
    np.testing.assert_allclose(both[0], both[1], rtol=1e-3)


def test_without_noise_every_region_reads_its_concentration(polygon_leg, leg_regions, read_leg) -> None:
    for seed in range(3):
        leg = polygon_leg(seed)
        result = read_leg(leg, leg_regions(leg.labels()), 1e8, seed, label_uncertainty=0.0)
        for name in ("muscle", "skin", "fat", "soleus", "tibia"):
            assert result.value(name).atsc == pytest.approx(leg.concentration(name), abs=0.15), name
        assert result.slope.value == pytest.approx(1.0, abs=1e-3)
        np.testing.assert_allclose([t.reading for t in result.tubes], [c for c, _ in leg.tubes], atol=0.05)


def test_intervals_hold_the_truth_as_often_as_they_say(polygon_leg, leg_regions, read_leg) -> None:
    """400 scans at 10 averages: bias, spread and coverage."""
    leg = polygon_leg(4)
    regions = leg_regions(leg.labels())
    truth = np.array([true_muscle(leg, regions), leg.concentration("skin"), leg.concentration("fat")])
    found, errors, wrong = [], [], 0
    for seed in range(400):
        result = read_leg(leg, regions, 10, seed, label_uncertainty=0.0, merge=MERGE)
        values = [result.value(name) for name in ("all muscle", "skin", "fat")]
        found.append([value.atsc for value in values])
        errors.append([value.standard_error for value in values])
        wrong += sum(not value.is_explained for value in result.values)
    deviation = np.array(found) - truth
    held = (np.abs(deviation) <= 1.96 * np.array(errors)).mean(axis=0)
    assert ((held >= 0.93) & (held <= 0.97)).all(), held
    assert np.all(np.abs(deviation.mean(axis=0)) < (0.15, 0.5, 0.3)), deviation.mean(axis=0)
    np.testing.assert_allclose(deviation.std(axis=0), np.mean(errors, axis=0), rtol=0.1)
    assert np.all(deviation.std(axis=0) < (0.6, 2.1, 1.4)), deviation.std(axis=0)
    assert wrong / (400 * 7) < 0.01  # a right model is hardly ever called wrong


@pytest.mark.parametrize(
    ("pose", "shift", "angle", "scale"),
    [
        (PoseKind.SHIFT, (1.5, -1.3), 0.0, 1.0),
        (PoseKind.RIGID, (-1.5, 1.3), 2.0, 1.0),
        (PoseKind.SIMILARITY, (1.5, 1.3), -2.0, 1.015),
        (PoseKind.SIMILARITY, (-5.0, 3.0), 5.0, 0.97),
    ],
)
def test_the_pose_of_the_labels_is_found(pose, shift, angle, scale, polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(2)
    there = leg_regions(leg.labels(), moved=moved(shift, angle, scale))
    result = read_leg(leg, there, 30, 1, pose=pose, merge=MERGE)
    right = read_leg(leg, leg_regions(leg.labels()), 30, 1, merge=MERGE)
    # The pose takes the labels back: its turn and stretch undo the displacement's.
    reach = 4 * np.array(result.pose.standard_error)
    if pose is not PoseKind.SHIFT:
        assert abs(result.pose.angle + angle) < reach[2]
    if pose is PoseKind.SIMILARITY:
        assert abs(result.pose.scale * scale - 1) < reach[3]
    assert result.pose_gain > 100
    for name in ("all muscle", "skin"):
        assert abs(result.value(name).atsc - right.value(name).atsc) < right.value(name).standard_error
        assert result.value(name).is_explained


def test_wrong_labels_are_told(polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(2)
    there = leg_regions(leg.labels(), moved=moved((4.0, 0.0), 0.0, 1.0))
    result = read_leg(leg, there, 30, 1)
    assert any("the region is inhomogeneous, has moved, or is wrongly outlined" in words for words in result.remarks)


def test_labels_of_another_leg_are_refused(polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(2)
    labels = np.roll(leg.labels(), 40, axis=1)
    with pytest.raises(RegionError, match="do not fit the scan|no pose makes the labels fit"):
        read_leg(leg, leg_regions(labels), 30, 1, pose=PoseKind.SIMILARITY)


def test_an_inhomogeneous_region_is_told(polygon_leg, leg_regions, read_leg) -> None:
    """Half of the muscle has another concentration, and nobody outlined it."""
    leg = polygon_leg(2)
    labels = np.where(leg.labels() == 5, 3, leg.labels())  # the tibia passes for muscle
    result = read_leg(leg, leg_regions(labels), 100, 1)
    assert not result.value("muscle").is_explained
    assert result.value("skin").is_explained


def test_signal_outside_of_all_labels_is_told(polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(2)
    labels = leg.labels()
    result = read_leg(leg, leg_regions(np.where(labels <= 2, 0, labels)), 100, 1)
    assert any("signal outside of all labels and tubes" in words for words in result.remarks)


@pytest.mark.parametrize("wider", [0.25, 0.5])
def test_the_error_of_outlines_is_what_redrawing_changes(wider, polygon_leg, leg_regions, read_leg) -> None:
    """Skin that is drawn too thick reads as much less as its label error says."""
    leg = polygon_leg(3)
    right = read_leg(leg, leg_regions(leg.labels(0.25)), 1e8, 1, label_uncertainty=wider)
    thick = read_leg(leg, leg_regions(leg.labels(0.25, wider=wider)), 1e8, 1)
    change = thick.value("skin").atsc - right.value("skin").atsc
    # The signal of the skin stays, its area grows.
    assert change == pytest.approx(-leg.concentration("skin") * wider / (2.5 + wider), rel=0.25)
    inner_and_outer = right.value("skin").label_error
    assert 0.8 * abs(change) < inner_and_outer < 1.6 * abs(change)
    assert right.value("muscle").label_error < 0.2 * inner_and_outer


def test_the_image_alone_serves_where_there_is_no_kspace(polygon_leg, leg_regions, leg_kspace, noise_of) -> None:
    leg = polygon_leg(5)
    regions = leg_regions(leg.labels())
    weights = sample_weights(K * 2.25, (80, 80))
    model = SignalModel(K * 2.25, weights, (80, 80), Device())
    level = noise_of(10)
    concentrations, discs = tubes_of(leg)
    found: dict[str, list[float]] = {"fit": [], "gtm": []}
    for seed in range(40):
        noise = np.random.default_rng([seed, 9]).normal(0, level, (1, 20, K.shape[1], 2)).view(complex)[..., 0]
        samples = leg_kspace(leg) + noise
        image = model.grid(samples.astype(np.complex64))[0]
        of_image = readouts_of_image(image, PIXEL, PAPER_SPIRAL.k_max, image_noise_std(np.full(20, level), weights))
        of_scan = readouts(samples, K * 2.25, np.full(20, level), (80, 80), PIXEL)
        for name, scan in (("gtm", of_image), ("fit", of_scan)):
            result = fit_regions(scan, regions, concentrations, discs, FitSettings(label_uncertainty=0.0))
            found[name].append(result.value("skin").atsc - leg.concentration("skin"))
    assert abs(np.mean(found["gtm"])) < 1.0
    assert np.std(found["fit"]) < np.std(found["gtm"]) < 1.3 * np.std(found["fit"])
    assert np.corrcoef(found["fit"], found["gtm"])[0, 1] > 0.8


def test_noise_that_is_not_known_is_taken_from_the_residual(polygon_leg, leg_regions, leg_kspace, noise_of) -> None:
    leg = polygon_leg(5)
    regions = leg_regions(leg.labels())
    level = noise_of(10)
    noise = np.random.default_rng(1).normal(0, level, (1, 20, K.shape[1], 2)).view(complex)[..., 0]
    concentrations, discs = tubes_of(leg)
    results = [
        fit_regions(
            readouts(leg_kspace(leg) + noise, K * 2.25, np.full(20, told), (80, 80), PIXEL),
            regions, concentrations, discs,
        )
        for told in (level, np.nan)
    ]  # fmt: skip
    for name in ("muscle", "skin"):
        known, taken = (result.value(name) for result in results)
        assert taken.atsc == pytest.approx(known.atsc, rel=1e-3)
        assert taken.standard_error == pytest.approx(known.standard_error, rel=0.05)
    assert "taken from what the model leaves" in results[1].remarks[-1]


def test_an_unknown_diameter_of_the_tubes_is_fitted(polygon_leg, leg_regions, read_leg, leg_kspace, noise_of) -> None:
    leg = polygon_leg(6)
    regions = leg_regions(leg.labels())
    concentrations, discs = tubes_of(leg)
    scan = readouts(leg_kspace(leg), K * 2.25, np.full(20, noise_of(100)), (80, 80), PIXEL)
    wrong = TubeDiscs(discs.centres, 21.5)
    result = fit_regions(scan, regions, concentrations, wrong, FitSettings(diameter_is_known=False))
    assert result.tube_diameter == pytest.approx(20.0, abs=0.05)
    assert result.value("muscle").atsc == pytest.approx(leg.concentration("muscle"), abs=0.15)


def test_tubes_that_were_not_prepared_as_said_widen_the_intervals(polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(7)
    odd = leg.__class__(leg.parts, tuple((c * (1.12 if c == 75 else 1), centre) for c, centre in leg.tubes))
    regions = leg_regions(leg.labels())
    concentrations, discs = tubes_of(leg)
    scan = readouts(odd.kspace(K)[None], K * 2.25, np.full(20, 0.05), (80, 80), PIXEL)
    result = fit_regions(scan, regions, concentrations, discs)
    assert any("the tubes scatter about their line" in words for words in result.remarks)
    assert result.slope.standard_error > 0.01
    with pytest.raises(CalibrationError):
        fit_regions(scan, regions, concentrations[::-1], discs)


def test_a_known_slope_weighs_as_a_tube_of_its_own_would() -> None:
    """Generalised least squares with one more tube, whose signal is the slope and whose noise is the slope's error."""
    rng = np.random.default_rng(3)
    known = np.array([10.0, 25.0, 50.0, 75.0, 100.0])
    mixed = rng.normal(size=(7, 7))
    covariance = mixed @ mixed.T / 10 + np.eye(7)
    amplitudes = np.concatenate([[21.0, 30.0], known]) + np.linalg.cholesky(covariance) @ rng.normal(size=7)
    weighed = calibrate(amplitudes, covariance, known, 1.1, Slope(1.005, 0.004))
    larger = np.zeros((8, 8))
    larger[:7, :7], larger[7, 7] = covariance, 0.004**2
    with_a_tube = calibrate(np.append(amplitudes, 1.005), larger, np.append(known, 1.0), 1.1)
    assert weighed.slope.value == pytest.approx(with_a_tube.slope.value)
    assert weighed.slope.standard_error == pytest.approx(with_a_tube.slope.standard_error)
    np.testing.assert_allclose(weighed.concentrations, with_a_tube.concentrations)
    np.testing.assert_allclose(weighed.covariance, with_a_tube.covariance)
    alone = calibrate(amplitudes, covariance, known, 1.1)
    refused = calibrate(amplitudes, covariance, known, 1.1, Slope(1.3, 0.004))
    assert "contradicts the known one of 1.3" in refused.remarks[0]
    np.testing.assert_array_equal(refused.concentrations, alone.concentrations)


def test_with_a_known_slope_two_thirds_of_a_minute_are_enough(polygon_leg, leg_regions, read_leg) -> None:
    """The tubes of ten averages tell the slope to 1.5 %; known to 0.4 %, muscle is known better than 0.45 mmol/L."""
    leg = polygon_leg(4)
    regions = leg_regions(leg.labels())
    found, errors = [], []
    for seed in range(60):
        result = read_leg(leg, regions, 10, seed, label_uncertainty=0.0, merge=MERGE, slope=Slope(1.0, 0.004))
        found.append(result.value("all muscle").atsc - true_muscle(leg, regions))
        errors.append(result.value("all muscle").standard_error)
    assert np.std(found) < 0.45 and np.mean(errors) < 0.45
    assert np.std(found) == pytest.approx(np.mean(errors), rel=0.25)
    assert abs(np.mean(found)) < 0.15


def test_regions_that_lie_on_each_other_are_refused(polygon_leg, leg_regions, read_leg) -> None:
    leg = polygon_leg(2)
    regions = leg_regions(leg.labels())
    twice = np.concatenate([regions.fractions, regions.fractions[:1]])
    both = regions.__class__((*regions.names, "again"), (*regions.numbers, ()), twice, regions.corner, regions.cell)
    with pytest.raises(RegionError, match="cannot be told apart"):
        read_leg(leg, both, 30, 1)


@dataclass(frozen=True)
class PhantomScan:
    """A virtual calf with its regions, and a scan of it."""

    calf: Calf
    scan: VirtualScan
    regions: Regions

    def reads(self, level: float = 0.05, options: dict | None = None, **settings) -> dict[str, float]:
        """Region values without noise, as errors against the truth, mmol/L."""
        tubes = TubeDiscs(np.array([tube.centre for tube in self.calf.tubes]), self.calf.tubes[0].diameter)
        k = self.scan.trajectory * 2.25
        scanned = readouts(self.scan.kspace, k, np.full(20, level), (80, 80), PIXEL, **(options or {}))
        known = [tube.concentration for tube in self.calf.tubes]
        result = fit_regions(scanned, self.regions, known, tubes, FitSettings(label_uncertainty=0.0, **settings))
        truth = {"muscle": self.calf.muscle, "skin": self.calf.skin, "fat": self.calf.tissue("fat").concentration}
        return {name: result.value(name).atsc - value for name, value in truth.items()}


@pytest.fixture(scope="session")
def phantom_scan(leg_regions) -> Callable[..., PhantomScan]:
    names = ("background", "muscle", "skin", "fat", "bone", "vessel")

    def make(k: np.ndarray = K, **options) -> PhantomScan:
        calf = random_calf(5)
        drawn = labels(calf, 360, 180.0, None)
        drawn = np.where((drawn > 1) & (drawn < 10), drawn, 0)
        return PhantomScan(calf, VirtualScan(calf, k, 2.25, half_pulses=False, **options), leg_regions(drawn, names))

    return make


def test_phase_and_coils_are_taken_from_the_data(phantom_scan) -> None:
    plain = phantom_scan().reads()
    turned = phantom_scan(object_phase=60.0).reads()
    for name, error in plain.items():
        assert abs(error) < 0.35, name
        assert turned[name] == pytest.approx(error, abs=0.15), name
    # The sensitivity of eight coils together is their root of squares, which a receive map gives.
    eight = phantom_scan(coils=8)
    x, y = np.meshgrid(*[(np.arange(80) - 40) * 2.25] * 2)
    together = np.sqrt(np.sum(np.abs(eight.scan.sensitivities(np.stack([x, y], axis=-1))) ** 2, axis=0))
    corrected = eight.reads(options={"gain": together})
    for name in ("muscle", "skin"):
        assert corrected[name] == pytest.approx(plain[name], abs=0.6), name


@pytest.mark.parametrize(
    ("k", "echo", "strength"),
    # Of arms that run inwards the image has the phase of the last sample, which must stay smooth.
    [pytest.param(K, 0, 40.0, id="outwards"), pytest.param(K[:, ::-1], K.shape[1] - 1, 15.0, id="inwards")],
)
def test_off_resonance_that_is_known_costs_nothing(k: np.ndarray, echo: int, strength: float, phantom_scan) -> None:
    field = FieldMap(20.0, strength)
    scan = phantom_scan(k, physics=Physics(14.8, field))
    x, y = np.meshgrid(*[(np.arange(80) - 40) * 2.25] * 2)
    times = 14.8e-6 * (np.arange(K.shape[1]) - echo)
    known = {"off_resonance": field.at(np.stack([x, y], axis=-1)), "times": times}
    ignored, corrected, plain = scan.reads(), scan.reads(options=known), phantom_scan().reads()
    assert abs(ignored["skin"]) > 1
    for name in plain:
        assert corrected[name] == pytest.approx(plain[name], abs=0.2), name


@pytest.mark.parametrize(("k", "echo"), [(K, 0), (K[:, ::-1], K.shape[1] - 1)], ids=["outwards", "inwards"])
def test_what_is_left_is_judged_in_phase_with_the_echo(k: np.ndarray, echo: int, phantom_scan) -> None:
    """A whole calf that is left, off resonance, against the same on resonance."""
    field = FieldMap(0.0, 15.0)
    x, y = np.meshgrid(*[(np.arange(80) - 40) * 2.25] * 2)
    times = 14.8e-6 * (np.arange(K.shape[1]) - echo)
    known = {"off_resonance": field.at(np.stack([x, y], axis=-1)), "times": times}
    images = []
    for physics, options in ((Physics(14.8, field), known), (None, {})):
        given = phantom_scan(k, **({} if physics is None else {"physics": physics}))
        scan = readouts(given.scan.kspace, k * 2.25, np.full(20, 1.0), (80, 80), PIXEL, **options)
        tubes = TubeDiscs(np.array([tube.centre for tube in given.calf.tubes]), 20.0)
        middle = np.array(given.regions.middle)
        check = check_residual(scan, given.regions, middle, scan.kspace.ravel(), scan.noise_std, Pose(), tubes)
        images.append(check.image)
    assert np.abs(images[0] - images[1]).max() < 0.05 * images[1].max()


def test_decay_during_the_readout_that_is_known_costs_nothing(phantom_scan) -> None:
    tissue, tube = RelaxationTimes(30.0, ((0.6, 3.0), (0.4, 15.0))), RelaxationTimes(30.0, ((1.0, 40.0),))
    times = dict.fromkeys(("skin", "fat", "muscle", "bone", "vessel"), tissue) | {"tube": tube}
    scan = phantom_scan(physics=Physics(14.8, relaxation=Relaxation(1e4, 90.0, 0.23, times)))
    milliseconds = 14.8e-3 * np.arange(K.shape[1])
    known = {
        "tissue_decay": readout_decay(milliseconds, 0.23, (3.0, 15.0), (0.6, 0.4)),
        "tube_decay": readout_decay(milliseconds, 0.23, (40.0,)),
        "factor": t2_star_factor(0.23, (3.0, 15.0), (40.0,), 0.6),
    }
    ignored, corrected, plain = scan.reads(factor=known["factor"]), scan.reads(**known), phantom_scan().reads()
    assert ignored["skin"] < -2
    for name in plain:
        assert corrected[name] == pytest.approx(plain[name], abs=0.15), name


@pytest.mark.parametrize("tilt", [0.0, 10.0, 22.0])
def test_tubes_that_lean_in_a_thick_slice_give_the_right_slope(tilt, leg_regions, noise_of) -> None:
    calf = random_calf(3, tube_tilt=tilt, tube_wall=1.0)
    drawn = labels(calf, 360, 180.0, None)
    names = ("background", "muscle", "skin", "fat", "bone", "vessel")
    regions = leg_regions(np.where((drawn > 1) & (drawn < 10), drawn, 0), names)
    level = noise_of(30)
    clean = VirtualScan(calf, K, 2.25, half_pulses=False).kspace
    noise = np.random.default_rng(2).normal(0, level, (*clean.shape, 2)).view(complex)[..., 0]
    scan = readouts(clean + noise, K * 2.25, np.full(20, level), (80, 80), PIXEL)
    known, discs = tubes_of(PolygonTubes(tuple((tube.concentration, tube.centre) for tube in calf.tubes)))
    upright, leaning = (
        fit_regions(scan, regions, known, discs, FitSettings(label_uncertainty=0.0, thickness=thickness))
        for thickness in (None, 30.0)
    )
    value = leaning.value("muscle")
    assert abs(leaning.slope.value - 1) < 3 * leaning.slope.standard_error < 0.04
    assert abs(value.atsc - calf.muscle) < 3 * value.standard_error
    assert any("the tubes lean" in words for words in leaning.remarks) == (tilt > 0)
    if tilt > 20:
        assert upright.slope.value < 0.98


@dataclass(frozen=True)
class PolygonTubes:
    """Tubes alone: concentration and centre."""

    tubes: tuple[tuple[float, tuple[float, float]], ...]
