"""Errors of training that a user can act on; they belong to the one family of `nadenoise_core.errors`."""

from __future__ import annotations

from nadenoise_core.errors import BadInputError, ConfigError

__all__ = ["ConfigError", "DataError"]


class DataError(BadInputError):
    """Images, a cache or a run cannot be used; the message names the file and what to do."""
