"""How far a piece of work has come, for who waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias, TypeVar

ProgressCallback: TypeAlias = Callable[[int, int], object]
"""Called with (items done, items in all)."""

_Item = TypeVar("_Item")


def counted(items: Iterable[_Item], total: int, progress: ProgressCallback | None) -> Iterator[_Item]:
    """The same items; progress is called for each when the next is asked for.

    Args:
        items: to be counted.
        total: of the items.
        progress: to be called; None: nobody waits.
    """
    for number, item in enumerate(items, 1):
        yield item
        if progress is not None:
            progress(number, total)
