"""Where many files are worked on: the options of it, and the engine that they name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import BadInputError
from nadenoise_core.jobs.here import Processes
from nadenoise_core.jobs.job import Engine, InThisProcess
from nadenoise_core.jobs.machine import usual_count


class ClusterKind(StrEnum):
    """Batch systems that dask-jobqueue knows."""

    SLURM = "slurm"
    PBS = "pbs"
    SGE = "sge"
    LSF = "lsf"


Jobs: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        help="How many at once, a process with one thread each; 1: in this process. Unless given, as many as cores and "
        "memory allow.",
    ),
]
Scheduler: TypeAlias = Annotated[
    str | None, typer.Option(help="Dask scheduler whose workers do the work.", metavar="tcp://HOST:PORT")
]
Cluster: TypeAlias = Annotated[
    ClusterKind | None, typer.Option(help="Batch system whose jobs do the work, through dask-jobqueue.")
]
ClusterConfig: TypeAlias = Annotated[
    Path | None, typer.Option(help="YAML file of what --cluster asks for: jobs, memory, time, queue.")
]


@contextmanager
def engine_of(
    jobs: int | None, scheduler: str | None, cluster: ClusterKind | None, config: Path | None
) -> Iterator[Engine]:
    """The engine that the options name, ready to run jobs.

    Raises:
        BadInputError: options that exclude each other, a wrong configuration, or Dask is not installed.
        ConnectionFailed: the scheduler cannot be reached.
        ClusterError: a worker runs other software than this.
    """
    given = {"--jobs": jobs, "--scheduler": scheduler, "--cluster": cluster}
    both = [option for option, value in given.items() if value is not None]
    if len(both) > 1:
        raise BadInputError(f"{' and '.join(both)} exclude each other; give one")
    if (cluster is None) != (config is None):
        raise BadInputError("--cluster and --cluster-config belong together; give both")
    if scheduler is not None or cluster is not None:
        from nadenoise_core.jobs import cluster as dask

        if scheduler is not None:
            with dask.connected(scheduler) as engine:
                yield engine
        elif cluster is not None and config is not None:
            with dask.started(cluster, dask.read_cluster_settings(config)) as engine:
                yield engine
    elif jobs == 1:
        yield InThisProcess()
    else:
        yield Processes(jobs or usual_count())
