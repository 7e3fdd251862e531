"""Configurations: read with their lines, checked by a pydantic model, and every error a sentence that helps."""

from nadenoise_core.configuration.document import Document, parse_document, read_document
from nadenoise_core.configuration.explain import explain, suggestion
from nadenoise_core.configuration.section import Section, checked, find_shipped

__all__ = [
    "Document",
    "Section",
    "checked",
    "explain",
    "find_shipped",
    "parse_document",
    "read_document",
    "suggestion",
]
