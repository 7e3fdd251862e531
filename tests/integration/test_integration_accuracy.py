"""Twenty individuals at two minutes, with the paper's noise, through the default chain: what the mission promises."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.runner import run
from nadenoise_core.mrd.image import known_facts, pixels_of
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.phantom import Label, concentration, labels
from nadenoise_core.quantify.quality import estimated_snr
from nadenoise_core.simulate.measurement import VirtualMeasurement

INDIVIDUALS = 20
MATRIX, FIELD_OF_VIEW, PIXEL = 80, 180.0, 2.25


@dataclass(frozen=True)
class Outcome:
    """Error of muscle aTSC (mmol/L) and estimated SNR of one individual, by image."""

    muscle_error: dict[str, float]
    snr: dict[str, float]


def scan_individual(seed: int) -> Outcome:
    measurement = VirtualMeasurement(seed=seed, averages=30)
    chain = read_chain(find_chain("sodium_calf")).with_property("quantify", "maps", "all")
    scan = read_scan(measurement.header_xml())
    images = list(run(build(chain, scan), measurement.acquisitions()))
    calf, truth = measurement.calf(), measurement.truth()["muscle"]
    muscle = labels(calf, MATRIX, FIELD_OF_VIEW, margin=PIXEL) == Label.MUSCLE
    air = binary_erosion(concentration(calf, MATRIX, FIELD_OF_VIEW) <= 0, iterations=3)
    errors = {
        known_facts(i).atsc.source.value: float(pixels_of(i)[muscle].mean()) - truth
        for i in images
        if known_facts(i).kind.value == "atsc"
    }
    snr = {
        known_facts(i).kind.value: estimated_snr(np.abs(pixels_of(i)), muscle, air)
        for i in images
        if known_facts(i).kind.value != "atsc"
    }
    return Outcome(errors, snr)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [scan_individual(seed) for seed in range(INDIVIDUALS)]


def test_every_scan_gives_both_maps(outcomes: list[Outcome]) -> None:
    assert all(set(outcome.muscle_error) == {"plain", "denoised"} for outcome in outcomes)


@pytest.mark.parametrize(("image", "allowed"), [("plain", 0.3), ("denoised", 0.5)])
def test_muscle_is_not_biased(outcomes: list[Outcome], image: str, allowed: float) -> None:
    assert abs(np.mean([outcome.muscle_error[image] for outcome in outcomes])) <= allowed


def test_the_noise_is_the_papers(outcomes: list[Outcome]) -> None:
    assert np.median([outcome.snr["plain"] for outcome in outcomes]) == pytest.approx(3.6, abs=0.3)  # Table 2


def test_denoising_gives_three_times_the_snr(outcomes: list[Outcome]) -> None:
    gains = [outcome.snr["denoised"] / outcome.snr["plain"] for outcome in outcomes]
    assert np.median(gains) >= 3
