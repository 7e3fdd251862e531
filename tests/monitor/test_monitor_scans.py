"""What is known of scans is plain data for JSON, whatever clients send."""

from __future__ import annotations

import json
import math
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from nadenoise_core.monitor.scans import Scans, Watcher
from nadenoise_core.mrd.image import facts_of, put_facts
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.quantify.precision import Progress


def watching(scans: Scans) -> Watcher:
    """The observer of scan 1."""
    return scans.observer(1, partial(scans.notified, 1))


@pytest.fixture
def scan(measured, run_chain):
    measurement, acquisitions = measured(averages=2, noise=10.0)
    stages = ["accumulate", "reconstruct", ("quantify", {"tube_diameter": "20"})]
    return measurement.header_xml(), *run_chain(stages, measurement.header_xml(), acquisitions)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_null(scan, number):
    header, image, atsc = scan
    scans = Scans()
    watcher = watching(scans)
    header = header.replace("<TR>100.0</TR>", f"<TR>{number}</TR>")
    watcher.begin(read_scan(header), header.encode())
    for one in (image, atsc):
        put_facts(one, replace(facts_of(one), noise_std=number))
        watcher.image(one)
    (state,) = json.loads(json.dumps(scans.state(), allow_nan=False))
    ((point,), (leg,)) = state["history"], state["history"][0]["regions"]
    assert state["seconds_left"] in (0.0, None) and point.get("snr") in (0.0, None)
    assert 10 < leg["atsc"] < 30 and leg["reach"] is None


def test_an_image_of_nan_can_be_shown(scan):
    header, image, _ = scan
    scans = Scans()
    watcher = watching(scans)
    watcher.begin(read_scan(header), header.encode())
    image.data[:] = np.nan
    watcher.image(image)
    assert scans.png(1, "plain").startswith(b"\x89PNG")


def test_a_scan_tells_its_tubes_its_method_and_what_to_beware_of(scan):
    header, image, atsc = scan
    scans = Scans()
    watcher = watching(scans)
    watcher.begin(read_scan(header), header.encode())
    for one in (image, atsc):
        watcher.image(one)
    (state,) = scans.state()
    assert state["tubes"].startswith("5 tubes (10, 25, 50, 75, 100 mmol/L), R\u00b2 0.9")
    assert (state["made_by"], state["remarks"]) == ("NUFFT", list(facts_of(atsc).comments))
    assert [verdict["level"] for verdict in state["verdicts"]] == ["bad", "note"]
    (leg,) = state["history"][0]["regions"]
    assert (leg["name"], leg["method"]) == ("leg", "mean") and 0 < leg["reach"] < 3


def test_what_is_missing_to_a_target_is_told_in_seconds(scan):
    header, image, atsc = scan
    facts = facts_of(atsc)
    progress = (Progress("leg", 1.0, 2.0, 1), Progress("skin", 3.0, 2.0, 5), Progress("muscle", 2.0, 1.0, 8))
    put_facts(atsc, replace(facts, atsc=replace(facts.atsc, progress=progress)))
    scans = Scans()
    watcher = watching(scans)
    watcher.begin(read_scan(header), header.encode())
    for one in (image, atsc):
        watcher.image(one)
    (state,) = scans.state()
    found = {target["name"]: target for target in state["targets"]}
    assert found["leg"]["reached"] and found["leg"]["seconds"] == 0
    assert found["skin"]["seconds"] == pytest.approx(5 * 40 * 0.1)  # averages, readouts, TR in s
    assert [found[name]["beyond"] for name in ("leg", "skin", "muscle")] == [False, True, True]  # of 2 averages


def test_what_is_kept_of_a_scan_has_an_end(scan):
    header, image, _ = scan
    scans = Scans()
    watcher = watching(scans)
    watcher.begin(read_scan(header), header.encode())
    for _ in range(1200):
        watcher.image(image)
    assert len(scans.state()[0]["history"]) == 1000


def test_what_an_observer_tells_outlives_its_process(scan):
    header, image, _ = scan
    scans = Scans()
    watcher = scans.observer(1, lambda view: scans.notified(1, pickle.loads(pickle.dumps(view))))
    watcher.begin(read_scan(header), header.encode())
    watcher.image(image)
    scans.over(1, "its process was killed")
    (state,) = scans.state()
    assert (state["images"], state["running"], state["error"]) == (["plain"], False, "its process was killed")
