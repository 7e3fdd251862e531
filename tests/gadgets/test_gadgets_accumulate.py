"""Averaging on the stream: order, gaps, repeats, levels, and what is told of bad acquisitions."""

from __future__ import annotations

import logging
import random

import ismrmrd
import numpy as np
import pytest
from ismrmrd.xsd import CreateFromDocument

from nadenoise_core.errors import RawDataError, TrajectoryError
from nadenoise_core.mrd.header import serialise_header
from nadenoise_core.mrd.image import known_facts, pixels_of

INTERLEAVES, HALVES = 20, 2


@pytest.fixture
def warnings(caplog):
    """The warnings that gadgets log, as text."""
    caplog.set_level(logging.WARNING, logger="nadenoise")
    return lambda: [record.getMessage() for record in caplog.records if record.name.startswith("nadenoise.")]


@pytest.fixture
def buffers(run_chain, measured):
    """Run `accumulate`: the (coils, interleaves, samples) k-space of every buffer, and the buffers."""

    def accumulate(items, header_xml=None, **properties):
        header_xml = header_xml or measured()[0].header_xml()
        out = run_chain([("accumulate", properties)], header_xml, items)
        assert not [item for item in out if isinstance(item, ismrmrd.Acquisition)]
        return [(item[0].data.data[:, :, 0, :, 0, 0, 0].transpose(2, 1, 0), item[0].data) for item in out]

    return accumulate


def limits(header_xml: str, **maxima: int | None) -> str:
    """A header with other encoding limits: the maximum of a counter, or None to leave it out."""
    header = CreateFromDocument(header_xml)
    for name, maximum in maxima.items():
        limit = None if maximum is None else ismrmrd.xsd.limitType(minimum=0, maximum=maximum, center=0)
        setattr(header.encoding[0].encodingLimits, name, limit)
    return serialise_header(header)


def mean_of(items, averages=None):
    """Half-pulses summed, averages averaged, straight from the acquisitions: (coils, interleaves, samples)."""
    total = np.zeros((items[0].data.shape[0], INTERLEAVES, items[0].data.shape[1]), np.complex128)
    count = np.zeros((INTERLEAVES, HALVES))
    for item in items:
        if averages is None or item.idx.average < averages:
            count[item.idx.kspace_encode_step_1, item.idx.set] += 1
    for item in items:
        if averages is None or item.idx.average < averages:
            index = item.idx.kspace_encode_step_1
            total[:, index] += item.data / count[index, item.idx.set]
    return total


def headers_of(buffer):
    return buffer.headers.ravel()


class TestOrder:
    @pytest.mark.parametrize("order", ["outermost", "innermost", "reversed", "shuffled", "repeated"])
    def test_does_not_matter(self, order, measured, buffers, warnings):
        measurement, items = measured()
        given = {
            "outermost": items,
            "innermost": sorted(items, key=lambda a: (a.idx.kspace_encode_step_1, a.idx.average)),
            "reversed": items[::-1],
            "shuffled": random.Random(1).sample(items, len(items)),
            "repeated": random.Random(2).sample(items + items[7:20], len(items) + 13),
        }[order]
        ((kspace, buffer),) = buffers(given)
        np.testing.assert_allclose(kspace, mean_of(items), rtol=0, atol=1e-5 * np.abs(kspace).max())
        assert [header.user_int[0] for header in headers_of(buffer)] == [measurement.averages] * INTERLEAVES
        # A repeat that comes when the image is complete is too late to be a surprise.
        assert all("came twice and were left out" in words for words in warnings())
        assert bool(warnings()) == (order == "repeated")

    def test_a_repeat_does_not_count(self, measured, buffers, changed, warnings):
        _, items = measured()
        other = changed(items[3], data=100 * items[3].data)
        ((kspace, _),) = buffers([*items[:10], other, *items[10:]])
        np.testing.assert_allclose(kspace, mean_of(items), rtol=0, atol=1e-5 * np.abs(kspace).max())
        (words,) = warnings()
        assert words.startswith("1 acquisitions have the counters of earlier ones and other data, and were left out")

    def test_a_scan_that_comes_twice_is_one_image(self, run_chain, measured):
        measurement, items = measured()
        assert len(run_chain(["accumulate"], measurement.header_xml(), [*items, *items])) == 1

    def test_noise_level_is_that_of_the_repeats(self, measured, buffers):
        measurement, items = measured(averages=8, noise=58.0)
        ((_, buffer),) = buffers(items, measurement.header_xml())
        truth = measurement.scan().noise_std / np.sqrt(8)  # of the sum of two half-pulses
        noise = [header.user_float[0] for header in headers_of(buffer)]
        assert noise == pytest.approx([truth] * INTERLEAVES, rel=0.02)


