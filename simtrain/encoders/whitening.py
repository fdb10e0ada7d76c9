"""PCA-whitening of embeddings by any power: learned from the training images, without labels and without training."""

# Shapes: N embeddings, D dimensions before, C after.

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from simtrain.errors import CatalogError, CheckpointError, ConfigError

_CHUNK = 8192  # rows that are float64 at once
_SMALLEST = 1e-9  # of the largest variance, and
_ROUNDING = 1e-12  # of the mean squared length: below it float32 rounds, and that must not become a dimension
_MOST_DIMENSIONS = 16_384  # 2 GB of float64 for the square of it
_KEYS = ("mean", "projection")
_NOTE = "simtrain"


@dataclass(frozen=True, kw_only=True, eq=False)
class Whitening:
    """A map to embeddings whose dimensions are uncorrelated and vary alike, over the images that it was fitted to.

    Jégou and Chum, "Negative evidences and co-occurences in image retrieval" (https://hal.inria.fr/hal-00722622,
    section 4), whiten and normalise again in the same way.

    Attributes:
        mean: (D,) float32, subtracted first.
        projection: (D, C) float32; the columns are the directions of largest variance, largest first, each divided by
            a power of the variance along it. The number of largest magnitude in each is positive.
    """

    mean: Tensor
    projection: Tensor

    def __call__(self, embeddings: Tensor) -> Tensor:
        """(N, D) -> (N, C) float32 of unit length, on the same device.

        An embedding that is the mean itself has no direction; it becomes the first unit vector, as all its equals do.
        """
        mean, projection = self.mean.to(embeddings.device), self.projection.to(embeddings.device)
        whitened = (embeddings.float() - mean) @ projection
        first = F.one_hot(torch.zeros(1, dtype=torch.int64, device=embeddings.device), whitened.shape[1])
        return F.normalize(torch.where(whitened.any(dim=1, keepdim=True), whitened, first.float()), dim=1)

    def save(self, path: Path, *, note: Mapping[str, Any]) -> None:
        """Write it as safetensors, with a note of plain values on what it is of.

        Raises:
            OSError: if it cannot be written.
        """
        tensors = {"mean": self.mean.cpu().contiguous(), "projection": self.projection.cpu().contiguous()}
        path.write_bytes(save(tensors, metadata={_NOTE: json.dumps(note, sort_keys=True)}))


def fit_whitening(embeddings: Tensor, *, dimensions: int | None, shrinkage: float, power: float) -> Whitening:
    """Learn a whitening from embeddings, without labels.

    With the eigenvalues v of the covariance and their mean m over all D, direction i is divided by
    ((1 - shrinkage) · v_i + shrinkage · m) ^ power; means and covariances are taken in float64.

    N embeddings vary along N - 1 directions at most. Along the last of many directions they vary by chance, and a
    whitening that counts those alike is worse than none: of 1,200 embeddings of 1,280 dimensions all directions halved
    MAP@R at shrinkage 0, and gave the best of all at 0.1 to 0.3. With any shrinkage the other directions have a
    variance too, shrinkage · m, and are kept: other images vary along them. (Learned from 300 embeddings of 1,280
    dimensions MAP@R was 74.2 % with them and 71.7 without; from 100, 73.0 and 67.5.)

    Args:
        embeddings: (N, D) of the training images, N at least 2.
        dimensions: C at most, at least 1; None: as many as there are: D, or at shrinkage 0 as many as the embeddings
            vary along.
        shrinkage: How far the variances are drawn towards their mean over all D, 0 to 1: at 0 each direction counts
            alike, at 1 the directions keep their lengths and only the mean is taken out.
        power: 0.5 makes all directions vary alike, 0.25 goes half of the way, 0 takes out the mean alone; 0 to 0.5.

    Raises:
        CatalogError: if the embeddings do not differ, as those of one image.
        ConfigError: for more than 16,384 dimensions from fewer embeddings, at any shrinkage.
        ValueError: if they are no matrix of finite numbers, or a setting is out of its range.
    """
    if embeddings.ndim != 2 or not bool(torch.isfinite(embeddings).all()):
        raise ValueError(f"embeddings has shape {tuple(embeddings.shape)}; allowed: (N, D) of finite numbers")
    if dimensions is not None and dimensions < 1:
        raise ValueError(f"dimensions is {dimensions}; allowed: 1 and more, or None")
    if not (0 <= shrinkage <= 1 and 0 <= power <= 0.5):
        raise ValueError(f"shrinkage is {shrinkage} and power {power}; allowed: 0 to 1, 0 to 0.5")
    count = len(embeddings)
    if count < 2:
        raise CatalogError(f"whitening: {count} training images; needs 2 that differ")
    mean = torch.stack([chunk.double().sum(dim=0) for chunk in _chunks(embeddings)]).sum(dim=0) / count
    variances, directions, total = _principal_directions(embeddings, mean=mean)
    kept = variances > torch.maximum(_SMALLEST * variances[0], _ROUNDING * (mean.square().sum() + total))
    if not bool(kept.any()):
        raise CatalogError(
            f"whitening: the embeddings of {count} training images are all the same; needs 2 that differ"
        )
    variances, directions = variances[kept], directions[:, kept]
    if shrinkage > 0:
        variances, directions = _with_the_others(variances, directions)
    variances, directions = variances[:dimensions], directions[:, :dimensions]
    largest = directions.gather(0, directions.abs().argmax(dim=0, keepdim=True))
    shrunken = (1 - shrinkage) * variances + shrinkage * total / embeddings.shape[1]
    projection = directions * largest.sign() / shrunken.pow(power)
    return Whitening(mean=mean.float(), projection=projection.float().contiguous())


