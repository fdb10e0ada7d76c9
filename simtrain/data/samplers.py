"""Batch samplers: shuffled, P×K groups, pairs. Every order is a function of seed and epoch alone."""

# Words: a group is what makes positives (a product, a class); P groups of K images make a batch of P·K.

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler
from typing_extensions import override

from simtrain.data.batch import Draw
from simtrain.data.group_rounds import EqualRounds, random_rounds

Rows = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Share:
    """Share of the work that this process does.

    Attributes:
        index: Number of this process, from 0.
        of: Number of processes.
    """

    index: int
    of: int


WHOLE = Share(index=0, of=1)
EpochPlan = Callable[[int], list[list[Draw]]]
"""The batches of an epoch, given its number; always as many."""


class EpochBatches(Sampler[list[Draw]]):
    """Batches of one epoch after another; each iteration is the next epoch.

    It keeps count itself: Lightning tells a batch sampler its epoch only after the workers have fetched ahead.

    Several processes go through the same batches, each through its share of every one: where a sample stands in the
    epoch, and so its augmentation, does not depend on their number.

    Args:
        plan: Batches of an epoch, given its number; all as large.
        share: Share of each batch that this process loads.

    Attributes:
        samples: Samples of each batch that this process loads.

    Raises:
        ValueError: if a batch does not divide among the processes.
    """

    def __init__(self, *, plan: EpochPlan, share: Share) -> None:
        self._plan = plan
        self._share = share
        first = plan(0)
        self._length = len(first)
        self.samples = len(first[0]) // share.of
        if len(first[0]) % share.of:
            raise ValueError(f"plan: batches of {len(first[0])} do not divide among {share.of} processes")
        self._epoch = 0
        self._skip = 0

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Make the next iteration begin with that batch of that epoch, to go on after an interruption."""
        self._epoch, self._skip = epoch + batch // self._length, batch % self._length

    def __len__(self) -> int:
        """Number of batches in a whole epoch."""
        return self._length

    @override
    def __iter__(self) -> Iterator[list[Draw]]:
        # Nothing counts before the first batch is asked for: a DataLoader with workers makes an iterator to throw away.
        batches = self._plan(self._epoch)[self._skip :]
        self._epoch, self._skip = self._epoch + 1, 0
        for batch in batches:
            size = len(batch) // self._share.of
            yield batch[self._share.index * size : (self._share.index + 1) * size]


class EvaluationBatches(Sampler[list[int]]):
    """Positions of images in order, in batches; of several processes, each has every so many-th batch.

    Each batch is what it would be in one process, so that its embeddings are, to the last bit. A process without any
    has one empty batch, because Lightning leaves out the validation of a process without batches.

    Args:
        count: Number of images.
        batch_size: Number of images of a batch; the last one may have fewer.
        share: Share of the batches that this process loads.
    """

    def __init__(self, *, count: int, batch_size: int, share: Share) -> None:
        starts = range(0, count, batch_size)[share.index :: share.of]
        self._batches = [list(range(start, min(start + batch_size, count))) for start in starts] or [[]]

    def __len__(self) -> int:
        """Number of batches of this process."""
        return len(self._batches)

    @override
    def __iter__(self) -> Iterator[list[int]]:
        yield from self._batches


def shuffled_plan(rows: Rows, *, batch_size: int, seed: int) -> EpochPlan:
    """Each image once an epoch, in random order; the incomplete last batch is left out.

    Raises:
        ValueError: if there are fewer rows than a batch holds.
    """
    if len(rows) < batch_size:
        raise ValueError(f"rows: got {len(rows)}; a batch holds {batch_size}")

    def plan(epoch: int) -> list[list[Draw]]:
        order = _generator(seed, epoch).permutation(rows)
        whole = len(order) // batch_size * batch_size
        draws = [Draw(rows=(int(row),), epoch=epoch, position=position) for position, row in enumerate(order[:whole])]
        return [draws[start : start + batch_size] for start in range(0, whole, batch_size)]

    return plan


def grouped_plan(
    groups: Mapping[int, Rows],
    *,
    groups_per_batch: int,
    images_per_group: int,
    within: Mapping[int, int] | None,
    seed: int,
) -> EpochPlan:
    """P×K batches: P different groups, K images of each; every image a sample of its own.

    An epoch has as many batches as the images fill. Groups take turns, so that each is seen equally often in an epoch,
    up to one; with `within` over any number of whole epochs too, also groups of categories that fill no batch. A
    group's images take turns too, and repeat within a batch only where it has fewer than K.

    Args:
        groups: Group number -> its catalogue rows.
        groups_per_batch: Number of groups in a batch, P.
        images_per_group: Number of images of each group, K.
        within: Group number -> category; a batch then takes its groups from one category as far as they go. None: any.
        seed: Seed of the order.

    Raises:
        ValueError: if there are fewer than P groups.
    """
    chosen = _group_plan(groups, per_batch=groups_per_batch, images=images_per_group, within=within, seed=seed)

    def plan(epoch: int) -> list[list[Draw]]:
        size = groups_per_batch * images_per_group
        return [
            [
                Draw(rows=(row,), epoch=epoch, position=number * size + place)
                for place, row in enumerate(row for picked in batch for row in picked)
            ]
            for number, batch in enumerate(chosen(epoch))
        ]

    return plan


def paired_plan(
    groups: Mapping[int, Rows], *, pairs_per_batch: int, within: Mapping[int, int] | None, seed: int
) -> EpochPlan:
    """Two different images of one group are the two views of a sample; no group stands twice in a batch.

    How often each group is seen: as in `grouped_plan`.

    Raises:
        ValueError: if there are fewer groups than pairs in a batch.
    """
    chosen = _group_plan(groups, per_batch=pairs_per_batch, images=2, within=within, seed=seed)

    def plan(epoch: int) -> list[list[Draw]]:
        return [
            [
                Draw(rows=tuple(pair), epoch=epoch, position=number * pairs_per_batch + place)
                for place, pair in enumerate(batch)
            ]
            for number, batch in enumerate(chosen(epoch))
        ]

    return plan


def _group_plan(
    groups: Mapping[int, Rows], *, per_batch: int, images: int, within: Mapping[int, int] | None, seed: int
) -> Callable[[int], list[list[list[int]]]]:
    """Epoch -> batches -> groups -> rows."""
    if len(groups) < per_batch:
        raise ValueError(f"groups: got {len(groups)}; a batch holds {per_batch}")
    total = sum(len(rows) for rows in groups.values())
    batches = max(1, total // (per_batch * images))
    equal = None
    if within is not None:
        categories = {group: within[group] for group in groups}
        equal = EqualRounds(categories=categories, per_batch=per_batch, turns=batches * per_batch, seed=seed)
    category = within if within is not None else dict.fromkeys(groups, 0)

    def plan(epoch: int) -> list[list[list[int]]]:
        generator = _generator(seed, epoch)
        turns = {group: _Turns(rows, generator) for group, rows in groups.items()}
        rounds = random_rounds(list(groups), generator) if equal is None else equal.of_epoch(epoch, generator)
        order = _batches_of_groups(rounds, batches=batches, per_batch=per_batch, category=category, generator=generator)
        return [[turns[group].take(images) for group in batch] for batch in order]

    return plan


class _Turns:
    """A group's rows in random order, again and again; a draw repeats a row only where it must."""

    def __init__(self, rows: Rows, generator: np.random.Generator) -> None:
        self._rows = rows
        self._generator = generator
        self._queue: deque[int] = deque()

    def take(self, count: int) -> list[int]:
        taken: list[int] = []
        while len(taken) < count:
            if not self._queue:
                fresh = [int(row) for row in self._generator.permutation(self._rows)]
                # Rows of this very draw go last, so that a new round does not begin by repeating one.
                self._queue.extend(sorted(fresh, key=lambda row: row in taken))
            taken.append(self._queue.popleft())
        return taken


