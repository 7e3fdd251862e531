"""Total variation against another solver, and what it makes of calves."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest

from nadenoise_core.device import Device
from nadenoise_core.phantom import Label, labels, true_muscle
from nadenoise_core.quantify.atsc import TubeSetup, concentration_map
from nadenoise_core.recon.model import SignalModel
from nadenoise_core.recon.settings import Settings
from nadenoise_core.recon.total_variation import edge_weights, total_variation

ROWS, COLUMNS = 12, 9


def slopes(image: np.ndarray) -> np.ndarray:
    """To the next pixel down and to the right, periodic."""
    return np.stack([np.roll(image, -1, 0) - image, np.roll(image, -1, 1) - image])


def adjoint_slopes(pair: np.ndarray) -> np.ndarray:
    return np.roll(pair[0], 1, 0) - pair[0] + np.roll(pair[1], 1, 1) - pair[1]


class Small:
    """An undersampled image of ROWS x COLUMNS: the model, and the dense matrix of the same."""

    def __init__(self) -> None:
        rng = np.random.default_rng(3)
        k = rng.uniform(-0.5, 0.5, (4, 20, 2))
        weights = rng.uniform(0.5, 1.5, (4, 20)).astype(np.float32) / 80
        x, y = np.meshgrid(np.arange(COLUMNS) - COLUMNS // 2, np.arange(ROWS) - ROWS // 2)
        dense = np.exp(-2j * np.pi * (np.outer(k[..., 1], y) + np.outer(k[..., 0], x)))
        image = np.where(np.hypot(y + 1, x) < 3.5, 10 * np.exp(0.7j), 2j)
        data = dense @ image.ravel() + rng.standard_normal((80, 2)).view(complex)[:, 0]
        self.model = SignalModel(k, weights, (ROWS, COLUMNS), Device())
        self.normal = dense.conj().T @ (weights.reshape(-1, 1) * dense)
        self.gridded = (dense.conj().T @ (weights.ravel() * data)).reshape(ROWS, COLUMNS)

    def solved_otherwise(self, gridded: np.ndarray, weight: float | np.ndarray, isotropic: bool) -> np.ndarray:
        """Chambolle and Pock's primal-dual method (J Math Imaging Vis 40:120, 2011), in double precision."""
        step = 0.99 / np.sqrt(8)
        inverse = np.linalg.inv(np.eye(ROWS * COLUMNS) + step * self.normal)
        image, dual = gridded.copy(), slopes(np.zeros_like(gridded))
        ahead = image
        for _ in range(20000):
            dual = dual + step * slopes(ahead)
            length = np.sqrt((np.abs(dual) ** 2).sum(axis=0)) if isotropic else np.abs(dual)
            dual = dual / np.maximum(length / weight, 1)
            before = image
            towards = image - step * (adjoint_slopes(dual) - gridded)
            image = (inverse @ towards.ravel()).reshape(image.shape)
            ahead = 2 * image - before
            if np.linalg.norm(image - before) < 1e-10 * np.linalg.norm(image):
                break
        return image

    def solved(
        self, weight: float, isotropic: bool, refinements: int, relative: np.ndarray | None = None
    ) -> np.ndarray:
        circulant = np.maximum(self.model.circulant, 1e-3)
        return total_variation(
            self.gridded.astype(np.complex64), self.model.normal, circulant, weight, 0.3, Device(),
            isotropic, refinements, tolerance=1e-7, iterations=5000, relative=relative,
        ).image  # fmt: skip


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


@pytest.mark.parametrize("isotropic", [True, False])
@pytest.mark.parametrize("weight", [0.1, 0.5])
def test_it_is_the_minimiser(weight, isotropic, small, relative) -> None:
    expected = small.solved_otherwise(small.gridded, weight, isotropic)
    other_norm = small.solved_otherwise(small.gridded, weight, not isotropic)
    found = small.solved(weight, isotropic, 0)
    assert found.dtype == np.complex64
    assert relative(found, expected) < 2e-4
    assert relative(other_norm, expected) > 2e-3  # so the test can tell the two


@pytest.mark.parametrize("isotropic", [True, False])
def test_it_is_the_minimiser_where_weights_differ(isotropic, small, relative) -> None:
    weights = np.random.default_rng(8).uniform(0.05, 1.0, (ROWS, COLUMNS)).astype(np.float32)
    expected = small.solved_otherwise(small.gridded, 0.5 * weights, isotropic)
    assert relative(small.solved(0.5, isotropic, 0, weights), expected) < 3e-4
    assert relative(small.solved(0.5, isotropic, 0), expected) > 2e-3


def test_edges_have_less_weight() -> None:
    """A roof of slope s has 1 / (1 + (s / edge)^2); a steep step has the least there is, and flat land 1."""
    roof = np.tile(0.3 * np.abs(np.arange(60) - 30.0), (60, 1)).astype(np.complex64)
    for edge in (0.1, 0.3, 3.0):
        weights = edge_weights(roof, edge, Device())
        np.testing.assert_allclose(weights, 1 / (1 + (0.3 / edge) ** 2), rtol=1e-4)
        assert weights.dtype == np.float32
    step = np.where(np.arange(60) < 30, 0, 50).astype(np.complex64)[:, None] * np.ones((1, 60), np.complex64)
    assert edge_weights(step, 1.0, Device())[29].max() == np.float32(0.02)
    assert edge_weights(step, 1.0, Device())[15].min() > 0.99
    np.testing.assert_array_equal(edge_weights(np.ones((8, 8), np.complex64), 0.1, Device()), 1)


