"""What an HDF5 file must not do to its reader."""

from __future__ import annotations

from typing import Any


def is_elsewhere(group: Any, name: str) -> bool:
    """Whether an entry of a group, which may be missing, is a link, or has its values in other files.

    Either could lead to any file of this machine; links within a file are taken for such, too, since they may pass
    through one that leads out.
    """
    import h5py

    link = group.get(name, getlink=True)
    if link is None:
        return False
    if not isinstance(link, h5py.HardLink):
        return True
    item = group[name]
    return isinstance(item, h5py.Dataset) and bool(item.external or item.is_virtual)