class TestLevels:
    def test_an_image_so_far_is_that_of_a_shorter_scan(self, measured, run_chain):
        measurement, items = measured(averages=4)
        stages = ["reconstruct"]
        levels = run_chain([("accumulate", {"emit_at": "1, 3, 4"}), *stages], measurement.header_xml(), items)
        assert [known_facts(image).averages for image in levels] == [1, 3, 4]
        assert [image.getHead().image_index for image in levels] == [1, 2, 3]
        for image, averages in zip(levels, (1, 3, 4), strict=True):
            first = [item for item in items if item.idx.average < averages]
            header = limits(measurement.header_xml(), average=averages - 1)
            (alone,) = run_chain(["accumulate", *stages], header, first)
            np.testing.assert_allclose(pixels_of(image), pixels_of(alone), rtol=0, atol=1e-4)
            assert known_facts(image).noise_std == pytest.approx(known_facts(alone).noise_std, nan_ok=True)

    def test_an_image_is_given_as_soon_as_it_is_complete(self, measured, chain_file):
        from nadenoise_core.chain.chain import build
        from nadenoise_core.chain.files import read_chain
        from nadenoise_core.chain.runner import run
        from nadenoise_core.mrd.scan import read_scan

        measurement, items = measured(averages=4)
        taken = []
        source = (taken.append(item) or item for item in items)
        chain = read_chain(chain_file([("accumulate", {"emit_at": "1, 2"})]))
        stream = run(build(chain, read_scan(measurement.header_xml())), source)
        next(stream)
        assert len(taken) == INTERLEAVES * HALVES
        next(stream)
        assert len(taken) == 2 * INTERLEAVES * HALVES

    def test_innermost_averages_give_all_levels(self, measured, buffers):
        _, items = measured()
        inner = sorted(items, key=lambda a: (a.idx.kspace_encode_step_1, a.idx.average))
        first, both = buffers(inner, emit_at="1, 2")
        np.testing.assert_allclose(first[0], mean_of(items, 1), rtol=0, atol=1e-5 * np.abs(first[0]).max())
        np.testing.assert_allclose(both[0], mean_of(items), rtol=0, atol=1e-5 * np.abs(first[0]).max())

    def test_one_average_has_no_known_noise(self, measured, buffers):
        _, items = measured()
        (_, first), _ = buffers(items, emit_at="1, 2")
        assert all(np.isnan(header.user_float[0]) for header in headers_of(first))

    def test_a_stopped_scan_gives_what_there_is(self, measured, buffers, warnings):
        measurement, items = measured()
        ((kspace, buffer),) = buffers(items, limits(measurement.header_xml(), average=29))
        np.testing.assert_allclose(kspace, mean_of(items), rtol=0, atol=1e-5 * np.abs(kspace).max())
        assert headers_of(buffer)[0].user_int[0] == 2
        assert warnings() == ["the scan has 2 averages, 30 were expected"]

    @pytest.mark.parametrize(("levels", "averages"), [("1, 5", [1, 2]), ("1, 2, 5", [1, 2]), ("5", [2])])
    def test_levels_beyond_a_scan_of_the_announced_length_are_no_matter(
        self, levels, averages, measured, buffers, warnings
    ):
        _, items = measured()
        assert [headers_of(buffer)[0].user_int[0] for _, buffer in buffers(items, emit_at=levels)] == averages
        assert warnings() == []

    def test_one_average_where_several_are_asked_for_is_told(self, measured, buffers, warnings):
        measurement, items = measured()
        header = limits(measurement.header_xml(), average=None)
        assert len(buffers([a for a in items if a.idx.average == 0], header, emit_at="5, 30")) == 1
        assert warnings() == [
            "the scan has 1 averages, 30 were expected; if another counter counts them, set average_counter"
        ]

    def test_without_limits_all_is_averaged(self, measured, buffers, warnings):
        measurement, items = measured()
        header = limits(measurement.header_xml(), average=None, set=None, kspace_encoding_step_1=None)
        for given in (items, items[::-1]):
            ((kspace, _),) = buffers(given, header)
            np.testing.assert_allclose(kspace, mean_of(items), rtol=0, atol=1e-5 * np.abs(kspace).max())
        assert warnings() == []

    def test_without_half_pulses(self, measured, buffers):
        measurement, items = measured(half_pulses=False)
        assert len(items) == 2 * INTERLEAVES
        ((kspace, _),) = buffers(items, measurement.header_xml())
        mean = sum(np.stack([a.data for a in items if a.idx.average == n], axis=1) for n in range(2)) / 2
        np.testing.assert_allclose(kspace, mean, rtol=0, atol=1e-5 * np.abs(mean).max())