def load_whitening(path: Path) -> tuple[Whitening, dict[str, Any]]:
    """Read what `Whitening.save` wrote, and its note.

    Raises:
        CheckpointError: if it is not there, or is another file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            note = json.loads((file.metadata() or {}).get(_NOTE, "{}"))
    except (OSError, SafetensorError, ValueError, RecursionError):
        raise CheckpointError(f"{path}: no whitening that can be read; allowed: a file of Whitening.save") from None
    shapes = [tuple(tensors[key].shape) for key in _KEYS if key in tensors]
    if set(tensors) != set(_KEYS) or len(shapes[1]) != 2 or shapes[0] != shapes[1][:1]:
        raise CheckpointError(f"{path}: holds {', '.join(sorted(tensors))}; allowed: mean (D,) and projection (D, C)")
    return Whitening(mean=tensors["mean"], projection=tensors["projection"]), note


def _chunks(embeddings: Tensor) -> list[Tensor]:
    return [embeddings[start : start + _CHUNK] for start in range(0, len(embeddings), _CHUNK)]


def _with_the_others(variances: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """The same (K,) and (D, K), and after them the directions at right angles to all, along which nothing varies."""
    dimensions, known = directions.shape
    if known == dimensions:
        return variances, directions
    if dimensions > _MOST_DIMENSIONS:
        raise ConfigError(
            f"whitening: embeddings of {dimensions} dimensions vary along {known} directions alone; shrinkage takes "
            f"{_MOST_DIMENSIONS} dimensions at most: set it to 0, or make smaller embeddings"
        )
    basis, _ = torch.linalg.qr(directions, mode="complete")
    return (
        torch.cat([variances, variances.new_zeros(dimensions - known)]),
        torch.cat([directions, basis[:, known:]], dim=1),
    )


def _principal_directions(embeddings: Tensor, *, mean: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Variances from the largest, the (D, ·) unit vectors along which they are, and the sum of all variances."""
    count, dimensions = embeddings.shape
    if count < dimensions:  # the same directions from the smaller side
        centred = embeddings.double() - mean
        variances, sides = torch.linalg.eigh(centred @ centred.T / (count - 1))
        total = variances.sum()
        variances, sides = variances.flip(0).clamp_min(0), sides.flip(1)
        directions = centred.T @ sides
        return variances, directions / directions.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny), total
    covariance = torch.zeros(dimensions, dimensions, dtype=torch.float64, device=embeddings.device)
    for chunk in _chunks(embeddings):
        centred = chunk.double() - mean
        covariance += centred.T @ centred
    variances, directions = torch.linalg.eigh(covariance / (count - 1))
    return variances.flip(0).clamp_min(0), directions.flip(1), variances.sum()
