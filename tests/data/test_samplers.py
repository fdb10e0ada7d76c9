"""Batches by their properties: who meets whom, how often, and that seed and epoch alone decide."""

# Words: a group is what makes positives; P groups of K images make a batch of P·K.

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simtrain.data.batch import Draw
from simtrain.data.planned_batches import EpochPlan
from simtrain.data.samplers import WHOLE, EpochBatches, Share, grouped_plan, paired_plan, shuffled_plan

Rows = NDArray[np.int64]


def groups_of(sizes: Sequence[int]) -> dict[int, Rows]:
    """Group number -> rows, numbered through from 100."""
    ends = np.cumsum(sizes)
    return {group: np.arange(100 + ends[group] - size, 100 + ends[group]) for group, size in enumerate(sizes)}


def owners(groups: Mapping[int, Rows]) -> dict[int, int]:
    return {int(row): group for group, rows in groups.items() for row in rows}


def row_of(draw: Draw) -> int:
    (row,) = draw.rows
    return row


def groups_in(batch: Sequence[Draw], owner: Mapping[int, int]) -> list[int]:
    """The batch's groups in their order, each once."""
    return list(dict.fromkeys(owner[row] for draw in batch for row in draw.rows))


def a_plan(kind: str, *, seed: int) -> EpochPlan:
    groups = groups_of([3, 2, 5, 2, 4, 2, 6])
    within = {group: group % 2 for group in groups}
    match kind:
        case "shuffled":
            return shuffled_plan(np.arange(24), batch_size=5, seed=seed)
        case "grouped":
            return grouped_plan(groups, groups_per_batch=3, images_per_group=2, within=None, seed=seed)
        case "grouped within":
            return grouped_plan(groups, groups_per_batch=3, images_per_group=2, within=within, seed=seed)
        case _:
            return paired_plan(groups, pairs_per_batch=3, within=None, seed=seed)


KINDS = ("shuffled", "grouped", "grouped within", "paired")


@pytest.mark.parametrize("kind", KINDS)
def test_a_plan_is_a_function_of_seed_and_epoch(kind: str) -> None:
    forwards, backwards = a_plan(kind, seed=5), a_plan(kind, seed=5)
    expected = [list(forwards(epoch)) for epoch in range(4)]
    assert [list(backwards(epoch)) for epoch in reversed(range(4))] == expected[::-1]


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_differ(kind: str) -> None:
    plan = a_plan(kind, seed=5)
    orders = {tuple(draw.rows for batch in plan(epoch) for draw in batch) for epoch in range(6)}
    assert len(orders) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(kind: str) -> None:
    orders = {tuple(draw.rows for batch in a_plan(kind, seed=seed)(0) for draw in batch) for seed in range(6)}
    assert len(orders) == 6


@pytest.mark.parametrize("kind", KINDS)
def test_each_draw_knows_its_epoch_and_its_place_in_it(kind: str) -> None:
    draws = [draw for batch in a_plan(kind, seed=1)(3) for draw in batch]
    assert [(draw.epoch, draw.position) for draw in draws] == [(3, place) for place in range(len(draws))]


@given(rows=st.integers(1, 40), batch_size=st.integers(1, 12), seed=st.integers(0, 2**31 - 1), epoch=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_shuffled_shows_each_row_once_and_leaves_an_incomplete_batch_out(
    rows: int, batch_size: int, seed: int, epoch: int
) -> None:
    if rows < batch_size:
        return
    batches = shuffled_plan(np.arange(50, 50 + rows), batch_size=batch_size, seed=seed)(epoch)
    shown = [row_of(draw) for batch in batches for draw in batch]
    assert [len(batch) for batch in batches] == [batch_size] * (rows // batch_size)
    assert len(set(shown)) == len(shown)
    assert set(shown) <= set(range(50, 50 + rows))


def test_shuffled_shows_every_row_within_a_few_epochs() -> None:
    plan = shuffled_plan(np.arange(11), batch_size=4, seed=0)
    assert {row_of(draw) for epoch in range(8) for batch in plan(epoch) for draw in batch} == set(range(11))


def test_shuffled_needs_a_whole_batch() -> None:
    with pytest.raises(ValueError, match=r"^rows: got 3; a batch holds 4$"):
        shuffled_plan(np.arange(3), batch_size=4, seed=0)


@st.composite
def group_settings(draw: st.DrawFn) -> tuple[dict[int, Rows], int, dict[int, int] | None]:
    """Groups of 1 to 7 images, how many of them a batch holds, and perhaps their categories."""
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=9))
    per_batch = draw(st.integers(1, len(sizes)))
    categories = draw(st.none() | st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))
    return groups_of(sizes), per_batch, None if categories is None else dict(enumerate(categories))


