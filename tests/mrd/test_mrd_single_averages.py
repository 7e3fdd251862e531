"""The single averages of a raw file against the averages of the stream, with every setting of `accumulate`."""

from __future__ import annotations

import numpy as np
import pytest

from nadenoise_core.errors import RawDataError
from nadenoise_core.mrd.buffer import unpack
from nadenoise_core.mrd.rawfile import write_raw_file
from nadenoise_core.mrd.settings import AveragingSettings, averaging_settings
from nadenoise_core.mrd.single_averages import read_averages

RESPONSE = "frequency_Hz,x_re,x_im,y_re,y_im,z_re,z_im\n0,1,0,1,0,1,0\n40000,0.9,-0.2,0.8,-0.3,1,0\n"


@pytest.fixture
def settings(tmp_path, request):
    """Settings as texts; "girf" stands for the path of a response."""
    (tmp_path / "girf.csv").write_text(RESPONSE)
    return [text.replace("girf=", f"girf={tmp_path / 'girf.csv'}") for text in request.param]


@pytest.mark.parametrize(
    "settings",
    [
        [],
        ["conjugate_kspace=true"],
        ["correct_half_pulse_phase=true"],
        ["trajectory=spiral"],
        ["trajectory_delay=2.5"],
        ["girf="],
        ["average_counter=repetition", "half_pulse_counter=segment", "interleaf_counter=kspace_encode_step_2"],
    ],
    indirect=True,
)
def test_their_mean_is_what_the_stream_gives(settings, tmp_path, measured, changed, run_chain):
    measurement, items = measured(averages=3, coils=2, half_pulse_phase=20.0)
    header = measurement.header_xml()
    if "average_counter=repetition" in settings:
        header = header.replace("average>", "repetition>").replace("kspace_encoding_step_1", "kspace_encoding_step_2")
        header = header.replace("set>", "segment>")
        items = [
            changed(a, repetition=a.idx.average, segment=a.idx.set, kspace_encode_step_2=a.idx.kspace_encode_step_1,
                    average=0, set=0, kspace_encode_step_1=0)
            for a in items
        ]  # fmt: skip
    write_raw_file(tmp_path / "raw.h5", header, items)
    single = read_averages(tmp_path / "raw.h5", averaging_settings(settings))
    properties = dict(text.split("=") for text in settings)
    (buffer,) = run_chain([("accumulate", properties)], header, items[1:])  # without the noise scan, which passes
    streamed = unpack(buffer[0].data)
    assert single.kspace.shape == (3, 2, 20, 510) and single.matrix == (80, 80)
    largest = np.abs(streamed.kspace).max()
    np.testing.assert_allclose(single.mean.whitened().kspace, streamed.kspace, rtol=0, atol=1e-5 * largest)
    np.testing.assert_allclose(single.kspace.mean(axis=0), single.mean.kspace, rtol=0, atol=1e-5 * largest)
    np.testing.assert_array_equal(single.trajectory, streamed.trajectory)
    np.testing.assert_allclose(single.mean.noise_std, streamed.noise_std, rtol=1e-6)


def test_each_is_the_sum_of_its_own_half_pulses(tmp_path, measured):
    measurement, items = measured(averages=3)
    write_raw_file(tmp_path / "raw.h5", measurement.header_xml(), items[::-1])
    single = read_averages(tmp_path / "raw.h5")
    for average, interleaf in ((0, 3), (2, 19)):
        halves = [a.data for a in items if (a.idx.average, a.idx.kspace_encode_step_1) == (average, interleaf)]
        np.testing.assert_allclose(single.kspace[average, :, interleaf], sum(halves), rtol=1e-5)


def test_an_average_that_lacks_a_readout_is_left_out(tmp_path, measured):
    measurement, items = measured(averages=3)
    kept = [a for a in items if (a.idx.average, a.idx.kspace_encode_step_1, a.idx.set) != (1, 7, 0)]
    write_raw_file(tmp_path / "raw.h5", measurement.header_xml(), kept)
    assert len(read_averages(tmp_path / "raw.h5").kspace) == 2


@pytest.mark.parametrize(
    ("change", "words"), [({"slice": 1}, "several slices"), ({"kspace_encode_step_1": 25}, "interleaf 25 came")]
)
def test_what_is_no_single_image_is_refused(change, words, tmp_path, measured, changed):
    measurement, items = measured()
    write_raw_file(tmp_path / "raw.h5", measurement.header_xml(), [*items, changed(items[3], **change)])
    with pytest.raises(RawDataError, match=f"raw.h5: .*{words}"):
        read_averages(tmp_path / "raw.h5", AveragingSettings())


def test_a_file_without_image_data_is_told(tmp_path, measured, changed):
    measurement, items = measured()
    write_raw_file(tmp_path / "raw.h5", measurement.header_xml(), [changed(items[0], encoding_space_ref=1)])
    with pytest.raises(RawDataError, match="raw.h5: holds no complete average"):
        read_averages(tmp_path / "raw.h5")
