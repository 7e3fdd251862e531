"""The checkpoint of a run: gone on from only by the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nadenoise_core.errors import OutputError
from training.errors import ConfigError, DataError
from training.fitting.ranks import Rank
from training.network.run import CHECKPOINT, FREE, Run, load_state, save_state


def read_checkpoint(out: Path, run: Run, rank: Rank) -> dict[str, Any] | None:
    """What a run goes on from; None where it begins. Makes the folder.

    Args:
        out: folder of the run.
        run: what the run is now.
        rank: of this process; the first reads for all, so that machines need not share the folder.

    Raises:
        OutputError: the folder cannot be made.
        ConfigError: the checkpoint is of another configuration.
        DataError: it is damaged, of other images, or tuned from another network.
    """
    path = out / CHECKPOINT
    if rank.is_first:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot write {out}: {error.strerror}; choose another --out") from None
    state: dict[str, Any] | None = rank.broadcast(load_state(path) if rank.is_first and path.is_file() else None)
    if state is not None:
        _check_same(run, Run.from_plain(state["run"], str(path)), path)
    return state


def write_checkpoint(state: dict[str, Any], out: Path) -> None:
    """Keep the state of a run; errors as `save_state`."""
    save_state(state, out / CHECKPOINT)


def _check_same(run: Run, before: Run, path: Path) -> None:
    other = "choose another --out, or delete the folder"
    if different := run.config.differences(before.config, FREE):
        raise ConfigError(f"{path}: this run was begun with another configuration: {different[0]}; {other}")
    if before.data != run.data:
        raise DataError(f"{path}: this run was begun with other images; {other}")
    if before.tuning != run.tuning:
        raise DataError(f"{path}: this run was begun from another network or with other scans; {other}")
