"""Ridge regression from the embeddings of a text model to those of an image encoder: the two joined without training.

Hoerl and Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems"
(https://doi.org/10.1080/00401706.1970.10488634, eq. 2.1). The strength is the one with the smallest leave-one-out error
(Allen, https://doi.org/10.1080/00401706.1974.10489157), which has a closed form.
"""

# Shapes: N images, M different texts, D dimensions of an image's embedding, E of a text's.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from simtrain.encoders.text import TextEncoder
from simtrain.errors import CatalogError
from simtrain.phrases import counted

STRENGTHS = tuple(10.0 ** (step / 4) for step in range(-24, 9))
"""Strengths that are tried, in units of the mean variance of the texts along an axis: 10^-6 to 100."""

_FEWEST_TEXTS = 3  # of two, a regression on one has nothing to tell of the other
_CHUNK = 4096  # images, or errors of texts, that are float64 at once


@dataclass(frozen=True, kw_only=True, eq=False)
class RidgeTextMap:
    """A linear map from texts to images, with both brought to a common space.

    Attributes:
        image_mean: (D,) mean embedding of the training images, which is taken out of images.
        weights: (E, D) float32.
        intercept: (D,) float32, added after the weights.
        strength: Strength of the ridge, one of `STRENGTHS`.
        texts: Number of different training texts, M.
        images: Number of training images, N.
    """

    image_mean: Tensor
    weights: Tensor
    intercept: Tensor
    strength: float
    texts: int
    images: int

    def of_images(self, embeddings: Tensor) -> Tensor:
        """(N, D) image embeddings -> (N, D) float32 of unit length, on the same device, without the mean."""
        return F.normalize(embeddings.float() - self.image_mean.to(embeddings.device), dim=1)

    def of_texts(self, embeddings: Tensor) -> Tensor:
        """(M, E) text embeddings -> (M, D) float32 of unit length, on the same device."""
        device = embeddings.device
        return F.normalize(embeddings.float() @ self.weights.to(device) + self.intercept.to(device), dim=1)


class MappedTextEncoder:
    """A text encoder whose embeddings go through a map into the space of an image encoder.

    Args:
        text_encoder: The text encoder as it is.
        text_map: Fitted map from its embeddings.
    """

    def __init__(self, *, text_encoder: TextEncoder, text_map: RidgeTextMap) -> None:
        self._text_encoder = text_encoder
        self._text_map = text_map

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> (N, D) float32 of unit length, on the encoder's device, without gradients."""
        return self._text_map.of_texts(self._text_encoder.embed_texts(texts))


def fit_ridge_text_map(images: Tensor, texts: Tensor, text_of_image: Tensor) -> RidgeTextMap:
    """Regress the centred unit embeddings of images on the embeddings of their texts, with an intercept.

    Left out together for the error are all images of one text: another image with the same text would give it away.
    The error of text m, of w_m images with the mean target y_m, is then (y_m - ŷ_m) / (1 - h_m), where h_m = w_m · (1/N
    + z_m' (Z' W Z + λ I)^-1 z_m) is its leverage, z_m its centred embedding, and λ the strength times the mean
    eigenvalue of Z' W Z. All is computed in float64.

    Args:
        images: (N, D) embeddings of the training images.
        texts: (M, E) embeddings of their different texts.
        text_of_image: (N,) int64, the row in `texts` of each image's text; each text has an image.

    Raises:
        CatalogError: for fewer than 3 texts, or texts whose embeddings do not differ.
    """
    count, different = len(images), len(texts)
    if different < _FEWEST_TEXTS:
        raise CatalogError(
            f"ridge map: the training images have {counted(different, 'different text')}; needs {_FEWEST_TEXTS}"
        )
    image_mean = images.mean(dim=0, dtype=torch.float64)
    weight = torch.bincount(text_of_image, minlength=different).double()  # (M,)
    sums = torch.zeros(different, images.shape[1], dtype=torch.float64)
    for start in range(0, count, _CHUNK):
        targets = F.normalize(images[start : start + _CHUNK].double() - image_mean, dim=1)
        sums.index_add_(0, text_of_image[start : start + _CHUNK], targets)
    text_mean = (weight[:, None] * texts.double()).sum(dim=0) / count
    target_mean = sums.sum(dim=0) / count
    centred = texts.double() - text_mean  # (M, E)
    variances, axes = torch.linalg.eigh(centred.T @ (weight[:, None] * centred))
    scale = float(variances.clamp_min(0).mean())
    if scale <= torch.finfo(torch.float32).eps ** 2 * count:
        raise CatalogError(f"ridge map: the embeddings of {different} training texts are all the same")
    problem = _Regression(
        along=centred @ axes,
        variances=variances.clamp_min(0),
        weight=weight,
        targets=sums / weight[:, None] - target_mean,
    )
    strength = min(STRENGTHS, key=lambda one: problem.leave_one_out_error(one * scale))
    weights = axes @ problem.coefficients(strength * scale)
    return RidgeTextMap(
        image_mean=image_mean.float(),
        weights=weights.float(),
        intercept=(target_mean - text_mean @ weights).float(),
        strength=strength,
        texts=different,
        images=count,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Regression:
    """Weighted ridge regression of (M, D) centred targets on texts, along the principal axes of these.

    Attributes:
        along: (M, E) centred texts along the axes.
        variances: (E,) weighted sum of squares along each axis.
        weight: (M,) number of images of each text.
        targets: (M, D) mean target of each text, without the mean of all images.
    """

    along: Tensor
    variances: Tensor
    weight: Tensor
    targets: Tensor

    def coefficients(self, ridge: float) -> Tensor:
        """(E, D) for axes."""
        products = self.along.T @ (self.weight[:, None] * self.targets)
        return products / (self.variances + ridge)[:, None]

    def leave_one_out_error(self, ridge: float) -> float:
        """Mean squared error over the images, each predicted without all images of its text."""
        coefficients, total = self.coefficients(ridge), 0.0
        for start in range(0, len(self.along), _CHUNK):
            rows = slice(start, start + _CHUNK)
            along, weight = self.along[rows], self.weight[rows]
            leverage = weight * (1 / self.weight.sum() + (along**2 / (self.variances + ridge)).sum(dim=1))
            errors = (self.targets[rows] - along @ coefficients).square().sum(dim=1)
            total += float((weight * errors / (1 - leverage).square()).sum())
        return total / float(self.weight.sum())