def test_spared_edges_keep_thin_skin_and_the_weakest_tube(reconstruction, calf_scan) -> None:
    """At 30 averages, beside total variation that leaves as much noise in the air around the leg."""
    lost: dict[str, list[float]] = {"plain": [], "spared": []}
    noise: dict[str, list[float]] = {"plain": [], "spared": []}
    for seed in (1, 2, 3):
        scan = calf_scan(seed)
        skin = labels(scan.calf, 80, 180.0, None) == Label.SKIN
        air = labels(scan.calf, 80, 180.0, 7.0) == Label.BACKGROUND
        clean = reconstruction("gridding")(scan.kspace, np.ones(20)).image
        phase = np.exp(-1j * np.angle(clean.sum()))
        settings = {"plain": {"weight": 0.55}, "spared": {"weight": 0.75, "edge": 0.15}}
        for name, chosen in settings.items():
            image = reconstruction("total_variation", refinements=0, **chosen)(*scan.noisy(30)).image
            lost[name].append(float(((image - clean) * phase).real[skin].mean()))
            noise[name].append(float((image * phase).real[air].std()))
    assert np.mean(noise["spared"]) < 1.1 * np.mean(noise["plain"])
    assert -1.0 < np.mean(lost["spared"]) < 0 and np.mean(lost["plain"]) < 2 * np.mean(lost["spared"])


def test_spared_edges_start_from_fewer_averages_too(solve, calf_scan, relative) -> None:
    settings = {"weight": 0.75, "edge": 0.15, "refinements": 0}
    earlier = solve(*calf_scan(1).noisy(20), **settings)
    alone, warm = (solve(*calf_scan(1).noisy(30), start=start, **settings) for start in (None, earlier))
    assert warm.pilot is not None and warm.pilot.iterations < alone.pilot.iterations
    assert relative(warm.image, alone.image) < 1e-2


@pytest.mark.parametrize("isotropic", [True, False])
def test_a_refinement_adds_back_what_is_unexplained(isotropic, small, relative) -> None:
    weight = 0.5
    first = small.solved_otherwise(small.gridded, weight, isotropic)
    unexplained = small.gridded - (small.normal @ first.ravel()).reshape(first.shape)
    second = small.solved_otherwise(small.gridded + unexplained, weight, isotropic)
    assert relative(small.solved(weight, isotropic, 1), second) < 2e-4
    assert relative(first, second) > 0.02


def test_no_weight_to_speak_of_leaves_least_squares(small, relative) -> None:
    """A weight near 0: the image explains the data as well as any image can."""
    found = small.solved(1e-5, True, 0)
    left = small.gridded - (small.normal @ found.ravel()).reshape(found.shape)
    assert np.linalg.norm(left) < 1e-3 * np.linalg.norm(small.gridded)


def test_a_weight_beyond_all_leaves_the_mean(small) -> None:
    found = small.solved(100.0, True, 0)
    assert np.abs(found - found.mean()).max() < 1e-3 * abs(found.mean())


@pytest.fixture(scope="module")
def solve(reconstruction):
    """The solution for k-space of a known noise level."""

    def solve(kspace, std, start=None, **settings):
        return reconstruction("total_variation", **settings)(kspace, std, start).solution

    return solve


@cache
def converged(reconstruction, scan, averages: int, iterations: int):
    """The plain problem in many iterations."""
    made, (kspace, std) = reconstruction("total_variation", weight=1.2, refinements=0), scan.noisy(averages)
    model = made._model
    noise_std = reconstruction("gridding")(kspace, std).noise_std
    circulant = np.maximum(model.circulant, 1e-3)
    return total_variation(
        model.grid(kspace)[0], model.normal, circulant, 1.2 * noise_std, 2.4, Device(),
        refinements=0, tolerance=0, iterations=iterations,
    )  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_ends_near_the_minimiser(seed, solve, calf_scan, reconstruction, relative) -> None:
    scan = calf_scan(seed)
    quick = solve(*scan.noisy(30), weight=1.2, refinements=0)
    assert quick.iterations < 100
    assert quick.change < 2.5e-5
    exact = converged(reconstruction, scan, 30, 10 * quick.iterations)
    assert relative(quick.image, exact.image) < 8e-4


