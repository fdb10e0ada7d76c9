"""Captions and prompts of a catalogue's images, drawn at random for training."""

# Shapes: C catalogue rows, P templates, K criteria, N images of a batch.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CatalogTexts:
    """One or more texts of each image.

    Attributes:
        texts: All different texts.
        ids: (C, P) int64 indices into `texts` for each of the C catalogue rows; -1 where an image has no such text.
        criteria: (C, K) int64; the text of one image is right for another where both have an equal number, and not -1,
            in any column.
    """

    texts: Sequence[str]
    ids: Tensor
    criteria: Tensor

    def draw(self, rows: Tensor, *, seed: int, step: int) -> Tensor:
        """One text for each image, any of those that it has; a function of the arguments alone.

        Args:
            rows: (N,) catalogue rows.
            seed: Seed of the run.
            step: Step of the run, from 0.

        Returns:
            (N,) int64 indices into `texts`, on the CPU; -1 for an image without any.
        """
        offered = self.ids[rows.cpu()]
        if offered.shape[1] == 1:
            return offered[:, 0]
        generator = np.random.default_rng(np.random.SeedSequence((seed, step)))
        lots = torch.from_numpy(generator.random(tuple(offered.shape)))
        chosen = torch.where(offered >= 0, lots, -1.0).argmax(dim=1)
        return offered[torch.arange(len(offered)), chosen]
