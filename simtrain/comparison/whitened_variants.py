"""Whitened variants of the encoders of a comparison."""

from dataclasses import dataclass

from simtrain.comparison.candidates import Candidate
from simtrain.config import CompareConfig

_SUFFIX_AND_ADJECTIVE = {0.5: ("_whitened", "whitened"), 0.25: ("_half_whitened", "half-whitened")}


@dataclass(frozen=True, kw_only=True)
class WhitenedVariant:
    """Whitened variant of a candidate.

    Attributes:
        name: Name, unique in the comparison.
        description: Description of the variant for people.
        power: Power of the variances that axes are divided by, 0 to 0.5; 0.5 whitens fully.
    """

    name: str
    description: str
    power: float


def whitened_variants(candidate: Candidate, config: CompareConfig) -> list[WhitenedVariant]:
    """Whitened variants of a candidate, in the configured order of powers; none if it whitens itself."""
    settings = config.whitening
    if settings is None or candidate.whitened or (candidate.kind == "run" and not settings.runs):
        return []
    variants = []
    for power in dict.fromkeys(settings.power):
        suffix, adjective = _SUFFIX_AND_ADJECTIVE.get(power, (f"_whitened_{power:g}", f"whitened with power {power:g}"))
        description = f"{candidate.description}; {adjective} on the training images"
        variants.append(WhitenedVariant(name=f"{candidate.name}{suffix}", description=description, power=power))
    return variants
