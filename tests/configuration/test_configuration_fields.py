"""What a field declares, in words and in the JSON schema."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from nadenoise_core.configuration import parse_document
from nadenoise_core.configuration.explain import explain
from nadenoise_core.configuration.fields import (
    CONSOLE,
    PATH,
    Console,
    FilePath,
    Unit,
    limits,
    mark,
    shown,
    unit,
    values,
)
from nadenoise_core.enums import StrEnum
from nadenoise_core.errors import ConfigError


class Shape(StrEnum):
    ROUND = "round"
    FLAT = "flat"


class Model(BaseModel):
    length: Annotated[float, Unit("mm"), CONSOLE] = Field(2, gt=0, le=80)
    count: int = Field(3, ge=1, lt=10)
    times: Annotated[tuple[Annotated[float, Field(ge=0, le=9)], ...], Unit("ms")] = Field((1, 2.5), max_length=4)
    least: tuple[int, ...] = Field((1, 2), min_length=2)
    both: tuple[int, ...] = Field((1, 2), min_length=2, max_length=3)
    pair: tuple[int, int] = (1, 2)
    shape: Shape = Shape.ROUND
    shape_or_auto: Shape | Literal["auto"] = "auto"
    word: Annotated[Literal["a", "b"], CONSOLE, PATH] = "a"
    name: str | None = None
    free: bool = False


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("length", "a number above 0 to 80 mm"),
        ("count", "a whole number from 1 below 10"),
        ("times", "a list of up to 4 numbers from 0 to 9 ms"),
        ("least", "a list of 2 or more whole numbers"),
        ("both", "a list of 2 to 3 whole numbers"),
        ("pair", "a list of 2 whole numbers"),
        ("shape", "round, flat"),
        ("shape_or_auto", "round, flat, auto"),
        ("word", "a, b"),
        ("name", "text or null"),
        ("free", "true or false"),
    ],
)
def test_values_in_words(name, words):
    assert values(Model.model_fields[name]) == words


def test_marks_are_found_whatever_stands_beside_them():
    fields = Model.model_fields
    assert mark(fields["word"], Console) and mark(fields["word"], FilePath) and not unit(fields["word"])
    assert mark(fields["length"], Console) and not mark(fields["length"], FilePath) and unit(fields["length"]) == "mm"
    assert limits(fields["length"]) == (0, 80) and limits(fields["times"]) == (0, 9)


def test_marks_are_in_the_schema():
    schema = Model.model_json_schema()["properties"]
    assert schema["length"] == {
        "console": True, "default": 2, "exclusiveMinimum": 0, "maximum": 80, "title": "Length", "type": "number",
        "unit": "mm",
    }  # fmt: skip
    assert schema["times"]["unit"] == "ms" and schema["word"]["format"] == "path" and "unit" not in schema["count"]


def test_defaults_are_shown_as_they_are_written():
    assert [shown(value) for value in (None, True, (1, 2.5), 0.1, Shape.FLAT, "x")] == [
        "", "true", "1, 2.5", "0.1", "flat", "x"]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("length: 90", "my.yaml:1: length is 90; allowed is a number above 0 to 80 mm"),
        ("shape: rond", "my.yaml:1: shape is 'rond'; allowed is round, flat; did you mean 'round'?"),
        ("\nshape_or_auto: 3", "my.yaml:2: shape_or_auto is 3; allowed is round, flat, auto"),
    ],
)
def test_what_is_wrong_is_one_sentence(text, sentence):
    document = parse_document(text, "my.yaml")
    with pytest.raises(ValidationError) as caught:
        Model.model_validate(document.data)
    assert explain(caught.value, document, Model).split(" (and")[0] == sentence


def test_aliases_that_grow_without_end_are_refused():
    lines = ["a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"{new}: &{new} [{', '.join(['*' + old] * 10)}]" for old, new in zip("abcdefgh", "bcdefghi", strict=True)]
    with pytest.raises(ConfigError, match="more than 100000 values"):
        parse_document("\n".join(lines), "my.yaml")


def test_a_large_document_is_refused():
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        parse_document("a: b\n" + "#" * (1 << 20), "my.yaml")
