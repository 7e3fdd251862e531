"""The gadget: items in, items out."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, model_validator

from nadenoise_core.configuration.fields import FilePath, is_list, mark
from nadenoise_core.enums import StrEnum

if TYPE_CHECKING:
    import ismrmrd

    from nadenoise_core.mrd.recon_data import ReconData
    from nadenoise_core.mrd.scan import Scan


@dataclass(frozen=True)
class DicomFile:
    """A DICOM file on its way down the stream: its name and its bytes."""

    name: str
    content: bytes


Item: TypeAlias = "ismrmrd.Acquisition | ismrmrd.Waveform | ReconData | ismrmrd.Image | DicomFile"


class ItemType(StrEnum):
    """What a gadget takes and gives, by the name of its class: a chain is checked without the libraries of the data."""

    ACQUISITION = "Acquisition"
    RECON_DATA = "ReconData"
    IMAGE = "Image"


class GadgetParameters(BaseModel):
    """The properties of a gadget, as they stand in a chain file: a type, a default and a sentence each.

    Units and marks are annotations, see `nadenoise_core.configuration.fields`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, str_max_length=4096
    )

    written: ClassVar[frozenset[str]] = frozenset()
    """Names of the properties whose files or folders are written, and not read."""

    def paths(self) -> dict[str, str]:
        """The properties that name a file or a folder, where they are set; they are declared with `PATH`."""
        names = [name for name, field in type(self).model_fields.items() if mark(field, FilePath)]
        return {name: str(getattr(self, name)) for name in names if getattr(self, name)}

    def inputs(self) -> dict[str, str]:
        """Of `paths`, those that are read."""
        return {name: value for name, value in self.paths().items() if name not in self.written}

    def open_inputs(self) -> None:
        """Read the files that the properties name, so that one that cannot be used is told before a scan.

        Raises:
            BadInputError: a file is missing, or cannot be used.
        """

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        """A property that holds several values is written with commas: "5, 10, 30"."""
        if not isinstance(values, dict):
            return values
        split = dict(values)
        for name, field in cls.model_fields.items():
            text = split.get(name)
            if isinstance(text, str) and is_list(field):
                split[name] = [part.strip() for part in text.split(",") if part.strip()]
        return split


class Gadget(ABC):
    """One stage of a chain: a generator over the stream.

    A gadget passes on unchanged what it does not handle, works at its own pace, holds no whole scan in memory, and
    never prints. A subclass declares its `Parameters`, and what it `takes` and `gives`.

    Its module imports at the top what this declaration needs. What it works with, the libraries of the data and the
    science, it imports where it works, so that chains are listed, checked and described at once.
    """

    class Parameters(GadgetParameters):
        """No properties."""

    parameters: GadgetParameters
    takes: ClassVar[ItemType]
    gives: ClassVar[ItemType]

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
