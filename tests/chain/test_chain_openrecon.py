"""The OpenRecon label against the rules of Siemens' schema 1.1.0, and the way back from a console's parameters."""

from __future__ import annotations

import base64
import json
import re

import pytest

from nadenoise_core.chain.files import chain_files, find_chain, read_chain
from nadenoise_core.chain.openrecon import with_parameters
from nadenoise_core.chain.openrecon_label import LABEL, describe_container, label_text
from nadenoise_core.errors import ChainError

NAMES = [path.stem for path in chain_files()]
KEYS = {
    "boolean": {"type", "id", "label", "information", "default"},
    "string": {"type", "id", "label", "information", "default"},
    "choice": {"type", "id", "label", "information", "default", "values"},
    "int": {"type", "id", "label", "information", "default", "minimum", "maximum"},
    "double": {"type", "id", "label", "information", "default", "minimum", "maximum"},
}
TYPES = {"boolean": bool, "string": str, "choice": str, "int": int, "double": float}


@pytest.fixture(params=NAMES)
def label(request):
    return describe_container(read_chain(find_chain(request.param)), NAMES)


def test_the_label_keeps_the_rules(label) -> None:
    assert set(label) == {"general", "reconstruction", "parameters"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", label["general"]["version"])
    assert set(label["general"]["regulatory_information"]) == {
        "device_trade_name", "production_identifier", "manufacturer_address", "made_in", "manufacture_date",
        "material_number", "gtin", "udi", "safety_advices", "special_operating_instructions",
        "additional_relevant_information",
    }  # fmt: skip
    needs = label["reconstruction"]
    assert needs["transfer_protocol"] == {"protocol": "ISMRMRD", "version": "1.4.1"} and needs["port"] == 9002
    assert (needs["emitter"], needs["injector"]) == ("raw", "image")
    parameters = label["parameters"]
    identifiers = [parameter["id"] for parameter in parameters]
    assert len(parameters) <= 14 and len(set(identifiers)) == len(identifiers)
    assert identifiers.count("config") == 1 and parameters[0]["type"] == "choice"
    for parameter in parameters:
        kind = parameter["type"]
        assert set(parameter) == KEYS[kind] and re.fullmatch("[A-Za-z0-9]+", parameter["id"])
        assert type(parameter["default"]) is TYPES[kind] and parameter["label"]["en"]
        if kind == "choice":
            assert parameter["default"] in [value["id"] for value in parameter["values"]]
        if kind in ("int", "double"):
            assert parameter["minimum"] <= parameter["default"] <= parameter["maximum"]
        if kind == "double":
            steps = [10 * parameter[key] for key in ("minimum", "maximum", "default")]
            assert steps == [pytest.approx(round(step), abs=1e-9) for step in steps]


def test_the_text_of_the_label_is_its_json(label) -> None:
    assert json.loads(base64.b64decode(label_text(label))) == label
    assert LABEL.endswith(".openrecon.metadata:1.1.0")


def test_what_the_console_sends_back_unchanged_changes_nothing(label) -> None:
    chain = read_chain(find_chain(label["parameters"][0]["default"]))
    sent = {parameter["id"]: str(parameter["default"]) for parameter in label["parameters"][1:]}
    assert with_parameters(chain, sent).describe() == chain.describe()


def test_what_the_console_sends_is_set() -> None:
    chain = with_parameters(
        read_chain(find_chain("sodium_calf")), {"accumulateEmitAt": "5, 10", "quantifyMaps": "all", "unknown": "x"}
    )
    found = {stage["gadget"]: stage for stage in chain.describe()}
    assert found["accumulate"]["emit_at"] == [5, 10] and found["quantify"]["maps"] == "all"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"quantifyMaps": "both"}, "gadget 'quantify': maps is 'both'; allowed is best, all"),
        ({"accumulateGirf": "/etc/passwd"}, "names a file for 'accumulate'"),
        ({"denoiseBundle": "/tmp/evil.pt"}, "names a file for 'denoise'"),
        ({"deliverFolder": "/tmp"}, "names a file for 'deliver'"),
    ],
)
def test_what_the_console_may_not_send_is_refused(parameters, words) -> None:
    with pytest.raises(ChainError, match=re.escape(words)):
        with_parameters(read_chain(find_chain("sodium_calf")), parameters)
