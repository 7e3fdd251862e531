"""What `make image` takes from pip's configuration; the image itself is built by hand and by the workflow."""

from __future__ import annotations

import configparser
import importlib.util
import sys
from pathlib import Path

import pytest

CONTAINER = Path(__file__).parents[2] / "container"


@pytest.fixture(scope="module")
def image():
    sys.path.insert(0, str(CONTAINER))
    try:
        spec = importlib.util.spec_from_file_location("image", CONTAINER / "image.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(CONTAINER))
    return module


def test_the_build_goes_by_the_configuration_of_pip_here(image, monkeypatch, tmp_path):
    (tmp_path / "index" / "simple").mkdir(parents=True)
    (tmp_path / "wheels").mkdir()
    (tmp_path / "pip.conf").write_text(
        f"[global]\nextra-index-url = file://{tmp_path}/index/simple https://example.org\n"
    )
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path / 'wheels'} {tmp_path / 'missing'}")
    found = image.pip_configuration()
    assert found["find-links"] == f"{tmp_path / 'wheels'} {tmp_path / 'missing'}"
    mounted = image.named_paths(found)
    # An index points to files beside it.
    assert {tmp_path / "index", tmp_path / "wheels"} <= set(mounted) and tmp_path / "missing" not in mounted
    read = configparser.ConfigParser()
    read.read_string(image.written(found))
    assert read["global"]["extra-index-url"].split() == [f"file://{tmp_path}/index/simple", "https://example.org"]
