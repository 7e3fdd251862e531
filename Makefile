# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
CONSTRAINTS ?= constraints.txt
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 10 --timeout 60
APT_GET := DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300
# pip tries again to connect, but gives up a download that breaks off.
install = $(PIP_INSTALL) $(1) || { sleep 10 && $(PIP_INSTALL) $(1); }

.PHONY: help env demo paper test lint docs bench system coverage image kills soak fuzz clean

help:  ## Show the targets.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

env: $(INSTALLED)  ## Make the environment in .venv.

$(INSTALLED): setup.cfg pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "nadenoise needs Python 3.10 or newer; run make with PYTHON=python3.x")'
	$(PYTHON) -m venv $(VENV)
	$(call install,-c $(CONSTRAINTS) torch setuptools)
	$(call install,-c $(CONSTRAINTS) -e '.[test]')
	mkdir -p $(VENV)/share/gadgetron/config && cp chains/*.xml $(VENV)/share/gadgetron/config/  # an editable install leaves them out
	touch $@

demo: env  ## Simulate a two-minute scan of the virtual calf and take it from raw data to DICOM.
	$(BIN)/nadenoise demo --out demo

paper: env  ## Evaluate ten virtual volunteers as the paper does: all its tables and figures.
	$(BIN)/nadenoise study run paper --out study

test: env system lint  ## Check style and types, and run all tests.
	$(BIN)/python -m pytest -n auto --dist loadfile

lint: env  ## Check style, types, and who imports whom.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

docs: env  ## Build the documentation site in site/: tutorials run, dead links and warnings are errors.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

# The DICOM validator, the PACS and the browser are Debian packages; without them the tests that need them skip, and say so.
system:
	@{ command -v dciodvfy && command -v storescp && test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && sh tests/install_system_packages.sh; } || \
		echo "dicom3tools, dcmtk or orthanc is not installed: the tests that need them will be skipped"
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		$(APT_GET) update && $(APT_GET) install -y chromium >/dev/null; } || \
		echo "chromium is not installed: the tests that read in a browser will be skipped"

bench: $(VENV)/.bench  ## Time nadenoise and its peers side by side, and a whole exam.
	@command -v bart >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		$(APT_GET) update && $(APT_GET) install -y bart >/dev/null; } || \
		echo "bart is not installed: its lines of the table will say so"
	$(BIN)/python -m benchmarks
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.online

$(VENV)/.bench: $(INSTALLED)
	{ $(call install,-c constraints.txt -e '.[bench]'); } && touch $@ || \
		echo "not all peers could be installed: the table will name them"

coverage: env  ## Run all tests, and say which lines none of them reaches.
	$(BIN)/python -m pytest -n auto --dist loadfile --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

image: env  ## Build the container, send it a scan, compare the images with a replay; Docker, or as root buildah and mmdebstrap.
	@command -v docker >/dev/null && docker info >/dev/null 2>&1 || { command -v buildah && command -v mmdebstrap; } >/dev/null || \
		{ [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && $(APT_GET) update && \
		$(APT_GET) install -y --no-install-recommends buildah mmdebstrap >/dev/null; }
	$(BIN)/python container/image.py

kills: env  ## Kill processes of a replay of many files at twenty random moments.
	NADENOISE_KILLS=20 $(BIN)/python -m pytest tests/integration/test_integration_kill.py

MINUTES ?= 60

soak: env  ## Send good, bad and killed scans to a server for an hour, or as long as MINUTES says; nothing may be lost or grow.
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

fuzz: env  ## Try ten thousand inputs on each reader: messages, headers, chains, YAML, images' words, HDF5, bundles; for the night.
	NADENOISE_FUZZ=10000 $(BIN)/python -m pytest $(wildcard tests/*/test_*_fuzz.py)

clean:  ## Remove the environment and all results.
	rm -rf $(VENV) demo study results site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
