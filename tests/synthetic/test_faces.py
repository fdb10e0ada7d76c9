"""Products cut into faces."""

from dataclasses import replace

import numpy as np
import pytest

from simtrain.synthetic.faces import product_faces
from simtrain.synthetic.products import CATEGORIES, product_surfaces, synthetic_products

PRODUCTS = synthetic_products(2 * len(CATEGORIES), seed=4)


@pytest.mark.parametrize("product", PRODUCTS[: len(CATEGORIES)], ids=lambda product: product.category)
def test_a_product_stands_on_the_floor_around_the_origin(product: object) -> None:
    faces = product_faces(product)
    low, high = faces.outline.min(axis=0), faces.outline.max(axis=0)
    assert low[1] == 0.0
    assert (low + high)[[0, 2]] == pytest.approx([0.0, 0.0], abs=1e-9)
    np.testing.assert_allclose(np.linalg.norm(faces.normals, axis=1), 1.0)
    np.testing.assert_allclose(faces.centers, faces.corners.mean(axis=1), atol=1e-12)
    count = len(faces.corners)
    assert {len(values) for values in (faces.albedo, faces.gloss, faces.metal, faces.glow, faces.raised)} == {count}


def test_a_plain_part_has_one_face_for_each_four_points() -> None:
    plain = next(product for product in PRODUCTS if product.pattern == "plain")
    surfaces, _ = product_surfaces(plain)
    most = sum((len(surface.grid) - 1) * surface.grid.shape[1] for surface in surfaces)
    assert 0.5 * most < len(product_faces(plain).corners) <= most


def test_a_print_adds_faces_of_its_colour_and_keeps_the_area() -> None:
    mug = next(product for product in PRODUCTS if product.category == "mug")
    plain, striped = (product_faces(replace(mug, pattern=pattern)) for pattern in ("plain", "striped"))
    _, surface_print = product_surfaces(replace(mug, pattern="striped"))
    assert len(striped.corners) > len(plain.corners)
    inked = (striped.albedo == np.asarray(surface_print.color)).all(axis=1)
    assert inked.sum() > (plain.albedo == np.asarray(surface_print.color)).all(axis=1).sum()

    def area(corners: np.ndarray) -> float:
        across = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
        return float(np.linalg.norm(across, axis=1).sum() / 2)

    assert area(striped.corners) == pytest.approx(area(plain.corners), rel=1e-3)
