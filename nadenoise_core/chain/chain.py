"""What a chain is: stages with properties, checked by what their gadgets declare, and turned into gadgets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import ValidationError

from nadenoise_core.chain.gadget import Gadget, GadgetParameters, ItemType
from nadenoise_core.chain.registry import gadget_class
from nadenoise_core.configuration.explain import Keys, explain, suggestion
from nadenoise_core.errors import ChainError

if TYPE_CHECKING:
    from nadenoise_core.mrd.scan import Scan


@dataclass(frozen=True)
class Property:
    """A property as text, and where it was given, such as "mine.xml:7"."""

    value: str
    place: str


@dataclass(frozen=True)
class Stage:
    """One gadget of a chain: its name, its properties, and where in which file it stands."""

    name: str
    properties: Mapping[str, Property]
    line: int
    source: str

    noun: ClassVar[str] = "property"

    @property
    def data(self) -> dict[str, str]:
        """The properties as text, by name."""
        return {name: given.value for name, given in self.properties.items()}

    def place(self, keys: Keys = ()) -> str:
        """Where the stage stands, or a property of it, for messages."""
        given = self.properties.get(keys[0]) if keys else None
        return f"{given.place if given else f'{self.source}:{self.line}'}: gadget '{self.name}'"

    def gadget(self) -> type[Gadget]:
        """The gadget's class.

        Raises:
            ChainError: there is no such gadget.
        """
        try:
            return gadget_class(self.name)
        except ChainError as error:
            raise ChainError(f"{self.source}:{self.line}: {error}") from None

    def parameters(self) -> GadgetParameters:
        """The properties, checked against what the gadget declares.

        Raises:
            ChainError: an unknown property, a wrong type, or a value out of range.
        """
        declared = self.gadget().Parameters
        try:
            return declared.model_validate(self.data)
        except ValidationError as error:
            raise ChainError(explain(error, self, declared)) from None

    def with_property(self, name: str, value: str, place: str = "") -> Stage:
        """The same stage with one property set; `place` is where it was given."""
        given = Property(value, place or f"{self.source}:{self.line}")
        return replace(self, properties={**self.properties, name: given})


@dataclass(frozen=True)
class Chain:
    """Stages in a row.

    Attributes:
        name: of the chain: its file name without `.xml`.
        source: what messages call the document.
        stages: the gadgets of all our nodes, in order.
        nodes: how many nodes of ours they are spread over.
        foreign: what only the Gadgetron server can run, as (line, element).
    """

    name: str
    source: str
    stages: tuple[Stage, ...]
    nodes: int
    foreign: tuple[tuple[int, str], ...] = ()

    def has(self, gadget: str) -> bool:
        """Whether a stage is this gadget."""
        return any(stage.name == gadget for stage in self.stages)

    def with_property(self, gadget: str, name: str, value: str, place: str = "") -> Chain:
        """The same chain with one property of a gadget set; unchanged where it has no such gadget."""
        stages = (stage.with_property(name, value, place) if stage.name == gadget else stage for stage in self.stages)
        return replace(self, stages=tuple(stages))

    def with_assignments(self, assignments: Iterable[str]) -> Chain:
        """The same chain with properties set, each given as "quantify.concentrations=10, 50, 100".

        They are checked together: some properties go with others.

        Raises:
            ChainError: no assignment, no such gadget in this chain, or properties that it cannot have.
        """
        chain = self
        for assignment in assignments:
            chain = chain._assigned(assignment)
        for stage in chain.stages:
            stage.parameters()
        return chain

    def _assigned(self, assignment: str) -> Chain:
        place = f"--set {assignment}"
        path, sign, value = assignment.partition("=")
        gadget, dot, name = (part.strip() for part in path.partition("."))
        if not (sign and dot and name):
            raise ChainError(f"{place}: write it as gadget.property=value, e.g. --set quantify.tube_diameter=20")
        names = list(dict.fromkeys(stage.name for stage in self.stages))
        if gadget not in names:
            raise ChainError(f"{place}: the chain has no gadget '{gadget}'{suggestion(gadget, names)}")
        return self.with_property(gadget, name, value.strip(), place)

    def paths(self) -> list[str]:
        """All files and folders that the stages name."""
        return [path for stage in self.stages for path in stage.parameters().paths().values()]

    def describe(self) -> list[dict[str, Any]]:
        """The stages with all properties, defaults included, as plain data."""
        return [{"gadget": stage.name, **stage.parameters().model_dump(mode="json")} for stage in self.stages]


def check_order(chain: Chain) -> None:
    """Check that every stage gets what it takes from a stage before it, or from the scanner.

    Raises:
        ChainError: a stage takes what none before it gives.
    """
    available = {ItemType.ACQUISITION}
    for stage in chain.stages:
        gadget = stage.gadget()
        if gadget.takes not in available and not chain.foreign:
            raise ChainError(
                f"{stage.place()} takes {gadget.takes} items, and no stage before it gives them, or one has used them "
                "up; the usual order is accumulate, reconstruct, denoise, quantify, deliver"
            )
        if gadget.gives is not gadget.takes:
            available.discard(gadget.takes)  # what becomes another item is used up
        available.add(gadget.gives)


def check_runs_here(chain: Chain) -> None:
    """Check that the chain needs no Gadgetron server.

    Raises:
        ChainError: it has elements that only the server can run; they are named.
    """
    if chain.foreign:
        line, element = chain.foreign[0]
        raise ChainError(f"{chain.source}:{line}: {element} runs in the Gadgetron server only; send the scan there")


def build(chain: Chain, scan: Scan) -> list[Gadget]:
    """The gadgets of a chain, made for one scan.

    Raises:
        NadenoiseError: whatever a gadget finds wrong before the first sample.
    """
    return [stage.gadget()(stage.parameters(), scan) for stage in chain.stages]
