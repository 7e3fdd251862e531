"""Averaged interleaves as Gadgetron's buffer: what goes over the wire comes back."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace

import ismrmrd
import numpy as np
import pytest
from gadgetron.types.recon_data import read_recon_data, write_recon_data
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.buffer import pack, unpack
from nadenoise_core.sampling.trajectory import Encoding

# gadgetron-python's own reader of headers.
pytestmark = pytest.mark.filterwarnings("ignore:A builtin ctypes object gave a PEP3118:RuntimeWarning")

ENCODING = Encoding((40, 80), (90.0, 180.0), (48, 96), (108.0, 216.0))


def make(coils: int, interleaves: int, samples: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    kspace = (rng.standard_normal((coils, interleaves, samples, 2))).astype(np.float32).view(np.complex64)[..., 0]
    trajectory = rng.uniform(-0.5, 0.5, (interleaves, samples, 2)).astype(np.float32)
    averages = rng.integers(1, 151, interleaves)
    noise = rng.uniform(0, 3, interleaves).astype(np.float32)
    headers = []
    for index in range(interleaves):
        header = ismrmrd.AcquisitionHeader()
        header.idx.kspace_encode_step_1 = index
        header.measurement_uid, header.sample_time_us = 1234567890, 14.8
        header.position[:], header.read_dir[:] = (1.5, -2.5, 3.25), (0.6, 0.8, 0.0)
        header.discard_pre = 4
        headers.append(header)
    return kspace, trajectory, averages, noise, headers


def packed(kspace, trajectory, averages, noise, headers, replicas=()):
    mean = SimpleNamespace(kspace=kspace, averages=averages, noise_std=noise)
    return pack(mean, trajectory, headers, ENCODING, replicas)


def over_the_wire(data):
    stream = io.BytesIO()
    write_recon_data(stream, data)
    sent = stream.getvalue()
    stream = io.BytesIO(sent[2:])
    received = read_recon_data(stream)
    assert not stream.read(1)
    return sent, received


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_round_trip(coils, interleaves, samples, seed):
    kspace, trajectory, averages, noise, headers = make(coils, interleaves, samples, seed)
    noise[0] = np.nan
    _, received = over_the_wire(packed(kspace, trajectory, averages, noise, headers))
    (bit,) = received
    readouts = unpack(bit.data)
    assert readouts.kspace.dtype == np.complex64 and readouts.trajectory.dtype == np.float32
    np.testing.assert_array_equal(readouts.kspace, kspace)
    np.testing.assert_array_equal(readouts.trajectory, trajectory)
    np.testing.assert_array_equal(readouts.averages, averages)
    np.testing.assert_array_equal(readouts.noise_std, noise)
    assert readouts.header.measurement_uid == 1234567890
    assert list(readouts.header.position) == [1.5, -2.5, 3.25]


def test_times_are_counted_from_the_echo():
    reach = np.concatenate([np.linspace(-0.5, 0, 4)[:-1], np.linspace(0, 0.5, 3)])
    for step, echo in ((1, 3), (-1, 2)):
        kspace, _, averages, noise, headers = make(1, 2, 6)
        trajectory = np.stack([reach[::step], 0.3 * reach[::step]], axis=-1).astype(np.float32)
        (bit,) = packed(kspace, np.stack([trajectory, -trajectory]), averages, noise, headers)
        np.testing.assert_allclose(unpack(bit.data).sample_times, 14.8e-6 * (np.arange(6) - echo), rtol=1e-6)


def test_bytes_are_what_gadgetron_reads():
    kspace, trajectory, averages, noise, headers = make(2, 3, 5)
    sent, _ = over_the_wire(packed(kspace, trajectory, averages, noise, headers))
    assert struct.unpack_from("<HQ", sent) == (1023, 1)
    assert struct.unpack_from("<8Q", sent, 10) == (7, 5, 3, 1, 2, 1, 1, 1)  # samples, interleaves, ..., coils, ...
    data = np.frombuffer(sent, np.complex64, 5 * 3 * 2, 74)  # samples run fastest, then interleaves
    assert data[:5].tolist() == kspace[0, 0].tolist()
    assert data[5:10].tolist() == kspace[0, 1].tolist()
    assert data[15:20].tolist() == kspace[1, 0].tolist()
    start = 74 + 8 * data.size
    assert sent[start] == 1  # there is a trajectory
    assert struct.unpack_from("<8Q", sent, start + 1) == (7, 2, 5, 3, 1, 1, 1, 1)
    k = np.frombuffer(sent, np.float32, 4, start + 65)
    assert k.tolist() == [*trajectory[0, 0], *trajectory[0, 1]]


def test_headers_and_sampling_describe_what_is_left():
    kspace, trajectory, averages, noise, headers = make(2, 3, 5)
    _, received = over_the_wire(packed(kspace, trajectory, averages, noise, headers))
    buffer = received[0].data
    assert buffer.headers.shape == (3, 1, 1, 1, 1)
    for index, header in enumerate(buffer.headers.ravel()):
        assert (header.number_of_samples, header.active_channels, header.trajectory_dimensions) == (5, 2, 2)
        assert header.discard_pre == 0  # those samples are gone
        assert header.idx.kspace_encode_step_1 == index
    assert headers[0].discard_pre == 4  # the scanner's own header is left alone
    assert list(buffer.sampling.recon_matrix) == [80, 40, 1]
    assert list(buffer.sampling.recon_FOV)[:2] == [180.0, 90.0]
    assert list(buffer.sampling.encoded_matrix) == [96, 48, 1]
    assert [tuple(limit) for limit in buffer.sampling.sampling_limits] == [(0, 2, 4), (0, 1, 2), (0, 0, 0)]


def test_a_buffer_without_trajectory_is_refused():
    data = packed(*make(1, 2, 3))
    data[0].data.trajectory = None
    with pytest.raises(RawDataError, match="no trajectory"):
        unpack(data[0].data)


@pytest.mark.parametrize("axis", [2, 4, 5, 6])
def test_a_buffer_of_several_sets_is_refused(axis):
    data = packed(*make(1, 2, 3))
    data[0].data.data = np.repeat(data[0].data.data, 2, axis=axis)
    with pytest.raises(RawDataError, match="the buffer has shape"):
        unpack(data[0].data)


def test_replicas_follow_their_image():
    kspace, trajectory, averages, noise, headers = make(2, 3, 5)
    others = [make(2, 3, 5, seed) for seed in (1, 2)]
    replicas = [SimpleNamespace(kspace=other[0], averages=other[2], noise_std=other[3]) for other in others]
    sent, received = over_the_wire(packed(kspace, trajectory, averages, noise, headers, replicas))
    assert struct.unpack_from("<8Q", sent, 10) == (7, 5, 3, 1, 2, 3, 1, 1)  # along N, as Gadgetron names it
    readouts = unpack(received[0].data)
    np.testing.assert_array_equal(readouts.kspace, kspace)
    np.testing.assert_array_equal(readouts.averages, averages)
    assert len(readouts.replicas) == 2
    for replica, other in zip(readouts.replicas, others, strict=True):
        np.testing.assert_array_equal(replica.kspace, other[0])
        np.testing.assert_array_equal(replica.averages, other[2])
        np.testing.assert_array_equal(replica.noise_std, other[3])
        np.testing.assert_array_equal(replica.trajectory, trajectory)
        assert replica.replicas == ()
