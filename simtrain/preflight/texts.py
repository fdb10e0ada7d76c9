"""Warnings about texts: repeated texts in a batch, images without any."""

from collections.abc import Iterator

import numpy as np

from simtrain.builders.texts import SAME_TEXT
from simtrain.config import RunConfig
from simtrain.data.texts import CatalogTexts
from simtrain.phrases import quoted
from simtrain.preflight.conflict import Conflict

_A_FEW = 1.0  # false negatives of a row from which they are worth a word
_SHARE = 0.5  # of the training images, without a text


def text_conflicts(config: RunConfig, texts: CatalogTexts | None, *, images: int) -> Iterator[Conflict]:
    """Warn about texts that repeat in a batch and count as wrong, and about images without any.

    Args:
        config: The run's configuration.
        texts: Texts of the training images; None where the objective uses none.
        images: Number of training images.
    """
    settings = config.texts
    if settings is None or texts is None:
        return
    ids = texts.ids[(texts.ids >= 0).any(dim=1)].numpy()
    if len(ids) < _SHARE * images:
        templates = ", ".join(map(quoted, settings.templates))
        yield Conflict(
            kind="untold images",
            message=f"{images - len(ids)} of {images} training images have no text of {templates}; the image-text loss "
            "leaves them out",
            figures={"images": images, "told": len(ids)},
        )
    if len(texts.texts) == 1:
        yield Conflict(
            kind="one text",
            message=f"all {len(ids)} training images with a text have the same text {quoted(texts.texts[0])}: there is "
            "nothing to learn from it; name a column that differs in a template",
            figures={"texts": 1, "images": len(ids)},
        )
        return
    repeats = _false_negatives(ids, batch_size=config.data.batch_size)
    # Equal texts have equal embeddings: in a softmax over them, being one of several right ones changes no gradient.
    differs = len(settings.templates) > 1 or settings.loss == "sigmoid"
    if SAME_TEXT not in settings.positives and differs and repeats >= _A_FEW:
        yield Conflict(
            kind="repeated texts",
            message=f"{len(texts.texts)} different texts among {len(ids)} images: on average {repeats:.1f} others of a "
            "batch have the same text and count as wrong answers; add 'text' to positives",
            figures={"texts": len(texts.texts), "images": len(ids), "false_negatives": repeats},
        )


def _false_negatives(ids: np.ndarray, *, batch_size: int) -> float:
    """How many others of a batch have a row's text, on average over rows; of several texts, by the first."""
    _, counts = np.unique(ids[:, 0][ids[:, 0] >= 0], return_counts=True)
    total = int(counts.sum())
    return 0.0 if total < 2 else (batch_size - 1) * float((counts * (counts - 1)).sum()) / (total * (total - 1))
