"""How well words find images, and images words: captions as queries, and the names of classes."""

# Shapes: N images, M texts, D features.

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simtrain.catalog.table import Catalog
from simtrain.encoders.text import LimitedTextEncoder, TextEncoder
from simtrain.evaluation.metrics import QueryScores, RetrievalSet, score_queries
from simtrain.evaluation.statistics import Interval, cluster_bootstrap_intervals
from simtrain.evaluation.text_figures import Direction, TextEvaluation, WordFigures
from simtrain.evaluation.text_prompts import LabelPrompts, distinct, embed_prompts, label_prompts, texts_of


@dataclass(frozen=True, kw_only=True)
class TextSet:
    """Images and texts that search each other. A text is no image, so nothing is left out as the query itself.

    Attributes:
        image_embeddings: (N, D) float32 unit vectors.
        image_ids: N unique ids; images of equal similarity rank in the order of these.
        image_groups: (N,) equal to those of the texts that an image is relevant to; -1: to none.
        text_embeddings: (M, D) float32 unit vectors on the same device.
        texts: M texts; of equal similarity, they rank in alphabetical order.
        text_groups: (M,) from the same numbering.
    """

    image_embeddings: Tensor
    image_ids: Sequence[str]
    image_groups: NDArray[np.int64]
    text_embeddings: Tensor
    texts: Sequence[str]
    text_groups: NDArray[np.int64]

    def text_to_image(self) -> QueryScores:
        """Every text asks, all images are searched."""
        return score_queries(
            RetrievalSet(
                query_embeddings=self.text_embeddings,
                gallery_embeddings=self.image_embeddings,
                query_ids=self._names_of_texts(),
                gallery_ids=self._names_of_images(),
                query_groups=self.text_groups,
                gallery_groups=self.image_groups,
            )
        )

    def image_to_text(self) -> QueryScores:
        """Every image asks, all texts are searched. An image that no text is relevant to is left out."""
        return score_queries(
            RetrievalSet(
                query_embeddings=self.image_embeddings,
                gallery_embeddings=self.text_embeddings,
                query_ids=self._names_of_images(),
                gallery_ids=self._names_of_texts(),
                query_groups=self.image_groups,
                gallery_groups=self.text_groups,
            )
        )

    def _names_of_images(self) -> list[str]:
        return [f"image {name}" for name in self.image_ids]  # a caption may be the id of an image

    def _names_of_texts(self) -> list[str]:
        # A text may stand for two groups, so it alone is no id.
        return [f"text {text}\0{place:09}" for place, text in enumerate(self.texts)]


def judge_text(
    task_rows: NDArray[np.int64],
    catalog: Catalog,
    image_embeddings: Tensor,
    text_encoder: TextEncoder,
    *,
    captions: str | None,
    templates: Sequence[str],
    draws: int,
    confidence: float,
    seed: int,
) -> TextEvaluation:
    """The figures of a catalogue's captions and class names against its images, with bootstrap intervals.

    Relevant to a caption are the images with the same caption; to a class's name, the images of the class. Images
    without a caption or a class can be found, and are then wrong. Intervals draw products, each with all its images
    (single images where there are no products). A text whose images are all of one product goes with it; one of several
    products is drawn by itself. `mean_class_accuracy` draws classes.

    Args:
        task_rows: (N,) catalogue rows of the images that are searched and that ask.
        catalog: Where their captions, classes and products are.
        image_embeddings: (N, D) float32 unit vectors of these rows.
        text_encoder: Of texts, into the same space.
        captions: Template of one caption for each image, such as `{caption}`; None: captions are not judged.
        templates: Of the names of classes, such as `a photo of a {label}`, over the same columns; several are averaged
            to one embedding for each class. None of them: classes are not judged.
        draws: Bootstrap draws; >= 1.
        confidence: Level of the intervals, between 0 and 1.
        seed: Of the draws; >= 0.

    Raises:
        ConfigError: for a template that is none, or templates over different columns.
        CatalogError: for a column that the catalogue does not have, or that is empty in all of these rows.
    """
    judge = _Judge(
        ids=[str(name) for name in catalog.rows["id"].iloc[task_rows]],
        embeddings=image_embeddings,
        clusters=_image_clusters(catalog, task_rows),
        text_encoder=text_encoder,
        draws=draws,
        confidence=confidence,
        seed=seed,
    )
    return TextEvaluation(
        captions=None if captions is None else judge.captions(captions, texts_of(catalog, task_rows, captions)),
        labels=judge.labels(templates, label_prompts(catalog, task_rows, templates)) if templates else None,
        confidence=confidence,
    )


