"""What gadgets declare of their properties, for every gadget there is."""

from __future__ import annotations

import math
from typing import Annotated, get_args

import pytest
from pydantic import Field

from nadenoise_core.chain.chain import Chain, Property, Stage
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.chain.gadget import GadgetParameters
from nadenoise_core.chain.openrecon import with_parameters
from nadenoise_core.chain.openrecon_label import describe_container
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.configuration.fields import CONSOLE, PATH, choices, is_list, limits, unit
from nadenoise_core.errors import ChainError
from nadenoise_core.stream.chain_folders import ChainFolders

FIELDS = [
    pytest.param(field, id=f"{gadget}.{name}")
    for gadget in gadget_names()
    for name, field in gadget_class(gadget).Parameters.model_fields.items()
]


@pytest.mark.parametrize("field", FIELDS)
def test_every_number_has_limits_and_every_list_a_length(field):
    number = get_args(field.annotation)[0] if is_list(field) else field.annotation
    number = (get_args(number) or (number,))[0]
    if number in (int, float):
        assert all(map(math.isfinite, limits(field)))
    if is_list(field):
        assert next(rule.max_length for rule in field.metadata if hasattr(rule, "max_length")) <= 256


@pytest.mark.parametrize("field", FIELDS)
def test_units_are_declared_and_not_told_in_prose(field):
    if field.annotation in (int, float) or is_list(field):
        assert not [symbol for symbol in (", mm", ", ms", ", us", ", mmol/L", ", mT/m") if symbol in field.description]


class Both(GadgetParameters):
    """A property that is a path and for the console."""

    file: Annotated[str, PATH, CONSOLE] = Field("", description="a file")
    other: Annotated[str, CONSOLE, PATH] = Field("", description="a file")


@pytest.fixture
def with_both(monkeypatch):
    monkeypatch.setattr(gadget_class("quantify"), "Parameters", Both)
    return Chain("mine", "mine.xml", (Stage("quantify", {}, 3, "mine.xml"),), 1)


class TestPathsForTheConsole:
    """A property with both marks stays within the chain folders."""

    def test_are_refused_from_the_console(self, with_both):
        for identifier in ("quantifyFile", "quantifyOther"):
            with pytest.raises(ChainError, match="names a file for 'quantify'"):
                with_parameters(with_both, {identifier: "/etc/passwd"})

    @pytest.mark.parametrize("name", ["file", "other"])
    def test_are_refused_in_a_chain_from_a_peer(self, name, with_both, tmp_path):
        (tmp_path / "chain.xml").write_text("")
        folders = ChainFolders([tmp_path])
        folders.confined(with_both.with_property("quantify", name, str(tmp_path / "map.nii")))
        with pytest.raises(ChainError, match="outside the chain folders"):
            folders.confined(with_both.with_property("quantify", name, "/etc/passwd"))

    def test_are_shown_in_the_label(self, with_both):
        label = describe_container(with_both, ["mine"])
        assert [shown["id"] for shown in label["parameters"]] == ["config", "quantifyFile", "quantifyOther"]


def test_units_are_in_schema_and_label():
    schema = gadget_class("accumulate").Parameters.model_json_schema()["properties"]
    assert schema["max_gradient"]["unit"] == "mT/m" and schema["girf"]["format"] == "path"
    described = describe_container(read_chain(find_chain("sodium_calf")), [])
    labels = [shown["label"]["en"] for shown in described["parameters"]]
    assert "quantify: tube_diameter (mm)" in labels and "accumulate: trajectory_delay (us)" in labels


def test_words_are_those_of_the_science():
    fields = gadget_class("reconstruct").Parameters.model_fields
    assert choices(fields["method"].annotation) == ["gridding", "least_squares", "total_variation"]
    given = gadget_class("accumulate").Parameters(trajectory_unit="1/m")
    assert given.model_dump(mode="json")["trajectory_unit"] == f"{given.trajectory_unit}" == "1/m"


def test_a_stage_tells_where_its_properties_stand():
    stage = Stage("quantify", {"maps": Property("all", "mine.xml:7")}, 5, "mine.xml")
    assert stage.place(("maps",)).startswith("mine.xml:7: ") and stage.place(("intercept",)).startswith("mine.xml:5: ")
    assert unit(gadget_class("quantify").Parameters.model_fields["tube_diameter"]) == "mm"