class TestNoise:
    def test_it_is_told_far_from_the_centre_whichever_way_arms_run(self, measured, buffers):
        """The second of two averages is a little stronger, which shows where there is signal."""
        _, items = measured(averages=2, noise=20.0)
        for item in items:
            item.data[:] *= 1 + 0.1 * item.idx.average
        ((_, outwards),) = buffers(items)
        for item in items:
            item.data[:], item.traj[:] = item.data[:, ::-1].copy(), item.traj[::-1].copy()
        ((_, inwards),) = buffers(items)
        levels = [[header.user_float[0] for header in headers_of(buffer)] for buffer in (outwards, inwards)]
        np.testing.assert_allclose(levels[1], levels[0], rtol=1e-3)


class TestReplicas:
    @pytest.mark.parametrize("first", [0, 1])
    def test_an_average_that_hardly_came_is_not_left_out(self, first, measured, run_chain):
        """Nor is one that nobody counted, where averages are counted from 1 and the header does not say so."""
        measurement, items = measured(averages=4)
        kept = [item for item in items if item.idx.average < 3 or item.idx.kspace_encode_step_1 < 3]
        for item in kept:
            item.idx.average += first
        stages = [("accumulate", {"jackknife_groups": "10"}), "reconstruct"]
        (image,) = run_chain(stages, measurement.header_xml(), kept)
        assert known_facts(image).averages == 3
        assert [replica.averages for replica in known_facts(image).replicas] == [2, 2, 2]


class TestGaps:
    def test_an_interleaf_that_never_came_is_named(self, measured, buffers):
        _, items = measured()
        with pytest.raises(RawDataError, match="interleaf 7 of 20"):
            buffers([item for item in items if item.idx.kspace_encode_step_1 != 7])

    def test_so_is_a_half_pulse_that_never_came(self, measured, buffers):
        _, items = measured()
        with pytest.raises(RawDataError, match="interleaf 4 of 20"):
            buffers([item for item in items if (item.idx.kspace_encode_step_1, item.idx.set) != (4, 1)])

    def test_an_interleaf_that_one_average_lacks_is_warned_of(self, measured, buffers, warnings):
        _, items = measured()
        kept = [a for a in items if (a.idx.kspace_encode_step_1, a.idx.set, a.idx.average) != (9, 1, 0)]
        ((kspace, buffer),) = buffers(kept)
        np.testing.assert_allclose(kspace, mean_of(kept), rtol=0, atol=1e-5 * np.abs(kspace).max())
        assert warnings() == ["interleaf 9, half-pulse 1: 1 of 2 averages are missing"]
        noise = [header.user_float[0] for header in headers_of(buffer)]
        assert noise[9] == pytest.approx(noise[8] * np.sqrt(1.5), rel=1e-6)  # variances 1/2 + 1 against 1/2 + 1/2

    def test_an_empty_scan_is_told(self, buffers):
        with pytest.raises(RawDataError, match="scan is empty"):
            buffers([])


