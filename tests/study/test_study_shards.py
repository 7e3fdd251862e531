"""A study that several processes share out, with a folder in common and no daemon."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from nadenoise_core.errors import BadInputError
from nadenoise_core.jobs.claims import Claims
from nadenoise_core.study import volunteer
from nadenoise_core.study.config import MethodSettings, StudyConfig, VirtualSubjects
from nadenoise_core.study.merge import CLAIMS, merge_study
from nadenoise_core.study.run import Shard, run_shard, run_study

CONFIG = StudyConfig(
    subjects=VirtualSubjects(kind="virtual", count=4, averages=6), methods=MethodSettings(averages=(3,))
)
IMAGES = [("reference", 6), ("NUFFT", 3), ("CS", 3), ("CNN", 3)]
NAMES = [f"virtual0{number}" for number in range(1, 5)]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Volunteers that are evaluated at once, as if; their names as they are."""
    evaluated: list[str] = []

    def evaluate(subject: volunteer.Subject, methods: object, folder: Path, mark: str) -> None:
        evaluated.append(subject.name)
        folder.mkdir(parents=True)
        rows = "".join(f"{subject.name},{method},{count},snr,{len(evaluated)}\n" for method, count in IMAGES)
        (folder / "measures.csv").write_text(f"volunteer,method,averages,measure,value\n{rows}")
        (folder / "record.json").write_text(json.dumps({"fingerprint": mark, "virtual": True}))

    monkeypatch.setattr(volunteer, "evaluate", evaluate)
    return evaluated


def test_shards_and_their_merger_give_the_study(quick: list[str], tmp_path: Path) -> None:
    whole = run_study(CONFIG, tmp_path / "whole")
    quick.clear()
    shared = tmp_path / "shared"
    with Claims(shared / CLAIMS).claim(NAMES[1]) as busy:  # another shard is at it
        assert busy
        first = run_shard(CONFIG, shared, Shard(1, 2))
    assert first.done == [NAMES[0], NAMES[2], NAMES[3]] and first.elsewhere == [NAMES[1]]
    second = run_shard(CONFIG, shared, Shard(2, 2))
    assert (second.done, sorted(second.skipped)) == ([NAMES[1]], first.done)
    merged = merge_study(CONFIG, shared)
    assert merged.measures.volunteers == whole.measures.volunteers == NAMES and merged.failures == {}
    assert [row.value for row in merged.measures.rows[::4]] == [1, 4, 2, 3]  # in the order in which they were done
    assert (shared / "cases.csv").read_text() == (tmp_path / "whole" / "cases.csv").read_text()
    assert not (shared / CLAIMS).exists()


def test_each_shard_begins_with_its_own_share(quick: list[str], tmp_path: Path) -> None:
    for number in (1, 2, 3):
        quick.clear()
        run_shard(CONFIG, tmp_path / str(number), Shard(number, 3))
        own = NAMES[number - 1 :: 3]
        assert quick[: len(own)] == own and sorted(quick) == NAMES


def test_the_share_of_a_dead_shard_is_done_by_the_others(quick: list[str], tmp_path: Path) -> None:
    owner = tmp_path / CLAIMS / NAMES[1] / "owner"
    owner.parent.mkdir(parents=True)
    owner.write_text(".1@far-away@0")
    assert run_shard(CONFIG, tmp_path, Shard(1, 2)).elsewhere == [NAMES[1]]
    os.utime(owner, (0, 0))  # silent for long
    found = run_shard(CONFIG, tmp_path, Shard(1, 2))
    assert (found.done, found.elsewhere) == ([NAMES[1]], []) and sorted(quick) == NAMES


def test_what_is_missing_is_named_by_the_merger(quick: list[str], tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no volunteer of the study is done there; run its shards first"):
        merge_study(CONFIG, tmp_path)
    other = CONFIG.model_copy(update={"methods": MethodSettings(averages=(2,))})
    run_shard(other, tmp_path, Shard(1, 1))
    with pytest.raises(BadInputError, match="no volunteer of the study is done there"):
        merge_study(CONFIG, tmp_path)