grouped = given(setting=group_settings(), images=st.integers(1, 4), seed=st.integers(0, 2**31 - 1))
many = settings(max_examples=100, deadline=None)


@grouped
@many
def test_grouped_batches_hold_whole_different_groups(
    setting: tuple[dict[int, Rows], int, dict[int, int] | None], images: int, seed: int
) -> None:
    groups, per_batch, within = setting
    owner = owners(groups)
    plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    for batch in plan(seed % 7):
        chosen = [owner[row_of(draw)] for draw in batch]
        blocks = [chosen[start : start + images] for start in range(0, len(chosen), images)]
        assert all(len(set(block)) == 1 for block in blocks)
        assert len({block[0] for block in blocks}) == len(blocks) == per_batch


@grouped
@many
def test_grouped_repeats_an_image_only_in_groups_that_are_too_small(
    setting: tuple[dict[int, Rows], int, dict[int, int] | None], images: int, seed: int
) -> None:
    groups, per_batch, within = setting
    owner = owners(groups)
    plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    for batch in plan(seed % 7):
        times = Counter(row_of(draw) for draw in batch)
        for row, count in times.items():
            size = len(groups[owner[row]])
            assert images // size <= count <= -(-images // size)


@grouped
@many
def test_grouped_epochs_are_as_long_as_the_images_fill(
    setting: tuple[dict[int, Rows], int, dict[int, int] | None], images: int, seed: int
) -> None:
    groups, per_batch, within = setting
    plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    expected = max(1, sum(map(len, groups.values())) // (per_batch * images))
    assert [len(plan(epoch)) for epoch in range(4)] == [expected] * 4


@grouped
@many
def test_grouped_shows_all_groups_equally_often(
    setting: tuple[dict[int, Rows], int, dict[int, int] | None], images: int, seed: int
) -> None:
    groups, per_batch, within = setting
    owner = owners(groups)
    plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    times = Counter(group for batch in plan(seed % 7) for group in groups_in(batch, owner))
    counts = [times[group] for group in groups]
    assert max(counts) - min(counts) <= 1


@grouped
@many
def test_grouped_shows_all_images_of_a_group_equally_often(
    setting: tuple[dict[int, Rows], int, dict[int, int] | None], images: int, seed: int
) -> None:
    groups, per_batch, within = setting
    plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    times = Counter(row_of(draw) for batch in plan(seed % 7) for draw in batch)
    for rows in groups.values():
        counts = [times[int(row)] for row in rows]
        assert max(counts) - min(counts) <= 1


@st.composite
def categories_and_shares(draw: st.DrawFn) -> tuple[dict[int, Rows], int, dict[int, int], int]:
    """Groups, groups of a batch, their categories (some fill no batch), and processes among which a batch divides."""
    sizes = draw(st.lists(st.integers(2, 7), min_size=2, max_size=9))
    per_batch = draw(st.integers(1, len(sizes)))
    categories = draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes)))
    processes = draw(st.sampled_from([count for count in range(1, per_batch + 1) if per_batch % count == 0]))
    return groups_of(sizes), per_batch, dict(enumerate(categories)), processes


