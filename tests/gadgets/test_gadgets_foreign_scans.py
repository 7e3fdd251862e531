"""Scans as others write them: what the header says wrong, and what the counters mean elsewhere."""

from __future__ import annotations

import re

import numpy as np
import pytest

from nadenoise_core.errors import ChainError, RawDataError, TrajectoryError
from nadenoise_core.mrd.buffer import unpack
from nadenoise_core.mrd.facts import Kind
from nadenoise_core.mrd.image import known_facts
from nadenoise_core.mrd.recon_data import ReconData

INTERLEAVES = 20


@pytest.fixture(scope="module")
def scan(measured):
    """Header and acquisitions of 4 averages without half-pulses."""
    measurement, items = measured(averages=4, half_pulses=False, noise=15.0)
    return measurement.header_xml(), items


@pytest.fixture
def accumulate(run_chain):
    def run(header, items, **properties):
        made = run_chain([("accumulate", properties)], header, items)
        return [unpack(item[0].data) for item in made if isinstance(item, ReconData)]

    return run


def mean(items):
    """The mean of the averages, (interleaves, samples)."""
    return np.stack(
        [np.mean([a.data[0] for a in items if a.idx.kspace_encode_step_1 == i], axis=0) for i in range(INTERLEAVES)]
    )


def interleaf_limits(header: str, limits: str) -> str:
    found = re.search(r"<kspace_encoding_step_1>.*?</kspace_encoding_step_1>", header, re.S)
    assert found is not None
    return header.replace(found[0], limits and f"<kspace_encoding_step_1>{limits}</kspace_encoding_step_1>")


def assert_same(readouts, items, averages=4):
    assert list(readouts.averages) == [averages] * INTERLEAVES
    expected = mean(items)
    np.testing.assert_allclose(readouts.kspace[0], expected, rtol=0, atol=1e-5 * np.abs(expected).max())


class TestLimits:
    @pytest.mark.parametrize(
        "limits",
        [
            "<minimum>0</minimum><maximum>20</maximum>",
            "<minimum>0</minimum><maximum>18</maximum>",
            "<minimum>0</minimum><maximum>79</maximum>",
            "<minimum>1</minimum><maximum>20</maximum>",
            "<minimum>0</minimum><maximum>n/a</maximum>",
            "",
        ],
    )
    @pytest.mark.parametrize("offset", [0, 1, 64])
    def test_a_whole_set_of_arms_counts_more_than_the_header(self, limits, offset, scan, accumulate, changed, caplog):
        header, items = scan
        moved = [changed(a, kspace_encode_step_1=a.idx.kspace_encode_step_1 + offset) for a in items]
        (readouts,) = accumulate(interleaf_limits(header, limits), moved)
        assert_same(readouts, items)
        right = (limits, offset) == ("<minimum>1</minimum><maximum>20</maximum>", 1)
        assert ("the header announces" in caplog.text) == (bool(limits) and "n/a" not in limits and not right)

    @pytest.mark.parametrize("lost", [[19], [0], [3, 7], list(range(5)), list(range(0, 20, 2))])
    def test_arms_that_are_missing_are_missed_whatever_it_says(self, lost, scan, accumulate):
        header, items = scan
        kept = [a for a in items if a.idx.kspace_encode_step_1 not in lost]
        with pytest.raises(RawDataError, match="never came"):
            accumulate(header, kept)
        if lost != list(range(0, 20, 2)):  # of an even half of them nothing tells but the header
            with pytest.raises(RawDataError, match="never came"):
                accumulate(interleaf_limits(header, ""), kept)

    def test_their_number_can_be_given(self, scan, accumulate, changed):
        header, items = scan
        kept = [a for a in items if a.idx.kspace_encode_step_1 != 19]
        (readouts,) = accumulate(header, kept, interleaves="19")
        assert readouts.kspace.shape[1] == 19
        with pytest.raises(RawDataError, match="19 interleaves came, interleaves is 18"):
            accumulate(header, kept, interleaves="18")

    def test_an_image_of_fewer_than_came_is_not_left_unsaid(self, scan, accumulate):
        header, items = scan
        with pytest.raises(RawDataError, match="acquisition 19 is beyond what the header announces"):
            accumulate(interleaf_limits(header, "<minimum>0</minimum><maximum>18</maximum>"), items, emit_at="1, 4")

    def test_averages_may_be_counted_from_1(self, scan, accumulate, changed):
        header, items = scan
        moved = [changed(a, average=a.idx.average + 1) for a in items]
        one = header.replace("<average><minimum>0</minimum><maximum>3<", "<average><minimum>1</minimum><maximum>4<")
        assert one != header
        first, last = accumulate(one, moved, emit_at="1, 4")
        assert_same(first, [a for a in items if a.idx.average == 0], 1)
        assert_same(last, items)

    def test_counted_from_1_against_the_header_there_is_one_image_of_all(self, scan, accumulate, changed, caplog):
        header, items = scan
        moved = [
            changed(a, kspace_encode_step_1=a.idx.kspace_encode_step_1 + 1, average=a.idx.average + 1, set=1)
            for a in items
        ]
        (readouts,) = accumulate(header, moved)
        assert_same(readouts, items)
        assert "missing" not in caplog.text


