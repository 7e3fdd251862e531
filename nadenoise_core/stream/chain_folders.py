"""The folders of a server in which peers choose chains, and what a chain that comes over a connection may open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nadenoise_core.chain.chain import Chain, Stage
from nadenoise_core.chain.files import chain_files, read_chain
from nadenoise_core.configuration import suggestion
from nadenoise_core.denoise.bundle import listed_checksum
from nadenoise_core.errors import ChainError


class ChainFolders:
    """The folders in which a peer may choose a chain by name, and that chains from a peer may open files in.

    Args:
        folders: beside that of the chains that came with nadenoise.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        files = [*chain_files(), *(path for folder in folders for path in sorted(folder.glob("*.xml")))]
        self._files = {path.stem: path for path in files}  # a site's chain goes before ours of the same name
        self._folders = [folder.resolve() for folder in {*folders, *(path.parent for path in files)}]

    @property
    def names(self) -> list[str]:
        """Names of all chains."""
        return sorted(self._files)

    def named(self, name: str) -> Chain:
        """The chain of a name, with or without ".xml".

        Raises:
            ChainError: there is none, or its file is wrong.
        """
        known = name.removesuffix(".xml")
        if known not in self._files:
            raise ChainError(f"there is no chain '{name}'{suggestion(known, self.names)}")
        return read_chain(self._files[known])

    def confined(self, chain: Chain) -> Chain:
        """A chain that came over a connection, if it opens files in these folders only and runs no code of its own.

        A bundle can run code: it must be one of ours, or stand in a `SHA256SUMS` beside it; no sender vouches for it.

        Raises:
            ChainError: it names a file or a folder elsewhere, a bundle that nobody here knows, or a checksum.
        """
        stages = [self._confined(stage) for stage in chain.stages]
        return replace(chain, stages=tuple(stages))

    def _confined(self, stage: Stage) -> Stage:
        parameters = stage.parameters()
        for name, value in parameters.paths().items():
            if not any(Path(value).resolve().is_relative_to(folder) for folder in self._folders):
                raise ChainError(
                    f"{stage.place((name,))}, property '{name}' is '{value}', outside the chain folders; put the file "
                    "there, or the chain itself, and send its name"
                )
        if getattr(parameters, "bundle_sha256", None) is not None:
            raise ChainError(
                f"{stage.place(('bundle_sha256',))}: a checksum may not come over a connection; list the bundle in "
                "SHA256SUMS in the chain folder"
            )
        bundle = parameters.paths().get("bundle")
        listed = listed_checksum(Path(bundle).resolve()) if bundle is not None else None
        return stage if listed is None else stage.with_property("bundle_sha256", listed)
