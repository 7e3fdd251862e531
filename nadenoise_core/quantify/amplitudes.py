"""Amplitudes of regions and reference tubes, fitted together to averaged k-space, with the pose of the labels.

The samples are a sum of what every region and tube gives alone, times its real amplitude, plus noise of known strength.
Amplitudes are a linear least-squares problem; the places of the tubes and the pose of the labels are found with them by
Gauss-Newton steps on the same residual (Golub and Pereyra, SIAM J Numer Anal 10:413, 1973). All unknowns stand in one
normal matrix, so that the errors of the amplitudes hold what the places and the pose add to them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nadenoise_core.errors import RegionError
from nadenoise_core.quantify.normal_equations import inverse, solve
from nadenoise_core.quantify.pose import Pose, PoseKind
from nadenoise_core.quantify.readouts import Readouts
from nadenoise_core.quantify.region_columns import RegionColumns
from nadenoise_core.quantify.tube_columns import TubeColumns, TubeDiscs

_TUBE_PLACE = 1.0  # mm, standard deviation of where tubes are found in the image
_TUBE_DIAMETER = 2.0  # mm, of the diameter that is found with them
_TUBE_SPREAD = 150.0  # mm^2, of what a tube's lean adds to its image: some 20 degrees in a slice of 30 mm
_LEANS = 40.0  # fall of chi-squared by which tubes are known to lean
_STRONG = 0.4  # of the strongest tube: weaker ones do not tell their lean, and hardly the slope
_STEPS = 20
_HALVINGS = 5
_LEAST_GAIN = 0.02  # of chi-squared that is worth another step
_HOPELESS = 25.0  # standard deviations of chi-squared by which labels of another leg miss

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex64]


@dataclass(frozen=True, eq=False)
class AmplitudeFit:
    """Amplitudes in the unit of the gridded image.

    Attributes:
        amplitudes: (regions + tubes,).
        covariance: (regions + tubes,) squared; the places of the tubes and the pose are unknowns of it.
        discs: places of the tubes.
        pose: of the labels, with its standard error.
        chi_squared: of the residual, in units of the noise.
        freedom: its degrees of freedom.
        noise_is_known: whether the noise of the samples was known; else it was taken from the residual.
        gain: fall of chi-squared by the pose; 0 where it is not fitted.
        estimator: (regions + tubes, samples) complex; the real part of its conjugate times the samples gives the
            amplitudes to first order.
        residual: (samples,) complex, what the model leaves.
    """

    amplitudes: Floats
    covariance: Floats
    discs: TubeDiscs
    pose: Pose
    chi_squared: float
    freedom: int
    noise_is_known: bool
    gain: float
    estimator: Complexes
    residual: Complexes


@dataclass(frozen=True, eq=False)
class _State:
    """One place of everything that is not linear, and the best amplitudes there."""

    pose: Pose
    discs: TubeDiscs
    linear: Floats  # (regions + tubes, 2 * samples) whitened
    amplitudes: Floats
    residual: Floats  # (2 * samples,) whitened
    columns: Complexes  # (tubes, samples)
    moved: Complexes
    wider: Complexes
    penalty: float

    @property
    def cost(self) -> float:
        return float(self.residual @ self.residual) + self.penalty


def fit_amplitudes(
    readouts: Readouts,
    regions: RegionColumns,
    tubes: TubeColumns,
    start: TubeDiscs,
    pose: PoseKind = PoseKind.OFF,
    diameter_is_known: bool = True,
) -> AmplitudeFit:
    """Fit regions and tubes.

    Args:
        readouts: of the scan.
        regions, tubes: what each gives alone.
        start: where the tubes were found in the image.
        pose: what of the labels' pose is fitted.
        diameter_is_known: whether the tubes' diameter is as given; else it is fitted, too.

    Raises:
        RegionError: regions that the scan cannot tell apart, or a pose that does not make the residual fall, or that
            lies beyond what labels of the same leg can have.
    """
    fit = _Fit(readouts, regions, tubes, start, pose, diameter_is_known)
    return fit.run()


class _Fit:
    def __init__(
        self,
        readouts: Readouts,
        regions: RegionColumns,
        tubes: TubeColumns,
        start: TubeDiscs,
        pose: PoseKind,
        diameter_is_known: bool,
    ) -> None:
        self._regions, self._tubes, self._start, self._pose = regions, tubes, start, pose
        self._fits_diameter = not diameter_is_known and len(start.centres) > 0
        self._known = readouts.noise_is_known
        self._weighting = readouts.weighting()
        self._samples = readouts.kspace.reshape(-1)
        self._kept: tuple[Pose, Complexes, Floats] | None = None
        self._leaning = False

    def run(self) -> AmplitudeFit:
        state = self._at(Pose(), self._start)
        if not self._known:
            # The places are refined against the noise, of which the residual is the only witness.
            freedom = state.residual.size - len(state.amplitudes)
            level = float(state.residual @ state.residual / freedom) ** 0.5
            self._weighting = self._weighting / max(level, 1e-30)
            self._kept = None
            state = self._at(Pose(), self._start)
        if self._tubes.thickness is not None and len(self._start.centres):
            state = self._descend(state, 0)
            self._leaning = True
            if self._step(state, 0)[1] > _LEANS:
                state = self._descend(state, 0)
            else:
                self._leaning = False
        before: _State | None = None
        if self._pose is not PoseKind.OFF:
            # The tubes first, so that the gain of the pose is its own.
            state = before = self._descend(state, 0)
        state = self._descend(state, self._pose.parameters)
        if before is not None:
            _check_fall(before.cost, state.cost, state.residual.size - len(state.amplitudes))
        return self._finished(state, before)

    def _descend(self, state: _State, pose_parameters: int) -> _State:
        for _ in range(_STEPS):
            step, gain = self._step(state, pose_parameters)
            if gain < _LEAST_GAIN:
                return state
            for halving in range(_HALVINGS):
                trial = self._moved(state, step * 0.5**halving, pose_parameters)
                if trial.cost < state.cost:
                    break
            else:
                return state
            state = trial
            if not state.pose.within_limits:
                raise RegionError(
                    "the labels do not fit the scan: the best pose would move them by "
                    f"{np.hypot(*state.pose.shift):.1f} mm, turn them by {state.pose.angle:.1f} degrees and scale "
                    f"them by {state.pose.scale:.3f}; check that they belong to this scan"
                )
        return state

    def _step(self, state: _State, pose_parameters: int) -> tuple[Floats, float]:
        """Gauss-Newton step of what is not linear, and the fall of chi-squared that it promises."""
        slopes = self._slopes(state, pose_parameters)
        if not len(slopes):
            return np.zeros(0), 0.0
        coupling = state.linear @ slopes.T
        linear = state.linear @ state.linear.T
        precision = self._precision(state.amplitudes, pose_parameters)
        reduced = slopes @ slopes.T + np.diag(precision)
        reduced -= coupling.T @ solve(linear, coupling)
        downhill = slopes @ state.residual - precision * self._offsets(state, pose_parameters)
        step = solve(reduced, downhill)
        return step, float(step @ downhill)

    def _slopes(self, state: _State, pose_parameters: int) -> Floats:
        """(parameters, 2 * samples) change of the model with pose, places of tubes, and their diameter."""
        count = len(self._start.centres)
        of_regions = state.amplitudes[: len(state.amplitudes) - count]
        of_tubes = state.amplitudes[len(state.amplitudes) - count :]
        parts = []
        if pose_parameters:
            model = np.tensordot(of_regions, self._region_columns(state.pose)[0], axes=1).astype(np.complex64)
            parts.append(self._regions.derivatives(state.pose, of_regions, model, pose_parameters))
        if count:
            parts.append((state.moved * of_tubes[:, None, None]).reshape(2 * count, -1).astype(np.complex64))
        if self._fits_diameter:
            parts.append(np.tensordot(of_tubes, state.wider, axes=1)[None].astype(np.complex64))
        if self._leaning:
            leaned = self._tubes.leaning(state.discs, state.columns) * of_tubes[:, None, None]
            parts.append(leaned.reshape(3 * count, -1).astype(np.complex64))
        return self._real(np.concatenate(parts)) if parts else np.empty((0, state.residual.size))

    def _precision(self, amplitudes: Floats, pose_parameters: int) -> Floats:
        """What is known beforehand of each parameter: one over its variance."""
        places = np.full(2 * len(self._start.centres), _TUBE_PLACE**-2.0)
        diameter = np.full(int(self._fits_diameter), _TUBE_DIAMETER**-2.0)
        return np.concatenate([np.zeros(pose_parameters), places, diameter, self._spread_precision(amplitudes)])

    def _spread_precision(self, amplitudes: Floats) -> Floats:
        if not self._leaning:
            return np.zeros(0)
        strength = np.abs(amplitudes[len(amplitudes) - len(self._start.centres) :])
        strong = strength >= _STRONG * strength.max()
        return np.repeat(np.where(strong, _TUBE_SPREAD**-2.0, 1.0), 3)

    def _offsets(self, state: _State, pose_parameters: int) -> Floats:
        """How far each parameter is from where it was found."""
        places = (state.discs.centres - self._start.centres).reshape(-1)
        diameter = [state.discs.diameter - self._start.diameter] if self._fits_diameter else []
        spread = (
            np.zeros(3 * len(self._start.centres)) if state.discs.spread is None else state.discs.spread.reshape(-1)
        )
        return np.concatenate([np.zeros(pose_parameters), places, diameter, spread if self._leaning else spread[:0]])

    def _moved(self, state: _State, step: Floats, pose_parameters: int) -> _State:
        count = len(self._start.centres)
        pose = state.pose.moved(step[:pose_parameters]) if pose_parameters else state.pose
        places = step[pose_parameters : pose_parameters + 2 * count].reshape(count, 2)
        place = pose_parameters + 2 * count
        wider = float(step[place]) if self._fits_diameter else 0.0
        spread = state.discs.spread
        if self._leaning:
            more = step[place + self._fits_diameter :].reshape(count, 3)
            spread = more if spread is None else spread + more
        return self._at(pose, TubeDiscs(state.discs.centres + places, state.discs.diameter + wider, spread))

    def _at(self, pose: Pose, discs: TubeDiscs) -> _State:
        columns, moved, wider = self._tubes.columns(discs, self._fits_diameter)
        linear = np.concatenate([self._region_columns(pose)[1], self._real(columns)])
        samples = self._real(self._samples[None])[0]
        amplitudes = solve(linear @ linear.T, linear @ samples)
        residual = samples - amplitudes @ linear
        state = _State(pose, discs, linear, amplitudes, residual, columns, moved, wider, 0.0)
        return replace(state, penalty=float(self._precision(amplitudes, 0) @ self._offsets(state, 0) ** 2))

    def _region_columns(self, pose: Pose) -> tuple[Complexes, Floats]:
        """Columns of the regions, and the same whitened; kept while the pose stays."""
        if self._kept is None or self._kept[0] != pose:
            columns = self._regions.columns(pose)
            self._kept = pose, columns, self._real(columns)
        return self._kept[1:]

    def _real(self, columns: Complexes) -> Floats:
        """(columns, 2 * samples) whitened: real and imaginary parts as values of their own."""
        weighted = np.ascontiguousarray(columns * self._weighting, np.complex64)
        return weighted.view(np.float32).astype(np.float64)

    def _finished(self, state: _State, before: _State | None) -> AmplitudeFit:
        count = self._pose.parameters
        slopes = self._slopes(state, count)
        design = np.concatenate([state.linear, slopes])
        normal = design @ design.T
        unknowns = len(state.amplitudes)
        normal[unknowns:, unknowns:] += np.diag(self._precision(state.amplitudes, count))
        covariance = inverse(normal)
        errors = np.sqrt(np.diagonal(covariance)[unknowns : unknowns + count])
        padded = np.concatenate([errors, np.zeros(4 - count)])
        padded[2] = np.degrees(padded[2])
        padded[3] *= state.pose.scale
        gain = before.cost - state.cost if before is not None else 0.0
        estimator = np.ascontiguousarray(covariance[:unknowns] @ design, np.float32).view(np.complex64)
        residual = state.residual.astype(np.float32).view(np.complex64)
        return AmplitudeFit(
            amplitudes=state.amplitudes,
            covariance=covariance[:unknowns, :unknowns],
            discs=state.discs,
            pose=replace(state.pose, standard_error=tuple(padded.tolist())),
            chi_squared=float(state.residual @ state.residual),
            freedom=state.residual.size - unknowns,
            noise_is_known=self._known,
            gain=gain,
            estimator=(estimator * self._weighting).astype(np.complex64),
            residual=(residual / self._weighting).astype(np.complex64),
        )


def _check_fall(before: float, after: float, freedom: int) -> None:
    """Refuse a pose after which the labels explain the scan hardly better than before, and badly."""
    excess, gain = after - freedom, before - after
    if excess > _HOPELESS * (2 * freedom) ** 0.5 and gain < excess:
        raise RegionError(
            f"no pose makes the labels fit the scan: the residual fell from {before / freedom:.2f} to "
            f"{after / freedom:.2f} times the noise's; check that they belong to this scan"
        )