def _batches_of_groups(
    rounds: Iterator[list[int]],
    *,
    batches: int,
    per_batch: int,
    category: Mapping[int, int],
    generator: np.random.Generator,
) -> list[list[int]]:
    """Batches of each round's groups; those that fill no batch open the first one of the next round."""
    made: list[list[int]] = []
    waiting: list[int] = []
    while len(made) < batches:
        turn = next(rounds)
        if waiting:
            joined = _fitting(turn, waiting, count=per_batch - len(waiting), category=category)
            made.append([*waiting, *joined])
            taken = set(joined)
            turn = [group for group in turn if group not in taken]
        full, rest = _one_category_each(turn, per_batch=per_batch, category=category)
        whole = len(rest) // per_batch * per_batch
        full += [rest[start : start + per_batch] for start in range(0, whole, per_batch)]
        made += [full[place] for place in generator.permutation(len(full))]
        waiting = rest[whole:]
    return made[:batches]


def _fitting(turn: Sequence[int], waiting: Sequence[int], *, count: int, category: Mapping[int, int]) -> list[int]:
    """Groups to fill a batch with: others than those waiting, if possible of the categories of those."""
    theirs = {category[group] for group in waiting}
    present = set(waiting)
    others = [group for group in turn if group not in present]
    return sorted(others, key=lambda group: category[group] not in theirs)[:count]


def _one_category_each(
    turn: Sequence[int], *, per_batch: int, category: Mapping[int, int]
) -> tuple[list[list[int]], list[int]]:
    """Whole batches of one category each, and the groups that fill none, category by category."""
    by_category: dict[int, list[int]] = {}
    for group in turn:
        by_category.setdefault(category[group], []).append(group)
    full: list[list[int]] = []
    rest: list[int] = []
    for members in by_category.values():
        whole = len(members) // per_batch * per_batch
        full += [members[start : start + per_batch] for start in range(0, whole, per_batch)]
        rest += members[whole:]
    return full, rest


def _generator(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, epoch)))
