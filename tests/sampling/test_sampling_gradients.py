"""Delayed and filtered gradients against designed spirals, and against convolutions in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nadenoise_core.errors import BadInputError, TrajectoryError
from nadenoise_core.sampling import (
    GradientCorrection,
    GradientResponse,
    SpiralDesign,
    delayed,
    filtered,
    read_response,
)
from nadenoise_core.sampling.gradients import physical_axes

DWELL, PIXEL = 14.8, (2.25, 2.25)  # us, mm
TRANSVERSE = np.eye(3)[:, :2]
NAMES = "frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im"


def spiral(delay: float = -4.0, **options: float) -> np.ndarray:
    """The paper's spiral with gradients that lag, (20, 510 or so, 2) in cycles/pixel."""
    return SpiralDesign(delay=delay, **options).trajectory() * 2.25


def distance(k: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The largest error of each sample over the interleaves."""
    return np.linalg.norm(k - truth, axis=-1).max(axis=0)


def response_of(*axes, top: float = 40e3, step: float = 20.0) -> GradientResponse:
    """Of functions of the frequency, one an axis (or one for all)."""
    frequency = np.arange(0, top + step, step)
    functions = axes * 3 if len(axes) == 1 else axes
    return GradientResponse(frequency, np.array([function(frequency) + 0j for function in functions]))


def ideal(frequency: np.ndarray) -> np.ndarray:
    return np.ones_like(frequency)


def late(delay: float):
    """A pure delay, us."""
    return lambda frequency: np.exp(-2j * np.pi * frequency * 1e-6 * delay)


def sluggish(tau: float):
    """A low-pass of first order with a time constant in us."""
    return lambda frequency: 1 / (1 + 2j * np.pi * frequency * 1e-6 * tau)


class TestDelay:
    @pytest.mark.parametrize("base", [-4.0, 0.0, 5.0])  # within a gradient, at its start, before it
    @pytest.mark.parametrize("delay", [-8.0, -4.0, -1.0, 1.0, 4.0, 8.0, 14.8, 30.0])
    def test_a_spiral_becomes_the_one_designed_with_it(self, base, delay):
        error = distance(delayed(spiral(base), DWELL, delay), spiral(base + delay)[:, : spiral(base).shape[1]])
        assert error[:8].max() < 2e-5  # cycles/pixel
        assert error[8:-8].max() < 6e-6

    @pytest.mark.parametrize("delay", [-4.0, -30.0, -100.0])
    def test_behind_the_end_the_gradients_go_on(self, delay):
        """Against the same curve designed to a larger radius."""
        long = spiral(0.0, matrix=100)
        (cut, truth) = long[:, :510], spiral(delay, matrix=100)[:, :510]
        assert distance(delayed(cut, DWELL, delay), truth)[-8:].max() < 1e-4

    def test_forgetting_it_is_a_hundred_times_worse(self):
        assert distance(spiral(-4.0), spiral(0.0))[8:-8].max() > 1.5e-3

    def test_before_the_first_gradient_k_stays_at_its_start(self):
        k = spiral(0.0) + 0.1
        np.testing.assert_allclose(delayed(k, DWELL, 5 * DWELL)[:, :5], 0.1, rtol=0, atol=1e-6)

    def test_none_is_none(self):
        np.testing.assert_array_equal(delayed(spiral(), DWELL, 0.0), spiral())

    def test_a_straight_line_goes_on_straight(self):
        line = np.stack([np.arange(10.0), -2 * np.arange(10.0)], axis=-1)
        np.testing.assert_allclose(delayed(line, 10.0, 25.0), line - [2.5, -5.0], atol=1e-12)
        np.testing.assert_allclose(delayed(line, 10.0, -25.0), line + [2.5, -5.0], atol=1e-12)

    def test_too_few_samples_are_told(self):
        with pytest.raises(TrajectoryError, match="2 samples"):
            delayed(np.zeros((2, 2)), DWELL, 1.0)


class TestResponse:
    def test_an_ideal_one_changes_nothing(self):
        for axes in (TRANSVERSE, Rotation.from_euler("xyz", (20, 30, 40), degrees=True).as_matrix()[:, :2]):
            np.testing.assert_allclose(filtered(spiral(), DWELL, response_of(ideal), axes), spiral(), atol=1e-12)

    @pytest.mark.parametrize("delay", [-4.0, 2.0, 4.0, 20.0])
    def test_a_pure_delay_is_a_delay(self, delay):
        got = filtered(spiral(), DWELL, response_of(late(delay)), TRANSVERSE)
        error = distance(got, delayed(spiral(), DWELL, delay))
        assert error[:8].max() < 1e-5
        assert error[8:-8].max() < 2e-6
        truth = spiral(-4.0 + delay)[:, :510]
        assert distance(got, truth)[8:-8].max() < 6e-6

    def test_a_low_pass_is_a_convolution_in_time(self):
        """x, y and z with their own time constants on an oblique slice, by the recursion dg/dt = (u - g) / tau.

        The truth takes the designed gradient in steps of a twentieth of a sample, and no Fourier transform.
        """
        tau, fine = (30.0, 60.0, 90.0), 20
        axes = Rotation.from_euler("xyz", (25, -35, 50), degrees=True).as_matrix()[:, :2]
        k = spiral(0.0)
        # The same curve from a dwell time 20 times shorter, which alone would let the gradient rise higher.
        dense = (
            SpiralDesign(delay=0.0, dwell_time=DWELL / fine, max_gradient=SpiralDesign().gradient_limit).trajectory()[
                :, : 509 * fine + 1
            ]
            * 2.25
        )
        np.testing.assert_allclose(dense[:, ::fine], k[:, :510], atol=1e-9)
        asked = np.diff(dense, axis=1) @ axes.T
        got = np.zeros_like(asked)
        level = np.zeros(asked.shape[::2])
        for step in range(asked.shape[1]):
            # Exact for a gradient that is constant over a step, taken at the middle of it.
            decay = np.exp(-DWELL / fine / np.asarray(tau))
            before, level = level, asked[:, step] + (level - asked[:, step]) * decay
            got[:, step] = asked[:, step] + (before - asked[:, step]) * (1 - decay) / (DWELL / fine / np.asarray(tau))
        truth = np.concatenate([np.zeros_like(dense[:, :1]), np.cumsum(got @ axes, axis=1)], axis=1)[:, ::fine]
        response = response_of(*(sluggish(t) for t in tau))
        error = distance(filtered(k, DWELL, response, axes), truth)
        assert distance(k, truth).max() > 0.01
        assert error.max() < 1e-5

    @pytest.mark.parametrize(("tau", "step", "worst"), [(1e3, 20.0, 1e-6), (5e3, 10.0, 1e-5), (20e3, 2.0, 1e-6)])
    def test_an_eddy_current_is_that_of_its_convolution(self, tau, step, worst):
        """2 % of the gradient, dying with tau, as long as the readout or longer: nothing comes round to the start."""
        share, k = 0.02, spiral(0.0)
        turn = lambda f: 2j * np.pi * f * 1e-6 * tau  # noqa: E731
        response = response_of(lambda f: 1 - share * turn(f) / (1 + turn(f)), step=step)
        held, truth = np.zeros((20, 2)), k.copy()
        for n in range(1, k.shape[1]):
            held = held * np.exp(-DWELL / tau) + (k[:, n] - k[:, n - 1]) * np.exp(-DWELL / tau / 2)
            truth[:, n] = k[:, n] - share * held
        assert distance(k, truth).max() > 1e-3
        assert distance(filtered(k, DWELL, response, TRANSVERSE), truth).max() < worst

    def test_between_and_beyond_its_frequencies(self):
        frequency = np.array([0.0, 1000.0, 2000.0, 3000.0])
        response = GradientResponse(frequency, np.array([1 - 1e-8 * frequency**2, 1 + 1e-4j * frequency, [1] * 4]))
        np.testing.assert_allclose(
            response.at(np.array([500.0, 9000.0])), [[0.9975, 0.91], [1 + 0.05j, 1 + 0.3j], [1, 1]], atol=1e-12
        )

    @pytest.mark.parametrize(
        ("frequency", "response", "words"),
        [
            ([0.0], [[1], [1], [1]], "two or more"),
            ([0.0, 2e3], [[1, 1], [1, 1]], "x, y, z"),
            ([0.0, 2e3], [[1, np.nan], [1, 1], [1, 1]], "NaN"),
            ([0.0, 30.0], np.ones((3, 2)), r"from 0 to 30; .* in Hz"),
            ([2e3, 0.0], np.ones((3, 2)), "rise"),
            ([0.0, 2e3], [[1, 1], [0.5, 1], [1, 1]], r"y is 0\.5\+0j at 0 Hz"),
        ],
    )
    def test_what_is_none_is_told(self, frequency, response, words):
        with pytest.raises(BadInputError, match=words):
            GradientResponse(np.array(frequency), np.asarray(response, complex))


class TestAxes:
    """The scanner's x is the patient's left-right, and y front-back, but for one who lies on the side."""

    @pytest.mark.parametrize("position", ["HFS", "HFP", "FFS", "FFP"])
    def test_on_the_back_or_front(self, position):
        np.testing.assert_array_equal(np.abs(physical_axes((1, 0, 0), (0, 1, 0), position)), [[1, 0], [0, 1], [0, 0]])

    @pytest.mark.parametrize("position", ["HFDR", "HFDL", "FFDR", "FFDL"])
    def test_on_the_side(self, position):
        np.testing.assert_array_equal(np.abs(physical_axes((1, 0, 0), (0, 0, 1), position)), [[0, 0], [1, 0], [0, 1]])

    def test_the_sign_of_an_axis_does_not_matter(self):
        response = response_of(sluggish(30.0), sluggish(60.0), sluggish(90.0))
        axes = Rotation.from_euler("xyz", (25, -35, 50), degrees=True).as_matrix()[:, :2]
        hfs, ffp = np.diag([1, -1, -1]) @ axes, np.diag([1, 1, 1]) @ axes
        np.testing.assert_allclose(
            filtered(spiral(), DWELL, response, hfs), filtered(spiral(), DWELL, response, ffp), atol=1e-12
        )

    def test_directions_that_are_none_are_told(self):
        for read, phase in (((0, 0, 0), (0, 0, 0)), ((1, 0, 0), (1, 1, 0))):
            with pytest.raises(TrajectoryError, match="not at right angles"):
                physical_axes(read, phase, "HFS")


class TestCorrection:
    def apply(self, correction: GradientCorrection, k: np.ndarray, pixel=PIXEL, dwell=DWELL) -> np.ndarray:
        return correction.apply(k, dwell, pixel, (1, 0, 0), (0, 1, 0))

    def test_off_is_off(self):
        np.testing.assert_array_equal(self.apply(GradientCorrection(), spiral(), dwell=0.0), spiral().astype("f4"))

    def test_response_and_delay_add_up(self):
        correction = GradientCorrection(1.5, response_of(late(2.5)), "HFS")
        assert distance(self.apply(correction, spiral()), spiral(0.0))[8:-8].max() < 6e-6

    def test_pixels_that_are_not_square(self):
        """The same scanner and curve; only what a pixel is differs."""
        correction = GradientCorrection(0.0, response_of(sluggish(30.0), sluggish(60.0), ideal), "HFS")
        oblique = {"read_dir": (0.6, 0.8, 0), "phase_dir": (-0.8, 0.6, 0)}
        stretch = np.array([1.0, 0.5])  # read, phase
        square = correction.apply(spiral(), DWELL, (2.25, 2.25), **oblique)
        narrow = correction.apply(spiral() * stretch, DWELL, (1.125, 2.25), **oblique)
        np.testing.assert_allclose(narrow, square * stretch, atol=1e-7)

    def test_an_unknown_patient_position_is_told(self):
        for position in ("", "HFX"):
            with pytest.raises(BadInputError, match=f"patientPosition is '{position}'.*HFS"):
                GradientCorrection(0.0, response_of(ideal), position)
        assert GradientCorrection(1.0, None, "").delay == 1.0

    def test_an_unknown_dwell_time_is_told(self):
        with pytest.raises(TrajectoryError, match="sample_time_us is 0"):
            self.apply(GradientCorrection(1.0), spiral(), dwell=0.0)

    def test_a_result_beyond_the_matrix_is_told(self):
        with pytest.raises(TrajectoryError, match="beyond the 0.5"):
            self.apply(GradientCorrection(0.0, response_of(lambda f: 1.15 * ideal(f)), "HFS"), spiral())


class TestFile:
    def write(self, folder: Path, frequency: np.ndarray, head: str = NAMES) -> Path:
        rows = [(f, *(part for t in (1, 2, 3) for z in [late(t)(f)] for part in (z.real, z.imag))) for f in frequency]
        (folder / "girf.csv").write_text("\n".join([head, *(",".join(map(repr, map(float, row))) for row in rows)]))
        return folder / "girf.csv"

    def test_one_and_two_sides_are_the_same(self, tmp_path):
        one = read_response(self.write(tmp_path, np.arange(0, 20e3, 50.0)))
        two = read_response(self.write(tmp_path, np.arange(-20e3, 20e3, 50.0), head=NAMES.replace(",", " , ")))
        for got in (one, two):
            np.testing.assert_allclose(got.frequency, np.arange(0, 20e3, 50.0))
            np.testing.assert_allclose(got.response, [late(t)(got.frequency) for t in (1, 2, 3)])
        assert one.duration == pytest.approx(0.02)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "first line must be"),
            ("0,1,0,1,0,1,0\n2000,1,0,1,0,1,0\n", "first line must be 'frequency_Hz,x_re"),
            (f"{NAMES}\n0,1,0,1,0,1,0\n2000,1,0,1,0,one,0\n", "cannot be read"),
            (f"{NAMES}\n0,1,0\n2000,1,0\n", "no line of 7 numbers"),
            (f"{NAMES}\n0,1,0,1,0,1,0\n2000,1,0\n", "cannot be read"),
            (f"{NAMES}\n0,1,0,1,0,1,0\n2000,1,0,1,0,1,0\n-2000,1,0,1,0,1,0\n", "must rise.*fftshift"),
            (f"{NAMES}\n0,1,0,1,0,1,0\n20,1,0,1,0,1,0\n", "girf.csv: gradient response: .* to 20"),
            (f"{NAMES}\n-20,1,0,1,0,1,0\n-10,1,0,1,0,1,0\n", "two or more frequencies"),
            (f"{NAMES}\n0,1,0,1,0,1,0\n2000,1,0,1,0,nan,0\n", "NaN"),
        ],
    )
    def test_what_is_none_is_told(self, text, words, tmp_path):
        (tmp_path / "girf.csv").write_text(text)
        with pytest.raises(BadInputError, match=words):
            read_response(tmp_path / "girf.csv")

    def test_no_file_is_told(self, tmp_path):
        (tmp_path / "image.csv").write_bytes(bytes(range(128, 256)))
        for name in ("missing.csv", "image.csv", "."):
            with pytest.raises(BadInputError, match="cannot be read as a gradient response"):
                read_response(tmp_path / name)
