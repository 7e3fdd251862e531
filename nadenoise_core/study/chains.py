"""The chains of a study, cut where methods part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from nadenoise_core.chain.chain import Chain, check_runs_here
from nadenoise_core.chain.files import find_chain, read_chain
from nadenoise_core.errors import ChainError
from nadenoise_core.study.config import MethodSettings


@dataclass(frozen=True)
class Chains:
    """What is run, cut where methods part.

    Attributes:
        head: up to `accumulate`.
        plain: NUFFT and network; its stages after `accumulate`, without `deliver`.
        cs: compressed sensing, likewise.
    """

    head: Chain
    plain: Chain
    cs: Chain

    def described(self) -> dict[str, Any]:
        """All properties of all stages, defaults included."""
        return {name: getattr(self, name).describe() for name in ("head", "plain", "cs")}

    @property
    def average_counter(self) -> str:
        """The acquisition counter that counts averages."""
        accumulate = next(stage for stage in self.head.stages if stage.name == "accumulate")
        return str(accumulate.parameters().model_dump()["average_counter"])


def read_chains(methods: MethodSettings) -> Chains:
    """The chains of a study.

    Raises:
        ChainError: a chain is wrong, needs a Gadgetron server, or the two do not average alike.
    """
    plain, cs = (read_chain(find_chain(name)) for name in (methods.chain, methods.cs_chain))
    heads = []
    for chain in (plain, cs):
        check_runs_here(chain)
        names = [stage.name for stage in chain.stages]
        for needed in ("accumulate", "reconstruct", "quantify"):
            if needed not in names:
                raise ChainError(f"{chain.source}: a study needs a stage '{needed}' in its chains")
        heads.append(replace(chain, stages=chain.stages[: names.index("accumulate") + 1]))
    if "denoise" not in [stage.name for stage in plain.stages]:
        raise ChainError(f"{plain.source}: a study needs a stage 'denoise' in methods.chain")
    if heads[0].describe() != heads[1].describe():
        raise ChainError(f"{cs.source}: averages in another way than {plain.source}; methods would see different data")
    return Chains(heads[0], _tail(plain), _tail(cs))


def _tail(chain: Chain) -> Chain:
    names = [stage.name for stage in chain.stages]
    return without(replace(chain, stages=chain.stages[names.index("accumulate") + 1 :]), "deliver")


def without(chain: Chain, gadget: str) -> Chain:
    """A chain without one of its gadgets."""
    return replace(chain, stages=tuple(stage for stage in chain.stages if stage.name != gadget))


def with_properties(chain: Chain, gadget: str, **properties: str) -> Chain:
    """A chain with properties of one of its gadgets set."""
    for name, value in properties.items():
        chain = chain.with_property(gadget, name, value)
    return chain
