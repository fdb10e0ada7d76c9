"""Ordering keys: whole numbers that are larger for a gallery item that comes earlier in a query's ranking.

An int64 with the float32 similarity in the high half, and in the low half a number for the item's id that is larger for
an id that sorts earlier. Keys of one query are all different.
"""

from __future__ import annotations

import torch
from torch import Tensor

REMOVED_KEY = torch.iinfo(torch.int64).min
"""Key of the query itself, and of items that do not count for it: below the key of every finite similarity."""


def ordering_keys(similarities: Tensor, tie_keys: Tensor) -> Tensor:
    """Float32 similarities and numbers for ids, which are broadcast to them -> int64 keys."""
    return (_ordered_bits(similarities).long() << 32) + tie_keys


def _ordered_bits(similarities: Tensor) -> Tensor:
    """Float32 as int32 of the same order; -0.0 and +0.0 give the same number."""
    # Adding zero turns -0.0 into +0.0. Floats are sign and magnitude, so negative ones have their magnitude flipped.
    bits = (similarities + 0.0).view(torch.int32)
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def similarities_of(keys: Tensor) -> Tensor:
    """Float32 similarities, read back from the high halves of ordering keys."""
    ordered = (keys >> 32).int()
    # The flip in `_ordered_bits` keeps the sign bit, so it is its own inverse.
    return (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32)
