"""Regularisation towards the initial weights of the encoder."""

from typing import Annotated

from pydantic import Field

from simtrain.config.section import Section


class KeepConfig(Section):
    """Regularisation of the encoder towards its initial weights and embeddings."""

    distillation: Annotated[float, Field(ge=0, le=1000)] | None = None
    """Add this times the mean of 1 - cosine between the embedding of a view and that of the untouched encoder, 0 to
    1000; null: 1 for a `clip` that trains on images alone, else 0."""

    weight_distance: Annotated[float, Field(ge=0, le=1e9)] | None = None
    """Add this times the mean squared distance of the weights from where they started, 0 to 1e9 (all of them moved by
    1e-4 are a distance of 1e-8); null: 1e5 for a `clip` that trains on images alone, else 0."""
