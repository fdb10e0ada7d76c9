"""Suspected label errors: images whose nearest neighbours agree on another label than their own.

The neighbours vote, the nearer ones more: Wu et al. 2018, "Unsupervised feature learning via non-parametric instance
discrimination", https://arxiv.org/abs/1805.01978, section 3.4. Labels that an encoder mixes up all the time are
suspected less, after the idea of confident learning, that mistakes are told from confusion label by label:
Northcutt et al. 2021, https://arxiv.org/abs/1911.00068. A suspicion is no proof.
"""

# Shapes: N images, J labelled images, D features, C images of one chunk, V neighbours that vote.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simtrain.evaluation.leading import Leading, Similarities
from simtrain.evaluation.metrics import NO_GROUP
from simtrain.evaluation.ordering_keys import REMOVED_KEY
from simtrain.evaluation.ranking import CHUNK_ELEMENTS, Ranking

_SURPRISE = 0.05
"""Share of votes for another label that is neither usual nor unusual. With planted mistakes among real photographs of
clothes anything from 0.01 to 0.3 did much better than not asking what is usual, and differed little."""

_ITEMS_PER_NEIGHBOUR = 16
"""Items looked at for each product that votes, before all are looked at."""


@dataclass(frozen=True, kw_only=True)
class LabelSuspect:
    """An image whose neighbours carry another label."""

    row: int
    """Row of the image among the N images."""
    label: str
    """Label that the image carries."""
    suggested: str
    """Label that its neighbours carry."""
    score: float
    """Share of the votes for the suggested label, less that for its own, times how unusual such votes are; 0 to 1."""
    neighbours: tuple[int, ...]
    """Rows of the neighbours that carry the suggested label, one of a product, nearest first."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "neighbours": list(self.neighbours)}


@dataclass(frozen=True, kw_only=True)
class LabelSuspects:
    """The labels that look wrong, and how many were looked at."""

    suspects: tuple[LabelSuspect, ...]
    """The highest score first; of equal ones that with the nearest neighbours, then the first row."""
    found: int
    """Number of all suspects, also those beyond the number returned."""
    judged: int
    """Number of images with a label that another product carries too."""
    unjudged: int
    """Number of images without a label, or whose label no other product carries: no neighbour could confirm it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "suspects": [suspect.to_dict() for suspect in self.suspects]}


@dataclass(frozen=True, kw_only=True)
class LabelledSet:
    """Images with labels that may be wrong."""

    embeddings: Tensor
    """(N, D) float32 rows of length 1, on the CPU or a CUDA device."""
    ids: Sequence[str]
    """(N,) unique; equal similarities rank in the order of these."""
    labels: NDArray[np.int64]
    """(N,) code; -1: no label."""
    products: NDArray[np.int64]
    """(N,) any integers. Images of one product don't vote on each other: they carry the same mistake."""
    names: Sequence[str]
    """Name of each code."""


def suspected_labels(
    labelled: LabelledSet, *, neighbours: int, temperature: float, most: int, chunk_elements: int = CHUNK_ELEMENTS
) -> LabelSuspects:
    """The images whose neighbours agree on another label, ranked by how much they do.

    The neighbours are products, each by its nearest image: else one with many photos, right or wrong, would decide
    alone. At similarity s a neighbour has exp(s / temperature) votes. An image is suspected if more than half of the
    votes are for one other label. Its score is the share of these less that for its own label, times 0.05 / (0.05 + u):
    u is the share that images of its label usually get for the suggested one.

    Args:
        labelled: Images with their embeddings, labels and products.
        neighbours: Number of other products that vote; >= 1, such as 10.
        temperature: Above 0; the less, the more the nearest decide. 0.07 in the paper.
        most: Largest number of suspects returned; 0 or more.
        chunk_elements: Largest number of pairs held at once, but at least one image's; >= 1.

    Raises:
        ValueError: neighbours < 1, temperature not above 0, sizes that differ, duplicate ids, or rows that are not of
            length 1.
    """
    if neighbours < 1 or not temperature > 0:
        raise ValueError(
            f"neighbours is {neighbours} and temperature {temperature}; allowed: 1 or more neighbours, and a "
            "temperature above 0"
        )
    _check_sizes(labelled)
    votes = _votes(labelled, neighbours=neighbours, temperature=temperature, chunk_elements=chunk_elements)
    scores, suggested = _scores(votes)
    suspected = np.flatnonzero(scores > 0)
    agree = votes.voted[suspected] == suggested[suspected, None]
    closeness = np.where(agree, votes.similarities[suspected], 0.0).sum(axis=1) / agree.sum(axis=1)
    # Sums of shares differ in their last digits where the votes don't.
    order = np.lexsort((suspected, -closeness, -scores[suspected].round(6)))[:most]
    judged = int(votes.confirmable.sum())
    return LabelSuspects(
        suspects=tuple(
            LabelSuspect(
                row=int(votes.rows[image]),
                label=labelled.names[votes.labels[image]],
                suggested=labelled.names[suggested[image]],
                score=float(scores[image]),
                neighbours=tuple(votes.rows[votes.nearest[image][votes.voted[image] == suggested[image]]].tolist()),
            )
            for image in suspected[order]
        ),
        found=len(suspected),
        judged=judged,
        unjudged=len(labelled.labels) - judged,
    )


