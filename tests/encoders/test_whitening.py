"""Whitening against scikit-learn's, on more and on fewer embeddings than dimensions, and what no data can be."""

# Shapes: N embeddings, D dimensions before, C after.

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from sklearn.decomposition import PCA
from torch import Tensor

from simtrain.encoders.whitening import Whitening, fit_whitening, load_whitening
from simtrain.errors import CatalogError, CheckpointError, ConfigError


def embeddings(*, count: int, dimensions: int, seed: int = 0) -> Tensor:
    """Unit vectors off the origin whose dimensions are correlated and of very different deviation."""
    generator = torch.Generator().manual_seed(seed)
    deviations = torch.logspace(0, -2, dimensions)
    mixing, _ = torch.linalg.qr(torch.randn(dimensions, dimensions, generator=generator))
    return F.normalize(0.5 + torch.randn(count, dimensions, generator=generator) * deviations @ mixing, dim=1)


@pytest.mark.parametrize(
    ("count", "dimensions", "components"), [(300, 24, 24), (300, 24, 8), (20, 64, 19), (20, 64, 5)]
)
def test_equals_scikit_learn(count: int, dimensions: int, components: int):
    train, others = embeddings(count=count, dimensions=dimensions), embeddings(count=7, dimensions=dimensions, seed=1)
    reference = PCA(n_components=components, whiten=True, svd_solver="full").fit(train.double().numpy())
    expected = reference.transform(others.double().numpy())
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = fit_whitening(train, dimensions=components, shrinkage=0.0, power=0.5)(others)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)


def test_whitened_dimensions_are_uncorrelated_and_vary_alike():
    train = embeddings(count=500, dimensions=16)
    whitening = fit_whitening(train, dimensions=16, shrinkage=0.0, power=0.5)
    whitened = (train.double() - whitening.mean) @ whitening.projection.double()
    torch.testing.assert_close(torch.cov(whitened.T), torch.eye(16, dtype=torch.float64), atol=1e-4, rtol=0)


def test_full_shrinkage_turns_and_centres_and_no_more():
    train = embeddings(count=100, dimensions=12)
    centred = F.normalize(train - train.mean(dim=0), dim=1)
    whitened = fit_whitening(train, dimensions=12, shrinkage=1.0, power=0.5)(train)
    torch.testing.assert_close(whitened @ whitened.T, centred @ centred.T, atol=1e-5, rtol=0)


def test_shrinkage_draws_variances_towards_their_mean():
    train = embeddings(count=200, dimensions=10)
    variances = torch.linalg.eigvalsh(torch.cov(train.double().T)).flip(0)
    expected = 1 / (0.7 * variances + 0.3 * variances.mean()).sqrt()
    lengths = fit_whitening(train, dimensions=10, shrinkage=0.3, power=0.5).projection.double().norm(dim=0)
    torch.testing.assert_close(lengths, expected, atol=0, rtol=1e-5)


@pytest.mark.parametrize("power", [0.5, 0.25, 0.1])
def test_any_power_equals_numpy_s_eigenvectors(power: float):
    train, others = embeddings(count=80, dimensions=20), embeddings(count=7, dimensions=20, seed=1)
    samples = train.double().numpy()
    variances, directions = np.linalg.eigh(np.cov(samples.T))
    scale = (0.9 * variances + 0.1 * variances.mean()) ** power
    expected = (others.double().numpy() - samples.mean(axis=0)) @ directions / scale
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = fit_whitening(train, dimensions=None, shrinkage=0.1, power=power)(others).numpy()
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)


def test_power_zero_takes_out_the_mean_alone():
    train = embeddings(count=60, dimensions=12)
    centred = F.normalize(train - train.mean(dim=0), dim=1)
    found = fit_whitening(train, dimensions=None, shrinkage=0.1, power=0.0)(train)
    torch.testing.assert_close(found @ found.T, centred @ centred.T, atol=1e-5, rtol=0)


@pytest.mark.parametrize("power", [0.5, 0.25])
def test_of_few_embeddings_the_shrunken_covariance_has_every_direction(power: float):
    train, others = embeddings(count=6, dimensions=10), embeddings(count=7, dimensions=10, seed=1)
    samples = train.double().numpy()
    variances, directions = np.linalg.eigh(np.cov(samples.T))
    scale = (0.7 * variances.clip(0) + 0.3 * variances.mean()) ** power  # five of them are 0 before they are shrunken
    expected = (others.double().numpy() - samples.mean(axis=0)) @ directions / scale
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = fit_whitening(train, dimensions=None, shrinkage=0.3, power=power)(others).numpy()
    assert found.shape == (7, 10)
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)


