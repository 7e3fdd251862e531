"""What the page shows, what a reader leaves, and the key that unblinds it: three JSON documents and their checks."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StringConstraints, ValidationError

from nadenoise_core.errors import BadInputError
from nadenoise_core.readers.files import parse_json, read_file

MOST_IMAGES = 9  # of a case: a rank is one digit key

READER_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_OPENING, _CLOSING = b'<script type="application/json" id="study">', b"</script>"

Identifier = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Rank = Annotated[StrictInt, Field(ge=1, le=MOST_IMAGES)]
Model = TypeVar("Model", bound=BaseModel)


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ShownImage(_Document):
    """One image as the page holds it: a PNG in base64."""

    id: Identifier
    png: str


class Showing(_Document):
    """The images of one case, in the order they are shown in; a repeated case has two showings."""

    id: Identifier
    images: Annotated[tuple[ShownImage, ...], Field(min_length=2, max_length=MOST_IMAGES)]


class PageStudy(_Document):
    """All that a reader's page knows: no case, no method, no patient."""

    study: Identifier
    showings: Annotated[tuple[Showing, ...], Field(min_length=1)]


class Answer(_Document):
    """The ranks of one showing, image to rank, and when they were saved (ISO 8601)."""

    ranks: dict[Identifier, Rank]
    saved: Annotated[str, StringConstraints(max_length=40)] = ""


class Results(_Document):
    """All answers of one reader.

    The checksum finds a slip or an edit by hand; without a secret it is no proof against forgery.
    """

    format: Literal["nadenoise reader results 1"] = "nadenoise reader results 1"
    study: Identifier
    reader: Annotated[str, StringConstraints(pattern=f"^{READER_NAME.pattern}$")]
    answers: dict[Identifier, Answer] = {}
    checksum: str = ""

    def computed_checksum(self) -> str:
        """CRC-32 of study, reader and every rank, in the order of the identifiers; the page computes the same."""
        lines = [self.study, self.reader]
        for showing, answer in sorted(self.answers.items()):
            lines += [f"{showing} {image} {rank}" for image, rank in sorted(answer.ranks.items())]
        return f"{zlib.crc32(''.join(line + chr(10) for line in lines).encode()):08x}"

    def sealed(self) -> Results:
        """The same with its checksum."""
        return self.model_copy(update={"checksum": self.computed_checksum()})

    def to_json(self) -> bytes:
        """As a file."""
        return (json.dumps(self.model_dump(), indent=1) + "\n").encode()


class KeyCase(_Document):
    """One case of the study.

    Attributes:
        case: its name.
        averages: of its images, where known.
        window: (low, high), shown black and white, in the units of its images.
    """

    case: str
    averages: Annotated[int, Field(ge=1)] | None
    window: tuple[float, float]


class KeyShowing(_Document):
    """Which case a showing shows, and which method each of its images is, in the order shown."""

    id: Identifier
    case: str
    repeat: bool
    images: dict[Identifier, str]


class Key(_Document):
    """What the organiser keeps: with it, ranks of images become ranks of methods."""

    format: Literal["nadenoise reader key 1"] = "nadenoise reader key 1"
    study: Identifier
    seed: int
    version: str
    reference: str
    methods: Annotated[tuple[str, ...], Field(min_length=2, max_length=MOST_IMAGES)]
    cases: Annotated[tuple[KeyCase, ...], Field(min_length=1)]
    showings: Annotated[tuple[KeyShowing, ...], Field(min_length=1)]

    def to_json(self) -> bytes:
        """As a file."""
        return (json.dumps(self.model_dump(), indent=1) + "\n").encode()


def read_key(path: Path) -> Key:
    """Read a key.

    Raises:
        BadInputError: no key, or one that contradicts itself.
    """
    key = parsed(Key, parse_json(read_file(path), str(path)), str(path), "key of a reader study")
    cases = {case.case for case in key.cases}
    first = [showing.case for showing in key.showings if not showing.repeat]
    again = [showing.case for showing in key.showings if showing.repeat]
    images = [image for showing in key.showings for image in showing.images]
    whole = (
        all(sorted(showing.images.values()) == sorted(key.methods) for showing in key.showings)
        and sorted(first) == sorted(cases)
        and len(cases) == len(key.cases)
        and len(set(again)) == len(again)
        and cases.issuperset(again)
        and len(set(images)) == len(images)
        and len({showing.id for showing in key.showings}) == len(key.showings)
    )
    if not whole:
        raise BadInputError(f"{path}: is not as it was built (cases, showings and methods do not fit together)")
    return key


def read_results(path: Path) -> Results:
    """Read what a reader left.

    Raises:
        BadInputError: no results, or changed since they were saved.
    """
    results = parsed(Results, parse_json(read_file(path), str(path)), str(path), "file of a reader's results")
    if results.checksum != results.computed_checksum():
        raise BadInputError(f"{path}: was changed after the reader saved it; take the file as it was saved")
    return results


def parsed(model: type[Model], data: Any, source: str, what: str) -> Model:
    """Data as a document.

    Raises:
        BadInputError: it is none, with the first reason.
    """
    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        where = f"{place}: " if place else ""
        raise BadInputError(f"{source}: is no {what} ({where}{first['msg']})") from None


def check_ranks(ranks: Mapping[str, int], images: tuple[str, ...], what: str) -> None:
    """Whether ranks, not all of them need be there, are ranks of these images.

    Raises:
        BadInputError: an unknown image, or a rank beyond their number.
    """
    if unknown := sorted(set(ranks) - set(images)):
        raise BadInputError(f"{what}: ranks image {unknown[0]}, which it does not show")
    if beyond := [rank for rank in ranks.values() if not 1 <= rank <= len(images)]:
        raise BadInputError(f"{what}: rank {beyond[0]} is not within 1 to {len(images)}")


def page_with(template: str, study: PageStudy) -> bytes:
    """The page of a study: the template with the study in its place."""
    data = json.dumps(study.model_dump(), separators=(",", ":")).encode()
    place = _OPENING + b"{}" + _CLOSING
    page = template.encode()
    if page.count(place) != 1:
        raise ValueError("the template has no one place for the study")
    return page.replace(place, _OPENING + data + _CLOSING)


def study_of(page: bytes, source: str) -> PageStudy:
    """The study that a page shows.

    Raises:
        BadInputError: it is no page of a reader study.
    """
    _, opened, rest = page.partition(_OPENING)
    data, closed, _ = rest.partition(_CLOSING)
    if not (opened and closed):
        raise BadInputError(f"{source}: is no page of a reader study; make one with nadenoise study readers build")
    return parsed(PageStudy, parse_json(data, source), source, "page of a reader study")
