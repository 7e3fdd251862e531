"""Chain files: Gadgetron's XML, read, checked, and turned into gadgets.

A node of ours is `<external><execute name="gadgets" target="chain" type="python"/><configuration>` with one `<gadget
name="...">` a stage, and `<property name="..." value="..."/>` in it. Several nodes run one after the other, as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, get_args

from lxml import etree
from pydantic import ValidationError

from nadenoise_core.chain.gadget import Gadget, GadgetParameters
from nadenoise_core.chain.registry import gadget_class, suggestion
from nadenoise_core.errors import ChainError
from nadenoise_core.mrd.scan import Scan


@dataclass(frozen=True)
class Property:
    """A property as it stands in a file, and the line it stands in."""

    value: str
    line: int


@dataclass(frozen=True)
class Stage:
    """One gadget of a chain: its name, its properties, and where in which file it stands."""

    name: str
    properties: Mapping[str, Property]
    line: int
    source: str

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
            return declared.model_validate({name: given.value for name, given in self.properties.items()})
        except ValidationError as error:
            raise ChainError(self._explain(error, declared)) from None

    def with_property(self, name: str, value: str) -> Stage:
        """The same stage with one property set."""
        return replace(self, properties={**self.properties, name: Property(value, self.line)})

    def _explain(self, error: ValidationError, declared: type[GadgetParameters]) -> str:
        first = error.errors()[0]
        if not first["loc"]:  # a rule between several properties
            return f"{self.source}:{self.line}: gadget '{self.name}': {_plain(first['msg'])}"
        name = str(first["loc"][0])
        given = self.properties.get(name, Property("", self.line))
        place = f"{self.source}:{given.line}: gadget '{self.name}'"
        if first["type"] == "extra_forbidden":
            return f"{place} has no property '{name}'{suggestion(name, list(declared.model_fields))}"
        allowed = _allowed_words(declared.model_fields[name].annotation)
        hint = suggestion(given.value, allowed) if allowed else ""
        problem = f"allowed are {', '.join(allowed)}" if allowed else _plain(first["msg"])
        return f"{place}, property '{name}' is '{given.value}': {problem}{hint if 'did you' in hint else ''}"


@dataclass(frozen=True)
class Chain:
    """A chain file.

    Attributes:
        name: of the chain: its file name without `.xml`.
        stages: the gadgets of all our nodes, in order.
        nodes: how many nodes of ours they are spread over.
        foreign: what only the Gadgetron server can run, as (line, words).
    """

    name: str
    source: str
    stages: tuple[Stage, ...]
    nodes: int
    foreign: tuple[tuple[int, str], ...] = ()

    def with_property(self, gadget: str, name: str, value: str) -> Chain:
        """The same chain with one property of a gadget set; unchanged where it has no such gadget."""
        stages = (stage.with_property(name, value) if stage.name == gadget else stage for stage in self.stages)
        return replace(self, stages=tuple(stages))

    def describe(self) -> list[dict[str, Any]]:
        """The stages with all properties, defaults included, as plain data."""
        return [{"gadget": stage.name, **stage.parameters().model_dump(mode="json")} for stage in self.stages]


def find_chain(name: str) -> Path:
    """The file of a chain, by name in the chain folder or by path.

    Raises:
        ChainError: neither a chain nor a file.
    """
    if name.endswith(".xml") or "/" in name:
        if not Path(name).is_file():
            raise ChainError(f"{name}: no such chain file")
        return Path(name)
    known = {path.stem: path for path in chain_files()}
    if name not in known:
        raise ChainError(f"there is no chain '{name}'{suggestion(name, list(known))} or give the path of a chain file")
    return known[name]


def chain_files() -> list[Path]:
    """The chain files that came with nadenoise."""
    return sorted(Path(str(resources.files("chains"))).glob("*.xml"))


def read_chain(path: Path) -> Chain:
    """Read a chain file and check all of its properties.

    Raises:
        ChainError: as `parse_chain`, or the file cannot be read.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ChainError(f"{path}: cannot be read ({error.strerror})") from None
    return parse_chain(text, path.stem, str(path))


def parse_chain(text: bytes, name: str, source: str) -> Chain:
    """A chain from its XML, with all of its properties checked.

    Args:
        text: the XML.
        name: of the chain.
        source: what errors call the document.

    Raises:
        ChainError: not XML, not a chain of Gadgetron's version 2, no stage of ours, or a wrong property.
    """
    root = _parse(text, source)
    if root.tag != "configuration":
        raise ChainError(f"{source}:{root.sourceline}: the document is <{root.tag}>; a chain file is a <configuration>")
    version = root.findtext("version")
    if (version or "").strip() != "2":
        raise ChainError(f"{source}:{root.sourceline}: <version> is {version or 'missing'}; write <version>2</version>")
    streams = root.findall("stream")
    if len(streams) != 1:
        raise ChainError(f"{source}:{root.sourceline}: there are {len(streams)} <stream> elements; write one")
    stages: list[Stage] = []
    foreign: list[tuple[int, str]] = []
    nodes = 0
    for element in _elements(streams[0]):
        if _is_ours(element):
            nodes += 1
            execute = element.find("execute")
            if execute is not None and (execute.get("target"), execute.get("type")) != ("chain", "python"):
                raise ChainError(
                    f'{source}:{execute.sourceline}: Gadgetron cannot start this node; write <execute name="gadgets" '
                    'target="chain" type="python"/>'
                )
            stages.extend(_stages(element.find("configuration"), source, element.sourceline))
        else:
            foreign.append((element.sourceline, _words(element)))
    if not stages:
        raise ChainError(
            f'{source}: no stage of nadenoise; write <external><execute name="gadgets" target="chain" '
            'type="python"/><configuration> with a <gadget name="..."> a stage'
        )
    chain = Chain(name, source, tuple(stages), nodes, tuple(foreign))
    check_order(chain)
    for stage in stages:
        stage.parameters()
    return chain


