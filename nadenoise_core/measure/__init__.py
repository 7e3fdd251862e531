"""Concentrations of regions in many scans: one table."""

from nadenoise_core import make_callable

make_callable(__name__)
