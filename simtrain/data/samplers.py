"""Batch samplers: shuffled, P×K groups, pairs. Every order is a function of seed and epoch alone."""

# Words: a group is what makes positives (a product, a class); P groups of K images make a batch of P·K.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler
from typing_extensions import override

from simtrain.data.batch import Draw
from simtrain.data.group_rounds import EqualRounds, random_rounds
from simtrain.data.planned_batches import EpochPlan

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


class EpochBatches(Sampler[list[Draw]]):
    """Batches of one epoch after another; each iteration is the next epoch.

    It keeps count itself: Lightning tells a batch sampler its epoch only after the workers have fetched ahead.

    Several processes go through the same batches, each through its share of every one: where a sample stands in the
    epoch, and so its augmentation, does not depend on their number.

    Args:
        plan: Batches of every epoch.
        share: Share of each batch that this process loads.

    Attributes:
        samples: Samples of each batch that this process loads.

    Raises:
        ValueError: if a batch does not divide among the processes.
    """

    def __init__(self, *, plan: EpochPlan, share: Share) -> None:
        self._plan = plan
        self._share = share
        self.samples = plan.samples // share.of
        if plan.samples % share.of:
            raise ValueError(f"plan: batches of {plan.samples} do not divide among {share.of} processes")
        self._epoch = 0
        self._skip = 0

    def start_at(self, *, epoch: int, batch: int) -> None:
        """Make the next iteration begin with that batch of that epoch, to go on after an interruption."""
        self._epoch, self._skip = epoch + batch // len(self), batch % len(self)

    def __len__(self) -> int:
        """Number of batches in a whole epoch."""
        return self._plan.batches

    @override
    def __iter__(self) -> Iterator[list[Draw]]:
        # Nothing counts before the first batch is asked for: a DataLoader with workers makes an iterator to throw away.
        batches, begun = self._plan(self._epoch), self._skip
        self._epoch, self._skip = self._epoch + 1, 0
        own = slice(self._share.index * self.samples, (self._share.index + 1) * self.samples)
        for number in range(begun, len(batches)):
            yield batches[number][own]


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

    batches = len(rows) // batch_size

    def of_epoch(epoch: int) -> Rows:
        order = _generator(seed, epoch).permutation(rows)
        return order[: batches * batch_size].reshape(batches, batch_size, 1)

    return EpochPlan(batches=batches, samples=batch_size, rows=of_epoch)


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
    chosen, batches = _group_plan(groups, per_batch=groups_per_batch, images=images_per_group, within=within, seed=seed)
    size = groups_per_batch * images_per_group
    return EpochPlan(batches=batches, samples=size, rows=lambda epoch: chosen(epoch).reshape(batches, size, 1))


def paired_plan(
    groups: Mapping[int, Rows], *, pairs_per_batch: int, within: Mapping[int, int] | None, seed: int
) -> EpochPlan:
    """Two different images of one group are the two views of a sample; no group stands twice in a batch.

    How often each group is seen: as in `grouped_plan`.

    Raises:
        ValueError: if there are fewer groups than pairs in a batch.
    """
    chosen, batches = _group_plan(groups, per_batch=pairs_per_batch, images=2, within=within, seed=seed)
    return EpochPlan(batches=batches, samples=pairs_per_batch, rows=chosen)


def _group_plan(
    groups: Mapping[int, Rows], *, per_batch: int, images: int, within: Mapping[int, int] | None, seed: int
) -> tuple[Callable[[int], Rows], int]:
    """Epoch -> (batches, groups, images) rows, and the number of batches."""
    if len(groups) < per_batch:
        raise ValueError(f"groups: got {len(groups)}; a batch holds {per_batch}")
    total = sum(len(rows) for rows in groups.values())
    batches = max(1, total // (per_batch * images))
    equal = None
    if within is not None:
        categories = {group: within[group] for group in groups}
        equal = EqualRounds(categories=categories, per_batch=per_batch, turns=batches * per_batch, seed=seed)
    category = within if within is not None else dict.fromkeys(groups, 0)
    everyone = np.fromiter(groups, dtype=np.int64, count=len(groups))

    def of_epoch(epoch: int) -> Rows:
        generator = _generator(seed, epoch)
        rounds = random_rounds(everyone, generator) if equal is None else equal.of_epoch(epoch, generator)
        order = _batches_of_groups(rounds, batches=batches, per_batch=per_batch, category=category, generator=generator)
        turns = _Turns(groups, generator)
        taken = [row for batch in order for group in batch for row in turns.take(group, images)]
        return np.array(taken, dtype=np.int64).reshape(batches, per_batch, images)

    return of_epoch, batches


class _Turns:
    """Each group's rows in random order, again and again; a draw repeats a row only where it must."""

    def __init__(self, groups: Mapping[int, Rows], generator: np.random.Generator) -> None:
        self._groups = groups
        self._generator = generator
        self._waiting: dict[int, list[int]] = {}

    def take(self, group: int, count: int) -> list[int]:
        queue = self._waiting.get(group, [])
        while len(queue) < count:
            fresh = self._groups[group].tolist()
            self._generator.shuffle(fresh)  # as `permutation` of the array, in half the time
            if queue:  # rows of this very draw go last, so that a new round does not begin by repeating one
                fresh.sort(key=queue.__contains__)
            queue = queue + fresh
        self._waiting[group] = queue[count:]
        return queue[:count]


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