class TestInterleavesThatNothingCounts:
    """Interleaves are told apart by their trajectories."""

    @pytest.fixture
    def properties(self):
        return {"interleaf_counter": "trajectory"}

    def test_counted_on_over_the_averages(self, scan, accumulate, changed, properties, caplog):
        header, items = scan
        moved = [changed(a, kspace_encode_step_1=n, average=0) for n, a in enumerate(items)]
        with pytest.raises(RawDataError, match="set interleaf_counter in 'accumulate' to trajectory"):
            accumulate(header, moved)
        (readouts,) = accumulate(header, moved, **properties)
        assert_same(readouts, items)
        accumulate(interleaf_limits(header, "<minimum>0</minimum><maximum>79</maximum>"), moved)
        assert "interleaves lie upon each other" in caplog.text

    @pytest.mark.parametrize("average", [True, False])
    def test_counted_by_nothing_in_any_order(self, average, scan, accumulate, changed, properties):
        header, items = scan
        moved = [changed(a, kspace_encode_step_1=0, average=average * a.idx.average) for a in items]
        with pytest.raises(TrajectoryError, match="if none does, set it to trajectory"):
            accumulate(header, moved)
        order = [*range(0, 80, 2), *range(79, 0, -2)] if average else range(80)
        (readouts,) = accumulate(header, [moved[n] for n in order], **properties)
        expected, found = mean(items), readouts.kspace[0]
        np.testing.assert_allclose(found[0], expected[0], rtol=0, atol=1e-5 * np.abs(expected).max())
        assert sorted(readouts.averages) == [4] * INTERLEAVES
        assert np.sum(np.abs(found) ** 2) == pytest.approx(np.sum(np.abs(expected) ** 2), rel=1e-5)

    def test_trajectories_that_differ_by_rounding_are_one(self, scan, accumulate, changed, properties):
        header, items = scan
        rng = np.random.default_rng(1)
        moved = [changed(a, trajectory=a.traj * (1 + 1e-6 * rng.random(a.traj.shape, np.float32))) for a in items]
        (readouts,) = accumulate(header, moved, **properties)
        assert_same(readouts, items)

    def test_they_need_trajectories(self, scan, accumulate, properties):
        with pytest.raises(ChainError, match="needs the trajectory of the acquisitions"):
            accumulate(*scan, trajectory="spiral", **properties)


