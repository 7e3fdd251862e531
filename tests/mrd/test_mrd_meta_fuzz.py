"""The meta of an image, given anything: facts, or a sentence; what is read can be written, shown and delivered.

`NADENOISE_FUZZ=10000` tries more inputs than the few of every day.
"""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from functools import cache

import ismrmrd
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.errors import BadInputError, NadenoiseError
from nadenoise_core.mrd.facts import AtscFacts, ImageFacts, Kind, Network, Replica
from nadenoise_core.mrd.image import facts_of, put_facts
from nadenoise_core.mrd.meta import from_meta, to_meta
from nadenoise_core.quantify.calibration import Line
from nadenoise_core.quantify.readings import RegionMethod, RegionReading, Tube
from nadenoise_core.replay.report import described_image
from nadenoise_core.stream import messages
from nadenoise_core.stream.connection import ScanConnection
from nadenoise_core.stream.wire import Wire

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "100"))
DIRECTIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
VALUES = [
    *("", " ", "0", "1", "-1", "nan", "-nan", "inf", "1e400", "9" * 40, "1_0", "x", "plain", "atsc", "denoised"),
    *("\u0661", "a" * 3000),
]
KEYS = ("precision_name", "precision_reach", "pose", "residual_size", "replicas", "unit", "announced", "uncovered", "x")

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.sampled_from(VALUES) | st.floats().map(repr) | st.integers().map(str) | st.text(max_size=8)
values = texts | st.lists(texts, max_size=6) | st.none()


@cache
def whole() -> dict[str, str | list[str]]:
    """The meta of a map that has all of it."""
    tubes = tuple(Tube(float(c), (c / 2, 1.0), 16.0, 2.0 * c, 0.5, 30.0, 0.1) for c in (10, 25, 50))
    region = RegionReading(2, 20.0, method=RegionMethod.FIT, name="muscle", standard_error=0.3, area=300.0)
    atsc = AtscFacts(
        source=Kind.DENOISED,
        line=Line(2.0, 0.1, 0.99),
        tubes=tubes,
        standard_error=0.2,
        regions=(region, replace(region, label=3)),
    )
    facts = ImageFacts(
        Kind.ATSC, 30, noise_std=0.4, network=Network("tiny", "1", "0" * 64), replicas=(Replica(10, 0.5),),
        comments=("a", "b"), history=("accumulate()",), rescale=(2.0, 0.5), atsc=atsc,
    )  # fmt: skip
    return dict(to_meta(facts, DIRECTIONS))


def read(meta: dict[str, str | list[str] | None]) -> None:
    try:
        facts = from_meta(meta)
        if facts is not None:
            again = to_meta(facts, DIRECTIONS)
            understood = from_meta(again)
            assert understood is not None and to_meta(understood, DIRECTIONS) == again
    except BadInputError as error:
        assert len(str(error).splitlines()) == 1 and len(str(error)) < 1000


def test_a_whole_one_is_read():
    facts = from_meta(whole())
    assert facts is not None and facts.atsc is not None and len(facts.atsc.regions) == 2
    read(whole())


@many
@given(
    st.dictionaries(
        st.sampled_from(sorted(whole())) | st.sampled_from([f"nadenoise_{key}" for key in KEYS]),
        values,
        min_size=1,
        max_size=4,
    )
)
def test_metas_with_other_values(changes) -> None:
    read({**whole(), **changes})


@many
@given(st.sets(st.sampled_from(sorted(whole())), max_size=12))
def test_metas_with_less(left_out) -> None:
    read({key: value for key, value in whole().items() if key not in left_out})


@cache
def message() -> bytes:
    image = ismrmrd.Image.from_array(np.ones((4, 4), np.float32))
    image.meta = whole()
    return bytes(messages.item_message(image)) + messages.close_message()


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 12), st.binary(max_size=4) | texts.map(str.encode)), max_size=4))
def test_images_with_other_words(changes) -> None:
    """As they come over a connection, in XML or none; what is made of one can be written, and reported as JSON."""
    sent = bytearray(message())
    first, last = sent.index(b"<ismrmrdMeta"), sent.rindex(b">")
    for place, piece in changes:
        place = first + place % (last - first)
        sent[place : place + len(piece)] = piece[: last - place]
    peer = ScanConnection(Wire.of_files(io.BytesIO(bytes(sent)), io.BytesIO()))
    try:
        for image in peer:
            facts = facts_of(image)
            if facts is not None:
                put_facts(image, facts)
                json.dumps(described_image(image))
    except NadenoiseError as error:
        assert len(str(error).splitlines()) == 1, error
