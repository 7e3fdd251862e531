"""Trajectories from files of every kind."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.sampling.spiral import SpiralDesign
from nadenoise_core.sampling.trajectory_file import read_trajectory

K = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 30, 2))


def write_npz(path):
    np.savez(path, trajectory=K, dwell=1.0)


def write_h5(path):
    with h5py.File(path, "w") as file:
        file["trajectory"], file["dwell"] = K, 1.0


def write_only(path):
    with h5py.File(path, "w") as file:
        file["k"] = np.concatenate([K, np.ones((4, 30, 1))], axis=-1)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("k.npy", lambda path: np.save(path, K)),
        ("k.npz", write_npz),
        ("k.h5", write_h5),
        ("k.HDF5", write_only),
    ],
)
def test_arrays_are_read(name, write, tmp_path):
    write(tmp_path / name)
    file = read_trajectory(tmp_path / name)
    np.testing.assert_array_equal(file.k, K)
    assert file.unit is None


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("none.npy", lambda path: None, "no such file"),
        ("k.txt", lambda path: path.write_text("1 2"), "must end in .npy, .npz, .h5, .hdf5, .seq"),
        ("k.npy", lambda path: path.write_bytes(b"no array"), "cannot be read as a trajectory"),
        ("k.npy", lambda path: np.save(path, np.array([{}], dtype=object)), "cannot be read as a trajectory"),
        ("k.h5", lambda path: path.write_bytes(b"no HDF5"), "cannot be read as a trajectory"),
        ("k.npy", lambda path: np.save(path, K[0]), "shape (30, 2)"),
        ("k.npy", lambda path: np.save(path, K * 1j), "real numbers"),
        ("k.npy", lambda path: np.save(path, np.where(K > 0.4, np.nan, K)), "NaN or infinite"),
        ("k.npz", lambda path: np.savez(path, a=K, b=K), "holds a, b; call the array 'trajectory'"),
        ("k.seq", lambda path: path.write_text("no sequence"), "k.seq"),
    ],
)
def test_what_is_no_trajectory_is_told(name, write, words, tmp_path):
    write(tmp_path / name)
    with pytest.raises(BadInputError) as caught:
        read_trajectory(tmp_path / name)
    assert words in str(caught.value) and len(str(caught.value).splitlines()) == 1


def test_the_readouts_of_a_pulseq_sequence_are_its_different_arms(tmp_path):
    """A spiral played out on the gradients' raster, with a navigator before and every arm twice."""
    pypulseq = pytest.importorskip("pypulseq")
    design = SpiralDesign(interleaves=6, dwell_time=10.0, delay=0.0, oversampling=2.0)
    arms = 1000 * design.trajectory()  # cycles/mm to 1/m
    system = pypulseq.Opts(max_grad=60, grad_unit="mT/m", max_slew=5000, slew_unit="T/m/s", grad_raster_time=10e-6)
    sequence = pypulseq.Sequence(system=system)
    samples = arms.shape[1] - 1
    sequence.add_block(pypulseq.make_adc(num_samples=16, dwell=10e-6, system=system))
    for _ in range(2):
        for arm in arms:
            # Between the edges of the raster, where Pulseq puts the samples of a waveform, the gradient is constant.
            waveform = np.diff(arm, axis=0) / 10e-6
            waveform = np.concatenate([waveform, np.linspace(1, 0, 50)[:, None] * waveform[-1]])
            gradients = [
                pypulseq.make_arbitrary_grad(axis, waveform[:, n], system=system) for n, axis in enumerate("xy")
            ]
            sequence.add_block(pypulseq.make_block_pulse(0.1, duration=1e-4, system=system))
            sequence.add_block(*gradients, pypulseq.make_adc(num_samples=samples, dwell=10e-6, system=system))
    sequence.write(str(tmp_path / "spiral.seq"))
    file = read_trajectory(tmp_path / "spiral.seq")
    assert file.k.shape == (6, samples, 2) and file.unit == "1/m"
    middle = (arms[:, :-1] + arms[:, 1:]) / 2  # where the samples of an ADC are taken
    np.testing.assert_allclose(file.k, middle, rtol=0, atol=0.01 * np.abs(arms).max())
