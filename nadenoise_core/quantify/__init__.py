"""From images to concentrations: reference tubes, calibration, aTSC maps, regions, image quality."""

from nadenoise_core import make_callable

make_callable(__name__)
