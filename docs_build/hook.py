"""What MkDocs calls: pages of the reference are added, tutorials are run, and show what they printed and drew."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from docs_build.blocks import blocks_of
from docs_build.reference import reference_pages
from docs_build.session import run_page

RUN = "tutorials/"
"""Pages below it show what their blocks did."""

_LONGEST = 16  # lines of output that are shown at once
_LINK = re.compile(r"\]\(([^)#:\s]+)\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages of the reference, and every file that a tutorial wrote and links to."""
    for uri, text in reference_pages().items():
        files.append(File.generated(config, uri, content=text))
    for page in list(files.documentation_pages()):
        if not page.src_uri.startswith(RUN):
            continue
        path = Path(str(page.abs_src_path))
        folder = run_page(path).folder
        for link in sorted(set(_LINK.findall(path.read_text(encoding="utf-8")))):
            if (folder / link).is_file():
                files.append(
                    File.generated(config, f"{Path(page.src_uri).parent}/{link}", abs_src_path=str(folder / link))
                )
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Put what a block printed below it."""
    if not page.file.src_uri.startswith(RUN):
        return markdown
    outputs = run_page(Path(page.file.abs_src_path)).outputs
    # The text came from the file without its front matter, if it has any.
    skipped = Path(page.file.abs_src_path).read_text(encoding="utf-8").count("\n") - markdown.count("\n")
    for block in reversed(blocks_of(markdown)):
        printed = outputs.get(block.line + skipped, "").rstrip()
        if printed:
            shown = "\n".join(f"{block.indent}{line}".rstrip() for line in _output(printed.splitlines()))
            markdown = f"{markdown[: block.end]}\n{shown}\n{markdown[block.end :]}"
    return markdown


def _output(lines: list[str]) -> list[str]:
    """What a block printed, as Markdown; much of it is folded."""
    fenced = ["```text", *lines, "```"]
    if len(lines) <= _LONGEST:
        return ["", *fenced]
    return ["", f'??? note "what it prints ({len(lines)} lines)"', "", *(f"    {line}" for line in fenced)]
