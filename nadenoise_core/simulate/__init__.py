"""A virtual scan as an ISMRMRD file."""

from nadenoise_core import make_callable

make_callable(__name__)
