"""Errors of training that a user can act on; they belong to the one family of `nadenoise_core.errors`."""

from __future__ import annotations

from nadenoise_core.errors import BadInputError


class ConfigError(BadInputError):
    """The configuration is wrong; the message names file, line, key and value."""


class DataError(BadInputError):
    """Images, a cache or a run cannot be used; the message names the file and what to do."""