@given(
    setting=categories_and_shares(),
    images=st.integers(1, 4),
    paired=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
    epochs=st.integers(1, 12),
    begun=st.integers(0, 100),
)
@settings(max_examples=150, deadline=None)
def test_over_epochs_groups_of_any_category_are_shown_equally_often_up_to_one(
    setting: tuple[dict[int, Rows], int, dict[int, int], int],
    images: int,
    paired: bool,
    seed: int,
    epochs: int,
    begun: int,
) -> None:
    """Whatever the number of processes, and wherever a run was interrupted and went on."""
    groups, per_batch, within, processes = setting
    owner = owners(groups)
    if paired:
        plan = paired_plan(groups, pairs_per_batch=per_batch, within=within, seed=seed)
    else:
        plan = grouped_plan(groups, groups_per_batch=per_batch, images_per_group=images, within=within, seed=seed)
    seen_images = 2 if paired else images
    shown: Counter[int] = Counter()
    for index in range(processes):
        share = Share(index=index, of=processes)
        before, after = (EpochBatches(plan=plan, share=share) for _ in range(2))
        stop = begun % (epochs * len(before))
        first = [batch for _ in range(epochs) for batch in before][:stop]
        after.start_at(epoch=stop // len(after), batch=stop % len(after))
        rest = [batch for _ in range(epochs - stop // len(after)) for batch in after]
        shown.update(owner[row] for batch in first + rest for draw in batch for row in draw.rows)
    times = {group: shown[group] / seen_images for group in groups}
    even = len(plan(0)) * per_batch * epochs / len(groups)
    assert set(times.values()) <= {np.floor(even), np.ceil(even)}


def test_a_category_of_one_group_is_seen_as_often_as_the_others_when_it_fills_no_batch() -> None:
    groups = groups_of([2] * 10)  # 9 groups fill three batches of 3; the tenth is over in every epoch
    category = {group: int(group == 9) for group in groups}
    plan = grouped_plan(groups, groups_per_batch=3, images_per_group=2, within=category, seed=0)
    shown = Counter(
        group for epoch in range(100) for batch in plan(epoch) for group in groups_in(batch, owners(groups))
    )
    assert shown == dict.fromkeys(range(10), 90)


@pytest.mark.parametrize("epoch", range(5))
def test_every_batch_is_of_one_category_where_categories_fill_batches(epoch: int) -> None:
    groups = groups_of([2] * 18)
    category = {group: 0 if group < 6 else 1 if group < 15 else 2 for group in groups}
    plan = grouped_plan(groups, groups_per_batch=3, images_per_group=2, within=category, seed=epoch)
    owner = owners(groups)
    kinds = [{category[group] for group in groups_in(batch, owner)} for batch in plan(epoch)]
    assert sorted(kinds, key=min) == [{0}, {0}, {1}, {1}, {1}, {2}]


@pytest.mark.parametrize("epoch", range(5))
def test_only_what_fills_no_batch_meets_other_categories(epoch: int) -> None:
    groups = groups_of([2] * 9)
    category = {group: int(group >= 5) for group in groups}  # 5 groups and 4: one pure batch of 3 each, 3 are left over
    plan = grouped_plan(groups, groups_per_batch=3, images_per_group=2, within=category, seed=1)
    owner = owners(groups)
    mixed = [len({category[group] for group in groups_in(batch, owner)}) == 2 for batch in plan(epoch)]
    assert sorted(mixed) == [False, False, True]


def test_a_category_too_small_for_a_batch_is_not_left_out() -> None:
    groups = groups_of([4, 4, 4])
    plan = grouped_plan(groups, groups_per_batch=2, images_per_group=2, within={0: 0, 1: 0, 2: 1}, seed=0)
    shown = Counter(group for batch in plan(0) for group in groups_in(batch, owners(groups)))
    assert shown == {0: 2, 1: 2, 2: 2}


def test_a_category_too_small_for_a_batch_is_not_left_out_of_short_epochs() -> None:
    groups = groups_of([1] * 10)  # an epoch is 2 batches of 2 groups, less than a round
    category = {group: int(group == 9) for group in groups}
    plan = grouped_plan(groups, groups_per_batch=2, images_per_group=2, within=category, seed=0)
    shown = Counter(
        group for epoch in range(300) for batch in plan(epoch) for group in groups_in(batch, owners(groups))
    )
    assert shown[9] == pytest.approx(300 * 2 * 2 / 10, rel=0.25)


def test_without_categories_groups_of_all_of_them_meet() -> None:
    groups = groups_of([2] * 12)
    plan = grouped_plan(groups, groups_per_batch=6, images_per_group=2, within=None, seed=0)
    met = {frozenset(groups_in(batch, owners(groups))) for epoch in range(5) for batch in plan(epoch)}
    assert len(met) == 10


def test_grouped_needs_as_many_groups_as_a_batch_holds() -> None:
    with pytest.raises(ValueError, match=r"^groups: got 2; a batch holds 3$"):
        grouped_plan(groups_of([5, 5]), groups_per_batch=3, images_per_group=2, within=None, seed=0)


@given(
    sizes=st.lists(st.integers(2, 6), min_size=2, max_size=9),
    pairs=st.integers(1, 9),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=100, deadline=None)
def test_pairs_are_two_different_images_of_one_group(sizes: list[int], pairs: int, seed: int) -> None:
    groups, per_batch = groups_of(sizes), min(pairs, len(sizes))
    owner = owners(groups)
    batches = paired_plan(groups, pairs_per_batch=per_batch, within=None, seed=seed)(seed % 5)
    assert len(batches) == max(1, sum(sizes) // (2 * per_batch))
    for batch in batches:
        assert all(first != second and owner[first] == owner[second] for first, second in (d.rows for d in batch))
        assert len(groups_in(batch, owner)) == len(batch) == per_batch


def test_pairs_keep_to_a_category() -> None:
    groups = groups_of([3] * 8)
    category = {group: group % 2 for group in groups}
    batches = paired_plan(groups, pairs_per_batch=4, within=category, seed=3)(0)
    assert [len({category[group] for group in groups_in(batch, owners(groups))}) for batch in batches] == [1, 1, 1]


def test_pairs_need_as_many_groups_as_a_batch_holds() -> None:
    with pytest.raises(ValueError, match=r"^groups: got 1; a batch holds 2$"):
        paired_plan(groups_of([5]), pairs_per_batch=2, within=None, seed=0)


@pytest.mark.parametrize("kind", KINDS)
def test_each_iteration_is_the_next_epoch(kind: str) -> None:
    plan = a_plan(kind, seed=2)
    batches = EpochBatches(plan=plan, share=WHOLE)
    assert [list(batches) for _ in range(3)] == [list(plan(0)), list(plan(1)), list(plan(2))]


@pytest.mark.parametrize("kind", KINDS)
def test_its_length_is_that_of_a_whole_epoch_wherever_it_starts(kind: str) -> None:
    batches = EpochBatches(plan=a_plan(kind, seed=2), share=WHOLE)
    batches.start_at(epoch=1, batch=1)
    assert len(batches) == len(a_plan(kind, seed=2)(0))


@given(kind=st.sampled_from(KINDS), epoch=st.integers(0, 4), place=st.integers(0, 30))
@settings(max_examples=60, deadline=None)
def test_it_goes_on_as_if_it_had_not_been_interrupted(kind: str, epoch: int, place: int) -> None:
    uninterrupted = EpochBatches(plan=a_plan(kind, seed=4), share=WHOLE)
    whole = [batch for _ in range(epoch + 2) for batch in uninterrupted]
    length = len(uninterrupted)
    batch = place % (length + 1)  # the last one means that the epoch was over
    resumed = EpochBatches(plan=a_plan(kind, seed=4), share=WHOLE)
    resumed.start_at(epoch=epoch, batch=batch)
    rest = [draws for _ in range(1 if batch == length else 2) for draws in resumed]
    assert rest == whole[epoch * length + batch :]
