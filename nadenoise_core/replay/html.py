"""Pages of one file: a template, and numbers as people read them."""

from __future__ import annotations

import base64
import math
from functools import lru_cache
from typing import Any

import jinja2

SMALLEST_P = 0.001


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits behind the point; a minus sign, and a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def significant(value: float, digits: int = 4) -> str:
    """A number with so many significant digits; a minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def p_value(value: float | None) -> str:
    """A p value as the paper writes it."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"< {SMALLEST_P:g}" if value < SMALLEST_P else f"{value:.3f}"


def embedded(content: bytes) -> str:
    """A file as base64, for a data URL."""
    return base64.b64encode(content).decode("ascii")


def render(room: str, template: str, **context: Any) -> str:
    """A template, filled; text is escaped in HTML, and a name that is missing is an error.

    Args:
        room: the package whose folder `templates` holds it; it may extend `page.html.j2`, which lies here.
        template: its file name.
        context: what it is filled with.
    """
    return _environment(room, template.split(".")[-2] == "html").get_template(template).render(**context)


@lru_cache
def _environment(room: str, escape: bool) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader(package) for package in (room, "nadenoise_core.replay")]),
        autoescape=escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(number=number, significant=significant, p=p_value)
    return made
