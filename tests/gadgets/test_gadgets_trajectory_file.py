"""Trajectories from a file in place of the acquisitions'."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError, ChainError, TrajectoryError
from nadenoise_core.mrd.buffer import unpack
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.phantom import kspace, random_calf


@pytest.fixture(scope="module")
def scan(measured):
    measurement, items = measured(averages=2, half_pulses=False)
    k = np.stack([items[interleaf].traj for interleaf in range(20)])  # cycles/pixel
    return measurement.header_xml(), items, k


@pytest.fixture
def accumulate(run_chain, tmp_path):
    def run(header, items, k, **properties):
        np.save(tmp_path / "k.npy", k)
        given = {"trajectory": "file", "trajectory_file": str(tmp_path / "k.npy"), **properties}
        (item,) = run_chain([("accumulate", given)], header, items)
        return unpack(item[0].data)

    return run


@pytest.mark.parametrize("scale", [1.0, 2 * np.pi, 80.0, 1000 / 2.25])
@pytest.mark.parametrize("own", [True, False])
def test_it_takes_the_place_of_the_acquisitions(scale, own, scan, accumulate, changed):
    header, items, k = scan
    if not own:
        items = [changed(a, trajectory=np.zeros((510, 0), np.float32)) for a in items]
    readouts = accumulate(header, items, scale * k.astype(np.float64))
    np.testing.assert_allclose(readouts.trajectory, k, rtol=0, atol=1e-6)


def test_its_arms_are_those_of_the_interleaves_in_their_order(scan, accumulate, changed):
    header, items, k = scan
    moved = [changed(a, kspace_encode_step_1=64 + a.idx.kspace_encode_step_1) for a in items[::-1]]
    readouts = accumulate(header, moved, k)
    np.testing.assert_allclose(readouts.trajectory, k, rtol=0, atol=1e-6)
    np.testing.assert_allclose(readouts.kspace[0, 3], (items[3].data[0] + items[23].data[0]) / 2, rtol=1e-5)


def test_it_is_delayed_as_the_acquisitions_would_be(scan, accumulate, run_chain):
    header, items, k = scan
    readouts = accumulate(header, items, k, trajectory_delay="3")
    (item,) = run_chain([("accumulate", {"trajectory_delay": "3"})], header, items)
    np.testing.assert_allclose(readouts.trajectory, unpack(item[0].data).trajectory, rtol=0, atol=1e-5)


def test_samples_that_are_discarded_may_be_in_it(scan, accumulate, changed):
    header, items, k = scan
    cut = [changed(a, discard_pre=4, discard_post=6) for a in items]
    for given in (k, k[:, 4:-6]):
        np.testing.assert_allclose(accumulate(header, cut, given).trajectory, k[:, 4:-6], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("cut", "words"),
    [
        (np.s_[:19], "20 interleaves came, interleaves is 19 .* by the trajectory_file"),
        (np.s_[:, :500], "k.npy: has 500 samples a readout, the acquisitions have 510"),
    ],
)
def test_one_that_does_not_fit_is_told(cut, words, scan, accumulate):
    header, items, k = scan
    with pytest.raises(BadInputError, match=words):
        accumulate(header, items, k[cut])
    with pytest.raises(TrajectoryError, match="k.npy: the trajectory"):
        accumulate(header, items, 25 * k)


def test_it_is_opened_before_the_first_sample(scan, run_chain, tmp_path):
    def never():
        raise AssertionError("a sample was read")
        yield

    given = {"trajectory": "file", "trajectory_file": str(tmp_path / "none.npy")}
    with pytest.raises(BadInputError, match="none.npy: no such file"):
        run_chain([("accumulate", given)], scan[0], never())
    for alone in ({"trajectory": "file"}, {"trajectory_file": "k.npy"}):
        with pytest.raises(ChainError, match="go together"):
            run_chain([("accumulate", alone)], scan[0], never())


class TestTrajectoriesOfTheirOwn:
    """Averages that a field camera places each: closed-form k-space at every place."""

    PIXEL = 2.25

    def averages(self, scan, changed, deviations):
        """The scan without noise, average n taken at (1 + deviations[n]) times kx + i ky."""
        _, items, k = scan
        calf = random_calf(3)
        made = []
        for average, deviation in enumerate(deviations):
            for interleaf in range(20):
                turned = (k[interleaf].astype(np.float64) @ [1, 1j]) * (1 + deviation)
                moved = np.stack([turned.real, turned.imag], axis=-1).astype(np.float32)
                samples = kspace(calf, moved / self.PIXEL, self.PIXEL)[None].astype(np.complex64)
                made.append(changed(items[interleaf], samples, moved, average=average))
        return made

    def test_average_where_they_are(self, scan, accumulate, run_chain, changed):
        deviations = 0.05 / 40 * np.array([0.45, -0.35, 0.15, -0.25])  # of k, which reaches 40 cycles/FOV
        header = scan[0].replace("<maximum>1</maximum>", "<maximum>3</maximum>")
        (item,) = run_chain(["accumulate"], header, self.averages(scan, changed, deviations))
        readouts, (_, _, k) = unpack(item[0].data), scan
        np.testing.assert_allclose(readouts.trajectory, k * (1 + deviations.mean()), rtol=0, atol=1e-6)
        exact = kspace(random_calf(3), readouts.trajectory.astype(np.float64) / self.PIXEL, self.PIXEL)
        first = kspace(random_calf(3), k * (1 + deviations[0]) / self.PIXEL, self.PIXEL)
        error, before = (np.linalg.norm(readouts.kspace[0] - truth) for truth in (exact, first))
        assert error < 0.005 * np.linalg.norm(exact) and error < before / 10

    TURNS = 1.5 / 40 * np.array([0.0, 1.0, -0.4, 0.5])  # radians

    def test_those_that_are_far_apart_are_gridded_together(self, scan, run_chain, changed, caplog):
        header = scan[0].replace("<maximum>1</maximum>", "<maximum>3</maximum>")
        far = self.averages(scan, changed, np.exp(1j * self.TURNS) - 1)
        (item,) = run_chain(["accumulate"], header, far)
        readouts, (_, _, k) = unpack(item[0].data), scan
        assert readouts.kspace.shape[1] == 80 and readouts.typical_averages == 4
        turned = (k @ [1, 1j])[:, None] * np.exp(1j * self.TURNS[:, None])
        np.testing.assert_allclose(readouts.trajectory.reshape(20, 4, -1, 2) @ [1, 1j], turned, atol=1e-5)
        assert "averages were taken at places of their own" in caplog.text
        placed = [changed(a, trajectory=k[a.idx.kspace_encode_step_1]) for a in far]
        straight, together, wrong = (
            pixels_of(run_chain(["accumulate", "reconstruct"], header, given)[0])
            for given in (self.averages(scan, changed, [0.0] * 4), far, placed)
        )
        error, before = (np.linalg.norm(image - straight) / np.linalg.norm(straight) for image in (together, wrong))
        assert error < 0.03 and before > 5 * error

    def test_their_noise_is_not_told_too_small(self, scan, run_chain, changed):
        header = scan[0].replace("<maximum>1</maximum>", "<maximum>7</maximum>")
        rng, noise = np.random.default_rng(5), 58.0
        deviations = 0.3 / 40 * rng.uniform(-1, 0, 8)

        def noisy(a):
            parts = noise * rng.standard_normal((*a.data.shape, 2), dtype=np.float32)
            return changed(a, a.data + parts.view(np.complex64)[..., 0])

        (item,) = run_chain(["accumulate"], header, [noisy(a) for a in self.averages(scan, changed, deviations)])
        readouts = unpack(item[0].data)
        assert readouts.kspace.shape[1] > 100  # a few lie near to one another
        assert 0.97 * noise < readouts.noise_std.max() < 1.1 * noise

    def test_one_average_apart_does_not_outweigh_the_others(self, scan, run_chain, changed):
        header = scan[0].replace("<maximum>1</maximum>", "<maximum>8</maximum>")
        rng = np.random.default_rng(5)

        def image(turns, noise=300.0):
            made = []
            for a in self.averages(scan, changed, np.exp(1j * np.array(turns)) - 1):
                parts = noise * rng.standard_normal((*a.data.shape, 2), dtype=np.float32)
                made.append(changed(a, a.data + parts.view(np.complex64)[..., 0]))
            return run_chain(["accumulate", "reconstruct"], header, made)[0]

        errors, levels = [], []
        for turns in ([0.0] * 9, [0.0] * 8 + [1.5 / 40]):
            noisy, exact = image(turns), image(turns, 0.0)
            errors.append(np.std(pixels_of(noisy) - pixels_of(exact)))
            levels.append(known_facts(noisy).noise_std)
        assert errors[1] < 1.15 * errors[0]  # half of the weight on one of nine would make it 1.6 times as much
        assert levels[1] == pytest.approx(levels[0], rel=0.15)

    def test_those_that_no_gradient_moves_so_far_are_refused(self, scan, run_chain, changed):
        far = self.averages(scan, changed, [0.0, -2.1 / 39])
        with pytest.raises(TrajectoryError, match=r"acquisition \d+ .*same interleaf before by 2.1 cycles/FOV"):
            run_chain(["accumulate"], scan[0], far)

    def test_half_pulses_cannot_be_apart(self, measured, run_chain, changed):
        measurement, items = measured(averages=2)
        apart = [changed(a, trajectory=a.traj * np.float32(1 - 0.5 / 39 * a.idx.average)) for a in items]
        with pytest.raises(TrajectoryError, match="places of their own, where half-pulses do not cancel"):
            run_chain(["accumulate"], measurement.header_xml(), apart)

    def test_half_pulses_must_lie_together(self, measured, run_chain, changed):
        measurement, items = measured(averages=2)
        apart = [changed(a, trajectory=a.traj * np.float32(1 + 0.02 / 39 * a.idx.set)) for a in items]
        with pytest.raises(TrajectoryError, match="of the other half-pulse of interleaf 0 by 0.02"):
            run_chain(["accumulate"], measurement.header_xml(), apart)
