"""What is known of scans is plain data for JSON, whatever clients send."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from nadenoise_core.monitor.scans import Scans
from nadenoise_core.mrd.image import facts_of, put_facts
from nadenoise_core.mrd.scan import read_scan


@pytest.fixture
def scan(measured, run_chain):
    measurement, acquisitions = measured(averages=2, noise=10.0)
    (image,) = run_chain(["accumulate", "reconstruct"], measurement.header_xml(), acquisitions)
    return measurement.header_xml(), image


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_null(scan, number):
    header, image = scan
    scans = Scans()
    watcher = scans.watch(1)
    header = header.replace("<TR>100.0</TR>", f"<TR>{number}</TR>")
    watcher.begin(read_scan(header), header.encode())
    put_facts(image, replace(facts_of(image), noise_std=number))
    watcher.image(image)
    state = json.loads(json.dumps(scans.state(), allow_nan=False))
    assert state[0]["seconds_left"] in (0.0, None) and state[0]["history"] == [{"averages": 2, "noise": None}]


def test_an_image_of_nan_can_be_shown(scan):
    header, image = scan
    scans = Scans()
    watcher = scans.watch(1)
    watcher.begin(read_scan(header), header.encode())
    image.data[:] = np.nan
    watcher.image(image)
    assert scans.png(1, "plain").startswith(b"\x89PNG")


def test_what_is_kept_of_a_scan_has_an_end(scan):
    header, image = scan
    scans = Scans()
    watcher = scans.watch(1)
    watcher.begin(read_scan(header), header.encode())
    for _ in range(1200):
        watcher.image(image)
    assert len(scans.state()[0]["history"]) == 1000
