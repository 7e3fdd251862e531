"""Unblind the readers' ranks and analyse them: Table 3, the tests of section 2.7, agreement."""

from __future__ import annotations

import csv
import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nadenoise_core import __version__
from nadenoise_core.errors import BadInputError
from nadenoise_core.files import write_whole
from nadenoise_core.readers.agreement import PairAgreement, kendall_w, pair_agreement
from nadenoise_core.readers.comparison import (
    FriedmanTest,
    PairTest,
    competition_ranks,
    friedman_test,
    paired_t_tests,
    wilcoxon_tests,
)
from nadenoise_core.readers.formats import Key, Results, check_ranks, read_key, read_results


@dataclass(frozen=True)
class Reading:
    """One rank: by whom, of what.

    Attributes:
        repeat: whether it is of the second showing of its case.
        given: the number that the reader gave.
        rank: in competition ranking of its case.
    """

    reader: str
    case: str
    averages: int | None
    method: str
    repeat: bool
    given: int
    rank: int


@dataclass(frozen=True)
class MethodRank:
    """One entry of Table 3.

    Attributes:
        mean, sd: of the rank over all readings; sd None for a single one.
        first: readings in which the method has rank 1, alone or tied.
        readings: in all.
    """

    method: str
    mean: float
    sd: float | None
    first: int
    readings: int


@dataclass(frozen=True)
class Group:
    """The cases of one number of averages; None where averages are not known.

    Attributes:
        cases: their number.
        methods: Table 3.
        t_tests: on all readings, as in the paper; two readers of one case count as two.
        friedman, wilcoxon: on the mean over readers, one row a case.
    """

    averages: int | None
    cases: int
    methods: list[MethodRank]
    t_tests: list[PairTest]
    friedman: FriedmanTest
    wilcoxon: list[PairTest]


@dataclass(frozen=True)
class Between:
    """Agreement of two readers over all cases."""

    first: str
    second: str
    agreement: PairAgreement


@dataclass(frozen=True)
class Analysis:
    """What the readers found.

    Attributes:
        methods: in the order of all tables; tests name them by their place.
        kendall_w: mean over cases of the concordance of the readers about the case; None with one reader.
        kendall_cases: cases that it is the mean of: those in which some reader tells two images apart.
        within: reader to the agreement of its two showings of the repeated cases.
    """

    study: str
    methods: tuple[str, ...]
    readers: tuple[str, ...]
    readings: list[Reading]
    groups: list[Group]
    kendall_w: float | None
    kendall_cases: int
    between: list[Between]
    within: dict[str, PairAgreement]


def analyse_study(key_file: Path, result_files: Sequence[Path]) -> Analysis:
    """Read the key and the results of all readers, and analyse them.

    Raises:
        BadInputError: a file is damaged, changed, incomplete or of another study, or a reader is there twice.
    """
    key = read_key(key_file)
    readers: dict[str, Path] = {}
    readings: list[Reading] = []
    for path in result_files:
        results = read_results(path)
        if results.reader in readers:
            raise BadInputError(f"{path}: reader {results.reader} is in {readers[results.reader]} too; give one file")
        readers[results.reader] = path
        readings += unblind(key, results, str(path))
    return analyse_readings(key, readings)


def unblind(key: Key, results: Results, source: str) -> list[Reading]:
    """The readings of one reader, in the order of the key.

    Raises:
        BadInputError: the results are of another study, rank what it does not show, or are incomplete.
    """
    if results.study != key.study:
        raise BadInputError(
            f"{source}: belongs to study {results.study}, the key to {key.study}; give the key of that study"
        )
    known = {showing.id for showing in key.showings}
    if unknown := sorted(set(results.answers) - known):
        raise BadInputError(f"{source}: answers case {unknown[0]}, which the study does not have; take that file out")
    averages = {case.case: case.averages for case in key.cases}
    readings = []
    missing = []
    for number, showing in enumerate(key.showings, 1):
        answer = results.answers.get(showing.id)
        given = answer.ranks if answer else {}
        check_ranks(given, tuple(showing.images), f"{source}: the answer to case {number}")
        if len(given) < len(showing.images):
            missing.append(number)
            continue
        case = showing.case
        by_method = {showing.images[image]: value for image, value in given.items()}
        ranks = competition_ranks([by_method[method] for method in key.methods])
        readings += [
            Reading(results.reader, case, averages[case], method, showing.repeat, by_method[method], rank)
            for method, rank in zip(key.methods, ranks.tolist(), strict=True)
        ]
    if missing:
        some = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise BadInputError(
            f"{source}: reader {results.reader} has {len(missing)} of {len(key.showings)} cases incomplete "
            f"(number {some} on the page); let the reader finish"
        )
    return readings


