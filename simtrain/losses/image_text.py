"""Image-text losses of CLIP and SigLIP.

Both go over all N by N pairs tile by tile, in the forward and in the backward pass, and never hold
the matrix. They are computed over the whole gathered batch, alike on every process.
"""

# Shapes: N pairs of an image and a text, D features, C criteria, T rows of a tile, n and m rows of a block.

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from simtrain.losses.tiles import row_blocks, unit_rows


def image_text_loss(
    images: Tensor, texts: Tensor, *, scale: Tensor | float = 100.0, positives: Tensor | None = None
) -> Tensor:
    """Mean cross-entropy of picking each image's text among all texts, and each text's image among all images.

    CLIP's loss (https://arxiv.org/abs/2103.00020, figure 3). Where several rows are right answers, each of them has an
    equal share of the target (the bidirectional objective of UniCL, https://arxiv.org/abs/2204.03610). Rows whose texts
    have the very same embedding need no such share: the loss is that of plain targets. It matters where right answers
    differ, as in other words for one thing. Computed in float32 at least, in O(N·D + T²) memory; without a second
    derivative.

    Args:
        images: (N, D) image embeddings; need not be of unit length. Row i belongs to row i of `texts`.
        texts: (N, D) text embeddings; need not be of unit length.
        scale: Scalar that the cosine similarities are multiplied with, exp(logit_scale); above 0. A tensor may have a
            gradient. Default: where CLIP's training ends.
        positives: (N,) or (N, C) int64; the image of one row and the text of another are right answers to each other
            where the two rows have an equal number in any of the columns, and it is not -1. A row's own text is always
            right. None: nothing else is.

    Returns:
        Scalar; at least the mean logarithm of the rows that share a target. Equal embeddings give log(N).

    Raises:
        ValueError: for sizes that differ, or fewer than 2 rows.

    Example:
        >>> rows = torch.ones(4, 8)
        >>> loss = image_text_loss(rows, rows)
        >>> round(loss.item(), 4)  # log 4
        1.3863
    """
    scale = torch.as_tensor(scale, device=images.device)
    _check(images, texts, positives, scale=scale)
    if len(images) < 2:
        raise ValueError(f"images: got {len(images)} row; a text cannot be picked out of fewer than 2")
    with torch.autocast(images.device.type, enabled=False):
        image, text = unit_rows(images), unit_rows(texts)
        answers = _criteria(positives, image)
        total: Tensor = _CrossEntropySum.apply(image, text, scale.to(image.dtype), answers, _answer_counts(answers))
        return total / (2 * len(image))


def sigmoid_loss(images: Tensor, texts: Tensor, *, scale: Tensor, bias: Tensor, positives: Tensor | None) -> Tensor:
    """Mean over images of the binary cross-entropy of all image-text pairs: do they belong together?

    SigLIP's loss (https://arxiv.org/abs/2303.15343, algorithm 1): the sum over all pairs of
    -log sigmoid(±(scale · cosine + bias)), + where they do, divided by N. Computed in float32 at least, in
    O(N·D + T²) memory; without a second derivative.

    Args:
        images: (N, D) image embeddings; need not be of unit length. Row i belongs to row i of `texts`.
        texts: (N, D) text embeddings; need not be of unit length.
        scale: Scalar that the cosine similarities are multiplied with, exp(logit_scale); above 0. May have a gradient.
        bias: Scalar that is added, logit_bias; may have a gradient.
        positives: (N,) or (N, C) int64 of the pairs that belong together, as for `image_text_loss`.

    Returns:
        Scalar; 0 or more. A scale and a bias of 0 give N · log(2).

    Raises:
        ValueError: for sizes that differ, or no rows.
    """
    _check(images, texts, positives, scale=scale, bias=bias)
    with torch.autocast(images.device.type, enabled=False):
        image, text = unit_rows(images), unit_rows(texts)
        scale, bias = scale.to(image.dtype), bias.to(image.dtype)
        total: Tensor = _SigmoidSum.apply(image, text, scale, bias, _criteria(positives, image))
        return total / len(image)


