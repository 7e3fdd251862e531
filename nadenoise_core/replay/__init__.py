"""One raw file through a chain into a folder of results."""

from nadenoise_core import make_callable

make_callable(__name__)
