"""False negatives: pairs of a batch that are excluded from the negatives (copies, very similar images)."""

# Shapes: C catalogue rows, N embeddings of a batch, R that they are compared with, F features of the untouched encoder.

from dataclasses import dataclass

from torch import Tensor

from simtrain.losses.row_facts import RowFacts


class FalseNegatives:
    """Duplicate groups and reference embeddings that exclude pairs of a catalogue's images from the negatives.

    Args:
        duplicate_groups: (C,) int64 for C catalogue rows, equal for copies of one image; -1 for an image without
            copies. None: duplicates are not excluded.
        reference: (C, F) unit vectors of the initial encoder, float16 or float32, zeros where there is none. None:
            similar images are not excluded.
        max_similarity: Cosine similarity of two references above which a pair is excluded, above 0 to 1; None: similar
            images are not excluded.

    Raises:
        ValueError: if there is a largest similarity without references.
    """

    def __init__(
        self, *, duplicate_groups: Tensor | None, reference: Tensor | None, max_similarity: float | None
    ) -> None:
        if max_similarity is not None and reference is None:
            raise ValueError(f"max_similarity: got {max_similarity} without references to compare")
        self._duplicate_groups = RowFacts(duplicate_groups, unknown=-1) if duplicate_groups is not None else None
        self._reference = None
        if max_similarity is not None and reference is not None:
            self._reference = RowFacts(reference, unknown=0)
        self._max_similarity = max_similarity

    def of(self, rows: Tensor) -> "PairMask":
        """Mask of the excluded pairs among the embeddings of a batch.

        Args:
            rows: (N,) int64 catalogue rows of the embeddings, on their device; -1 where unknown.
        """
        known = self._known(rows)
        return PairMask(first=known, second=known, source=self)

    @property
    def max_similarity(self) -> float | None:
        """Cosine similarity above which a pair is excluded, above 0 to 1; None: not by similarity."""
        return self._max_similarity

    def _known(self, rows: Tensor) -> "_Known":
        return _Known(
            rows=rows,
            groups=self._duplicate_groups.of(rows) if self._duplicate_groups is not None else None,
            reference=self._reference.of(rows) if self._reference is not None else None,
        )


@dataclass(frozen=True, kw_only=True)
class PairMask:
    """Mask of excluded pairs, computed block by block or pair by pair; nothing N by N is held.

    Two crops of one image are none, nor copies of one picture, nor images that the untouched encoder finds too similar.
    Positives may be among them: the loss keeps those.
    """

    first: "_Known"
    second: "_Known"
    source: FalseNegatives

    @property
    def rows(self) -> Tensor:
        """(N,) catalogue rows of the embeddings."""
        return self.first.rows

    def against(self, rows: Tensor) -> "PairMask":
        """Mask of the same embeddings against others.

        Args:
            rows: (R,) int64 catalogue rows of the others, -1 where unknown.
        """
        return PairMask(first=self.first, second=self.source.of(rows).second, source=self.source)

    def block(self, first: slice, second: slice) -> Tensor:
        """(n, m) bool of some embeddings with some that they are compared with, True where a pair is no negative."""
        one, other = self.first, self.second
        found = _same(one.rows[first, None], other.rows[second])
        if one.groups is not None and other.groups is not None:
            found |= _same(one.groups[first, None], other.groups[second])
        if one.reference is not None and other.reference is not None:
            found |= one.reference[first].float() @ other.reference[second].float().T > self._bound
        return found

    def pairs(self, first: Tensor, second: Tensor) -> Tensor:
        """(P,) bool of P pairs, given by (P,) positions of embeddings and of what they are compared with."""
        one, other = self.first, self.second
        found = _same(one.rows[first], other.rows[second])
        if one.groups is not None and other.groups is not None:
            found |= _same(one.groups[first], other.groups[second])
        if one.reference is not None and other.reference is not None:
            for start in range(0, len(first), _PAIRS_AT_ONCE):
                chunk = slice(start, start + _PAIRS_AT_ONCE)
                near = one.reference[first[chunk]].float() * other.reference[second[chunk]].float()
                found[chunk] |= near.sum(dim=1) > self._bound
        return found

    @property
    def _bound(self) -> float:
        assert self.source.max_similarity is not None  # else there is no reference
        return self.source.max_similarity


_PAIRS_AT_ONCE = 65_536


@dataclass(frozen=True, kw_only=True)
class _Known:
    """(N,) catalogue rows and duplicate groups and (N, F) references of embeddings, on their device."""

    rows: Tensor
    groups: Tensor | None
    reference: Tensor | None


def _same(one: Tensor, other: Tensor) -> Tensor:
    return (one == other) & (one >= 0)
