"""The replay of a file as a job, and what it leaves; imported at once, since whoever hands out jobs does not replay."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typing_extensions import TypedDict, Unpack

from nadenoise_core.chain.chain import Chain
from nadenoise_core.jobs.job import Job
from nadenoise_core.mrd.budget import Budget
from nadenoise_core.mrd.pseudonyms import Pseudonyms
from nadenoise_core.replay.schema import Report


@dataclass(frozen=True)
class ReplayResult:
    """What a replay left.

    Attributes:
        folder: of the results.
        report: what `report.json` holds.
        done_before: whether the results were there, made of the same raw file in the same way.
    """

    folder: Path
    report: Report
    done_before: bool = False


class ReplaySettings(TypedDict, total=False):
    """See `nadenoise_core.replay.replay.replay`."""

    group: str | None
    overwrite: bool
    budget: Budget
    pseudonyms: Pseudonyms | None


def replay_job(
    raw: Path, chain: Chain, out: Path, bids: Path | None = None, **settings: Unpack[ReplaySettings]
) -> Job[ReplayResult]:
    """The job that `replay` is of these arguments; paths are made absolute, for workers elsewhere.

    Args:
        raw: ISMRMRD file.
        chain: to run.
        out: folder of the results of all raw files.
        bids: BIDS dataset that gets the images, too; it is there.
        settings: of the replay.
    """
    dataset = None if bids is None else bids.absolute()
    return Job(str(raw), partial(_replay, raw.absolute(), chain, out.absolute(), dataset, **settings))


def _replay(raw: Path, chain: Chain, out: Path, bids: Path | None, **settings: Unpack[ReplaySettings]) -> ReplayResult:
    from nadenoise_core.replay.replay import replay

    result = replay(raw, chain, out, **settings)
    if bids is not None:
        put_into_bids(bids, result, settings.get("overwrite", False))
    return result


def put_into_bids(dataset: Path, result: ReplayResult, overwrite: bool) -> Path:
    """Put the images of a replay into a BIDS dataset, unless that was done before; errors as of `write_bids`.

    Returns:
        The folder of the subject or of its session.
    """
    from nadenoise_core.replay.bids import bids_folder, write_bids

    folder = bids_folder(dataset, result.folder.name)
    if result.done_before and folder.exists():
        return folder
    return write_bids(dataset, result.folder.name, result.folder, overwrite)
