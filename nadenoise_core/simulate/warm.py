"""A first scan that no one waits for."""

from __future__ import annotations

import logging

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.runner import run
from nadenoise_core.errors import NadenoiseError
from nadenoise_core.log import hushed
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.stream.chain_folders import ChainFolders

_log = logging.getLogger("nadenoise.warm")


def warm_up(folders: ChainFolders) -> None:
    """Run every chain over a small virtual scan, so that libraries and networks are loaded before the first real one.

    Nothing of it is written anywhere. A chain that cannot run is logged with the reason: its scans would fail.
    """
    measurement = VirtualMeasurement(seed=0, averages=5)
    scan = read_scan(measurement.header_xml())
    for name in folders.names:
        try:
            chain = folders.named(name)
            if not chain.foreign:
                for output in ("folder", "outbox"):
                    chain = chain.with_property("deliver", output, "")
                with hushed():
                    for _ in run(build(chain, scan), measurement.acquisitions()):
                        pass
            _log.info("chain %s is ready", name)
        except NadenoiseError as error:
            _log.warning("chain %s does not run over a virtual scan: %s", name, error)
