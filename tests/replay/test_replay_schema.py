"""`report.json` is what its schema says: every key is described, every number has its unit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema
import pytest

from nadenoise_core.chain.files import read_chain
from nadenoise_core.replay.replay import replay
from nadenoise_core.replay.schema import report_schema

UNITLESS = {
    "acquisitions", "r2", "size", "correlation", "at_edges", "largest_mean", "scale", "standard_error", "label",
    "index", "slice", "contrast", "repetition", "averages",
}  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = report_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.fixture(scope="module")
def report(scan_file, measured, label_file, chain_text, tmp_path_factory) -> dict[str, Any]:
    """Of a scan with network, tubes, errors of regions by all methods, and pose: every key there is."""
    options = {"seed": 5, "averages": 10, "noise": 4.0}
    quantify = {"tube_diameter": "20", "roi_map": str(label_file(measured(**options)[0])), "pose": "rigid",
                "regions": "fit, mean, denoised mean", "maps": "all"}  # fmt: skip
    folder = tmp_path_factory.mktemp("report")
    chain = folder / "chain.xml"
    stages = [("accumulate", {"jackknife_groups": "5"}), "reconstruct", "denoise", ("quantify", quantify)]
    chain.write_text(chain_text(stages))
    results = replay(scan_file(**options), read_chain(chain), folder / "out").folder
    return json.loads((results / "report.json").read_text())


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for described in (schema, *schema["$defs"].values()):
        yield from described["properties"].items()


def types(schema: dict[str, Any]) -> set[str]:
    parts = [schema, schema.get("items", {}), *schema.get("anyOf", [])]
    return {part["type"] for part in parts if "type" in part}


def test_a_real_report_is_what_the_schema_says(report, validator):
    validator.validate(report)
    optional = {
        (name, key)
        for name, described in validator.schema["$defs"].items()
        for key in set(described["properties"]) - set(described["required"])
    }
    tried = {("ImageReport", key) for image in report["images"] for key in image}
    tried |= {("RegionReport", key) for image in report["images"] for row in image.get("regions", []) for key in row}
    tried |= {
        ("TubeReport", key)
        for image in report["images"]
        if "calibration" in image
        for tube in image["calibration"]["tubes"]
        for key in tube
    }
    assert optional <= tried, "the report above must have every key that need not be there"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("scan", "field_strength_T"), "three"),
        (("images", 0, "kind"), "sharp"),
        (("images", 0, "unheard"), 1),
        (("raw", "sha256"), None),
    ],
)
def test_what_is_otherwise_is_refused(path, value, report, validator):
    changed = deepcopy(report)
    *outer, last = path
    inside: Any = changed
    for step in outer:
        inside = inside[step]
    inside[last] = value
    assert not validator.is_valid(changed)


def test_every_key_is_described_and_every_number_has_its_unit():
    for key, described in keys(report_schema()):
        assert described.get("description") or "$ref" in described, key
        if types(described) & {"number", "integer"} and key not in UNITLESS:
            assert described.get("unit"), key