@dataclass(frozen=True, kw_only=True)
class _Votes:
    """Votes of the neighbours of the J labelled images."""

    rows: NDArray[np.int64]
    """(J,) their rows among the N images."""
    labels: NDArray[np.int64]
    """(J,) code of their own label."""
    confirmable: NDArray[np.bool_]
    """(J,) whether an image of another product carries the same label."""
    nearest: NDArray[np.int64]
    """(J, V) positions of the neighbours in `rows`, nearest first; -1: there are no more."""
    similarities: NDArray[np.float64]
    """(J, V) cosines; -infinity where there are no more."""
    voted: NDArray[np.int64]
    """(J, V) label of each neighbour; -1: there are no more."""
    shares: NDArray[np.float64]
    """(J, V) share of the votes for the neighbour's label, of all neighbours with it; 0 where there are no more."""

    @property
    def for_own(self) -> NDArray[np.float64]:
        """(J,) share of the votes for the image's own label."""
        own: NDArray[np.float64] = np.where(self.voted == self.labels[:, None], self.shares, 0.0).max(axis=1)
        return own


def _votes(labelled: LabelledSet, *, neighbours: int, temperature: float, chunk_elements: int) -> _Votes:
    rows = np.flatnonzero(labelled.labels != NO_GROUP)
    labels = labelled.labels[rows]
    nearest, similarities = _other_products(labelled, rows, neighbours=neighbours, chunk_elements=chunk_elements)
    # Less the highest, so that a low temperature does not overflow.
    highest = similarities.max(axis=1, keepdims=True, initial=-1.0)
    weights = np.exp((similarities - highest) / temperature)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    voted = np.full_like(nearest, NO_GROUP)
    voted[nearest >= 0] = labels[nearest[nearest >= 0]]
    return _Votes(
        rows=rows,
        labels=labels,
        confirmable=_confirmable(labels, labelled.products[rows]),
        nearest=nearest,
        similarities=similarities,
        voted=voted,
        shares=np.einsum("jvw,jw->jv", voted[:, :, None] == voted[:, None, :], weights),
    )


