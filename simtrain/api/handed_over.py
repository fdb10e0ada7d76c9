"""Networks and losses that are handed over in Python as objects, in the place of sections of a configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simtrain.config import NamedCode, RunConfig
from simtrain.errors import ConfigError, error_path
from simtrain.own_code import is_importable, path_of

if TYPE_CHECKING:
    from torch import nn

    from simtrain.runs.loaded_encoder import LoadedEncoder

_PREPARATION = ("image_size", "resize", "interpolation", "mean", "std")


@dataclass(frozen=True, kw_only=True)
class HandedOver:
    """Objects that take the place of what a configuration describes.

    Attributes:
        encoder: From (N, 3, S, S) normalised images to (N, D) vectors; None: the configuration's.
        objective: From (N, D) embeddings and (N,) labels to a scalar; None: the configuration's.
    """

    encoder: nn.Module | LoadedEncoder | None = None
    objective: Callable[..., Any] | None = None

    def described_in(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """The content of a configuration that describes them; settings of sections of kind python stay."""
        described = dict(tree)
        if self.encoder is not None:
            described["encoder"] = {**_section(tree, "encoder", self._network), **self._preparation()}
        if self.objective is not None:
            described["objective"] = _section(tree, "objective", self.objective)
        return described

    def held_by(self, config: RunConfig) -> RunConfig:
        """The configuration with the objects in memory.

        Raises:
            ConfigError: if a section that they belong to describes something else.
        """
        sections: dict[str, NamedCode] = {}
        for name, thing in (("encoder", self._network), ("objective", self.objective)):
            if thing is None:
                continue
            section = getattr(config, name)
            if not isinstance(section, NamedCode):
                raise ConfigError(f"{name}: an object was handed over, and {name}.kind is {section.kind}, not python")
            sections[name] = section.holding(thing)
        return config.model_copy(update=sections)

    @property
    def _network(self) -> nn.Module | None:
        """The module itself, out of what `load_encoder` put around it."""
        from simtrain.encoders.module_encoder import ModuleEncoder
        from simtrain.runs.loaded_encoder import LoadedEncoder

        found: Any = self.encoder
        if isinstance(found, LoadedEncoder):
            if found.config is not None:
                raise ConfigError(f"encoder: {found.name} is no module of your own; write its section instead")
            found = found.network
        network: nn.Module | None = found.network if isinstance(found, ModuleEncoder) else found
        return network

    def _preparation(self) -> dict[str, Any]:
        """Preparation of images that `load_encoder` was told."""
        from simtrain.encoders.module_encoder import ModuleEncoder

        network = getattr(self.encoder, "network", None)
        if not isinstance(network, ModuleEncoder):
            return {}
        return {name: getattr(network.preprocessing, name) for name in _PREPARATION}


def check_code(config: RunConfig) -> None:
    """Refuse, before anything is imported or made, code that a configuration names and that may not be imported."""
    for name in ("encoder", "objective"):
        section = getattr(config, name)
        if isinstance(section, NamedCode):
            with error_path(name):
                section.check_allowed()


def _section(tree: Mapping[str, Any], name: str, thing: Any) -> dict[str, Any]:
    before = tree.get(name)
    kept = dict(before) if isinstance(before, Mapping) and before.get("kind") == "python" else {"kind": "python"}
    made_again = is_importable(thing) and not isinstance(thing, type)  # a function is what its path stands for
    return {**kept, "target": path_of(thing), "parameters": {}, "instance": not made_again}


def as_before(config: RunConfig, before: RunConfig) -> RunConfig:
    """The configuration with the objects and permissions that another one of the same code has in memory."""
    changed = {
        name: section.like(getattr(before, name))
        for name in ("encoder", "objective")
        if isinstance(section := getattr(config, name), NamedCode)
    }
    return config.model_copy(update=changed)
