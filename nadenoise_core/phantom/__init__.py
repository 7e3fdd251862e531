"""The virtual calf: a leg with reference tubes whose k-space is known in closed form.

    calf = random_calf(seed=1)
    scan = VirtualScan(calf, trajectory, pixel=2.25, averages=150, noise_std=60)
    for acquisition in scan.acquisitions(): ...
    truth = band_limited(calf, 80, 180)

Lengths are mm from the FOV centre, x along columns (read) to the right, y along rows (phase) downwards; pixel
N // 2 is the FOV centre. The signal is the sodium concentration in mmol/L.
"""

from nadenoise_core.phantom.calf import KINDS, TUBE_CONCENTRATIONS, Calf, Tissue, Tube
from nadenoise_core.phantom.individual import random_calf
from nadenoise_core.phantom.labels import Label, labels
from nadenoise_core.phantom.physics import GEL_TIMES, ILLUSTRATIVE_TIMES, FieldMap, Physics, Relaxation, RelaxationTimes
from nadenoise_core.phantom.scan import LoopOrder, VirtualAcquisition, VirtualScan
from nadenoise_core.phantom.shapes import Ellipse, fourier, inside
from nadenoise_core.phantom.slices import SliceProfile
from nadenoise_core.phantom.truth import band_limited, concentration, kspace, mean_concentration, true_muscle

__all__ = [
    "GEL_TIMES",
    "ILLUSTRATIVE_TIMES",
    "KINDS",
    "TUBE_CONCENTRATIONS",
    "Calf",
    "Ellipse",
    "FieldMap",
    "Label",
    "Physics",
    "Relaxation",
    "RelaxationTimes",
    "SliceProfile",
    "Tissue",
    "Tube",
    "VirtualAcquisition",
    "LoopOrder",
    "VirtualScan",
    "band_limited",
    "concentration",
    "fourier",
    "inside",
    "kspace",
    "labels",
    "mean_concentration",
    "random_calf",
    "true_muscle",
]