def read_node(configuration: bytes, source: str = "configuration") -> Chain:
    """The stages of one node, from the `<configuration>` that Gadgetron sends to it.

    Raises:
        ChainError: as `read_chain`.
    """
    root = _parse(configuration.rstrip(b"\0 \n"), source)
    stages = _stages(root, source, root.sourceline)
    for stage in stages:
        if getattr(stage.parameters(), "send", False):
            raise ChainError(
                f"{source}:{stage.line}: gadget '{stage.name}', property 'send': Gadgetron takes no DICOM from "
                "inside a chain; leave it out, and deliver to a folder"
            )
    return Chain("node", source, tuple(stages), 1)


def check_order(chain: Chain) -> None:
    """Check that every stage gets what it takes from a stage before it, or from the scanner.

    Raises:
        ChainError: a stage takes what none before it gives.
    """
    import ismrmrd

    available: set[type] = {ismrmrd.Acquisition}
    for stage in chain.stages:
        gadget = stage.gadget()
        if gadget.takes not in available and not chain.foreign:
            raise ChainError(
                f"{stage.source}:{stage.line}: gadget '{stage.name}' takes {gadget.takes.__name__} items, and no stage "
                "before it gives them; the usual order is accumulate, reconstruct, denoise, quantify, deliver"
            )
        available.add(gadget.gives)


def check_runs_here(chain: Chain) -> None:
    """Check that the chain needs no Gadgetron server.

    Raises:
        ChainError: it has elements that only the server can run; they are named.
    """
    if chain.foreign:
        line, words = chain.foreign[0]
        raise ChainError(f"{chain.source}:{line}: {words} runs in the Gadgetron server only; send the scan there")


def build(chain: Chain, scan: Scan) -> list[Gadget]:
    """The gadgets of a chain, made for one scan.

    Raises:
        NadenoiseError: whatever a gadget finds wrong before the first sample.
    """
    return [stage.gadget()(stage.parameters(), scan) for stage in chain.stages]


def _parse(text: bytes, source: str) -> Any:
    try:
        return etree.fromstring(text, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ChainError(f"{source}:{error.lineno}: not well-formed XML ({error.msg})") from None


def _is_ours(element: Any) -> bool:
    execute = element.find("execute") if element.tag == "external" else None
    connect = element.find("connect") if element.tag == "external" else None
    ours = execute is not None and execute.get("name") == "gadgets"
    return ours or (connect is not None and element.find("configuration/gadget") is not None)


def _words(element: Any) -> str:
    library, name = element.findtext("dll"), element.findtext("classname") or element.findtext("name")
    return f"<{element.tag}> {name or ''}{f' of {library}' if library else ''}".strip()


def _stages(configuration: Any, source: str, line: int) -> list[Stage]:
    if configuration is None:
        raise ChainError(f'{source}:{line}: the node has no <configuration> with a <gadget name="..."> a stage')
    stages = []
    for element in _elements(configuration):
        if element.tag != "gadget" or not element.get("name"):
            raise ChainError(f'{source}:{element.sourceline}: <{element.tag}> here; write <gadget name="...">')
        stages.append(Stage(element.get("name"), dict(_properties(element, source)), element.sourceline, source))
    if not stages:
        raise ChainError(f'{source}:{line}: the <configuration> is empty; write a <gadget name="..."> a stage')
    return stages


def _properties(gadget: Any, source: str) -> Iterator[tuple[str, Property]]:
    seen: set[str] = set()
    for element in _elements(gadget):
        # Both forms are in the field: attributes, and Gadgetron's own children.
        name = (element.get("name") or element.findtext("name") or "").strip()
        value = element.get("value") if element.get("value") is not None else element.findtext("value")
        place = f"{source}:{element.sourceline}: gadget '{gadget.get('name')}'"
        if element.tag != "property" or not name or value is None:
            raise ChainError(f'{place}: <{element.tag}> here; write <property name="..." value="..."/>')
        if name in seen:
            raise ChainError(f"{place} has property '{name}' twice; leave one")
        seen.add(name)
        yield name, Property(value.strip(), element.sourceline)


def _elements(parent: Any) -> Iterable[Any]:
    """Child elements without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))


def _allowed_words(annotation: Any) -> list[str]:
    return [word for word in get_args(annotation) if isinstance(word, str)]


def _plain(message: str) -> str:
    text = message.removeprefix("Value error, ")
    return text[:1].lower() + text[1:]
