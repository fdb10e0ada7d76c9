"""Text retrieval task of a catalogue's images: captions and class names that encoders are scored by."""

# Shapes: N images, M texts, P templates, D features, S scored queries.

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import Catalog
from simtrain.encoders.text import LimitedTextEncoder, TextEncoder
from simtrain.errors import error_path
from simtrain.evaluation.metrics import QueryScores
from simtrain.evaluation.text_prompts import LabelPrompts, embed_prompts, filled_texts, label_prompts, template_columns
from simtrain.evaluation.text_retrieval import TextSet

SCORED = {
    "text_to_image": ("map_at_r", "recall_at_1", "recall_at_5", "recall_at_10"),
    "image_to_text": ("recall_at_1", "recall_at_5", "recall_at_10"),
}
"""Direction -> names of the metrics that runs are monitored and compared by."""

TEXT_KIND_NAMES = {"captions": "captions", "labels": "classes"}
"""Kind in `TextTasks.by_kind` -> its name in messages."""


@dataclass(frozen=True, kw_only=True)
class TextScores:
    """Scores of text-to-image and image-to-text retrieval, query by query.

    Attributes:
        text_to_image: Scores of texts that search images.
        image_to_text: Scores of images that search texts.
        text_clusters: (S,) units that the bootstrap draws for the scored texts: the product of a text's images if they
            are all of one, else the text itself.
        image_clusters: (S,) units for the scored images: products, and single images where there are none.
    """

    text_to_image: QueryScores
    image_to_text: QueryScores
    text_clusters: NDArray[np.int64]
    image_clusters: NDArray[np.int64]

    def values(self) -> dict[str, NDArray[np.float64]]:
        """`text_to_image_recall_at_5` and the like -> (S,) one value per query, 0..1."""
        scores = {"text_to_image": self.text_to_image, "image_to_text": self.image_to_text}
        return {f"{way}_{name}": scores[way].values[name] for way, names in SCORED.items() for name in names}

    def clusters(self) -> dict[str, NDArray[np.int64]]:
        """The names of `values` -> (S,) unit of each query that the bootstrap draws."""
        clusters = {"text_to_image": self.text_clusters, "image_to_text": self.image_clusters}
        return {f"{way}_{name}": clusters[way] for way, names in SCORED.items() for name in names}

    def means(self) -> dict[str, float]:
        """The names of `values` -> mean, 0..1."""
        return {name: float(values.mean()) for name, values in self.values().items()}


@dataclass(frozen=True, kw_only=True)
class TextRetrievalTask:
    """Images and their texts: captions, or prompts of class names.

    Relevant to a caption are the images with the same caption; to a class's name, the images of the class. Images
    without one can be found, and are then wrong.

    Attributes:
        prompts: The captions, or the prompts of each class, and the class of each image.
        templates: Templates that they were made with.
        image_ids: Id of each of the N images.
        image_clusters: (N,) units that the bootstrap draws: products, and single images where there are none.
    """

    prompts: LabelPrompts
    templates: tuple[str, ...]
    image_ids: Sequence[str]
    image_clusters: NDArray[np.int64]

    def query_scores(self, image_embeddings: Tensor, text_encoder: TextEncoder) -> TextScores:
        """One value per text and per image.

        Args:
            image_embeddings: (N, D) float32 unit vectors.
            text_encoder: Text encoder into the same space; it embeds each different text once.
        """
        embedded = embed_prompts(self.prompts, text_encoder)
        texts = TextSet(
            image_embeddings=image_embeddings,
            image_ids=self.image_ids,
            image_groups=self.prompts.classes,
            text_embeddings=embedded.to(image_embeddings.device),
            texts=[prompts[0] for prompts in self.prompts.texts],
            text_groups=np.arange(len(self.prompts.texts)),
        )
        by_text, by_image = texts.text_to_image(), texts.image_to_text()
        return TextScores(
            text_to_image=by_text,
            image_to_text=by_image,
            text_clusters=self._text_clusters()[by_text.query_rows],
            image_clusters=self.image_clusters[by_image.query_rows],
        )

    def truncated(self, text_encoder: TextEncoder) -> int | None:
        """Number of different texts longer than the encoder's limit; None if the limit is unknown."""
        if not isinstance(text_encoder, LimitedTextEncoder):
            return None
        return len(text_encoder.truncated([text for texts in self.prompts.texts for text in texts]))

    def _text_clusters(self) -> NDArray[np.int64]:
        """(M,) the cluster of each text's images where they are of one; else a number of its own."""
        classes, texts = self.prompts.classes, len(self.prompts.texts)
        known = classes >= 0
        first, last = np.full(texts, np.iinfo(np.int64).max), np.full(texts, -1)
        np.minimum.at(first, classes[known], self.image_clusters[known])
        np.maximum.at(last, classes[known], self.image_clusters[known])
        return np.where(first == last, first, self.image_clusters.max() + 1 + np.arange(texts))