def caption_set(
    image_embeddings: Tensor,
    image_ids: Sequence[str],
    captions: Sequence[str | None],
    text_encoder: TextEncoder,
    *,
    groups: NDArray[np.int64] | None,
) -> TextSet:
    """Images and their different captions.

    Captions that differ in case and white space only are one.

    Args:
        image_embeddings: (N, D) float32 unit vectors.
        image_ids: N unique ids.
        captions: Of each image; None: it has none, yet can be found.
        text_encoder: Of texts, into the same space.
        groups: (N,) such as products; -1 for an image of none. Relevant to a caption are then the images of its image's
            group, and a caption in two groups asks once for each. None: relevant are the images of the same caption.
    """
    texts, codes = distinct(captions)
    embedded = text_encoder.embed_texts(texts).to(image_embeddings.device)
    if groups is None:
        groups, asked = codes, np.stack([np.arange(len(texts)), np.arange(len(texts))], axis=1)
    else:
        asked = np.unique(np.stack([codes, groups], axis=1)[codes >= 0], axis=0)
    return TextSet(
        image_embeddings=image_embeddings,
        image_ids=image_ids,
        image_groups=groups,
        text_embeddings=embedded[asked[:, 0].tolist()],
        texts=[texts[place] for place in asked[:, 0]],
        text_groups=asked[:, 1],
    )


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Images with what their figures need: (N,) clusters that the bootstrap draws, and its settings."""

    ids: Sequence[str]
    embeddings: Tensor
    clusters: NDArray[np.int64]
    text_encoder: TextEncoder
    draws: int
    confidence: float
    seed: int

    def captions(self, template: str, captions: Sequence[str | None]) -> WordFigures:
        words = caption_set(self.embeddings, self.ids, captions, self.text_encoder, groups=None)
        return self._figures(words, templates=[template], written=words.texts, classes=False)

    def labels(self, templates: Sequence[str], prompts: LabelPrompts) -> WordFigures:
        words = TextSet(
            image_embeddings=self.embeddings,
            image_ids=self.ids,
            image_groups=prompts.classes,
            text_embeddings=embed_prompts(prompts, self.text_encoder).to(self.embeddings.device),
            texts=[texts[0] for texts in prompts.texts],
            text_groups=np.arange(len(prompts.texts)),
        )
        written = [text for texts in prompts.texts for text in texts]
        return self._figures(words, templates=templates, written=written, classes=True)

    def _figures(
        self, words: TextSet, *, templates: Sequence[str], written: Sequence[str], classes: bool
    ) -> WordFigures:
        by_text, by_image = words.text_to_image(), words.image_to_text()
        of_texts = _text_clusters(words.image_groups, self.clusters, texts=len(words.texts))
        encoder = self.text_encoder
        return WordFigures(
            templates=tuple(templates),
            text_to_image=self._direction(by_text, of_texts, gallery=len(self.ids)),
            image_to_text=self._direction(by_image, self.clusters, gallery=len(words.texts)),
            zero_shot=self._zero_shot(by_image, words.image_groups) if classes else {},
            truncated=len(encoder.truncated(written)) if isinstance(encoder, LimitedTextEncoder) else None,
        )

    def _direction(self, scores: QueryScores, clusters: NDArray[np.int64], *, gallery: int) -> Direction:
        return Direction(
            metrics=self._intervals(scores.values, clusters[scores.query_rows]),
            queries=len(scores.query_rows),
            lone_queries=scores.lone_queries,
            gallery=gallery,
        )

    def _zero_shot(self, scores: QueryScores, classes: NDArray[np.int64]) -> dict[str, Interval]:
        right, of_image = scores.values["recall_at_1"], classes[scores.query_rows]
        of_class = np.bincount(of_image, weights=right) / np.bincount(of_image)  # each class has an image
        found = self._intervals({"accuracy": right}, self.clusters[scores.query_rows])
        return {**found, **self._intervals({"mean_class_accuracy": of_class}, np.arange(len(of_class)))}

    def _intervals(self, values: Mapping[str, NDArray[np.float64]], clusters: NDArray[np.int64]) -> dict[str, Interval]:
        return cluster_bootstrap_intervals(
            values, clusters, draws=self.draws, confidence=self.confidence, seed=self.seed
        )


def _image_clusters(catalog: Catalog, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) product of each image; a number of its own where it has none."""
    products = catalog.groups(["product"])[rows]
    return np.where(products >= 0, products, products.max(initial=-1) + 1 + np.arange(len(rows)))


def _text_clusters(text_of_image: NDArray[np.int64], clusters: NDArray[np.int64], *, texts: int) -> NDArray[np.int64]:
    """(M,) the cluster of each text's images where they are of one; else a number of its own."""
    known = text_of_image >= 0
    first, last = np.full(texts, np.iinfo(np.int64).max), np.full(texts, -1)
    np.minimum.at(first, text_of_image[known], clusters[known])
    np.maximum.at(last, text_of_image[known], clusters[known])
    return np.where(first == last, first, clusters.max() + 1 + np.arange(texts))
