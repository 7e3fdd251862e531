"""Ranks to Table 3, tests and agreement: against values of R, published examples, and a study worked by hand.

The values of R are of R 4.2.2 (friedman.test, wilcox.test, t.test, cor) and of Kappa in its package vcd 1.4-11.
"""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.agreement import kendall_w, pair_agreement, weighted_kappa
from nadenoise_core.readers.analyse import analyse_study, unblind, write_analysis
from nadenoise_core.readers.comparison import competition_ranks, friedman_test, paired_t_tests, wilcoxon_tests
from nadenoise_core.readers.formats import Answer, Key, KeyCase, KeyShowing, Results

ONE = np.array([[1, 4, 2, 2], [2, 4, 3, 1], [1, 3, 3, 1], [2, 4, 3, 1], [1, 4, 2, 2], [1, 2, 4, 3], [2, 4, 2, 1],
                [1, 4, 3, 1]])  # fmt: skip
OTHER = np.array([[2, 4, 3, 1], [1, 4, 3, 2], [1, 4, 2, 2], [2, 3, 3, 1], [1, 4, 3, 1], [2, 4, 3, 1], [1, 4, 3, 2],
                  [1, 3, 3, 2]])  # fmt: skip
METHODS = ("reference", "nufft", "cs", "cnn")


class TestCompetitionRanks:
    @pytest.mark.parametrize(
        ("given", "ranks"),
        [
            ([1, 1, 2, 3], [1, 1, 3, 4]),
            ([1, 1, 3, 4], [1, 1, 3, 4]),
            ([2, 2, 2, 2], [1, 1, 1, 1]),
            ([4, 3, 3, 3], [4, 1, 1, 1]),
            ([3, 1, 2, 2], [4, 1, 2, 2]),
        ],
    )
    def test_ties_share_the_smallest_and_the_next_are_skipped(self, given, ranks):
        assert competition_ranks(given).tolist() == ranks


