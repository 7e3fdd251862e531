"""Chain files: Gadgetron's XML, found, read and checked.

A node of ours is `<external><execute name="gadgets" target="chain" type="python"/><configuration>` with one `<gadget
name="...">` a stage, and `<property name="..." value="..."/>` in it. Several nodes run one after the other, as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from lxml import etree

from nadenoise_core.chain.chain import Chain, Property, Stage, check_order
from nadenoise_core.configuration.explain import suggestion
from nadenoise_core.errors import ChainError

_LARGEST = 1 << 20  # bytes of a document
_AROUND = (
    ("readers", "reader", "gadgetron_core_readers", ("AcquisitionReader", "WaveformReader")),
    ("writers", "writer", "gadgetron_core_writers", ("ImageWriter",)),
)
_MOST_STAGES = 32  # every one is a generator within the next


def find_chain(name: str) -> Path:
    """The file of a chain, by name in the chain folder or by path.

    Raises:
        ChainError: neither a chain nor a file.
    """
    if name.endswith(".xml") or "/" in name:
        if not Path(name).is_file():
            raise ChainError(f"{name}: no such chain file; give the path of one, or a name of `nadenoise chain list`")
        return Path(name)
    known = {path.stem: path for path in chain_files()}
    if name not in known:
        raise ChainError(f"there is no chain '{name}'{suggestion(name, known)} or give the path of a chain file")
    return known[name]


def chain_files() -> list[Path]:
    """The chain files that came with nadenoise."""
    return sorted(Path(str(resources.files("chains"))).glob("*.xml"))


def read_chain(path: Path) -> Chain:
    """Read a chain file and check all of its properties.

    Files that it names by a relative path are read relative to its own.

    Raises:
        ChainError: as `parse_chain`, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise ChainError(f"{path}: cannot be read ({error.strerror}); check the file") from None
    return _beside(parse_chain(text, path.stem, str(path)), path.parent)


def _beside(chain: Chain, folder: Path) -> Chain:
    """The same chain; files that it reads by a relative path are those beside its own file."""
    stages = []
    for stage in chain.stages:
        for name, value in stage.parameters().inputs().items():
            if not Path(value).is_absolute():
                stage = stage.with_property(name, str((folder / value).absolute()), stage.properties[name].place)
        stages.append(stage)
    return replace(chain, stages=tuple(stages))


def parse_chain(text: bytes, name: str, source: str) -> Chain:
    """A chain from its XML, with all of its properties checked.

    Args:
        text: the XML.
        name: of the chain.
        source: what errors call the document.

    Raises:
        ChainError: not XML, not a chain of Gadgetron's version 2, no stage of ours, or a wrong property.
    """
    stages: list[Stage] = []
    foreign: list[tuple[int, str]] = []
    nodes = 0
    for element in _elements(_stream(_parse(text, source), source)):
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
    _check(chain)
    check_order(chain)
    return chain


def read_node(configuration: bytes, source: str = "configuration") -> Chain:
    """The stages of one node, from the `<configuration>` that Gadgetron sends to it.

    Raises:
        ChainError: as `read_chain`.
    """
    root = _parse(configuration.rstrip(b"\0 \n"), source)
    chain = Chain("node", source, tuple(_stages(root, source, root.sourceline)), 1)
    _check(chain)
    for stage in chain.stages:
        if getattr(stage.parameters(), "send", False):
            raise ChainError(
                f"{stage.place(('send',))}, property 'send': Gadgetron takes no DICOM from inside a chain; leave it "
                "out, and deliver to a folder"
            )
    return chain


def chain_text(chain: Chain) -> bytes:
    """A chain as a file: one node, with the readers and writers that Gadgetron needs around it."""
    root = etree.Element("configuration")
    etree.SubElement(root, "version").text = "2"
    for group, kind, library, names in _AROUND:
        inside = etree.SubElement(root, group)
        for name in names:
            entry = etree.SubElement(inside, kind)
            etree.SubElement(entry, "dll").text = library
            etree.SubElement(entry, "classname").text = name
    node = etree.SubElement(etree.SubElement(root, "stream"), "external")
    etree.SubElement(node, "execute", {"name": "gadgets", "target": "chain", "type": "python"})
    configuration = etree.SubElement(node, "configuration")
    for stage in chain.stages:
        gadget = etree.SubElement(configuration, "gadget", {"name": stage.name})
        for name, given in stage.properties.items():
            etree.SubElement(gadget, "property", {"name": name, "value": given.value})
    etree.indent(root, "    ")
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8")) + b"\n"


def _check(chain: Chain) -> None:
    """Check every stage for itself."""
    if len(chain.stages) > _MOST_STAGES:
        beyond = chain.stages[_MOST_STAGES]
        raise ChainError(
            f"{chain.source}:{beyond.line}: there are {len(chain.stages)} stages; a chain may have {_MOST_STAGES}"
        )
    for stage in chain.stages:
        stage.parameters()


def _parse(text: bytes, source: str) -> Any:
    if len(text) > _LARGEST:
        raise ChainError(f"{source}: is larger than {_LARGEST >> 20} MiB; that is no chain")
    try:
        root = etree.fromstring(text, etree.XMLParser(resolve_entities=False, load_dtd=False, no_network=True))
    except etree.XMLSyntaxError as error:
        raise ChainError(
            f"{source}:{error.lineno}: not well-formed XML ({' '.join((error.msg or '').split())})"
        ) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise ChainError(f"{source}: has a <!DOCTYPE>, whose entities can change what it says; take it out")
    return root


def _stream(root: Any, source: str) -> Any:
    """The one <stream> of a chain file."""
    if root.tag != "configuration":
        raise ChainError(f"{source}:{root.sourceline}: the document is <{root.tag}>; a chain file is a <configuration>")
    version = root.findtext("version")
    if (version or "").strip() != "2":
        raise ChainError(f"{source}:{root.sourceline}: <version> is {version or 'missing'}; write <version>2</version>")
    streams = root.findall("stream")
    if len(streams) != 1:
        raise ChainError(f"{source}:{root.sourceline}: there are {len(streams)} <stream> elements; write one")
    return streams[0]


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
        yield name, Property(value.strip(), f"{source}:{element.sourceline}")


def _elements(parent: Any) -> Iterable[Any]:
    """Child elements without comments and processing instructions."""
    return (child for child in parent if isinstance(child.tag, str))
