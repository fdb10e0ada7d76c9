"""Teacher embeddings against numpy's own decomposition and against a plain loop over neighbours."""

# Shapes: N images, D dimensions of an encoder, C of the teacher.

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from simtrain.encoders import relational_teacher
from simtrain.encoders.relational_teacher import (
    TeacherSpace,
    mirror_average,
    neighbour_averages,
    teacher_vectors,
)


def unit_vectors(*, count: int, dimensions: int, seed: int = 0) -> Tensor:
    """Unit vectors off the origin whose dimensions are correlated and of very different deviation."""
    generator = torch.Generator().manual_seed(seed)
    mixing, _ = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator))
    spread = torch.logspace(0, -1.5, dimensions)
    return F.normalize(0.3 + torch.randn(count, dimensions, generator=generator) * spread @ mixing, dim=1)


def of_unit_length(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def on_axes(rows: NDArray[np.float64], *, power: float, dimensions: int) -> NDArray[np.float64]:
    """By a singular value decomposition; the signs of the axes are anyone's."""
    centred = rows - rows.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    variances = lengths**2 / (len(rows) - 1)
    return of_unit_length((centred @ axes[:dimensions].T) / variances[:dimensions] ** power)


def loop_averages(rows: Tensor, *, neighbours: int, apart: list[list[int]]) -> list[list[float]]:
    """Image by image: itself, and the most similar ones that share no number with it."""
    found, vectors = [], rows.double().tolist()
    for i, own in enumerate(vectors):
        near = []
        for j, other in enumerate(vectors):
            shared = any(numbers[i] == numbers[j] and numbers[i] >= 0 for numbers in apart)
            if j != i and not shared:
                near.append((sum(a * b for a, b in zip(own, other, strict=True)), j))
        near = sorted(near, reverse=True)[: neighbours - 1]
        mixed = list(own)
        for similarity, j in near:
            weight = max(similarity, 0.0) ** 3
            mixed = [value + weight * other for value, other in zip(mixed, vectors[j], strict=True)]
        length = sum(value * value for value in mixed) ** 0.5
        found.append([value / length for value in mixed])
    return found


@pytest.mark.parametrize("power", [0.0, 0.25, 0.5])
@pytest.mark.parametrize(("count", "dimensions", "kept"), [(60, 8, 8), (60, 8, 3), (6, 9, 5)])
def test_axes_are_divided_by_their_variance_to_a_power(count: int, dimensions: int, kept: int, power: float) -> None:
    rows = unit_vectors(count=count, dimensions=dimensions)
    space = TeacherSpace(whitening_power=power, dimensions=kept, neighbours=1)
    found = teacher_vectors([rows], space=space, apart=[])
    expected = on_axes(rows.double().numpy(), power=power, dimensions=kept)
    # Similarities know no signs of axes.
    np.testing.assert_allclose((found @ found.T).numpy(), expected @ expected.T, atol=2e-5)


def test_without_power_and_with_all_axes_only_the_mean_is_taken_out() -> None:
    rows = unit_vectors(count=40, dimensions=7)
    centred = F.normalize(rows - rows.mean(dim=0), dim=1)
    space = TeacherSpace(whitening_power=0, dimensions=None, neighbours=1)
    found = teacher_vectors([rows], space=space, apart=[])
    torch.testing.assert_close(found @ found.T, centred @ centred.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dimensions", [256, None])
def test_few_images_have_fewer_axes(dimensions: int | None) -> None:
    rows = unit_vectors(count=5, dimensions=40)
    space = TeacherSpace(whitening_power=0.25, dimensions=dimensions, neighbours=1)
    assert teacher_vectors([rows], space=space, apart=[]).shape == (5, 4)


@pytest.mark.parametrize("neighbours", [1, 2, 4, 30, 100])
@pytest.mark.parametrize("entries", [1, 100, 10_000])
def test_neighbours_are_averaged_as_in_a_plain_loop(
    neighbours: int, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relational_teacher, "_SIMILARITIES_AT_ONCE", entries)
    rows = unit_vectors(count=30, dimensions=6)
    found = neighbour_averages(rows, neighbours=neighbours, apart=[])
    expected = torch.tensor(loop_averages(rows, neighbours=neighbours, apart=[]))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("neighbours", [2, 5])
@pytest.mark.parametrize("columns", [1, 2])
def test_neighbours_differ_in_the_columns_that_were_named(neighbours: int, columns: int) -> None:
    rows = unit_vectors(count=30, dimensions=6)
    generator = torch.Generator().manual_seed(1)
    apart = [torch.randint(-1, 4, (30,), generator=generator) for _ in range(columns)]
    found = neighbour_averages(rows, neighbours=neighbours, apart=apart)
    expected = loop_averages(rows, neighbours=neighbours, apart=[numbers.tolist() for numbers in apart])
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)


def test_an_image_without_another_one_to_choose_stays_as_it_is() -> None:
    rows = unit_vectors(count=10, dimensions=6)
    found = neighbour_averages(rows, neighbours=4, apart=[torch.zeros(10, dtype=torch.int64)])
    torch.testing.assert_close(found, rows)


def test_teacher_vectors_join_sizes_then_whiten_then_average() -> None:
    parts = [unit_vectors(count=40, dimensions=6, seed=seed) for seed in range(3)]
    apart = [torch.arange(40) % 5]
    space = TeacherSpace(whitening_power=0.25, dimensions=7, neighbours=3)
    found = teacher_vectors(parts, space=space, apart=apart)
    joined = of_unit_length(np.concatenate([part.double().numpy() for part in parts], axis=1))
    whitened = torch.from_numpy(on_axes(joined, power=0.25, dimensions=7))
    expected = torch.tensor(loop_averages(whitened, neighbours=3, apart=[apart[0].tolist()]))
    torch.testing.assert_close(found @ found.T, expected @ expected.T, atol=5e-5, rtol=0)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(40))


def test_a_mirror_average_lies_halfway() -> None:
    found = mirror_average(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(found, torch.tensor([[0.5**0.5, 0.5**0.5]]))


def test_no_neighbours_at_all_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"^neighbours: got 0; must be 1 or more$"):
        neighbour_averages(torch.eye(3), neighbours=0, apart=[])