def _scores(votes: _Votes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score (J,) of each image, and the label (J,) that most of its votes are for; 0: nothing to suspect."""
    most = votes.shares.argmax(axis=1)[:, None]
    suggested = np.take_along_axis(votes.voted, most, axis=1)[:, 0]
    share = np.take_along_axis(votes.shares, most, axis=1)[:, 0]
    unusual = _SURPRISE / (_SURPRISE + _usual_shares(votes, suggested))
    scores = (share - votes.for_own) * unusual
    return np.where(votes.confirmable & (suggested != votes.labels) & (share > 0.5), scores, 0.0), suggested


def _usual_shares(votes: _Votes, suggested: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean share of the votes (J,) that the images of each one's label get for the label suggested to it."""
    labels = int(max(votes.labels.max(initial=0), votes.voted.max(initial=0))) + 1
    # All neighbours that carry one label have its share: it counts at the first of them.
    earlier = np.tril(np.ones((votes.voted.shape[1],) * 2, dtype=bool), k=-1)
    repeated = ((votes.voted[:, :, None] == votes.voted[:, None, :]) & earlier).any(axis=2)
    images, columns = np.nonzero(~repeated & (votes.voted >= 0))
    pairs, inverse = np.unique(votes.labels[images] * labels + votes.voted[images, columns], return_inverse=True)
    sums = np.bincount(inverse, votes.shares[images, columns], minlength=len(pairs))
    if len(pairs) == 0:
        return np.zeros(len(suggested))
    wanted = votes.labels * labels + suggested
    nearest = np.minimum(np.searchsorted(pairs, wanted), len(pairs) - 1)
    return np.where(pairs[nearest] == wanted, sums[nearest], 0.0) / np.bincount(votes.labels)[votes.labels]


def _confirmable(labels: NDArray[np.int64], products: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the label is carried by two products or more, (J,)."""
    pairs = np.unique(np.stack([labels, products], axis=1), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(labels.max(initial=0)) + 1)[labels] >= 2


def _other_products(
    labelled: LabelledSet, rows: NDArray[np.int64], *, neighbours: int, chunk_elements: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The nearest image of each of the V nearest other products: positions in `rows` (J, V) and similarities (J, V)."""
    ids = [labelled.ids[row] for row in rows]
    embeddings = labelled.embeddings.detach()[torch.from_numpy(rows).to(labelled.embeddings.device)]
    ranking = Ranking.of(embeddings, embeddings, query_ids=ids, gallery_ids=ids)
    _, codes = np.unique(labelled.products[rows], return_inverse=True)
    nearest = np.full((len(rows), neighbours), -1, dtype=np.int64)
    for chunk in ranking.chunks(np.arange(len(rows)), chunk_elements=chunk_elements):
        found = Similarities.of(ranking, chunk).leading(min(len(rows), _ITEMS_PER_NEIGHBOUR * neighbours))
        nearest[chunk] = _first_of_products(found, codes, own=codes[chunk], neighbours=neighbours)
    # Products with many images can fill all the places that were looked at.
    wanted = min(neighbours, int(codes.max(initial=0)))
    short = np.flatnonzero((nearest >= 0).sum(axis=1) < wanted)
    for chunk in ranking.chunks(short, chunk_elements=max(1, chunk_elements // 2)):
        nearest[chunk] = _nearest_of_all(ranking, chunk, codes, neighbours=neighbours)
    return nearest, _cosines(embeddings, nearest, chunk_elements=chunk_elements)


def _first_of_products(
    found: Leading, codes: NDArray[np.int64], *, own: NDArray[np.int64], neighbours: int
) -> NDArray[np.int64]:
    """The first image of each of the first V other products among the leading items, (C, V); -1: there are fewer."""
    columns = found.columns.cpu().numpy()
    products = codes[columns]
    rows = np.arange(len(columns))[:, None]
    first = np.zeros(columns.size, dtype=np.bool_)
    first[np.unique(rows * (int(codes.max()) + 1) + products, return_index=True)[1]] = True
    first = first.reshape(columns.shape) & (products != own[:, None]) & (found.keys != REMOVED_KEY).cpu().numpy()
    places = first.cumsum(axis=1)
    first &= places <= neighbours
    nearest = np.full((len(columns), neighbours), -1, dtype=np.int64)
    nearest[np.nonzero(first)[0], places[first] - 1] = columns[first]
    return nearest


def _nearest_of_all(
    ranking: Ranking, rows: NDArray[np.int64], codes: NDArray[np.int64], *, neighbours: int
) -> NDArray[np.int64]:
    """The same, found among all items."""
    keys = ranking.keys(rows)
    products = torch.from_numpy(codes).to(keys.device)
    best = torch.full((len(rows), int(codes.max()) + 1), REMOVED_KEY, device=keys.device)
    best.scatter_reduce_(1, products.expand_as(keys), keys, "amax")
    best.scatter_(1, products[torch.from_numpy(rows).to(keys.device), None], REMOVED_KEY)
    top = torch.topk(best, min(neighbours, best.shape[1]))
    columns = torch.argsort(ranking.tie_keys)[top.values & 0xFFFFFFFF]  # the low half of a key says whose it is
    nearest = np.full((len(rows), neighbours), -1, dtype=np.int64)
    nearest[:, : columns.shape[1]] = torch.where(top.values != REMOVED_KEY, columns, -1).cpu().numpy()
    return nearest


def _cosines(embeddings: Tensor, nearest: NDArray[np.int64], *, chunk_elements: int) -> NDArray[np.float64]:
    """(J, V) similarities of each image to its neighbours; -inf: there is none."""
    similarities = np.full(nearest.shape, -np.inf)
    step = max(1, chunk_elements // max(1, nearest.shape[1] * embeddings.shape[1]))
    for start in range(0, len(nearest), step):
        part = nearest[start : start + step]
        products = embeddings[start : start + step, None] * embeddings[torch.from_numpy(part).to(embeddings.device)]
        cosines = products.sum(dim=2, dtype=torch.float64).cpu().numpy()
        similarities[start : start + step] = np.where(part >= 0, cosines, -np.inf)
    return similarities


def _check_sizes(labelled: LabelledSet) -> None:
    for name, array in (("labels", labelled.labels), ("products", labelled.products)):
        if array.shape != (len(labelled.ids),):
            raise ValueError(f"{name} has shape {array.shape}, but ids has {len(labelled.ids)}")
    if labelled.labels.max(initial=-1) >= len(labelled.names):
        raise ValueError(f"labels has code {labelled.labels.max()}, but names has {len(labelled.names)} names")
