import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from simtrain.synthetic import (
    render_view,
    synthetic_products,
    write_synthetic_catalog,
)


def digest(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_every_picture_and_a_manifest_of_them(tmp_path: Path) -> None:
    manifest = write_synthetic_catalog(tmp_path / "shop", products=16, views=3, size=48, seed=1, workers=1)
    assert manifest == tmp_path / "shop" / "manifest.csv"
    with manifest.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["path", "product", "label", "caption", "color", "accent_color", "pattern", "price", "view"]
    assert list(rows[0]) == names
    assert len(rows) == 16 * 3
    assert {row["path"] for row in rows} == {
        path.relative_to(manifest.parent).as_posix() for path in manifest.parent.rglob("*.jpg")
    }
    products = {product.product: product for product in synthetic_products(16, seed=1)}
    for row in rows:
        product = products[row["product"]]
        assert row["path"] == f"{product.category}/{product.product}_{row['view']}.jpg"
        assert (row["label"], row["caption"], row["color"]) == (product.category, product.title, product.color)
        assert float(row["price"]) == pytest.approx(product.price)
    picture = cv2.imread(str(manifest.parent / rows[0]["path"]))
    assert picture is not None
    # JPEG at quality 95 moves a pixel by a few levels; swapped channels would move it by far more.
    drawn = render_view(products[rows[0]["product"]], view=0, size=48, seed=1)
    assert np.abs(picture[:, :, ::-1].astype(float) - drawn).mean() < 4.0


def test_the_files_depend_neither_on_workers_nor_on_the_count(tmp_path: Path) -> None:
    for name, products, workers in (("one", 6, 1), ("two", 6, 2), ("more", 9, 1)):
        write_synthetic_catalog(tmp_path / name, products=products, views=2, size=32, seed=7, workers=workers)
    one, two, more = (digest(tmp_path / name) for name in ("one", "two", "more"))
    assert len(one) == 6 * 2 + 1
    assert one == two
    pictures = set(one) - {"manifest.csv"}
    assert all(more[name] == one[name] for name in pictures)


def test_a_killed_run_leaves_no_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_synthetic_catalog(tmp_path, products=2, views=1, size=32, seed=0, workers=1)

    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simtrain.synthetic.writer.render_view", fail)
    with pytest.raises(KeyboardInterrupt):
        write_synthetic_catalog(tmp_path, products=3, views=1, size=32, seed=0, workers=1)
    assert not (tmp_path / "manifest.csv").exists()


def test_numbers_out_of_range_are_refused(tmp_path: Path) -> None:
    product = synthetic_products(1, seed=0)[0]
    with pytest.raises(ValueError, match=r"^synthetic_products: count is 0; it must be at least 1$"):
        synthetic_products(0, seed=0)
    with pytest.raises(ValueError, match=r"^synthetic_products: seed is -1; it must be at least 0$"):
        synthetic_products(1, seed=-1)
    with pytest.raises(ValueError, match=r"^render_view: size is 31; it must lie in 32\.\.1024$"):
        render_view(product, view=0, size=31, seed=0)
    with pytest.raises(ValueError, match=r"^view_scene: view is -1; it must be at least 0$"):
        render_view(product, view=-1, size=32, seed=0)
    with pytest.raises(ValueError, match=r"^view_scene: seed is -2; it must be at least 0$"):
        render_view(product, view=0, size=32, seed=-2)
    for name in ("views", "workers"):
        numbers = {"products": 1, "views": 1, "size": 32, "seed": 0, "workers": 1} | {name: 0}
        with pytest.raises(ValueError, match=rf"^write_synthetic_catalog: {name} is 0; it must be at least 1$"):
            write_synthetic_catalog(tmp_path, **numbers)
    with pytest.raises(ValueError, match=r"^write_synthetic_catalog: size is 2000; it must lie in 32\.\.1024$"):
        write_synthetic_catalog(tmp_path, products=1, views=1, size=2000, seed=0, workers=1)
    assert list(tmp_path.iterdir()) == []