class TestTrajectory:
    def test_zeros_are_none(self, scan, accumulate, changed, caplog):
        header, items = scan
        noise = changed(items[0], data=np.ones((1, 256)), trajectory=np.zeros((256, 2), np.float32))
        (readouts,) = accumulate(header, [noise, *items])
        assert_same(readouts, items)
        assert "1 acquisitions have no trajectory" in caplog.text

    def test_what_was_left_out_is_told_where_interleaves_are_missing(self, scan, accumulate, changed):
        header, items = scan
        bare = [changed(a, trajectory=np.zeros((a.number_of_samples, 0))) if n % 20 else a for n, a in enumerate(items)]
        with pytest.raises(RawDataError, match="never came; .* 76 acquisitions have no trajectory"):
            accumulate(header, bare)

    def test_other_is_a_spiral_if_it_is_one(self, scan, accumulate):
        header, items = scan
        (readouts,) = accumulate(header.replace(">spiral<", ">other<"), items)
        assert_same(readouts, items)

    def test_and_refused_if_it_is_none(self, scan, accumulate, changed):
        header, items = scan
        line = np.linspace(0, 0.5, items[0].number_of_samples)[:, None]
        spokes = [
            changed(a, trajectory=(line * [np.cos(t), np.sin(t)]).astype(np.float32))
            for a in items
            for t in [2 * np.pi * a.idx.kspace_encode_step_1 / INTERLEAVES]
        ]
        with pytest.raises(TrajectoryError, match="that its trajectory is a spiral, and it is none"):
            accumulate(header.replace(">spiral<", ">other<"), spokes)

    def test_the_spiral_may_be_the_second_encoding(self, scan, accumulate, changed, caplog):
        header, items = scan
        start, end = header.index("<encoding>"), header.index("</encoding>") + len("</encoding>")
        other = header[start:end].replace("spiral", "cartesian")
        second = [changed(a, encoding_space_ref=1) for a in items]
        reference = [changed(items[0], data=99 * items[0].data)]
        (readouts,) = accumulate(header[:start] + other + header[start:], [*reference, *second])
        assert_same(readouts, items)
        assert "2 encodings" in caplog.text

    @pytest.mark.parametrize("factor", [1 / 2.25, 0.1, 80 * 0.5])
    def test_values_that_are_too_small_by_a_factor_are_refused(self, factor, scan, accumulate, changed):
        header, items = scan
        with pytest.raises(TrajectoryError, match="fits several units|fits no unit|too small by a factor"):
            accumulate(header, [changed(a, trajectory=factor * a.traj) for a in items])

    def test_a_delay_in_seconds_is_refused(self, scan, accumulate):
        with pytest.raises(ChainError, match="trajectory_delay is in us"):
            accumulate(*scan, trajectory_delay="2e-5")

    def test_a_unit_that_is_given_is_taken(self, scan, accumulate, changed):
        header, items = scan
        (readouts,) = accumulate(header, [changed(a, trajectory=a.traj / 2.25) for a in items], trajectory_unit="1/mm")
        (straight,) = accumulate(header, items)
        np.testing.assert_allclose(readouts.trajectory, straight.trajectory, atol=1e-6)

    @pytest.mark.parametrize("way", ["in", "in and out"])
    def test_the_centre_may_be_at_the_end_or_in_the_middle(self, way, scan, accumulate, changed, caplog):
        header, items = scan
        by_number = {(a.idx.average, a.idx.kspace_encode_step_1): a for a in items}

        def turned(a):
            back = a.data[:, ::-1], a.traj[::-1]
            if way == "in":
                return changed(a, *back)
            out = by_number[a.idx.average, a.idx.kspace_encode_step_1 + INTERLEAVES // 2]
            return changed(a, np.hstack([back[0], out.data]), np.vstack([back[1], out.traj]))

        limit = INTERLEAVES if way == "in" else INTERLEAVES // 2
        taken = [turned(a) for a in items if a.idx.kspace_encode_step_1 < limit]
        (readouts,) = accumulate(header.replace("<maximum>19<", f"<maximum>{limit - 1}<"), taken)
        assert readouts.kspace.shape[1] == limit and not caplog.records

    def test_one_trajectory_for_all_interleaves_is_refused(self, scan, accumulate, changed):
        header, items = scan
        with pytest.raises(TrajectoryError, match="interleaves have the same trajectory"):
            accumulate(header, [changed(a, trajectory=items[0].traj) for a in items])

    def test_arms_too_far_apart_are_told(self, scan, accumulate, caplog):
        header, items = scan
        accumulate(header, [a for a in items if a.idx.kspace_encode_step_1 % 2 == 0], interleaves="10")
        assert re.search(r"interleaves are 2\.0 times as far apart .* folded", caplog.text)

    @pytest.mark.parametrize("arms", [20, 14])
    def test_even_arms_are_told_sooner(self, arms, scan, accumulate, changed, caplog):
        header, items = scan
        angles = 2 * np.pi * np.arange(arms) / arms
        turns = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], 1).reshape(-1, 2, 2)
        turned = [
            changed(items[0], trajectory=items[0].traj @ t.T, kspace_encode_step_1=n) for n, t in enumerate(turns)
        ]
        accumulate(header, turned, interleaves=str(arms))
        assert ("interleaves are 1.4 times as far apart" in caplog.text) == (arms == 14)

    @pytest.mark.parametrize("step", [2, 3])
    def test_samples_too_far_apart_are_told(self, step, scan, accumulate, changed, caplog):
        header, items = scan
        accumulate(header, [changed(a, a.data[:, ::step], a.traj[::step]) for a in items])
        assert ("cycles/FOV from the next along a readout" in caplog.text) == (step == 3)

    def test_columns_written_as_rows_are_refused(self, scan, accumulate, changed):
        header, items = scan
        rows = [changed(a, trajectory=np.ascontiguousarray(a.traj.T).reshape(a.traj.shape)) for a in items]
        with pytest.raises(TrajectoryError, match="leaps from one sample to the next"):
            accumulate(header, rows)

    def test_samples_in_another_order_than_the_trajectory_are_refused(self, scan, accumulate, changed):
        header, items = scan
        with pytest.raises(TrajectoryError, match="does not belong to them"):
            accumulate(header, [changed(a, data=a.data[:, ::-1]) for a in items])

    def test_the_centre_of_kspace_is_needed(self, scan, accumulate, changed, caplog):
        """Without noise the leg reads 0, 1, 8 and 50 % low without the first 3, 4, 5 and 7 samples."""
        header, items = scan
        with pytest.raises(TrajectoryError, match=r"no sample is nearer .* than 1[67]"):
            accumulate(header, [changed(a, a.data[:, 100:], a.traj[100:]) for a in items])
        for first, told in ((3, False), (4, False), (5, True)):
            accumulate(header, [changed(a, discard_pre=first) for a in items])
            assert ("so tissue reads too low" in caplog.text) == told
        with pytest.raises(TrajectoryError, match=r"no sample is nearer .* than 1\.29"):
            accumulate(header, [changed(a, discard_pre=7) for a in items])

    def test_a_short_reach_is_told(self, scan, accumulate, changed, caplog):
        header, items = scan
        accumulate(header, [changed(a, a.data[:, :400], a.traj[:400]) for a in items])
        assert re.search(r"reaches 8\d % of the way to the edge", caplog.text)

    def test_later_averages_may_have_that_of_the_first(self, scan, accumulate, changed, caplog):
        header, items = scan
        none = np.zeros((items[0].number_of_samples, 0), np.float32)
        first_only = [a if a.idx.average == 0 else changed(a, trajectory=none) for a in items]
        (readouts,) = accumulate(header, first_only)
        assert_same(readouts, items)
        assert "later averages carry no trajectory" in caplog.text

    def test_navigators_without_their_flag_are_no_averages(self, scan, accumulate, changed):
        header, items = scan
        none = np.zeros((items[0].number_of_samples, 0), np.float32)
        navigators = [changed(a, 2 * a.data, none) for a in items]
        for order in ([1, 0], [0, 1]):
            both = [pair[n] for pair in zip(items, navigators, strict=True) for n in order]
            (readouts,) = accumulate(header, both)
            assert_same(readouts, items)

    @pytest.mark.parametrize(
        ("dwell_time", "words"),
        [
            (14800.0, "longer than the header's TR of 100 ms"),
            (14.8e-6, "in another unit"),
            (np.nan, "not known"),
            (0, ""),
        ],
    )
    def test_a_dwell_time_in_another_unit_is_told(self, dwell_time, words, scan, accumulate, changed, caplog):
        header, items = scan
        (readouts,) = accumulate(header, [changed(a, sample_time_us=dwell_time) for a in items])
        assert_same(readouts, items)
        assert words in caplog.text and bool(caplog.records) == bool(words)
        assert np.isfinite(readouts.header.sample_time_us)


