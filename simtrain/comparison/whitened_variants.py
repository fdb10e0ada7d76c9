"""Whitened variants of the encoders of a comparison."""

from dataclasses import dataclass

from simtrain.comparison.candidates import Contender
from simtrain.config import CompareConfig

_NAMED = {0.5: ("_whitened", "whitened"), 0.25: ("_half_whitened", "half-whitened")}


@dataclass(frozen=True, kw_only=True)
class WhitenedVariant:
    """An encoder once more, whitened.

    Attributes:
        name: Unique in the comparison.
        words: The same for a person.
        power: Of the variances, 0 to 0.5.
    """

    name: str
    words: str
    power: float


def whitened_variants(contender: Contender, config: CompareConfig) -> list[WhitenedVariant]:
    """The whitened variants with which an encoder takes part, those of higher power first as configured."""
    settings = config.whitening
    if settings is None or contender.whitened or (contender.kind == "run" and not settings.runs):
        return []
    found = []
    for power in dict.fromkeys(settings.power):
        suffix, word = _NAMED.get(power, (f"_whitened_{power:g}", f"whitened to the power {power:g}"))
        words = f"{contender.words}; {word} on the training images"
        found.append(WhitenedVariant(name=f"{contender.name}{suffix}", words=words, power=power))
    return found