class TestOtherCounters:
    def test_slices_and_repetitions_are_images_of_their_own(self, measured, run_chain, changed):
        measurement, items = measured()
        mixed = []
        for item in items:
            mixed += [item, changed(item, data=2 * item.data, slice=1), changed(item, data=3 * item.data, repetition=4)]
        images = run_chain(["accumulate", "reconstruct"], measurement.header_xml(), mixed)
        heads = [image.getHead() for image in images]
        assert [(head.slice, head.repetition) for head in heads] == [(0, 0), (1, 0), (0, 4)]
        assert [head.image_index for head in heads] == [1, 2, 3]
        for factor in (2, 3):
            np.testing.assert_allclose(
                pixels_of(images[factor - 1]), factor * pixels_of(images[0]), rtol=0, atol=1e-3 * factor
            )

    def test_counters_can_be_chosen(self, measured, buffers, changed):
        measurement, items = measured()
        other = [
            changed(a, average=0, set=0, kspace_encode_step_1=0, repetition=a.idx.average, segment=a.idx.set,
                    kspace_encode_step_2=a.idx.kspace_encode_step_1)
            for a in items
        ]  # fmt: skip
        header = limits(
            measurement.header_xml(), average=None, set=None, kspace_encoding_step_1=None, repetition=1, segment=1,
            kspace_encoding_step_2=19,
        )  # fmt: skip
        names = {"average_counter": "repetition", "half_pulse_counter": "segment"}
        names["interleaf_counter"] = "kspace_encode_step_2"
        ((kspace, _),) = buffers(other, header, **names)
        np.testing.assert_allclose(kspace, mean_of(items), rtol=0, atol=1e-5 * np.abs(kspace).max())

    def test_noise_scans_and_waveforms_pass_unchanged(self, measured, run_chain, changed):
        measurement, items = measured()
        noise = changed(items[0])
        noise.set_flag(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)
        waveform = ismrmrd.Waveform.from_array(np.arange(6, dtype=np.uint32).reshape(1, 6))
        out = run_chain(["accumulate"], measurement.header_xml(), [noise, waveform, *items])
        assert out[0] is noise and out[1] is waveform and len(out) == 3


