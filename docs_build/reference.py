"""The pages of the reference, made from what the code declares."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from nadenoise_core.chain.files import chain_files, read_chain
from nadenoise_core.chain.gadget import Gadget
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.configuration.fields import shown, values
from nadenoise_core.denoise.bundle import Bundle, shipped_bundles
from nadenoise_core.replay.schema import report_schema


def reference_pages() -> dict[str, str]:
    """Text of every page and file, by its place in the documentation."""
    return {
        "reference/gadgets.md": gadgets_page(),
        "reference/chains.md": chains_page(),
        "reference/bundles.md": bundles_page(),
        "reference/commands.md": commands_page(),
        "reference/report.md": report_page(),
        "reference/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
    }


def gadgets_page() -> str:
    """What every gadget takes and gives, and its properties."""
    head = (
        "# Gadgets\n\n"
        'A property is a `<property name="..." value="..."/>` of the gadget in a chain file,\n'
        "`--set gadget.property=value` on the command line, and a keyword argument in Python.\n"
        "`nadenoise chain describe` prints the same."
    )
    return "\n\n".join([head, *(_gadget(gadget_class(name)) for name in gadget_names())]) + "\n"


def chains_page() -> str:
    """The text of every chain that is shipped."""
    parts = ["# Chains\n\n`nadenoise chain show NAME > my_chain.xml` begins a file of your own with one of these."]
    for path in chain_files():
        chain = read_chain(path)
        stages = " > ".join(f"[`{stage.name}`](gadgets.md#{stage.name})" for stage in chain.stages)
        parts.append(f"## {chain.name}\n\n{stages}\n\n```xml\n{path.read_text(encoding='utf-8')}```")
    return "\n\n".join(parts) + "\n"


def bundles_page() -> str:
    """The facts and the card of every bundle that is shipped."""
    head = "# Bundles\n\nThe networks that come with nadenoise; `nadenoise model describe NAME` prints the same card."
    return "\n\n".join([head, *map(_bundle, shipped_bundles())]) + "\n"


def commands_page() -> str:
    """Usage and options of every command."""
    from nadenoise_core.cli.main import program
    from training.cli.main import program as training_program

    parts = [
        "# Commands\n\nEvery command takes `-h`; `nadenoise --install-completion` teaches the shell to complete them."
    ]
    for name, group in (("nadenoise", program()), ("nadenoise-train", training_program())):
        parts += [f"## {' '.join(path)}\n\n{_command(command, path)}" for path, command in _leaves(group, (name,))]
    return "\n\n".join(parts) + "\n"


def report_page() -> str:
    """Every key of `report.json`."""
    schema = report_schema()
    head = (
        "# report.json\n\nWhat `nadenoise replay` and `nd.replay` write beside the images, "
        "as [JSON schema](report.schema.json); `nadenoise_core.replay.schema.report_schema()` gives it in Python. "
        "A key that is not always there is in *italics*."
    )
    objects = {"Report": schema, **schema["$defs"]}
    return "\n\n".join([head, *(_object(name, found) for name, found in objects.items())]) + "\n"


def _object(name: str, schema: dict[str, Any]) -> str:
    always = schema.get("required", [])
    rows = [
        (
            f"`{key}`" if key in always else f"*`{key}`*",
            _json_type(found),
            found.get("unit", ""),
            found.get("description", ""),
        )
        for key, found in schema["properties"].items()
    ]
    title = name.removesuffix("Report") or "The whole file"
    return f"## {title}\n\n{schema['description']}\n\n{_table(('key', 'type', 'unit', 'meaning'), rows)}"


def _json_type(schema: dict[str, Any]) -> str:
    """What a value is, in words; an object of a type of its own links to it."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2].removesuffix("Report")
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_json_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f'"{word}"' for word in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_json_type(schema['items'])}"
    return str(schema.get("type", "object"))


def _gadget(gadget: type[Gadget]) -> str:
    rows = [
        (
            f"`{name}`",
            values(field),
            f"`{shown(field.default)}`" if shown(field.default) else "",
            field.description or "",
        )
        for name, field in gadget.Parameters.model_fields.items()
    ]
    travels = f"Takes: {gadget.takes}. Gives: {gadget.gives}."
    table = _table(("property", "values", "default", "meaning"), rows) if rows else "It has no properties."
    return f"## {gadget.name()}\n\n{inspect.cleandoc(gadget.__doc__ or '')}\n\n{travels}\n\n{table}"


def _bundle(bundle: Bundle) -> str:
    card = bundle.path.with_suffix(".md").read_text(encoding="utf-8")
    title, _, text = card.partition("\n")
    deeper = re.sub(r"^(#+) ", r"#\1 ", text, flags=re.MULTILINE)
    return f"## {title.removeprefix('# ')}\n\n`sha256 {bundle.sha256}`\n{deeper.rstrip()}"


def _leaves(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a group that runs, by the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from _leaves(inner, (*path, name))
        else:
            yield (*path, name), inner.load()


def _command(command: Any, path: Sequence[str]) -> str:
    context = command.context_class(command, info_name=" ".join(path))
    usage = f"`{' '.join([*path, *command.collect_usage_pieces(context)])}`"
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and "--help" not in parameter.opts:
            rows.append((f"`{record[0].strip()}`", record[1]))
    table = _table(("argument or option", "meaning"), rows) if rows else ""
    return "\n\n".join(filter(None, (usage, inspect.cleandoc(command.help or ""), table)))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