@dataclass(frozen=True, kw_only=True)
class TextTasks:
    """The texts of N images; of captions and labels at least one is there.

    Attributes:
        captions: Captions of the images; None: no image has one.
        labels: Class names of the images; None: no image has one.
    """

    captions: TextRetrievalTask | None
    labels: TextRetrievalTask | None

    def by_kind(self) -> dict[str, TextRetrievalTask]:
        """`captions` and `labels` -> their task, where there is one."""
        tasks = {"captions": self.captions, "labels": self.labels}
        return {kind: task for kind, task in tasks.items() if task is not None}

    @property
    def main_kind(self) -> str:
        """The kind of text that `query_scores` are of: `captions`, or `labels` without captions."""
        return next(iter(self.by_kind()))

    def query_scores(self, image_embeddings: Tensor, text_encoder: TextEncoder) -> TextScores:
        """One value per text and per image; of captions where there are captions, else of the names of classes.

        Args:
            image_embeddings: (N, D) float32 unit vectors.
            text_encoder: Text encoder into the same space.
        """
        return self.by_kind()[self.main_kind].query_scores(image_embeddings, text_encoder)

    def scores_by_kind(self, image_embeddings: Tensor, text_encoder: TextEncoder) -> dict[str, TextScores]:
        """`captions` and `labels` -> their scores, where there are such texts.

        Args:
            image_embeddings: (N, D) float32 unit vectors.
            text_encoder: Text encoder into the same space.
        """
        return {kind: task.query_scores(image_embeddings, text_encoder) for kind, task in self.by_kind().items()}


def text_tasks(
    catalog: Catalog, rows: NDArray[np.int64], *, captions: str | None, templates: Sequence[str]
) -> TextTasks | None:
    """The texts of catalogue rows; None if none of these images has any.

    Args:
        catalog: Catalogue with captions, classes and products.
        rows: (N,) catalogue rows of the images.
        captions: Template of one caption for each image, such as `{caption}`; None: without captions.
        templates: Templates of class names, such as `a photo of a {label}`, over the same columns; several are averaged
            to one embedding for each class. Empty: without class names.

    Raises:
        ConfigError: for a template without a column or with a broken one, or templates over different columns.
        CatalogError: for a column that the catalogue does not have.
    """
    of_captions = _text_task(catalog, rows, [] if captions is None else [captions], argument="captions")
    of_labels = _text_task(catalog, rows, templates, argument="label_templates")
    return None if of_captions is None and of_labels is None else TextTasks(captions=of_captions, labels=of_labels)


def _text_task(
    catalog: Catalog, rows: NDArray[np.int64], templates: Sequence[str], *, argument: str
) -> TextRetrievalTask | None:
    with error_path(argument, whole=True):
        for template in templates:
            template_columns(template)
        if not any(any(filled_texts(catalog, rows, template)) for template in templates):
            return None
        prompts = label_prompts(catalog, rows, templates)
    products = catalog.groups(["product"])[rows]
    return TextRetrievalTask(
        prompts=prompts,
        templates=tuple(templates),
        image_ids=[str(name) for name in catalog.rows["id"].iloc[rows]],
        image_clusters=np.where(products >= 0, products, products.max(initial=-1) + 1 + np.arange(len(rows))),
    )
