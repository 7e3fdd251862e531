"""The gadget: items in, items out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, TypeAlias, get_origin

import ismrmrd
from gadgetron.types.recon_data import ReconData
from pydantic import BaseModel, ConfigDict, model_validator

from nadenoise_core.stream.scan import Scan

Item: TypeAlias = "ismrmrd.Acquisition | ismrmrd.Waveform | ReconData | ismrmrd.Image"


class GadgetParameters(BaseModel):
    """The properties of a gadget, as they stand in a chain file: a type, a default and a sentence each."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        """A property that holds several values is written with commas: "5, 10, 30"."""
        if not isinstance(values, dict):
            return values
        split = dict(values)
        for name, field in cls.model_fields.items():
            text = split.get(name)
            if isinstance(text, str) and get_origin(field.annotation) is tuple:
                split[name] = [part.strip() for part in text.split(",") if part.strip()]
        return split


class Gadget(ABC):
    """One stage of a chain: a generator over the stream.

    A gadget passes on unchanged what it does not handle, works at its own pace, holds no whole scan in memory, and
    never prints. A subclass declares its `Parameters`, and what it `takes` and `gives`.
    """

    class Parameters(GadgetParameters):
        """No properties."""

    parameters: GadgetParameters
    takes: ClassVar[type]
    gives: ClassVar[type]

    def __init__(self, parameters: GadgetParameters, scan: Scan) -> None:
        self.parameters = parameters
        self.scan = scan
        self.log = logging.getLogger(f"nadenoise.{self.name()}")

    @classmethod
    def name(cls) -> str:
        """The gadget's name in a chain file."""
        return cls.__name__.lower()

    @abstractmethod
    def process(self, items: Iterable[Item]) -> Iterator[Item]:
        """Take the items of a stream, give the items of the next."""
