"""Whitened variants of the encoders of a comparison."""

from dataclasses import dataclass

from simtrain.comparison.candidates import Candidate
from simtrain.config import CompareConfig
from simtrain.config.encoder_names import whitened_name

_ADJECTIVES = {0.5: "whitened", 0.25: "half-whitened"}


@dataclass(frozen=True, kw_only=True)
class WhitenedVariant:
    """Whitened variant of a candidate.

    Attributes:
        name: Name, unique in the comparison.
        description: Description of the variant for people.
        adjective: How it is whitened, such as `half-whitened`.
        power: Power of the variances that axes are divided by, 0 to 0.5; 0.5 whitens fully.
    """

    name: str
    description: str
    adjective: str
    power: float


def whitened_variants(candidate: Candidate, config: CompareConfig) -> list[WhitenedVariant]:
    """Whitened variants of a candidate, in the configured order of powers; none if it whitens itself."""
    settings = config.whitening
    if settings is None or candidate.whitened or (candidate.kind == "run" and not settings.runs):
        return []
    variants = []
    for power in dict.fromkeys(settings.power):
        adjective = _ADJECTIVES.get(power, f"whitened with power {power:g}")
        description = f"{candidate.description}; {adjective} on the training images"
        name = whitened_name(candidate.name, power=power)
        variants.append(WhitenedVariant(name=name, description=description, adjective=adjective, power=power))
    return variants
