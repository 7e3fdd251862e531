"""The label of an OpenRecon container: what it is, what it needs, and the parameters that an operator sets.

The parameters come from what the gadgets declare, with the chain's values as defaults. The rules are those of Siemens'
schema 1.1.0 for labels.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

from pydantic.fields import FieldInfo

from nadenoise_core import __version__
from nadenoise_core.chain.chain import Chain, Stage
from nadenoise_core.chain.openrecon import CONFIG_ID, parameter_id
from nadenoise_core.configuration.fields import Console, choices, is_list, limits, mark, shown, unit
from nadenoise_core.errors import ChainError

LABEL = "com.siemens-healthineers.magneticresonance.openrecon.metadata:1.1.0"
PORT = 9002

_MOST_PARAMETERS = 14
_STEP = 0.1  # of a number
_MEMORY = 4096  # MB


def describe_container(chain: Chain, chains: list[str]) -> dict[str, Any]:
    """The label's content.

    Args:
        chain: the one that runs unless another is chosen.
        chains: names of those that can be chosen.

    Raises:
        ChainError: the chain cannot run in a container, or has more properties for the console than it takes.
    """
    if chain.foreign:
        raise ChainError(
            f"{chain.source}: has gadgets of the Gadgetron server, which the container has not; take them out"
        )
    parameters = [_choice(CONFIG_ID, "Chain", "The chain of gadgets that runs.", chain.name, chains)]
    parameters += [parameter for stage in chain.stages for parameter in _parameters(stage)]
    if len(parameters) > _MOST_PARAMETERS:
        raise ChainError(
            f"{chain.source}: {len(parameters)} parameters, OpenRecon takes {_MOST_PARAMETERS}; use fewer gadgets"
        )
    return {
        "general": {
            "id": "nadenoise",
            "name": _words("nadenoise"),
            "version": __version__,
            "vendor": "nadenoise",
            "information": _words("23Na MRI of the calf: spiral reconstruction, denoising network, aTSC maps."),
            "regulatory_information": {
                "device_trade_name": "nadenoise",
                "production_identifier": __version__,
                "manufacturer_address": "",
                "made_in": "",
                "manufacture_date": "",
                "material_number": f"nadenoise_{__version__}",
                "gtin": "",
                "udi": "",
                "safety_advices": "Research software, not a medical device. Denoised images are not for diagnosis.",
                "special_operating_instructions": "",
                "additional_relevant_information": "",
            },
        },
        "reconstruction": {
            "transfer_protocol": {"protocol": "ISMRMRD", "version": "1.4.1"},
            "port": PORT,
            "emitter": "raw",
            "injector": "image",
            "can_process_adjustment_data": False,
            "can_use_gpu": True,
            "min_count_required_gpus": 0,
            "min_required_gpu_memory": 2048,
            "min_required_memory": _MEMORY,
            "min_count_required_cpu_cores": 1,
            "content_qualification_type": "RESEARCH",
            "channel_compression": {"require_state": "off"},
            "require_readout_filter_off": True,
        },
        "parameters": parameters,
    }


def label_text(label: dict[str, Any]) -> str:
    """The label as a container carries it: base64 of its JSON."""
    return base64.b64encode(json.dumps(label).encode()).decode()


def _parameters(stage: Stage) -> Iterator[dict[str, Any]]:
    """What an operator may set of a stage."""
    given = stage.parameters()
    for name, field in type(given).model_fields.items():
        if mark(field, Console):
            yield _parameter(parameter_id(stage.name, name), f"{stage.name}: {name}", field, getattr(given, name))


def _parameter(identifier: str, label: str, field: FieldInfo, value: Any) -> dict[str, Any]:
    information = field.description or ""
    if allowed := choices(field.annotation):
        return _choice(identifier, label, information, str(value), allowed)
    label += f" ({unit(field)})" if unit(field) else ""
    known: dict[str, Any] = {"id": identifier, "label": _words(label), "information": _words(information)}
    if field.annotation is bool:
        return {**known, "type": "boolean", "default": value}
    if field.annotation in (int, float):
        least, most = _range(field)
        if field.annotation is int:
            return {**known, "type": "int", "minimum": int(least), "maximum": int(most), "default": value}
        numbers = {"minimum": least, "maximum": most, "default": float(value)}
        return {**known, "type": "double", **{key: round(number / _STEP) * _STEP for key, number in numbers.items()}}
    return {**known, "type": "string", "default": shown(value) if is_list(field) else str(value or "")}


def _choice(identifier: str, label: str, information: str, value: str, allowed: list[str]) -> dict[str, Any]:
    return {
        "id": identifier,
        "label": _words(label),
        "information": _words(information),
        "type": "choice",
        "default": value,
        "values": [{"id": word, "name": _words(word or "unknown")} for word in allowed],
    }


def _range(field: FieldInfo) -> tuple[float, float]:
    """The smallest and the largest value of a number."""
    if not all(map(math.isfinite, limits(field))):
        raise ChainError("a number that an operator may set needs a smallest and a largest value")
    return limits(field)


def _words(text: str) -> dict[str, str]:
    return {"en": text}