class TestAgainstR:
    def test_paired_t(self):
        tests = paired_t_tests(np.concatenate([ONE, OTHER]).astype(float))
        expected = [
            (-13.1363246462, 1.24349821868e-09, 7.46098931211e-09),
            (-7.90444906117, 9.98116054086e-07, 5.98869632452e-06),
            (-0.487950036474, 0.63264060856, 1),
            (3.41565025532, 0.00383270228783, 0.022996213727),
            (8.3586434397, 4.99689986172e-07, 2.99813991703e-06),
            (6.61875721113, 8.1682216137e-06, 4.90093296822e-05),
        ]
        assert [(test.first, test.second) for test in tests] == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
        for test, (statistic, p, corrected) in zip(tests, expected, strict=True):
            assert (test.statistic, test.p, test.p_bonferroni) == pytest.approx((statistic, p, corrected), rel=1e-9)
            assert test.test == "paired t"

    def test_paired_t_of_the_sleep_data(self):
        extra = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0, 2], [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
        (test,) = paired_t_tests(np.transpose(extra))
        assert (test.statistic, test.p) == pytest.approx((-4.062127683, 0.0028328902), rel=1e-8)

    def test_friedman_on_means_over_readers(self):
        found = friedman_test((ONE + OTHER) / 2)
        assert (found.chi_square, found.p) == pytest.approx((21.7012987013, 7.52642629185e-05), rel=1e-9)
        assert found.degrees == 3 and found.w == pytest.approx(21.7012987013 / 24, rel=1e-9)

    def test_friedman_of_hollander_and_wolfe_rounding_times(self):
        times = [5.40, 5.50, 5.55, 5.85, 5.70, 5.75, 5.20, 5.60, 5.50, 5.55, 5.50, 5.40, 5.90, 5.85, 5.70, 5.45, 5.55,
                 5.60, 5.40, 5.40, 5.35, 5.45, 5.50, 5.35, 5.25, 5.15, 5.00, 5.85, 5.80, 5.70, 5.25, 5.20, 5.10, 5.65,
                 5.55, 5.45, 5.60, 5.35, 5.45, 5.05, 5.00, 4.95, 5.50, 5.50, 5.40, 5.45, 5.55, 5.50, 5.55, 5.55, 5.35,
                 5.45, 5.50, 5.55, 5.50, 5.45, 5.25, 5.65, 5.60, 5.40, 5.70, 5.65, 5.55, 6.30, 6.30, 6.25]  # fmt: skip
        found = friedman_test(np.reshape(times, (22, 3)))
        assert (found.chi_square, found.p) == pytest.approx((11.1428571429, 0.00380504077551), rel=1e-9)

    def test_wilcoxon_with_ties_and_zeros(self):
        tests = wilcoxon_tests((ONE + OTHER) / 2)
        expected = [(0, 0.0118662168794), (0, 0.0132131092187), (5, 0.571607644953), (34, 0.0281796549108),
                    (36, 0.0118662168794), (36, 0.0126438306738)]  # fmt: skip
        for test, (statistic, p) in zip(tests, expected, strict=True):
            assert (test.statistic, test.p) == pytest.approx((statistic, p), rel=1e-9)
            assert test.p_bonferroni == pytest.approx(min(1, 6 * p), rel=1e-9)
            assert test.test == "Wilcoxon signed-rank, paired, normal approximation with continuity correction"

    def test_wilcoxon_exact_of_hollander_and_wolfe_depression(self):
        first = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
        second = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
        (test,) = wilcoxon_tests(np.transpose([first, second]))
        assert (test.statistic, test.p, test.test) == (40, 0.0390625, "Wilcoxon signed-rank, paired, exact")

    @pytest.mark.parametrize(("negative", "published"), [(0, 0.012), (1, 0.023), (2, 0.035)])
    def test_wilcoxon_gives_the_p_values_of_the_paper(self, negative, published):
        """Section 2.7: six pairs of four methods, ten volunteers; exact p is 2 k / 1024."""
        differences = np.arange(1.0, 11)
        if negative:
            differences[negative - 1] *= -1
        columns = np.stack([differences, np.zeros(10), np.full(10, 100.0), np.full(10, 200.0)], axis=1)
        assert round(wilcoxon_tests(columns)[0].p_bonferroni, 3) == published

    def test_weighted_kappa_and_spearman(self):
        found = pair_agreement(ONE, OTHER)
        assert (found.kappa, found.spearman) == pytest.approx((0.668789808917, 0.660116868704), rel=1e-9)
        assert (found.images, found.same) == (32, 0.375)

    def test_kendall_w_of_two_readers_case_by_case(self):
        expected = [0.815789473684, 0.9, 0.852941176471, 0.973684210526, 0.916666666667, 0.5, 0.815789473684,
                    0.944444444444]  # fmt: skip
        found = [kendall_w([one, other]) for one, other in zip(ONE, OTHER, strict=True)]
        assert found == pytest.approx(expected, rel=1e-9)


class TestAgreementByHand:
    def test_kendall_w_of_siegel(self):
        """Siegel, Nonparametric Statistics (1956), chapter 9: three executives rank six applicants, W = 0.16."""
        ranks = [[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]]
        assert kendall_w(ranks) == pytest.approx(12 * 25.5 / (9 * 210), rel=1e-12)

    def test_kendall_w_at_its_ends(self):
        assert kendall_w([[1, 2, 3, 4]] * 5) == 1
        assert kendall_w([[1, 2, 3, 4], [4, 3, 2, 1]]) == 0
        assert kendall_w([[1, 1, 3, 3], [1, 1, 3, 3]]) == 1  # the same ties
        assert kendall_w([[1, 1, 1, 1], [1, 1, 1, 1]]) is None

    def test_kappa_at_its_ends(self):
        assert weighted_kappa([1, 2, 3, 4], [1, 2, 3, 4], 4) == 1
        assert weighted_kappa([1, 2], [2, 1], 2) == -1
        # Chance: o = 1/4 everywhere in a 2 x 2 table.
        assert weighted_kappa([1, 1, 2, 2], [1, 2, 1, 2], 2) == 0
        assert weighted_kappa([1, 1], [1, 1], 4) is None

    def test_a_reader_that_ties_all_has_no_correlation(self):
        found = pair_agreement([[1, 1, 1, 1]], [[1, 2, 3, 4]])
        assert (found.spearman, found.kappa, found.same) == (None, 0, 0.25)


class TestDegenerateRanks:
    def test_no_test_where_nothing_differs(self):
        same = np.ones((5, 4))
        assert all(test.p is None and test.p_bonferroni is None for test in paired_t_tests(same) + wilcoxon_tests(same))
        assert friedman_test(same).p is None

    def test_no_t_test_where_all_differences_are_equal(self):
        always = np.tile([1.0, 2, 3, 4], (5, 1))
        assert {test.test for test in paired_t_tests(always)} == {"none: all differences are equal"}
        assert friedman_test(always).w == 1

    def test_one_case(self):
        assert paired_t_tests(np.array([[1.0, 2]]))[0].p is None
        assert friedman_test(np.array([[1.0, 2, 3]])).p is None


def identifier(number: int) -> str:
    return f"{number:012x}"


def made_key(cases: int = 8, repeated: tuple[int, ...] = (), averages: int | None = 30) -> Key:
    """A key whose images stand in the order of the methods: case n is showing n, its images 100 n + 0 to 3."""
    shown = [*range(cases), *repeated]
    return Key(
        study=identifier(999), seed=1, version="0", reference="reference", methods=METHODS,
        cases=tuple(KeyCase(case=f"case{n}", averages=averages, window=(0, 1)) for n in range(cases)),
        showings=tuple(
            KeyShowing(id=identifier(place), case=f"case{n}", repeat=place >= cases,
                       images={identifier(100 * place + i + 1000): m for i, m in enumerate(METHODS)})
            for place, n in enumerate(shown)
        ),
    )  # fmt: skip


def made_results(key: Key, reader: str, ranks: np.ndarray) -> Results:
    answers = {
        showing.id: Answer(ranks=dict(zip(showing.images, row.tolist(), strict=True)))
        for showing, row in zip(key.showings, ranks, strict=True)
    }
    return Results(study=key.study, reader=reader, answers=answers).sealed()


@pytest.fixture
def study(tmp_path):
    """Two readers, eight cases, two of them twice: what `analyse` is given."""
    key = made_key(repeated=(0, 1))
    again = {"one": [[1, 4, 2, 2], [1, 4, 3, 2]], "other": [[2, 4, 3, 1], [1, 4, 3, 2]]}
    files = []
    for reader, ranks in (("one", ONE), ("other", OTHER)):
        files.append(tmp_path / f"{reader}.json")
        files[-1].write_bytes(made_results(key, reader, np.concatenate([ranks, again[reader]])).to_json())
    (tmp_path / "key.json").write_bytes(key.to_json())
    return tmp_path / "key.json", files


class TestAnalysis:
    def test_table_3(self, study):
        (group,) = analyse_study(*study).groups
        assert (group.averages, group.cases) == (30, 8)
        assert [entry.method for entry in group.methods] == list(METHODS)
        assert [entry.mean for entry in group.methods] == [1.375, 3.6875, 2.8125, 1.5]  # colMeans in R
        expected = [0.5, 0.60207972894, 0.543905629069, 0.632455532034]  # sd in R
        assert [entry.sd for entry in group.methods] == pytest.approx(expected, rel=1e-9)
        assert [(entry.first, entry.readings) for entry in group.methods] == [(10, 16), (0, 16), (0, 16), (9, 16)]

    def test_tests_are_on_readings_and_on_means(self, study):
        (group,) = analyse_study(*study).groups
        assert group.t_tests[3].p_bonferroni == pytest.approx(0.022996213727, rel=1e-9)
        assert group.friedman.p == pytest.approx(7.52642629185e-05, rel=1e-9)
        assert group.wilcoxon[3].p == pytest.approx(0.0281796549108, rel=1e-9)

    def test_agreement(self, study):
        analysis = analyse_study(*study)
        assert (analysis.kendall_w, analysis.kendall_cases) == (pytest.approx(0.839914430685, rel=1e-9), 8)
        (between,) = analysis.between
        assert (between.first, between.second) == ("one", "other")
        assert between.agreement.kappa == pytest.approx(0.668789808917, rel=1e-9)
        # The first reader gave case 0 the same ranks again, and swapped its first and last in case 1.
        assert (analysis.within["one"].images, analysis.within["one"].same) == (8, 0.75)
        assert analysis.within["other"].same == analysis.within["other"].kappa == 1

    def test_one_reader_and_no_repeats(self, tmp_path):
        key = made_key(averages=None)
        (tmp_path / "key.json").write_bytes(key.to_json())
        (tmp_path / "one.json").write_bytes(made_results(key, "one", ONE).to_json())
        analysis = analyse_study(tmp_path / "key.json", [tmp_path / "one.json"])
        assert (analysis.kendall_w, analysis.between, analysis.within) == (None, [], {})
        assert analysis.groups[0].averages is None and analysis.groups[0].methods[0].readings == 8

    def test_what_was_given_as_1_1_2_3_counts_as_1_1_3_4(self):
        key = made_key(1)
        readings = unblind(key, made_results(key, "one", np.array([[1, 3, 2, 1]])), "one.json")
        assert {reading.method: (reading.given, reading.rank) for reading in readings} == {
            "reference": (1, 1), "cnn": (1, 1), "cs": (2, 3), "nufft": (3, 4)
        }  # fmt: skip

    def test_files(self, study, tmp_path):
        written, table = write_analysis(analyse_study(*study), tmp_path / "out")
        document = json.loads(written.read_text())
        assert document["groups"][0]["methods"][0] == {
            "method": "reference", "mean": 1.375, "sd": 0.5, "first": 10, "readings": 16
        }  # fmt: skip
        assert (document["groups"][0]["t_tests"][3]["first"], document["within"]["one"]["images"]) == ("nufft", 8)
        with table.open() as file:
            lines = list(csv.DictReader(file))
        assert len(lines) == 2 * 10 * 4
        first = [int(line["rank"]) for line in lines if line["method"] == "cnn" and line["showing"] == "1"]
        assert np.mean(first) == 1.5
        assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["readers.csv", "readers.json"]


class TestRefused:
    def refused(self, study, change, *words):
        """Change the text of the first reader's file: the analysis must refuse it with these words."""
        key, files = study
        files[0].write_text(change(files[0].read_text()))
        with pytest.raises(BadInputError) as error:
            analyse_study(key, files)
        for word in (str(files[0]), *words):
            assert word in str(error.value)

    def resealed(self, **changes):
        def change(text):
            results = Results.model_validate_json(text).model_copy(update=changes)
            return results.sealed().to_json().decode()

        return change

    def test_a_changed_rank(self, study):
        self.refused(study, lambda text: text.replace(": 4", ": 3", 1), "was changed after the reader saved it")

    def test_a_changed_name(self, study):
        self.refused(study, lambda text: text.replace('"one"', '"three"'), "was changed")

    def test_a_rank_that_is_none(self, study):
        for rank in ("0", "1.5", '"1"', "true", "null", "10"):
            key, files = study
            before = files[0].read_text()
            self.refused(study, lambda text, rank=rank: text.replace(": 4", f": {rank}", 1), "is no file of a reader's")
            files[0].write_text(before)

    def test_a_rank_beyond_the_images(self, study):
        def change(text):
            results = Results.model_validate_json(text.replace(": 4", ": 5", 1))
            return results.sealed().to_json().decode()

        self.refused(study, change, "rank 5 is not within 1 to 4")

    def test_a_file_cut_short(self, study):
        self.refused(study, lambda text: text[:-40], "is not whole JSON")

    def test_a_key_twice(self, study):
        self.refused(study, lambda text: text.replace('"reader"', '"study": "x", "reader"'), "a key stands twice")

    def test_another_study(self, study):
        self.refused(study, self.resealed(study=identifier(5)), "belongs to study 000000000005, the key to")

    def test_a_case_left_out(self, study):
        answers = dict(Results.model_validate_json(study[1][0].read_text()).answers)
        del answers[identifier(2)], answers[identifier(9)]
        self.refused(study, self.resealed(answers=answers), "2 of 10 cases incomplete (number 3, 10 on the page)")

    def test_a_rank_left_out(self, study):
        answers = dict(Results.model_validate_json(study[1][0].read_text()).answers)
        ranks = dict(answers[identifier(4)].ranks)
        ranks.popitem()
        answers[identifier(4)] = Answer(ranks=ranks)
        self.refused(study, self.resealed(answers=answers), "1 of 10 cases incomplete (number 5 on the page)")

    def test_a_case_that_is_none(self, study):
        answers = dict(Results.model_validate_json(study[1][0].read_text()).answers)
        answers[identifier(77)] = answers[identifier(1)]
        self.refused(study, self.resealed(answers=answers), "answers case 00000000004d")

    def test_an_image_of_another_case(self, study):
        answers = dict(Results.model_validate_json(study[1][0].read_text()).answers)
        answers[identifier(0)] = answers[identifier(1)]
        self.refused(study, self.resealed(answers=answers), "the answer to case 1: ranks image", "does not show")

    def test_a_reader_twice(self, study):
        key, files = study
        with pytest.raises(BadInputError, match="reader one is in .*one.json too"):
            analyse_study(key, [files[0], files[0]])

    def test_a_key_that_contradicts_itself(self, study):
        key, files = study
        key.write_text(key.read_text().replace('"nufft"', '"cs"', 2))
        with pytest.raises(BadInputError, match="is not as it was built"):
            analyse_study(key, files)

    def test_results_for_a_key(self, study):
        with pytest.raises(BadInputError, match="is no key of a reader study"):
            analyse_study(study[1][0], study[1])
