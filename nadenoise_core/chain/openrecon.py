"""Parameters that a Siemens console sets: gadgets' properties under OpenRecon's names."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from nadenoise_core.chain.chain import Chain
from nadenoise_core.chain.registry import gadget_class, gadget_names
from nadenoise_core.errors import ChainError

CONFIG_ID = "config"
"""The parameter that chooses the chain."""

_log = logging.getLogger("nadenoise.openrecon")


def parameter_id(gadget: str, name: str) -> str:
    """OpenRecon's name of a property: letters and digits only, e.g. `accumulateEmitAt`."""
    return gadget + "".join(part.capitalize() for part in name.split("_"))


def with_parameters(chain: Chain, parameters: Mapping[str, str]) -> Chain:
    """A chain with properties that came under OpenRecon's names; those of other software are left alone.

    Raises:
        ChainError: a value that the property cannot have, or the name of a file.
    """
    known = {
        parameter_id(gadget, name): (gadget, name)
        for gadget in gadget_names()
        for name in gadget_class(gadget).Parameters.model_fields
    }
    stages = {stage.name for stage in chain.stages}
    given_chain = chain
    for given, value in parameters.items():
        gadget, name = known.get(given, ("", ""))
        if not gadget:
            _log.info("the parameter %s is not one of ours", given)
        elif gadget not in stages:
            _log.warning("the parameter %s has no effect: the chain %s has no '%s'", given, chain.name, gadget)
        else:
            chain = chain.with_property(gadget, name, value)
    for stage, before in zip(chain.stages, given_chain.stages, strict=True):
        try:
            paths = stage.parameters().paths()
        except ChainError as error:
            raise ChainError(f"a parameter from the console: {error}") from None
        if paths.items() - before.parameters().paths().items():
            raise ChainError(f"a parameter from the console names a file for '{stage.name}'; set it in the chain file")
    return chain