class TestSamples:
    def test_what_the_receiver_discards_is_left_out(self, measured, buffers, changed):
        measurement, items = measured()
        rng = np.random.default_rng(0)
        padded = []
        for item in items:
            junk = (1e6 * rng.standard_normal((1, 9))).astype(np.complex64)
            data = np.concatenate([junk[:, :5], item.data, junk[:, 5:]], axis=1)
            trajectory = np.concatenate([np.full((5, 2), 9, np.float32), item.traj, np.full((4, 2), 9, np.float32)])
            padded.append(changed(item, data, trajectory, discard_pre=5, discard_post=4))
        ((kspace, buffer),) = buffers(padded)
        ((plain, reference),) = buffers(items)
        np.testing.assert_array_equal(kspace, plain)
        np.testing.assert_array_equal(buffer.trajectory, reference.trajectory)

    @pytest.mark.parametrize("discard", [{"discard_pre": 60000}, {"discard_post": 60000}, {"discard_post": 750}])
    def test_samples_that_are_all_discarded_are_told(self, discard, measured, buffers, changed):
        _, items = measured()
        if discard == {"discard_post": 750}:  # a slice must not wrap around
            discard = {"discard_post": items[0].number_of_samples + items[0].number_of_samples // 2}
        with pytest.raises(RawDataError, match=r"acquisition 0 \(interleaf 0, average 0, half-pulse 0\): 0 samples"):
            buffers([changed(item, **discard) for item in items])

    @pytest.mark.parametrize("value", [np.nan, np.inf, complex(0, np.nan)])
    def test_samples_that_are_not_finite_are_told(self, value, measured, buffers, changed):
        _, items = measured()
        data = items[5].data.copy()
        data[0, 100] = value
        with pytest.raises(RawDataError, match=r"acquisition 5 \(interleaf 2, average 0, half-pulse 1\): holds NaN"):
            buffers([*items[:5], changed(items[5], data), *items[6:]])

    def test_another_number_of_samples_is_told(self, measured, buffers, changed):
        _, items = measured()
        samples = items[0].number_of_samples
        short = changed(items[3], items[3].data[:, :-1], items[3].traj[:-1])
        with pytest.raises(
            RawDataError, match=f"acquisition 3 .*{samples - 1} samples of 1 coils.* has {samples} of 1"
        ):
            buffers([*items[:3], short])

    def test_another_number_of_coils_is_told(self, measured, buffers, changed):
        _, items = measured()
        with pytest.raises(RawDataError, match="acquisition 1 .*samples of 2 coils"):
            buffers([items[0], changed(items[1], np.repeat(items[1].data, 2, axis=0))])

    @pytest.mark.parametrize(
        ("counter", "value", "words"),
        [
            ("kspace_encode_step_1", 20, "interleaf 20 came, the header announces 0 to 19"),
            ("set", 2, "3 values of the counter of half-pulses came, of which there are two"),
        ],
    )
    def test_a_counter_beyond_its_limit_is_told(self, counter, value, words, measured, buffers, changed):
        _, items = measured()
        with pytest.raises(RawDataError, match=words):
            buffers([*items[:-1], changed(items[-1], **{counter: value})])


class TestTrajectory:
    def test_a_third_column_is_left_out(self, measured, buffers, changed):
        _, items = measured()
        weighted = [changed(a, trajectory=np.concatenate([a.traj, np.full_like(a.traj[:, :1], 7)], 1)) for a in items]
        ((kspace, buffer),) = buffers(weighted)
        ((plain, reference),) = buffers(items)
        np.testing.assert_array_equal(buffer.trajectory, reference.trajectory)
        np.testing.assert_array_equal(kspace, plain)

    @pytest.mark.parametrize("unit", ["radians/pixel", "cycles/FOV", "1/m"])
    def test_every_unit_gives_the_same_positions(self, unit, measured, buffers):
        measurement, items = measured(trajectory_unit=unit)
        assert np.abs(items[0].traj).max() > 0.6  # not in cycles/pixel
        ((_, buffer),) = buffers(items, measurement.header_xml())
        ((_, reference),) = buffers(measured()[1])
        np.testing.assert_allclose(buffer.trajectory, reference.trajectory, rtol=0, atol=1e-6)

    def test_none_is_told(self, measured, buffers, changed):
        _, items = measured()
        with pytest.raises(TrajectoryError, match="no trajectory.*set trajectory to 'spiral'"):
            buffers([changed(item, trajectory=item.traj[:, :0]) for item in items])

    def test_the_designed_spiral_takes_its_place(self, measured, buffers, changed):
        _, items = measured()
        ((_, designed),) = buffers([changed(item, trajectory=item.traj[:, :0]) for item in items], trajectory="spiral")
        ((_, reference),) = buffers(items)
        np.testing.assert_allclose(designed.trajectory, reference.trajectory, rtol=0, atol=1e-6)

    def test_a_design_of_other_samples_is_told(self, measured, buffers):
        with pytest.raises(TrajectoryError, match="correct max_gradient, rise_time and oversampling"):
            buffers(measured()[1], trajectory="spiral", max_gradient="5")

    def test_one_beyond_the_matrix_is_told(self, measured, buffers, changed):
        _, items = measured()
        with pytest.raises(TrajectoryError, match=r"acquisition 0 .*reaches 0\.\d+ cycles/pixel.*matrix 80x80"):
            buffers([changed(a, trajectory=1.5 * a.traj) for a in items], trajectory_unit="cycles/pixel")

    def test_one_that_changes_is_told(self, measured, buffers, changed):
        _, items = measured()
        again = changed(items[40], trajectory=-items[40].traj)
        with pytest.raises(TrajectoryError, match=r"acquisition 40 \(interleaf 0, average 1, .*differs"):
            buffers([*items[:40], again])

    def test_nan_is_told(self, measured, buffers, changed):
        _, items = measured()
        trajectory = items[0].traj.copy()
        trajectory[3, 1] = np.nan
        with pytest.raises(TrajectoryError, match="acquisition 0 .*NaN"):
            buffers([changed(items[0], trajectory=trajectory)])


class TestHalfPulsePhase:
    def test_a_large_one_is_warned_of(self, measured, run_chain, warnings):
        measurement, items = measured(half_pulse_phase=40.0, noise=0.0)
        run_chain(["accumulate"], measurement.header_xml(), items)
        (words,) = warnings()
        assert "half-pulses differ by" in words and "set correct_half_pulse_phase" in words

    def test_it_is_turned_back_by_what_the_data_say(self, measured, buffers, warnings):
        """The bulk phase is that of the inner product of both half-pulses over all of k-space."""
        measurement, items = measured(half_pulse_phase=40.0, noise=0.0)
        halves = [np.stack([a.data[0] for a in items if a.idx.set == h and a.idx.average == 0]) for h in (0, 1)]
        phase = np.angle(np.vdot(halves[0].astype(complex), halves[1].astype(complex)))
        ((kspace, _),) = buffers(items, measurement.header_xml(), correct_half_pulse_phase="true")
        truth = halves[0] + halves[1] * np.exp(-1j * phase)
        np.testing.assert_allclose(kspace[0], truth, rtol=0, atol=1e-4 * np.abs(truth).max())
        assert warnings() == []

    def test_none_is_not_warned_of(self, measured, buffers, warnings):
        buffers(measured()[1])
        assert warnings() == []
