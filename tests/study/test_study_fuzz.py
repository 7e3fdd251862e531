"""YAML configurations, given anything: checked settings, or a sentence; never another exception, never for long.

`NADENOISE_FUZZ=10000` tries more inputs than the few of every day.
"""

from __future__ import annotations

import os
from functools import cache

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nadenoise_core.configuration.document import parse_document
from nadenoise_core.configuration.section import checked
from nadenoise_core.errors import ConfigError
from nadenoise_core.study.config import StudyConfig, shipped_studies

EXAMPLES = int(os.environ.get("NADENOISE_FUZZ", "40"))
PIECES = [
    *(
        "&a ",
        "*a",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ": ",
        "\n",
        "  ",
        "!!python/object:os.system ",
        "? ",
        "| ",
        "<<: *a",
        "\t",
    ),
    *("a: &a [x, x]\n", "b: [*a, *a]\n", "subjects:\n", "count: 1e9\n", "seed: -1\n", "averages: [1, 2]\n"),
]
VALUES = ["", "null", "-1", "1e400", ".nan", ".inf", "9" * 40, "[1, 2]", "{a: b}", "yes", "x", "'", "&a [*a]"]

many = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


@cache
def shipped() -> str:
    return next(iter(shipped_studies().values())).read_text()


def tried(text: str) -> None:
    try:
        assert isinstance(checked(parse_document(text, "fuzz"), StudyConfig), StudyConfig)
    except ConfigError as error:
        assert 10 < len(str(error)) < 3000 and str(error).startswith("fuzz")


@many
@given(st.lists(st.tuples(st.integers(0, 1 << 12), st.integers(0, 3), st.sampled_from([*PIECES, *VALUES])), max_size=5))
def test_studies_with_other_pieces(changes) -> None:
    text = shipped()
    for place, cut, piece in changes:
        place %= len(text)
        text = text[:place] + piece + text[place + cut :]
    tried(text)


@many
@given(st.data())
def test_studies_with_other_values(data) -> None:
    lines = shipped().splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        key, colon, _ = lines[number].partition(":")
        lines[number] = f"{key}{colon} {data.draw(st.sampled_from(VALUES) | st.integers().map(str))}"
    tried("\n".join(lines))


@many
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=100))
def test_no_studies(text) -> None:
    tried(text)