class TestSlices:
    """An image is of one slice."""

    @pytest.fixture
    def placed(self, changed):
        def place(item, z, **counters):
            moved = changed(item, **counters)
            moved.position[:] = (0.0, 0.0, z)
            return moved

        return place

    @pytest.mark.parametrize("counter", ["set", "average"])
    def test_slices_under_another_counter_are_not_summed(self, counter, scan, accumulate, placed):
        header, items = scan
        two = [placed(a, 40.0 * n, **{counter: n}) for a in items[:INTERLEAVES] for n in (0, 1)]
        with pytest.raises(RawDataError, match="lies 40 mm and 0 degrees from the slice of the readouts before"):
            accumulate(header, two)

    def test_a_slice_that_follows_motion_is_told(self, scan, accumulate, placed, caplog):
        header, items = scan
        (readouts,) = accumulate(header, [placed(a, 2.0 * a.idx.average) for a in items])
        assert_same(readouts, items)
        assert "the slice moves by 2 mm" in caplog.text and tuple(readouts.header.position) == (0, 0, 0)

    def test_slices_at_one_place_are_told(self, scan, accumulate, placed, caplog):
        header, items = scan
        accumulate(header, [placed(a, 40.0 * n, slice=n) for a in items for n in (0, 1)])
        assert not caplog.records
        accumulate(header, [placed(a, 0.0, slice=n) for a in items for n in (0, 1)])
        assert "slices have the same position" in caplog.text

    def test_slices_that_cross_are_known(self, measured, accumulate, caplog):
        measurement, items = measured(averages=2, stacks=2, slices=1)
        accumulate(measurement.header_xml(), items)
        assert not caplog.records

    def test_slices_in_metres_are_told(self, scan, accumulate, placed, caplog):
        header, items = scan
        accumulate(header, [placed(a, 0.04 * n, slice=n) for a in items for n in (0, 1, 2)])
        assert "slices of 30 mm lie 0.04 mm apart, as if their positions were in metres" in caplog.text


