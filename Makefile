# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help env demo paper test lint bench system clean

help:  ## Show the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

env: $(INSTALLED)  ## Make the environment in .venv.

$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "nadenoise needs Python 3.10 or newer; run make with PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch setuptools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	mkdir -p $(VENV)/share/gadgetron/config && cp chains/*.xml $(VENV)/share/gadgetron/config/  # an editable install leaves them out
	touch $@

demo: env  ## Simulate a two-minute scan of the virtual calf and take it from raw data to DICOM.
	$(BIN)/nadenoise demo --out demo

paper: env  ## Evaluate ten virtual volunteers as the paper does: all its tables and figures.
	$(BIN)/nadenoise study run paper --out study

test: env system lint  ## Check style and types, and run all tests.
	$(BIN)/python -m pytest

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The DICOM validator is a Debian package; without it the tests that need it skip, and say so.
system:
	@command -v dciodvfy >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dicom3tools dcmtk >/dev/null; } || \
		echo "dicom3tools is not installed: the tests that validate DICOM with dciodvfy will be skipped"

bench: $(VENV)/.bench  ## Time nadenoise and its peers side by side, and a whole exam.
	@command -v bart >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq bart >/dev/null; } || \
		echo "bart is not installed: its lines of the table will say so"
	$(BIN)/python -m benchmarks

$(VENV)/.bench: $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]' && touch $@ || \
		echo "not all peers could be installed: the table will name them"

clean:  ## Remove the environment and all results.
	rm -rf $(VENV) demo study results build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
