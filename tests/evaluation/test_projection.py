import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from simtrain.errors import SimtrainError
from simtrain.evaluation import projection
from simtrain.evaluation.projection import plane


def clumps(rows: int) -> tuple[torch.Tensor, np.ndarray]:
    generator = torch.Generator().manual_seed(3)
    centres = torch.nn.functional.normalize(torch.randn(3, 32, generator=generator), dim=1)
    of = torch.arange(rows) % 3
    points = centres[of] + 0.05 * torch.randn(rows, 32, generator=generator)
    return torch.nn.functional.normalize(points, dim=1), of.numpy()


def test_pca_is_that_of_scikit_learn_up_to_signs() -> None:
    embeddings = torch.randn(50, 16, generator=torch.Generator().manual_seed(1))
    expected = PCA(n_components=2, svd_solver="full").fit_transform(embeddings.double().numpy())
    np.testing.assert_allclose(np.abs(plane(embeddings, method="pca", seed=0)), np.abs(expected), atol=1e-9)


def test_each_axis_points_where_its_largest_weight_is_positive() -> None:
    embeddings = torch.randn(50, 16, generator=torch.Generator().manual_seed(1)).double()
    points = plane(embeddings, method="pca", seed=0)
    axes = np.linalg.lstsq(points, (embeddings - embeddings.mean(dim=0)).numpy(), rcond=None)[0]
    assert all(axis[np.abs(axis).argmax()] > 0 for axis in axes)


@pytest.mark.parametrize(("rows", "size"), [(1, 8), (2, 8), (5, 1)])
def test_what_has_less_than_two_directions_still_has_a_plane(rows: int, size: int) -> None:
    points = plane(torch.randn(rows, size, generator=torch.Generator().manual_seed(1)), method="pca", seed=0)
    assert points.shape == (rows, 2)
    assert np.isfinite(points).all()


@pytest.mark.parametrize("shape", [(0, 4), (4,)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"embeddings has shape .*; allowed: \(N, D\) with N at least 1"):
        plane(torch.zeros(shape), method="pca", seed=0)


def test_without_the_extra_umap_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "umap_available", lambda: False)
    with pytest.raises(SimtrainError) as caught:
        plane(torch.eye(5), method="umap", seed=0)
    assert str(caught.value) == ("map_method: 'umap' needs the extra: pip install 'simtrain[map]'; or choose pca")


@pytest.mark.slow
def test_umap_keeps_clumps_apart_and_repeats_itself() -> None:
    embeddings, of = clumps(90)
    points = plane(embeddings, method="umap", seed=5)
    np.testing.assert_array_equal(points, plane(embeddings, method="umap", seed=5))
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (of[distances.argmin(axis=1)] == of).all()


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 16, 20])
def test_umap_takes_few_images(rows: int) -> None:
    points = plane(clumps(rows)[0], method="umap", seed=5)
    assert points.shape == (rows, 2)
    assert np.isfinite(points).all()


@pytest.mark.slow
def test_what_umap_compiles_is_kept_for_the_next_process() -> None:
    plane(clumps(20)[0], method="umap", seed=5)
    import umap

    kept = Path(umap.umap_.smooth_knn_dist.stats.cache_path)
    assert list(kept.glob("umap_.smooth_knn_dist-*.nbi"))


OWN_UMAP = """
from numba import njit
@njit("f8(f8)", cache=True)
def twice(value):
    return 2 * value
"""


@pytest.mark.slow
def test_umap_works_where_nothing_but_the_temporary_folder_can_be_written(tmp_path: Path) -> None:
    """In a process of its own, where numba finds no place to keep its code in; what it compiles stands for UMAP."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "umap.py").write_text(OWN_UMAP, encoding="utf-8")
    (tmp_path / "empty").mkdir()
    script = (
        "from numba.core import caching\n"
        "for locator in caching.CacheImpl._locator_classes[1:]: locator.from_function = lambda *_: None\n"
        "from simtrain.evaluation.projection import load_umap\n"
        "print(load_umap()); print(load_umap())\n"
        "import umap; print(umap.twice(2.0))\n"
    )
    path = os.pathsep.join([str(tmp_path / "path"), os.environ.get("PYTHONPATH", "")])
    kept_out = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**kept_out, "TMPDIR": str(tmp_path / "empty"), "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    told, again, computed = done.stdout.splitlines()
    assert told.startswith(
        "umap: neither its own folder nor the home folder can be written to; it is compiled for this"
    )
    assert f"in {tmp_path}/empty/simtrain-umap-" in told
    assert (again, computed) == ("None", "4.0")
    assert list((tmp_path / "empty").iterdir()) == []
