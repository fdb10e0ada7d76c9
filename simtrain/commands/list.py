"""`simtrain list`: what can be chosen by name: recipes, encoders, losses, miners, augmentations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from simtrain.config.augmentation import AugmentationConfig
from simtrain.config.encoder import EncoderConfig
from simtrain.config.objective import ObjectiveConfig
from simtrain.config.recipes import recipes

_OWN_MINER = "of triplets: objective.miner"
_LIBRARY = "pytorch-metric-learning: objective={kind: metric_learning, %s: {name: %s}}"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Names of one kind.

    Attributes:
        entries: Name -> what it is.
        use: How one of them is taken, as it can be typed.
    """

    entries: dict[str, str]
    use: str

    def __str__(self) -> str:
        """One line for each, and how one is taken."""
        width = max(map(len, self.entries))
        lines = [f"{name:{width}}  {meaning}".rstrip() for name, meaning in self.entries.items()]
        return "\n".join([*lines, "", self.use])


def choices(kind: str) -> Choices:
    """The names of a kind: `recipes`, `encoders`, `losses`, `miners` or `augmentations`."""
    return _KINDS[kind]()


def _recipes() -> Choices:
    return Choices(entries=recipes(), use="simtrain fit --recipe NAME --set catalog=FOLDER")


def _encoders() -> Choices:
    return Choices(
        entries=_kinds(EncoderConfig),
        use="simtrain fit CONFIG.yaml --set 'encoder={kind: resnet, model: resnet50}'; "
        "every setting: simtrain config CONFIG.yaml",
    )


def _losses() -> Choices:
    from simtrain.losses.library import library_names

    of_library = {name: _LIBRARY % ("loss", name) for name in library_names()[0]}
    return Choices(
        entries=_kinds(ObjectiveConfig) | of_library, use="simtrain fit CONFIG.yaml --set 'objective={kind: triplet}'"
    )


def _miners() -> Choices:
    from simtrain.losses.library import library_names

    own = dict.fromkeys(get_args(_sections(ObjectiveConfig)["triplet"].model_fields["miner"].annotation), _OWN_MINER)
    of_library = {name: _LIBRARY % ("miner", name) for name in library_names()[1]}
    return Choices(entries=own | of_library, use="simtrain fit CONFIG.yaml --set objective.miner=semi_hard")


def _augmentations() -> Choices:
    names = get_args(AugmentationConfig.model_fields["preset"].annotation)
    return Choices(
        entries=dict.fromkeys(names, "augmentation.preset"),
        use="simtrain fit CONFIG.yaml --set augmentation.preset=affine --set augmentation.flip=false",
    )


def _kinds(union: Any) -> dict[str, str]:
    """Kinds of a union of sections, and the first line that describes each."""
    return {kind: (section.__doc__ or "").strip().splitlines()[0] for kind, section in _sections(union).items()}


def _sections(union: Any) -> dict[str, type[BaseModel]]:
    sections = get_args(get_args(union)[0])
    return {get_args(section.model_fields["kind"].annotation)[0]: section for section in sections}


_KINDS: dict[str, Callable[[], Choices]] = {
    "recipes": _recipes,
    "encoders": _encoders,
    "losses": _losses,
    "miners": _miners,
    "augmentations": _augmentations,
}