@pytest.mark.parametrize("refinements", [0, 1])
def test_a_warm_start_ends_at_the_same_image_sooner(refinements, solve, calf_scan, noise, relative) -> None:
    """The average of 30 has that of the first 25 in it."""
    scan, weight = calf_scan(1), (1.2, 3.0)[refinements]
    std = scan.noisy(1)[1][0]
    early, late = (noise(*scan.kspace.shape, seed=seed) for seed in (1, 2))
    settings = {"weight": weight, "refinements": refinements}
    before = solve(scan.kspace + std / np.sqrt(25) * early, np.full(20, std / np.sqrt(25)), **settings)
    kspace = scan.kspace + std * (25 * early / np.sqrt(25) + 5 * late / np.sqrt(5)) / 30
    level = np.full(20, std / np.sqrt(30))
    cold, warm = (solve(kspace, level, start, **settings) for start in (None, before))
    assert relative(before.image, cold.image) > 0.03
    assert relative(warm.image, cold.image) < 3e-3
    assert warm.iterations < 0.9 * cold.iterations


@pytest.fixture(scope="module")
def rmse(solve, calf_scan, disc):
    """Root mean square error within the disc, mean of three draws of noise, mmol/L."""

    @cache
    def error(averages: int, **settings) -> float:
        scan = calf_scan(1)
        images = [solve(*scan.noisy(averages, seed), **settings).image for seed in range(3)]
        return float(np.mean([np.sqrt(np.mean(np.abs(image - scan.truth)[disc] ** 2)) for image in images]))

    return error


def test_it_is_much_nearer_to_the_truth_than_gridding(rmse, calf_scan, reconstruction, disc) -> None:
    scan = calf_scan(1)
    gridded = reconstruction("gridding")(*scan.noisy(30)).image
    assert rmse(30) < 0.3 * np.sqrt(np.mean(np.abs(gridded - scan.truth)[disc] ** 2))


@pytest.mark.parametrize("averages", [10, 30, 150])
def test_a_refinement_is_worth_it(averages, rmse) -> None:
    plain = min(rmse(averages, weight=weight, refinements=0) for weight in (0.9, 1.2, 1.5))
    assert rmse(averages) < 0.99 * plain


@pytest.mark.parametrize("averages", [10, 150])
def test_one_weight_serves_few_and_many_averages(averages, rmse) -> None:
    best = min(rmse(averages, weight=weight) for weight in (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0))
    assert rmse(averages, weight=Settings.weight) < 1.05 * best


@pytest.mark.parametrize("averages", [30, 150])
def test_muscle_is_right_by_a_calibration_through_zero(averages, solve, calf_scan) -> None:
    """Contrast comes back too strongly, by 2 to 7 % in tubes and muscle alike, so that calibration takes it out."""
    errors = []
    for seed in (1, 2, 3):
        scan = calf_scan(seed)
        tubes = scan.calf.tubes
        setup = TubeSetup(tuple(tube.concentration for tube in tubes), 20.0, tuple(tube.centre for tube in tubes))
        for draw in range(2):
            image = solve(*scan.noisy(averages, draw)).image
            found = concentration_map(image, (2.25, 2.25), setup, 0.5 / 2.25, through_zero=True)
            errors.append(found.values[scan.muscle].mean() - true_muscle(scan.calf, 80, 180.0, margin=2.25))
    assert abs(np.mean(errors)) < 0.5


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_the_data_is_that_of_the_image(scale, solve, calf_scan, relative) -> None:
    kspace, std = calf_scan(1).noisy(30)
    one, other = solve(kspace, std), solve(scale * kspace, scale * std)
    assert other.image.dtype == np.complex64
    assert relative(other.image, scale * one.image) < 1e-4


def test_a_phase_of_the_data_is_that_of_the_image(solve, calf_scan, relative) -> None:
    kspace, std = calf_scan(1).noisy(30)
    assert relative(solve(1j * kspace, std).image, 1j * solve(kspace, std).image) < 1e-4


def test_zeros_give_zeros(solve) -> None:
    solution = solve(np.zeros((1, 20, 510), np.complex64), np.ones(20))
    np.testing.assert_array_equal(solution.image, 0)


@pytest.mark.parametrize("level", [0.0, np.nan])
def test_without_a_noise_level_the_image_is_gridded(level, calf_scan, reconstruction) -> None:
    kspace, noise_std = calf_scan(1).kspace, np.full(20, level)
    result = reconstruction("total_variation")(kspace, noise_std)
    np.testing.assert_array_equal(result.image, reconstruction("gridding")(kspace, noise_std).image)
    assert result.method == "gridding" and "noise level" in result.remarks[0]


def test_the_noise_of_the_image_is_not_claimed(calf_scan, reconstruction) -> None:
    assert np.isnan(reconstruction("total_variation")(*calf_scan(1).noisy(30)).noise_std)


@pytest.mark.gpu
@pytest.mark.parametrize("isotropic", [True, False])
def test_gpu_and_cpu_agree(isotropic, gpu, calf_scan, reconstruction, relative) -> None:
    """Rounding decides when iterations end, so that they agree as well as they converge."""
    kspace, std = calf_scan(1).noisy(30)
    make = partial(reconstruction, "total_variation", isotropic=isotropic)
    on_cpu, on_gpu = (make(device)(kspace, std) for device in (Device(), gpu))
    assert relative(on_gpu.image, on_cpu.image) < 3e-3
    again = make(gpu)(kspace, std, on_gpu.solution)
    assert again.solution.iterations < on_gpu.solution.iterations
    assert relative(again.image, on_cpu.image) < 5e-3