class _CrossEntropySum(torch.autograd.Function):
    """(N, D) unit images and texts, scale, criteria, (N,) right answers -> sum of all rows' and columns' cross-entropy.

    The largest logit of a row and the logarithm of its sum of exponentials stay apart: added up, they would lose the
    digits that tell a probability near 1 from 1.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, text: Tensor, scale: Tensor, criteria: Tensor, counts: Tensor) -> Tensor:
        rows, columns = _Exponentials(image), _Exponentials(text)
        row_right, column_right = image.new_zeros(len(image)), image.new_zeros(len(image))
        for first, second, tile in _logits(image, text, scale):
            rows.add(first, tile)
            columns.add(second, tile.T)
            right = tile.mul_(_together(criteria, first, second))
            row_right[first] += right.sum(dim=1) / counts[first]
            column_right[second] += right.sum(dim=0) / counts[second]
        sums = (rows.largest, columns.largest, rows.log, columns.log)
        ctx.save_for_backward(image, text, scale, criteria, counts, *sums)
        return (rows.largest - row_right + rows.log + (columns.largest - column_right) + columns.log).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:
        image, text, scale, criteria, counts, row_largest, column_largest, row_log, column_log = ctx.saved_tensors
        gradient = _Gradient(image, text, scale, wanted=ctx.needs_input_grad)
        with torch.autocast(image.device.type, enabled=False):
            for first, second, tile in _logits(image, text, scale):
                weights = (tile - row_largest[first, None]).sub_(row_log[first, None]).exp_()
                weights += tile.sub_(column_largest[second]).sub_(column_log[second]).exp_()
                shares = 1 / counts.to(tile.dtype)
                weights -= _together(criteria, first, second) * (shares[first, None] + shares[second])
                gradient.add(first, second, weights.mul_(wanted))
        return gradient.of_images, gradient.of_texts, gradient.of_scale, None, None


class _Exponentials:
    """Of each of N rows, the largest number so far, and the sum of the exponentials of all, less the largest."""

    def __init__(self, rows: Tensor) -> None:
        self.largest = rows.new_full((len(rows),), -torch.inf)
        self._sums = rows.new_zeros(len(rows))

    def add(self, rows: slice, numbers: Tensor) -> None:
        """(n, m) further numbers of some rows."""
        before = self.largest[rows]
        largest = torch.maximum(before, numbers.amax(dim=1))
        self._sums[rows] = self._sums[rows] * (before - largest).exp() + (numbers - largest[:, None]).exp_().sum(dim=1)
        self.largest[rows] = largest

    @property
    def log(self) -> Tensor:
        """(N,) logarithm of the sums; 0 or more."""
        return self._sums.log()


class _SigmoidSum(torch.autograd.Function):
    """(N, D) unit images and texts, scale, bias, criteria -> sum over all pairs of -log sigmoid(±logit)."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, text: Tensor, scale: Tensor, bias: Tensor, criteria: Tensor) -> Tensor:
        total = image.new_zeros(len(image))
        for first, second, tile in _logits(image, text, scale):
            total[first] -= F.logsigmoid(_signs(criteria, first, second, tile).mul_(tile.add_(bias))).sum(dim=1)
        ctx.save_for_backward(image, text, scale, bias, criteria)
        return total.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, wanted: Tensor) -> tuple[Tensor | None, ...]:
        image, text, scale, bias, criteria = ctx.saved_tensors
        gradient = _Gradient(image, text, scale, wanted=ctx.needs_input_grad)
        of_bias = torch.zeros_like(bias)
        with torch.autocast(image.device.type, enabled=False):
            for first, second, tile in _logits(image, text, scale):
                signs = _signs(criteria, first, second, tile)
                weights = tile.add_(bias).mul_(-signs).sigmoid_().mul_(-signs).mul_(wanted)
                gradient.add(first, second, weights)
                of_bias += weights.sum()
        return gradient.of_images, gradient.of_texts, gradient.of_scale, of_bias, None


class _Gradient:
    """Sums up what the gradient of the logits, tile by tile, is for images, texts and scale; None if not wanted."""

    def __init__(self, image: Tensor, text: Tensor, scale: Tensor, *, wanted: Sequence[bool]) -> None:
        self._image, self._text, self._scale = image, text, scale
        # The scale's gradient is made of the images': the sum of weight · cosine is that of (weights @ text) · image.
        self._images = torch.zeros_like(image) if wanted[0] or wanted[2] else None
        self._texts = torch.zeros_like(text) if wanted[1] else None

    def add(self, first: slice, second: slice, weights: Tensor) -> None:
        """(n, m) derivative by the logits of these images with these texts."""
        if self._images is not None:
            self._images[first].addmm_(weights, self._text[second])
        if self._texts is not None:
            self._texts[second].addmm_(weights.T, self._image[first])

    @property
    def of_images(self) -> Tensor | None:
        return None if self._images is None else self._images * self._scale

    @property
    def of_texts(self) -> Tensor | None:
        return None if self._texts is None else self._texts * self._scale

    @property
    def of_scale(self) -> Tensor | None:
        return None if self._images is None else (self._images * self._image).sum()


def _logits(image: Tensor, text: Tensor, scale: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """Images, texts and (n, m) scale · cosine of each tile of the matrix."""
    scaled = image * scale
    blocks = row_blocks(image)
    for first in blocks:
        for second in blocks:
            yield first, second, scaled[first] @ text[second].T


def _signs(criteria: Tensor, first: slice, second: slice, tile: Tensor) -> Tensor:
    """(n, m) of the tile's type, 1 where an image and a text belong together, else -1."""
    return _together(criteria, first, second).to(tile.dtype).mul_(2).sub_(1)


def _criteria(positives: Tensor | None, image: Tensor) -> Tensor:
    """(C, N), C of 1 or more; two rows with an equal number in any of them belong together, as each with itself."""
    each = -1 - torch.arange(len(image), device=image.device)
    if positives is None or positives.shape[1:] == (0,):
        return each[None]
    columns = positives.reshape(len(image), -1).T
    return torch.where(columns >= 0, columns, each).contiguous()


def _together(criteria: Tensor, first: slice, second: slice) -> Tensor:
    """(n, m) bool: the image of one row and the text of another are right answers to each other."""
    found = criteria[0, first, None] == criteria[0, second]
    for criterion in criteria[1:]:
        found |= criterion[first, None] == criterion[second]
    return found


def _answer_counts(criteria: Tensor) -> Tensor:
    """(N,) right answers to each row."""
    if len(criteria) == 1:
        _, places = torch.unique(criteria[0], return_inverse=True)
        return torch.bincount(places)[places]
    every = slice(0, criteria.shape[1])
    return torch.cat([_together(criteria, rows, every).sum(dim=1) for rows in row_blocks(criteria[0])])


def _check(images: Tensor, texts: Tensor, positives: Tensor | None, **scalars: Tensor) -> None:
    if images.shape != texts.shape or images.ndim != 2 or len(images) == 0:
        raise ValueError(
            f"images: got {tuple(images.shape)} and texts of {tuple(texts.shape)}; must be the same (rows, features)"
        )
    if positives is not None and (positives.ndim not in (1, 2) or len(positives) != len(images)):
        raise ValueError(f"positives: got shape {tuple(positives.shape)} for {len(images)} rows")
    for name, scalar in scalars.items():
        if scalar.ndim != 0:
            raise ValueError(f"{name}: got shape {tuple(scalar.shape)}; must be a scalar")
