"""Trajectories from a file in place of the acquisitions'."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError, ChainError, TrajectoryError
from nadenoise_core.mrd.buffer import unpack


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