class TestCounters:
    def test_partitions_are_no_slices(self, scan, accumulate, changed):
        header, items = scan
        stack = [changed(a, kspace_encode_step_2=n) for a in items for n in (0, 1)]
        with pytest.raises(RawDataError, match="acquisition 1: kspace_encode_step_2 is 1 after 0: .* stack of spirals"):
            accumulate(header, stack)

    @pytest.mark.parametrize("properties", [{"average_counter": "kspace_encode_step_1"}, {"average_counter": "set"}])
    def test_one_counter_does_not_count_two_things(self, properties, scan, accumulate):
        with pytest.raises(ChainError, match="no counter counts two of"):
            accumulate(*scan, **properties)

    @pytest.mark.parametrize("announced", [True, False])
    def test_sets_of_another_strength_are_no_half_pulses(self, announced, scan, accumulate, changed):
        header, items = scan
        maximum = "<set><minimum>0</minimum><maximum>0</maximum><center>0</center></set>"
        assert maximum in header
        header = header.replace(maximum, maximum.replace("<maximum>0", "<maximum>1") if announced else "")
        both = [changed(a, data=a.data * gain, set=n) for a in items for n, gain in enumerate((1, 0.5))]
        with pytest.raises(RawDataError, match=r"the first times 0\.[45]\d, so these are no half-pulses"):
            accumulate(header, both)
        first, second = accumulate(header, both, half_pulse_counter="none")
        assert_same(first, items)
        np.testing.assert_allclose(second.kspace, 0.5 * first.kspace, rtol=1e-5)

    def test_half_pulses_are_half_pulses(self, measured, run_chain):
        for seed in range(1, 7):  # with a leg outside the slice
            measurement, items = measured(averages=2, seed=seed, noise=58.0)
            assert len(run_chain(["accumulate"], measurement.header_xml(), items)) == 1

    @pytest.mark.parametrize("elsewhere", [{}, {"segment": 1}, {"contrast": 1}])
    def test_half_pulses_that_never_came_are_named(self, elsewhere, scan, accumulate, changed):
        header, items = scan
        two = header.replace("<set><minimum>0</minimum><maximum>0<", "<set><minimum>0</minimum><maximum>1<")
        others = [changed(a, data=a.data * 1.1, **elsewhere) for a in items] if elsewhere else []
        with pytest.raises(RawDataError, match="half-pulse 1 never came; where another counter"):
            accumulate(two, [*items, *others])

    @pytest.mark.parametrize(
        ("change", "words"), [({"flags": 1 << 19}, "80 have flags"), ({"encoding_space_ref": 1}, "80 are of another")]
    )
    def test_it_is_told_why_nothing_is_image_data(self, change, words, scan, accumulate, changed):
        header, items = scan
        with pytest.raises(RawDataError, match=f"the scan is empty: .*{words}"):
            accumulate(header, [changed(a, **change) for a in items])

    def test_three_sets_are_told(self, scan, accumulate, changed):
        header, items = scan
        three = [changed(a, set=n) for a in items for n in range(3)]
        with pytest.raises(RawDataError, match="3 values of the counter of half-pulses"):
            accumulate(
                header.replace("<set><minimum>0</minimum><maximum>0<", "<set><minimum>0</minimum><maximum>2<"), three
            )

    def test_averages_in_repetition_are_hinted_at(self, scan, accumulate, changed, caplog):
        header, items = scan
        moved = [changed(a, repetition=a.idx.average, average=0) for a in items]
        none = re.sub("<average>.*?</average>", "", header, flags=re.S)
        assert len(accumulate(none, moved)) == 4
        assert "4 values of repetition with one average, each an image of its own" in caplog.text
        (readouts,) = accumulate(none, moved, average_counter="repetition")
        assert_same(readouts, items)

    def test_so_are_those_in_phase(self, scan, accumulate, changed, caplog):
        header, items = scan
        accumulate(header, [changed(a, phase=a.idx.average, average=0) for a in items])
        assert "4 values of phase with one average" in caplog.text

    def test_sets_that_are_alike_are_told(self, scan, accumulate, changed, caplog):
        header, items = scan
        accumulate(header, [changed(a, data=a.data * np.exp(0.1j * n), set=n) for a in items for n in (0, 1)])
        assert "the half-pulses are alike" in caplog.text

    @pytest.mark.parametrize("limit", ["", "0", "3"])
    @pytest.mark.parametrize("properties", [{}, {"average_counter": "arrival"}])
    def test_averages_that_nobody_counts_are_averaged(self, limit, properties, scan, accumulate, changed):
        header, items = scan
        still = [changed(a, average=0) for a in items]
        limits = f"<average><minimum>0</minimum><maximum>{limit}</maximum></average>" if limit else ""
        (readouts,) = accumulate(re.sub("<average>.*?</average>", limits, header, flags=re.S), still, **properties)
        assert_same(readouts, items)

    def test_averages_numbered_on_from_interleaf_to_interleaf_are_averaged(self, scan, accumulate, changed, caplog):
        header, items = scan
        (readouts,) = accumulate(header, [changed(a, average=n) for n, a in enumerate(items)])
        assert_same(readouts, items)
        assert "no image of the first 4 averages: interleaf 4, 5" in caplog.text

    def test_dummies_without_their_flag_are_left_out(self, scan, accumulate, changed, caplog):
        header, items = scan
        dummies = [changed(a, data=3 * a.data) for a in items[:4]]
        for properties in ({}, {"emit_at": "1, 4"}):
            *_, readouts = accumulate(header, [*dummies, *items], **properties)
            assert_same(readouts, items)
        assert "the first 4 acquisitions are dummies" in caplog.text

    def test_averages_that_came_twice_count_once(self, scan, accumulate, changed, caplog):
        header, items = scan
        twins = [changed(a, average=2 * a.idx.average + n) for a in items for n in (0, 1)]
        longer = header.replace("<average><minimum>0</minimum><maximum>3<", "<average><minimum>0</minimum><maximum>7<")
        (readouts,) = accumulate(longer, twins)
        (alone,) = accumulate(header, items)
        assert_same(readouts, items)
        np.testing.assert_allclose(readouts.noise_std, alone.noise_std, rtol=1e-6)
        assert "80 acquisitions are copies of other averages" in caplog.text


