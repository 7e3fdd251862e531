"""Linear algebra on one core: the matrices of a fit are small, and threads that spin beside other work cost much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let the linear algebra of this process run on one core meanwhile."""
    with _pools().limit(limits=1, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _pools() -> Any:
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
