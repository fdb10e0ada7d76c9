"""The ridge map from texts to images, against the normal equations, a loop that leaves texts out, and scikit-learn."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from torch import Tensor

from simtrain.encoders.ridge_text_map import STRENGTHS, MappedTextEncoder, RidgeTextMap, fit_ridge_text_map
from simtrain.errors import CatalogError

TEXTS, IMAGES, TEXT_SIZE, IMAGE_SIZE = 12, 40, 5, 7


def problem(*, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Images near a linear map of their texts; one text has many images, and each at least one."""
    generator = torch.Generator().manual_seed(seed)
    texts = F.normalize(torch.randn(TEXTS, TEXT_SIZE, generator=generator), dim=1)
    of_image = torch.cat([torch.arange(TEXTS), torch.randint(0, 4, (IMAGES - TEXTS,), generator=generator)])
    linear = torch.randn(TEXT_SIZE, IMAGE_SIZE, generator=generator)
    images = texts[of_image] @ linear + noise * torch.randn(IMAGES, IMAGE_SIZE, generator=generator) + 2.0
    return F.normalize(images, dim=1), texts, of_image


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def sides(images: Tensor, texts: Tensor, of_image: Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A row for each image: its text, and its target."""
    rows = images.double().numpy()
    return texts.double().numpy()[of_image.numpy()], unit(rows - rows.mean(axis=0))


def normal_equations(
    told: NDArray[np.float64], targets: NDArray[np.float64], *, ridge: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights and intercept that solve (X'X + λI) B = X'Y with a column of ones that is not penalised."""
    columns = np.hstack([told, np.ones((len(told), 1))])
    penalty = np.diag([ridge] * told.shape[1] + [0.0])
    solved = np.linalg.solve(columns.T @ columns + penalty, columns.T @ targets)
    return solved[:-1], solved[-1]


def ridge_of(strength: float, told: NDArray[np.float64]) -> float:
    centred = told - told.mean(axis=0)
    return strength * float(np.trace(centred.T @ centred)) / told.shape[1]


def error_without_each_text(
    told: NDArray[np.float64], targets: NDArray[np.float64], of_image: NDArray[np.int64], *, ridge: float
) -> float:
    errors = 0.0
    for text in range(TEXTS):
        out = of_image == text
        weights, intercept = normal_equations(told[~out], targets[~out], ridge=ridge)
        errors += out.sum() * float(((targets[out].mean(axis=0) - told[out][0] @ weights - intercept) ** 2).sum())
    return errors / len(told)


@pytest.mark.parametrize("noise", [0.05, 0.5, 5.0])
def test_the_map_solves_the_normal_equations_at_the_strength_with_least_error_on_texts_left_out(noise: float) -> None:
    images, texts, of_image = problem(noise=noise)
    told, targets = sides(images, texts, of_image)
    errors = [error_without_each_text(told, targets, of_image.numpy(), ridge=ridge_of(one, told)) for one in STRENGTHS]
    found = fit_ridge_text_map(images, texts, of_image)
    assert found.strength == STRENGTHS[int(np.argmin(errors))]
    weights, intercept = normal_equations(told, targets, ridge=ridge_of(found.strength, told))
    np.testing.assert_allclose(found.weights, weights, atol=1e-6)
    np.testing.assert_allclose(found.intercept, intercept, atol=1e-6)
    assert (found.texts, found.images) == (TEXTS, IMAGES)


def test_the_map_is_that_of_scikit_learn() -> None:
    images, texts, of_image = problem(noise=0.5)
    told, targets = sides(images, texts, of_image)
    found = fit_ridge_text_map(images, texts, of_image)
    other = Ridge(alpha=ridge_of(found.strength, told)).fit(told, targets)
    new = torch.randn(6, TEXT_SIZE, generator=torch.Generator().manual_seed(9))
    np.testing.assert_allclose(found.of_texts(new), unit(other.predict(new.double().numpy())), atol=1e-6)


def test_images_lose_the_mean_of_the_training_images_and_have_unit_length() -> None:
    images, texts, of_image = problem(noise=0.5)
    found = fit_ridge_text_map(images, texts, of_image)
    rows = images.double().numpy()
    np.testing.assert_allclose(found.of_images(images[:3]), unit(rows[:3] - rows.mean(axis=0)), atol=1e-6)


def test_noisier_images_ask_for_a_stronger_ridge() -> None:
    found: list[RidgeTextMap] = [fit_ridge_text_map(*problem(noise=noise)) for noise in (0.01, 20.0)]
    assert found[0].strength < 0.01 < 1 < found[1].strength


def test_more_dimensions_than_texts_are_no_obstacle() -> None:
    generator = torch.Generator().manual_seed(2)
    texts, images = torch.randn(6, 30, generator=generator), torch.randn(6, 4, generator=generator)
    found = fit_ridge_text_map(images, texts, torch.arange(6))
    assert torch.isfinite(found.of_texts(texts)).all()


def test_texts_of_an_encoder_go_through_the_map() -> None:
    images, texts, of_image = problem(noise=0.5)
    found = fit_ridge_text_map(images, texts, of_image)

    class Known:
        def embed_texts(self, asked: object) -> Tensor:
            return texts[:2]

    mapped = MappedTextEncoder(text_encoder=Known(), text_map=found).embed_texts(["a", "b"])
    torch.testing.assert_close(mapped, found.of_texts(texts[:2]))


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (torch.eye(2), "ridge map: the training images have 2 different texts; needs 3"),
        (torch.ones(4, 3), "ridge map: the embeddings of 4 training texts are all the same"),
    ],
)
def test_too_few_texts_are_told(texts: Tensor, message: str) -> None:
    with pytest.raises(CatalogError, match=f"^{message}$"):
        fit_ridge_text_map(torch.randn(len(texts), 5), texts, torch.arange(len(texts)))