class TestRowsThatAreNoReadouts:
    @pytest.mark.parametrize(
        ("samples", "dimensions", "value", "words"),
        [
            (1, 2, 1.0, "3 acquisitions have less than 3 samples"),
            (0, 0, 1.0, "3 acquisitions have less than 3 samples"),
            (100, 0, 1.0, "3 acquisitions have no trajectory"),
            (100, 2, 0.0, "3 acquisitions have nothing but zeros"),
        ],
    )
    @pytest.mark.parametrize("place", [0, 40, 80])
    def test_are_left_out(self, place, samples, dimensions, value, words, scan, accumulate, changed, caplog):
        header, items = scan
        row = changed(items[0], np.full((1, samples), value, np.complex64), np.zeros((samples, dimensions), np.float32))
        (readouts,) = accumulate(header, [*items[:place], row, row, row, *items[place:]])
        assert_same(readouts, items)
        if place < 80:  # what comes behind a complete image is too late to be a surprise
            assert words in caplog.text

    def test_an_average_of_zeros_is_missing_and_does_not_weaken_the_others(self, scan, accumulate, changed, caplog):
        header, items = scan
        (readouts,) = accumulate(header, [changed(a, 0 * a.data) if a.idx.average == 3 else a for a in items])
        assert_same(readouts, [a for a in items if a.idx.average < 3], 3)
        assert "20 acquisitions have nothing but zeros and were left out" in caplog.text

    def test_nothing_else_is_told(self, scan, accumulate, changed):
        header, items = scan
        with pytest.raises(RawDataError, match="all acquisitions have nothing but zeros; the scan is empty"):
            accumulate(header, [changed(a, 0 * a.data) for a in items])


