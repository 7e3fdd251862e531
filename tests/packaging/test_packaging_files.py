"""The files for people who cite, contribute and install: valid, and in step with each other."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from nadenoise_core import __version__

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("vendor.citation-file-format", "CITATION.cff"),
        ("vendor.dependabot", ".github/dependabot.yml"),
        ("vendor.github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/*.yml"),
    ],
)
def test_valid_by_its_schema(schema, pattern):
    files = sorted(ROOT.glob(pattern))
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *files]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert files and ended.returncode == 0, ended.stdout + ended.stderr


def test_the_citation_is_of_this_version():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == __version__


def requirements() -> list[Requirement]:
    """Those of the package and of its tests that say a version."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    texts = [
        setup["options"]["install_requires"],
        *(extras[name] for name in ("docs", "pulseq", "test", "train")),
    ]
    found = {line: Requirement(line) for text in texts for line in text.splitlines() if line}
    return [requirement for requirement in found.values() if requirement.specifier]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_the_oldest_version_allowed_is_the_one_tested(requirement):
    (bound,) = requirement.specifier
    pins = dict(
        re.findall(r"^([\w-]+)==([\d.]+)$", (ROOT / "constraints-oldest.txt").read_text(encoding="utf-8"), re.M)
    )
    pinned = {name.lower(): version for name, version in pins.items()}[requirement.name.lower()]
    assert bound.operator == ">=" and (pinned + ".").startswith(bound.version + ".")
