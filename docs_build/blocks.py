"""The code blocks of a Markdown page: those that are run, and those that are not, with the reason.

A fenced block of `sh` or `python` is run, all those of a page one after another. One that cannot be has its reason in a
comment on the line before it, `<!-- not run: needs a scanner -->`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[1]
RUN_LANGUAGES = ("sh", "python")

_FENCE = re.compile(
    r"(?:^ *<!-- not run: (?P<reason>[^\n]+?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


_INCLUDED = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        language: that its fence names.
        text: inside the fence.
        line: of its first line in the page, from 1.
        reason: why it is not run; empty where it is.
        end: where the block ends in the text of the page.
        indent: of its fence.
    """

    language: str
    text: str
    line: int
    reason: str
    end: int
    indent: str

    @property
    def code(self) -> str:
        """The text, with the files that it includes."""
        return _INCLUDED.sub(lambda found: (ROOT / found[1]).read_text(encoding="utf-8"), self.text)

    @property
    def runs(self) -> bool:
        """Whether it is run."""
        return self.language in RUN_LANGUAGES and not self.reason

    @property
    def is_left_out(self) -> bool:
        """Whether it could be run, and says why it is not."""
        return self.language in RUN_LANGUAGES and bool(self.reason)


def blocks_of(markdown: str) -> list[Block]:
    """The fenced blocks of a page; a file that a block includes stays a line that names it."""
    return [
        Block(
            found["language"],
            dedent(found["text"]),
            markdown.count("\n", 0, found.start("text")) + 1,
            found["reason"] or "",
            found.end(),
            found["indent"],
        )
        for found in _FENCE.finditer(markdown)
    ]


def pages() -> list[Path]:
    """The README and all pages of the documentation."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