class TestAveragePhase:
    @pytest.fixture
    def drifting(self, measured, changed):
        """30 averages that turn by 150 degrees, and those that do not."""
        measurement, items = measured(averages=30, half_pulses=False, noise=58.0)
        turns = [np.exp(1j * np.radians(150 * a.idx.average / 29)) for a in items]
        moved = [changed(a, (a.data * turn).astype(np.complex64)) for a, turn in zip(items, turns, strict=True)]
        return measurement.header_xml(), items, moved

    def test_its_loss_is_told(self, drifting, accumulate, caplog):
        header, items, moved = drifting
        accumulate(header, items)
        assert not caplog.records
        accumulate(header, moved)
        found = re.search(r"costs (\d+) % of the signal; set correct_average_phase", caplog.text)
        phases = np.radians(150 * np.arange(30) / 29)
        assert found is not None and float(found[1]) == pytest.approx(
            100 * (1 - abs(np.exp(1j * phases).mean())), abs=1.5
        )

    @pytest.mark.parametrize("order", ["as measured", "shuffled within averages", "interleaf by interleaf"])
    def test_corrected_it_is_gone(self, order, drifting, accumulate, caplog):
        header, items, moved = drifting
        if order == "interleaf by interleaf":
            moved = self.interleaf_by_interleaf(moved)
        elif order != "as measured":
            rng = np.random.default_rng(0)
            moved = sorted(moved, key=lambda a: (a.idx.average, rng.random()))
        (straight,) = accumulate(header, items)
        (turned,) = accumulate(header, moved, correct_average_phase="true")
        product = np.vdot(straight.kspace, turned.kspace)
        assert abs(product) / np.vdot(straight.kspace, straight.kspace).real == pytest.approx(1, abs=0.005)
        assert abs(np.degrees(np.angle(product))) < 10  # the phase is that of the first average, with its noise
        np.testing.assert_allclose(turned.noise_std, straight.noise_std, rtol=0.01)
        assert "costs" not in caplog.text

    def test_one_too_large_to_be_held_is_told(self, drifting, accumulate, monkeypatch):
        header, _, moved = drifting
        monkeypatch.setattr("nadenoise_core.mrd.phasing._MOST_HELD", 100 * moved[0].data.nbytes)
        accumulate(header, moved, correct_average_phase="true")
        with pytest.raises(RawDataError, match="averages are mixed and take more than 0 MiB"):
            accumulate(header, self.interleaf_by_interleaf(moved), correct_average_phase="true")

    @staticmethod
    def interleaf_by_interleaf(items):
        return sorted(items, key=lambda a: a.idx.kspace_encode_step_1)


def test_a_scan_of_protons_has_no_concentrations_that_go_unsaid(scan, run_chain, caplog):
    header, items = scan
    protons = header.replace("33785916", "127732437")
    assert protons != header
    for given, doubted in ((header, False), (protons, True)):
        caplog.clear()
        *_, atsc = run_chain(["accumulate", "reconstruct", "quantify"], given, items)
        facts = known_facts(atsc)
        assert facts.kind is Kind.ATSC
        assert any("that of protons" in comment for comment in facts.comments) == doubted
        assert ("that of protons" in caplog.text) == doubted
