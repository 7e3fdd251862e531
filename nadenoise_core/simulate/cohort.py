"""Virtual volunteers of whom the image of all averages measures what the paper's reference images measured.

What a scan measures is not what is true: skin is thinner than a pixel, signal decays and is saturated, tubes lean. So
concentrations are put in such that, after all of that, medians and interquartile ranges are those of the paper's
Tables 2, 4 and 5; `tests/simulate/test_simulate_cohort.py` measures them. What physics gives is put in as it is:

- Skin of the leg is 1.55 mm thick (Laurent et al., Vaccine 25:6423, 2007, thigh, by ultrasound); its sodium
  reaches 60 mmol/L where pixels of 0.9 mm see it (Linz et al., NMR Biomed 28:54, 2015).
- Tubes hold gel that relaxes as tissue does (Rot et al., NMR Biomed, 2025, doi 10.1002/nbm.70056), and lean against the
  slice of 30 mm, as tubes along a leg do. The angle is what the paper's edge sharpness asks for: more than the taper of
  a leg alone, it stands for all that blurs an edge and is not known of that scanner.
- The field is that of a shim to less than half a part per million (33.8 Hz).
- The noise of a volunteer follows the load of the coil.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from nadenoise_core.errors import BadInputError
from nadenoise_core.simulate.measurement import VirtualMeasurement

MedianAndRange = tuple[float, float]
"""Median and interquartile range (R's type 7)."""


@dataclass(frozen=True)
class Cohort:
    """What volunteers have in common, and how they differ; a pair is a median and an interquartile range.

    Attributes:
        muscle, skin: concentrations, mmol/L.
        skin_thickness: mm.
        noise: of the real part of the image of one average, mmol/L.
        tube_tilt: of the reference tubes against the normal of the slice, degrees.
        off_resonance: amplitude of the field map, Hz.
        relaxation: whether tissues and the gel in the tubes are saturated and decay.
    """

    muscle: MedianAndRange = (19.8, 2.5)
    skin: MedianAndRange = (46.0, 8.5)
    skin_thickness: MedianAndRange = (1.55, 0.25)
    noise: MedianAndRange = (47.0, 10.0)
    tube_tilt: MedianAndRange = (22.0, 2.6)
    off_resonance: MedianAndRange = (15.0, 6.0)
    relaxation: bool = True

    def volunteers(self, count: int, seed: int, averages: int) -> Iterator[VirtualMeasurement]:
        """Scans of as many volunteers, whose numbers have the medians and ranges exactly, not by chance.

        Args:
            count: 2 or more.
            seed: of the first volunteer; the others have the next ones.
            averages: of each scan.

        Raises:
            BadInputError: a range is so wide that a number would fall below 0.
        """
        rng = np.random.default_rng((seed, 1))
        names = ("muscle", "skin", "skin_thickness", "noise", "tube_tilt", "off_resonance")
        columns = {name: _spread(rng, count, name, *getattr(self, name)).tolist() for name in names}
        for index in range(count):
            numbers = {name: column[index] for name, column in columns.items()}
            yield VirtualMeasurement(
                seed=seed + index,
                averages=averages,
                tube_wall=_TUBE_WALL,
                relaxation=self.relaxation,
                tube_gel=self.relaxation,
                **numbers,
            )


_TUBE_WALL = 1.0  # mm, of polypropylene


def _spread(rng: Generator, count: int, name: str, median: float, interquartile_range: float) -> NDArray[np.float64]:
    """Normal scores in random order, with this median and range."""
    scores = norm.ppf((np.arange(count) + 0.5) / count)
    low, high = np.percentile(scores, (25, 75))
    values = median + interquartile_range / (high - low) * scores
    if values.min() < 0:
        raise BadInputError(
            f"{name}: a range of {interquartile_range:g} about {median:g} reaches below 0; make it smaller"
        )
    return np.asarray(rng.permutation(values))
