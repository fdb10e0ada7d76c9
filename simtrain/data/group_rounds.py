"""Order of groups over epochs, in which each group comes equally often."""

# Shapes: G groups, S turns in an epoch = q·G + R with R < G.

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

Round = list[int]


def random_rounds(groups: NDArray[np.int64], generator: np.random.Generator) -> Iterator[Round]:
    """All groups in random order, again and again without end.

    Args:
        groups: (G,) their numbers.
        generator: Source of the random orders, drawn one after the other.
    """
    while True:
        yield generator.permutation(groups).tolist()


class EqualRounds:
    """The turns of every epoch, S in each: after any number of epochs, those of two groups differ by at most one.

    Within an epoch too: every group has q turns in each, and the R more of each epoch go through all groups before any
    comes again. Those R are taken by category, so that they fill batches of one category as far as they go.

    Args:
        categories: Group number -> category, of all G groups.
        per_batch: Groups of a batch.
        turns: S, 1 or more.
        seed: Seed of the order in which the R additional ones go through all groups.
    """

    def __init__(self, *, categories: Mapping[int, int], per_batch: int, turns: int, seed: int) -> None:
        self._groups = np.array(list(categories))
        self._categories = np.array(list(categories.values()))
        self._per_batch = per_batch
        self._whole, self._more = divmod(turns, len(categories))
        # Where R is more than half of the groups, it is the ones left out that go through all of them.
        self._taken = min(self._more, len(categories) - self._more)
        self._seed = seed

    def of_epoch(self, epoch: int, generator: np.random.Generator) -> Iterator[Round]:
        """One round of R groups, then q of all groups, each in random order.

        Args:
            epoch: Number of the epoch, from 0; it and the seed alone decide which the R groups are.
            generator: Source of the random order within a round.
        """
        if self._more:
            taken = self._next_places(epoch)
            chosen = taken if self._taken == self._more else np.setdiff1d(np.arange(len(self._groups)), taken)
            yield generator.permutation(self._groups[chosen]).tolist()
        for _ in range(self._whole):
            yield generator.permutation(self._groups).tolist()

    def _next_places(self, epoch: int) -> NDArray[np.int64]:
        """As many entries of one permutation after another, beginning where those of the last epoch end."""
        number, offset = divmod(epoch * self._taken, len(self._groups))
        both = np.concatenate([self._permutation(number), self._permutation(number + 1)])
        return both[offset : offset + self._taken]

    def _permutation(self, number: int) -> NDArray[np.int64]:
        """The `number`-th; what the one before ends with, in an epoch that goes on in this one, is not met again in it.

        Each is left as it was drawn at its own end, so that none depends on more than the one before, and any epoch is
        found at once.
        """
        size = len(self._groups)
        begun, kept = number * size % self._taken, (number + 1) * size % self._taken
        drawn = self._drawn(number)
        body, end = drawn[: size - kept], drawn[size - kept :]
        met = np.isin(body, self._drawn(number - 1)[size - begun :]) if begun else np.zeros(len(body), dtype=bool)
        return np.concatenate([body[~met], body[met], end])

    def _drawn(self, number: int) -> NDArray[np.int64]:
        """Places of the groups in random order, but as many of one category together as a batch holds."""
        generator = np.random.default_rng(np.random.SeedSequence((self._seed, number), spawn_key=(1,)))
        places = generator.permutation(len(self._groups))
        categories = self._categories[places]
        by_category = np.argsort(categories, kind="stable")
        _, begins, counts = np.unique(categories[by_category], return_index=True, return_counts=True)
        within = np.empty_like(places)  # how many of its category come before
        within[by_category] = np.arange(len(places)) - np.repeat(begins, counts)
        pairs = np.stack([categories, within // self._per_batch], axis=1)
        _, batch = np.unique(pairs, axis=0, return_inverse=True)
        return places[np.argsort(generator.permutation(batch.max() + 1)[batch], kind="stable")]
