"""Configurations and parameters, given anything: a chain, or a sentence; never another exception, never for long.

`NADENOISE_FUZZ=10000` tries more inputs than the few of every day.
"""

from __future__ import annotations

import io
import json
import math
import os
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nadenoise_core.chain.chain import Chain, build
from nadenoise_core.chain.files import chain_files, find_chain, parse_chain, read_chain, read_node
from nadenoise_core.chain.openrecon import parameter_id, with_parameters
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.configuration.fields import limits
from nadenoise_core.errors import ChainError, ConnectionFailed, NadenoiseError
from nadenoise_core.mrd.scan import read_scan
from nadenoise_core.simulate.measurement import VirtualMeasurement
from nadenoise_core.stream import messages
from nadenoise_core.stream.connection import ScanConnection
from nadenoise_core.stream.wire import Wire

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "40"))
PROPERTIES = [(gadget, name) for gadget in gadget_names() for name in gadget_class(gadget).Parameters.model_fields]
VALUES = [
    *("", " ", "0", "1", "-1", "nan", "inf", "1e400", "1e-300", "9" * 40, "1_0", "true", "auto", "none", "\u0661"),
    *(
        ",",
        "1," * 5000,
        "5, 10, 30",
        "a" * 5000,
        "/etc/passwd",
        "../../x.pt",
        "\ud800".encode("utf-8", "replace").decode(),
    ),
]

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def documents() -> list[bytes]:
    return [path.read_bytes() for path in chain_files()]


@cache
def scan():
    return read_scan(VirtualMeasurement(seed=5, averages=7).header_xml())


def told(error: NadenoiseError) -> None:
    assert len(str(error).splitlines()) == 1 and 10 < len(str(error)) < 1500, error


def tried(make) -> None:
    """Make a chain and its gadgets, of which every property is checked by then; nothing is read that it names."""
    try:
        chain = make()
        assert isinstance(chain, Chain) and 1 <= len(chain.stages) <= 32
        # Bundles are opened for `denoise`, which takes its time; they have a test of this kind of their own.
        plain = [stage for stage in chain.stages if stage.name != "denoise" and not stage.parameters().paths()]
        build(Chain(chain.name, chain.source, tuple(plain), 1), scan())
    except NadenoiseError as error:
        told(error)


@many
@given(st.data())
def test_chains_with_other_elements_and_values(data) -> None:
    root = etree.fromstring(data.draw(st.sampled_from(documents())))
    elements = list(root.iter("*"))
    for _ in range(data.draw(st.integers(1, 4))):
        element = data.draw(st.sampled_from(elements))
        what = data.draw(st.sampled_from(["value", "name", "tag", "remove", "repeat", "add"]))
        if what == "value":
            element.set("value", data.draw(st.sampled_from(VALUES)))
        elif what == "name":
            element.set("name", data.draw(st.sampled_from([*gadget_names(), *(name for _, name in PROPERTIES), "x"])))
        elif what == "tag":
            element.tag = data.draw(st.sampled_from(["gadget", "property", "external", "stream", "configuration", "x"]))
        elif what == "add":
            gadget, name = data.draw(st.sampled_from(PROPERTIES))
            made = etree.SubElement(element, "gadget", name=gadget)
            etree.SubElement(made, "property", name=name, value=data.draw(st.sampled_from(VALUES)))
        elif element.getparent() is not None:
            if what == "remove":
                element.getparent().remove(element)
            else:
                for _ in range(data.draw(st.sampled_from([1, 40]))):
                    element.getparent().append(etree.fromstring(etree.tostring(element)))
    text = etree.tostring(root)
    tried(lambda: parse_chain(text, "fuzz", "fuzz"))


@many
@given(st.data())
def test_nodes_with_any_property(data) -> None:
    chosen = data.draw(st.lists(st.sampled_from(PROPERTIES), min_size=1, max_size=4, unique=True))
    root = etree.Element("configuration")
    for gadget in dict.fromkeys(gadget for gadget, _ in chosen):
        made = etree.SubElement(root, "gadget", name=gadget)
        for name in (name for owner, name in chosen if owner == gadget):
            value = data.draw(st.sampled_from(VALUES) | st.floats().map(str) | st.integers().map(str))
            etree.SubElement(made, "property", name=name, value=value)
    tried(lambda: read_node(etree.tostring(root)))


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(max_size=3)), min_size=1, max_size=6), st.integers(0, 60))
def test_chains_with_other_bytes(changes, cut) -> None:
    text = bytearray(documents()[0])
    for place, content in changes:
        place %= len(text)
        text[place : place + len(content)] = content
    tried(lambda: parse_chain(bytes(text[: len(text) - cut]), "fuzz", "fuzz"))


@many
@given(st.binary(max_size=200))
def test_no_chains(content) -> None:
    with pytest.raises(ChainError) as caught:
        parse_chain(content, "fuzz", "fuzz")
    told(caught.value)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(VALUES),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
parameters = st.dictionaries(
    st.sampled_from([parameter_id(*one) for one in PROPERTIES]) | st.text(max_size=8), anything
)


@many
@given(parameters.map(lambda said: json.dumps({"parameters": said})) | anything.map(json.dumps) | st.text(max_size=200))
def test_parameters_of_a_console(text) -> None:
    """What FIRE sends as JSON between header and data becomes properties, or a sentence."""
    sent = messages.text_message(messages.TEXT, text, True) + messages.close_message()
    peer = ScanConnection(Wire.of_files(io.BytesIO(sent), io.BytesIO()))
    try:
        peer.read_parameters()
    except ConnectionFailed as error:
        told(error)
        return
    tried(lambda: with_parameters(read_chain(find_chain("sodium_calf")), peer.parameters))


@pytest.mark.parametrize(("gadget", "name"), PROPERTIES)
def test_every_number_that_a_chain_sets_has_limits(gadget, name) -> None:
    """A size or a number of steps that has none would let one property take all time or memory."""
    field = gadget_class(gadget).Parameters.model_fields[name]
    kinds = str(field.annotation)
    if "int" in kinds or "float" in kinds:
        assert all(map(math.isfinite, limits(field)))
    if "..." in kinds or "Ellipsis" in kinds:
        assert any(getattr(rule, "max_length", None) for rule in field.metadata)