def analyse_readings(key: Key, readings: list[Reading]) -> Analysis:
    """All tables and tests from unblinded readings that are complete."""
    readers = tuple(dict.fromkeys(reading.reader for reading in readings))
    table = {(r.reader, r.case, r.repeat, r.method): r.rank for r in readings}

    def ranks(names: Sequence[str], reader: str, repeat: bool = False) -> NDArray[np.int64]:
        return np.array([[table[reader, case, repeat, method] for method in key.methods] for case in names])

    groups = []
    for number in sorted({case.averages for case in key.cases}, key=lambda n: -(n or 0)):
        names = [case.case for case in key.cases if case.averages == number]
        by_reader = np.stack([ranks(names, reader) for reader in readers]).astype(np.float64)
        groups.append(_group(key.methods, number, by_reader))

    every = [case.case for case in key.cases]
    all_ranks = {reader: ranks(every, reader) for reader in readers}
    stacked = np.stack(list(all_ranks.values()))
    found = [kendall_w(stacked[:, index]) for index in range(len(every))] if len(readers) > 1 else []
    concordances = [w for w in found if w is not None]
    again = [showing.case for showing in key.showings if showing.repeat]
    return Analysis(
        study=key.study,
        methods=key.methods,
        readers=readers,
        readings=readings,
        groups=groups,
        kendall_w=float(np.mean(concordances)) if concordances else None,
        kendall_cases=len(concordances),
        between=[
            Between(one, other, pair_agreement(all_ranks[one], all_ranks[other]))
            for one, other in itertools.combinations(readers, 2)
        ],
        within={reader: pair_agreement(ranks(again, reader), ranks(again, reader, True)) for reader in readers}
        if again
        else {},
    )


def _group(methods: Sequence[str], averages: int | None, by_reader: NDArray[np.float64]) -> Group:
    """by_reader: (readers, cases, methods) ranks."""
    readings = by_reader.reshape(-1, len(methods))
    by_case = by_reader.mean(axis=0)
    count = len(readings)
    entries = [
        MethodRank(
            method,
            float(column.mean()),
            float(column.std(ddof=1)) if count > 1 else None,
            int((column == 1).sum()),
            count,
        )
        for method, column in zip(methods, readings.T, strict=True)
    ]
    return Group(
        averages=averages,
        cases=by_reader.shape[1],
        methods=entries,
        t_tests=paired_t_tests(readings),
        friedman=friedman_test(by_case),
        wilcoxon=wilcoxon_tests(by_case),
    )


def write_analysis(analysis: Analysis, out: Path) -> tuple[Path, Path]:
    """Write `readers.json`, the analysis, and `readers.csv`, one line a rank.

    Raises:
        OutputError: they cannot be written.
    """
    numbers = asdict(analysis)
    del numbers["readings"]
    for group in numbers["groups"]:
        for test in (*group["t_tests"], *group["wilcoxon"]):
            test["first"], test["second"] = analysis.methods[test["first"]], analysis.methods[test["second"]]
    document: dict[str, Any] = {
        "version": __version__,
        "ranking": "1 best; competition ranking: ties share the smallest rank, the next are skipped",
        "t_tests": "paired t on all readings (readers x cases), Bonferroni over the pairs",
        "friedman_and_wilcoxon": "on the mean rank over readers, one row a case, Bonferroni over the pairs",
        "kappa": "Cohen's with quadratic weights",
        **numbers,
    }
    stored = StringIO()
    writer = csv.writer(stored, lineterminator="\n")
    writer.writerow(["reader", "case", "averages", "method", "showing", "given", "rank"])
    for reading in analysis.readings:
        averages = "" if reading.averages is None else reading.averages
        showing = 2 if reading.repeat else 1
        line = [reading.reader, reading.case, averages, reading.method, showing, reading.given, reading.rank]
        writer.writerow(line)
    paths = out / "readers.json", out / "readers.csv"
    write_whole(paths[0], (json.dumps(document, indent=2, allow_nan=False) + "\n").encode())
    write_whole(paths[1], stored.getvalue().encode())
    return paths
