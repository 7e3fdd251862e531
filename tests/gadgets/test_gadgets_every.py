"""What holds for every gadget there is, and for the next one too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import ismrmrd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nadenoise_core.chain.chain import build
from nadenoise_core.chain.files import parse_chain
from nadenoise_core.chain.gadget import DicomFile, Gadget, ItemType
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.errors import ChainError, NadenoiseError
from nadenoise_core.mrd.recon_data import ReconData
from nadenoise_core.mrd.scan import read_scan

NAMES = gadget_names()
PROPERTIES = [(name, field) for name in NAMES for field in gadget_class(name).Parameters.model_fields]
every_gadget = pytest.mark.parametrize("name", NAMES)
every_property = pytest.mark.parametrize(("name", "field"), PROPERTIES)


@pytest.fixture(scope="module")
def scan(measured) -> Any:
    measurement, _ = measured()
    return read_scan(measurement.header_xml())


@pytest.fixture(scope="module")
def make(scan, chain_text):
    """A gadget alone, with properties as text."""

    def made(name: str, **properties: str) -> Gadget:
        (gadget,) = build(alone(chain_text, name, **properties), scan)
        return gadget

    return made


def alone(chain_text: Any, name: str, **properties: str) -> Any:
    """A chain of one gadget; what stands before it in the real chain is said to be Gadgetron's."""
    foreign = "<gadget><dll>another</dll><classname>Another</classname></gadget>"
    text = chain_text([(name, properties)]).replace("<stream>", f"<stream>{foreign}")
    return parse_chain(text.encode(), "alone", "alone.xml")


def written(value: Any) -> str:
    """A value of a property as people write it in a chain file."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def foreign_items(gadget: type[Gadget]) -> Iterator[Any]:
    """Items that this gadget does not take, one of each type."""
    others = (ismrmrd.Acquisition, ismrmrd.Waveform, ReconData, ismrmrd.Image, DicomFile)
    for kind in others:
        if kind.__name__ != gadget.takes:
            yield DicomFile("a.dcm", b"") if kind is DicomFile else ReconData([]) if kind is ReconData else kind()


@every_gadget
def test_it_says_what_it_is(name: str) -> None:
    gadget = gadget_class(name)
    assert gadget.name() == name
    assert (gadget.__doc__ or "").strip().split("\n")[0].endswith("."), "the first line of its docstring is a sentence"
    assert gadget.takes in ItemType and gadget.gives in ItemType


@every_property
def test_a_property_is_described_and_typed(name: str, field: str) -> None:
    declared = gadget_class(name).Parameters.model_fields[field]
    assert declared.description and len(declared.description) > 10
    assert not declared.is_required(), "a chain that leaves a property out runs"
    assert field == field.lower()


@every_property
def test_its_default_can_be_written_in_a_chain(name: str, field: str, chain_text) -> None:
    default = getattr(gadget_class(name).Parameters(), field)
    if default is None:
        pytest.skip("no text means None: it is left out")
    (stage,) = alone(chain_text, name, **{field: written(getattr(default, "value", default))}).stages
    assert getattr(stage.parameters(), field) == default


@every_property
@settings(max_examples=15, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12))
def test_any_text_is_taken_or_refused_in_words(name: str, field: str, chain_text, text: str) -> None:
    try:
        alone(chain_text, name, **{field: text})
    except ChainError as error:
        assert name in str(error) and "alone.xml:" in str(error)


@every_gadget
def test_an_unknown_property_is_refused_by_name_and_place(name: str, chain_text) -> None:
    with pytest.raises(ChainError, match=rf"alone.xml:\d+: .*'{name}'.* propertee"):
        alone(chain_text, name, propertee="1")


@every_gadget
def test_what_it_does_not_take_goes_on_unchanged(name: str, make) -> None:
    items = list(foreign_items(gadget_class(name)))
    came: list[Any] = []
    with suppress(NadenoiseError):  # at the end of a scan that has nothing of what the gadget needs
        for item in make(name).process(iter(items)):
            came.append(item)
    assert [id(item) for item in came] == [id(item) for item in items]


@every_gadget
def test_it_takes_items_as_they_are_asked_for(name: str, make) -> None:
    taken: list[Any] = []

    def items() -> Iterator[Any]:
        for item in foreign_items(gadget_class(name)):
            taken.append(item)
            yield item

    stream = make(name).process(items())
    assert not taken, "nothing is taken before something is asked for"
    assert next(iter(stream)) is taken[0]
    assert len(taken) == 1, "the first item goes on before the second is taken"


@every_gadget
def test_it_never_prints(name: str, make, capfd) -> None:
    with suppress(NadenoiseError):
        list(make(name).process(foreign_items(gadget_class(name))))
    assert capfd.readouterr().out == "", "stdout may be the data channel"


def test_the_same_scan_gives_the_same_bytes(measured, run_chain, smoothing_chain) -> None:
    measurement, items = measured(averages=4)
    first, second = (run_chain(smoothing_chain, measurement.header_xml(), items) for _ in range(2))
    assert len(first) == len(second) == 3
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.data, other.data)
        assert one.attribute_string == other.attribute_string
