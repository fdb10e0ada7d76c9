"""FAISS factory strings: spelling, and the choice of an index by the number of items and the memory for it."""

# N items, D dimensions.

import math
import re

import faiss

from simtrain.errors import BundleError

AUTO = "auto"
"""The setting by which an index is chosen."""

EXACT_FACTORY = "Flat"
"""The factory string whose index compares with every item and keeps the vectors as they are."""

EXACT_UP_TO = 50_000
"""Items up to which `auto` compares with every one."""

_MIB = 1 << 20
_ITEMS_PER_LIST = 64  # FAISS asks for 39 training vectors of each list
_LARGE_LISTS = 16_384
"""Lists from which a graph finds the nearest ones."""

_SPELLINGS = {
    name.lower(): name
    for name in ("Flat", "HNSW", "IVF", "SQ", "PQ", "PCA", "OPQ", "IDMap", "L2norm", "NSG", "RaBitQ", "fp")
}
_EXAMPLES = "auto, Flat (exact), HNSW32, IVF1024,SQ8, PQ32, PCA64,Flat"


def checked_factory(factory: str, *, dimensions: int) -> str:
    """A factory string as FAISS spells it, before anything is embedded; nothing is trained.

    Args:
        factory: As the user wrote it, such as `flat` or `hnsw32`.
        dimensions: Length of the embeddings.

    Raises:
        BundleError: for one that FAISS does not know, or not for embeddings of this length.
    """
    respelt = re.sub("[A-Za-z]{2,}", lambda found: _SPELLINGS.get(found[0].lower(), found[0]), factory.strip())
    for spelling in dict.fromkeys((factory, respelt)):
        try:
            faiss.index_factory(dimensions, f"IDMap2,{spelling}", faiss.METRIC_INNER_PRODUCT)
        except (RuntimeError, AssertionError, ValueError, TypeError):
            continue
        return spelling
    problem = f"FAISS has no index '{factory}' over cosines of {dimensions} dimensions; such as: {_EXAMPLES}"
    raise BundleError(problem, argument="index")


def chosen_factory(*, count: int, dimensions: int, memory_mib: int | None) -> str:
    """The index of `auto`: exact for few items, else inverted lists of the most exact codes that the memory holds.

    Args:
        count: Items, N; 1 or more.
        dimensions: Length of the embeddings, D.
        memory_mib: Memory for the index in MiB; the vectors for exact similarities stay on the disk. None: no limit.

    Raises:
        BundleError: if the memory holds none of the indexes.
    """
    lists = _lists(count)
    coarse = f"IVF{lists}_HNSW32" if lists >= _LARGE_LISTS else f"IVF{lists}"
    shared = lists * dimensions * 4
    sizes = {
        EXACT_FACTORY: count * (4 * dimensions + 8),
        f"{coarse},SQ8": count * (dimensions + 8) + shared,
        f"{coarse},SQ4": count * (math.ceil(dimensions / 2) + 8) + shared,
        f"{coarse},RaBitQ": count * (math.ceil(dimensions / 8) + 16) + shared,
    }
    if count > EXACT_UP_TO:
        del sizes[EXACT_FACTORY]
    for factory, size in sizes.items():
        if memory_mib is None or size <= memory_mib * _MIB:
            return factory
    factory, size = min(sizes.items(), key=lambda one: one[1])
    raise BundleError(
        f"{count} items of {dimensions} dimensions need {math.ceil(size / _MIB)} MiB in the smallest index "
        f"({factory}), found {memory_mib}; allow as much, or null for no limit",
        argument="index_memory_mib",
    )


def _lists(count: int) -> int:
    """A power of two near 4 √N, with enough items to train each list."""
    wanted = round(math.log2(4 * math.sqrt(count)))
    return int(2 ** max(0, min(wanted, math.floor(math.log2(max(1, count / _ITEMS_PER_LIST))))))
