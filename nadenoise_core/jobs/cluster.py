"""Clusters: a Dask scheduler that runs, or one that dask-jobqueue starts with workers in a batch system."""

from __future__ import annotations

import importlib
import logging
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import Field

from nadenoise_core.configuration import Section, checked, read_document
from nadenoise_core.errors import BadInputError, ConnectionFailed, reason_of
from nadenoise_core.jobs.dask_engine import DaskEngine

PATIENCE = 60.0
"""Seconds to wait for a scheduler that is started anew, and for its first worker."""

_CONNECT = 10  # s of one try
_CLASSES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}


class ClusterSettings(Section):
    """What is asked of a batch system."""

    jobs: int = Field(ge=1, le=100_000, description="Jobs of the batch system.")
    workers: int = Field(1, ge=1, le=1024, description="Workers in each job; a core each.")
    memory: str = Field("2GB", min_length=1, description="Of a job, such as 4GB.")
    walltime: str = Field("01:00:00", min_length=1, description="Of a job, as the batch system writes it.")
    queue: str | None = Field(None, description="Queue, or partition.")
    account: str | None = Field(None, description="Account, or project.")
    directives: tuple[str, ...] = Field((), description="Further lines for the batch system, such as --qos=low.")
    prologue: tuple[str, ...] = Field((), description="Shell lines before the worker, such as those that load Python.")
    python: str | None = Field(None, description="Python of the workers; null: this one.")
    interface: str | None = Field(None, description="Network interface between nodes, such as ib0.")
    logs: Path | None = Field(None, description="Folder of the output of the jobs; relative to the configuration.")
    wait: float = Field(600.0, gt=0, description="Seconds to wait for the first worker.")


def read_cluster_settings(path: Path) -> ClusterSettings:
    """Read and check the configuration of a cluster.

    Raises:
        ConfigError: not there, not YAML, or a wrong key or value.
    """
    settings = checked(read_document(path), ClusterSettings)
    return settings if settings.logs is None else settings.model_copy(update={"logs": path.parent / settings.logs})


@contextmanager
def connected(address: str, patience: float = PATIENCE) -> Iterator[DaskEngine]:
    """An engine on the workers of a scheduler that runs.

    Args:
        address: such as "tcp://host:8786".
        patience: seconds to wait when it is away, and for a worker.

    Raises:
        BadInputError: Dask is not installed, or this is no address.
        ConnectionFailed: the scheduler cannot be reached.
    """
    if not re.fullmatch(r"(tcp|tls)://\S+:[0-9]+", address):
        raise BadInputError(f"--scheduler {address}: write tcp://host:port, such as tcp://node1:8786")
    distributed = _imported("distributed")

    def connect() -> Any:
        return distributed.Client(address, timeout=_CONNECT, set_as_default=False)

    try:
        engine = DaskEngine(connect, patience)
    except OSError as error:
        raise ConnectionFailed(
            f"the Dask scheduler {address} cannot be reached ({reason_of(error)}); start it, or check the address"
        ) from None
    try:
        yield engine
    finally:
        engine.close()


@contextmanager
def started(kind: str, settings: ClusterSettings) -> Iterator[DaskEngine]:
    """An engine on workers that run as jobs of a batch system, and end with it.

    Args:
        kind: slurm, pbs, sge or lsf.
        settings: of the jobs.

    Raises:
        BadInputError: dask-jobqueue is not installed.
        ConnectionFailed: the batch system is not here.
    """
    distributed = _imported("distributed")
    with cluster_of(kind, settings) as cluster:
        command = cluster.job_cls.submit_command.split()[0]
        if shutil.which(command) is None:
            raise ConnectionFailed(f"there is no command {command} here; run this where {kind} takes jobs")
        cluster.scale(jobs=settings.jobs)
        engine = DaskEngine(lambda: distributed.Client(cluster, set_as_default=False), settings.wait)
        try:
            yield engine
        finally:
            engine.close()


def cluster_of(kind: str, settings: ClusterSettings) -> Any:
    """The cluster of dask-jobqueue, without jobs yet; `job_script()` of it is what a job would run."""
    jobqueue = _imported("dask_jobqueue")
    options: dict[str, Any] = {
        "job_name": "nadenoise",
        "cores": settings.workers,
        "processes": settings.workers,
        "memory": settings.memory,
        "walltime": settings.walltime,
        "queue": settings.queue,
        "account" if kind in ("slurm", "pbs") else "project": settings.account,
        "job_extra_directives": list(settings.directives),
        "job_script_prologue": list(settings.prologue),
        "interface": settings.interface,
        "python": settings.python,
        "log_directory": None if settings.logs is None else str(settings.logs),
        "scheduler_options": {"dashboard": False, "dashboard_address": ":0"},
    }
    given = {name: value for name, value in options.items() if value is not None}
    return getattr(jobqueue, _CLASSES[kind])(**given)


def _imported(package: str) -> Any:
    """A package of the extra; it tells only what goes wrong, unless debugging is on."""
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise BadInputError(f"{error.name} is not installed; pip install 'nadenoise[cluster]'") from None
    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        for name in ("distributed", "distributed.client"):  # the latter has a level of its own
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return module