def test_too_many_dimensions_for_every_direction(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("simtrain.encoders.whitening._MOST_DIMENSIONS", 9)
    train = embeddings(count=6, dimensions=10)
    with pytest.raises(ConfigError) as caught:
        fit_whitening(train, dimensions=None, shrinkage=0.1, power=0.5)
    assert str(caught.value) == (
        "whitening: embeddings of 10 dimensions vary along 5 directions alone; shrinkage takes 9 dimensions at most: "
        "set it to 0, or make smaller embeddings"
    )
    assert fit_whitening(train, dimensions=None, shrinkage=0.0, power=0.5).projection.shape == (10, 5)


@pytest.mark.parametrize("count", [5, 40])
def test_only_directions_of_variance_become_components(count: int):
    flat = embeddings(count=count, dimensions=3) @ torch.randn(3, 20, generator=torch.Generator().manual_seed(4))
    assert fit_whitening(flat, dimensions=256, shrinkage=0.0, power=0.5).projection.shape == (20, 3)


def test_sign_does_not_depend_on_the_order_or_the_path_taken():
    train = embeddings(count=60, dimensions=20)
    whitening = fit_whitening(train, dimensions=6, shrinkage=0.0, power=0.5)
    backwards = fit_whitening(train.flip(0), dimensions=6, shrinkage=0.0, power=0.5)
    torch.testing.assert_close(whitening.projection, backwards.projection, atol=1e-3, rtol=1e-4)
    strongest = whitening.projection.abs().argmax(dim=0)
    assert (whitening.projection[strongest, torch.arange(6)] > 0).all()


def test_every_result_is_of_unit_length_even_that_of_the_mean():
    train = embeddings(count=50, dimensions=8)
    whitening = fit_whitening(train, dimensions=4, shrinkage=0.1, power=0.5)
    whitened = whitening(torch.cat([train, whitening.mean[None]]))
    torch.testing.assert_close(whitened.norm(dim=1), torch.ones(51))
    assert whitened[-1].tolist() == [1, 0, 0, 0]


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch):
    train = embeddings(count=103, dimensions=8)
    whole = fit_whitening(train, dimensions=8, shrinkage=0.0, power=0.5)
    monkeypatch.setattr("simtrain.encoders.whitening._CHUNK", 10)
    torch.testing.assert_close(
        fit_whitening(train, dimensions=8, shrinkage=0.0, power=0.5).projection, whole.projection
    )


def test_saved_and_loaded(tmp_path: Path):
    whitening = fit_whitening(embeddings(count=50, dimensions=8), dimensions=4, shrinkage=0.1, power=0.5)
    whitening.save(tmp_path / "whitening.safetensors", note={"of": ["a", 1]})
    loaded, note = load_whitening(tmp_path / "whitening.safetensors")
    assert note == {"of": ["a", 1]}
    assert torch.equal(loaded.mean, whitening.mean)
    assert torch.equal(loaded.projection, whitening.projection)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"mean": torch.ones(3)}, "holds mean; allowed: mean (D,) and projection (D, C)"),
        ({"mean": torch.ones(3), "projection": torch.ones(4, 2)}, "allowed: mean (D,) and projection (D, C)"),
        ({"mean": torch.ones(3), "projection": torch.ones(3)}, "allowed: mean (D,) and projection (D, C)"),
    ],
)
def test_file_of_something_else(tmp_path: Path, tensors: dict[str, Tensor], message: str):
    path = tmp_path / "a.safetensors"
    save_file(tensors, path)
    with pytest.raises(CheckpointError) as caught:
        load_whitening(path)
    assert str(caught.value).startswith(f"{path}: holds mean")
    assert str(caught.value).endswith(message)


def test_file_that_is_missing_or_unreadable(tmp_path: Path):
    (tmp_path / "text.safetensors").write_text("no tensors")
    for name in ("none.safetensors", "text.safetensors"):
        with pytest.raises(CheckpointError) as caught:
            load_whitening(tmp_path / name)
        assert str(caught.value) == (
            f"{tmp_path / name}: no whitening that can be read; allowed: a file of Whitening.save"
        )


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (torch.ones(1, 4), "whitening: 1 training images; needs 2 that differ"),
        (torch.ones(5, 4), "whitening: the embeddings of 5 training images are all the same; needs 2 that differ"),
        (
            torch.full((5, 4), 0.1),
            "whitening: the embeddings of 5 training images are all the same; needs 2 that differ",
        ),
        (
            torch.full((3, 4), 0.1),
            "whitening: the embeddings of 3 training images are all the same; needs 2 that differ",
        ),
    ],
)
def test_images_that_do_not_differ(train: Tensor, message: str):
    with pytest.raises(CatalogError) as caught:
        fit_whitening(train, dimensions=2, shrinkage=0.0, power=0.5)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("train", "settings", "message"),
    [
        (torch.ones(3), {}, r"embeddings has shape \(3,\); allowed: \(N, D\) of finite numbers"),
        (torch.tensor([[torch.nan, 1.0]]), {}, "allowed: .* of finite numbers"),
        (torch.ones(3, 2), {"dimensions": 0}, "dimensions is 0; allowed: 1 and more, or None"),
        (torch.ones(3, 2), {"shrinkage": 1.5}, "shrinkage is 1.5 and power 0.5; allowed: 0 to 1, 0 to 0.5"),
        (torch.ones(3, 2), {"power": 0.6}, "shrinkage is 0.0 and power 0.6; allowed: 0 to 1, 0 to 0.5"),
    ],
)
def test_arguments_out_of_range(train: Tensor, settings: dict[str, float], message: str):
    usual: dict[str, Any] = {"dimensions": 1, "shrinkage": 0.0, "power": 0.5}
    with pytest.raises(ValueError, match=message):
        fit_whitening(train, **{**usual, **settings})


def test_whitening_keeps_the_device_of_the_embeddings():
    whitening = Whitening(mean=torch.zeros(3), projection=torch.eye(3))
    assert whitening(torch.ones(2, 3, device="meta")).device.type == "meta"
