"""A first scan that no one waits for."""

from __future__ import annotations

import logging

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import NadenoiseError
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.stream.session import ChainFolders

_log = logging.getLogger("nadenoise.warm")


def warm_up(folders: ChainFolders) -> None:
    """Run every chain over a small virtual scan, so that libraries and networks are loaded before the first real one.

    A chain that cannot run is logged with the reason: its scans would fail.
    """
    measurement = VirtualMeasurement(seed=0, averages=5, noise=1.0)
    scan = read_scan(measurement.header_xml())
    for name in folders.names:
        try:
            chain = folders.named(name)
            if not chain.foreign:
                quiet = chain.with_property("deliver", "folder", "")
                for _ in run(build(quiet, scan), measurement.acquisitions()):
                    pass
            _log.info("chain %s is ready", name)
        except NadenoiseError as error:
            _log.warning("chain %s does not run over a virtual scan: %s", name, error)
